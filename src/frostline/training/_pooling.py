"""Average pooling whose gradient is the same each time: CUDA's for adaptive pooling adds in whatever order comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["make_pooling_deterministic"]


class _DividedPool(nn.AdaptiveAvgPool2d):
    """Adaptive pooling whose windows are all alike, by the operations that have deterministic gradients."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return [B, C, h, w] of maps [B, C, H, W]."""
        if not (torch.is_grad_enabled() and maps.requires_grad):
            return super().forward(maps)
        sizes = _sizes(self.output_size, maps.shape[-2:])
        given = tuple(maps.shape[-2:])
        if given == (1, 1):
            return maps.expand(*maps.shape[:-2], *sizes).clone()
        if any(size % own for size, own in zip(given, sizes, strict=True)):
            return super().forward(maps)  # which torch refuses on CUDA, with a message that is explained
        return nn.functional.avg_pool2d(maps, [size // own for size, own in zip(given, sizes, strict=True)])


def make_pooling_deterministic(model: nn.Module) -> None:
    """Have a model's adaptive pooling, as VGG has between its maps and its classifier, train deterministically.

    In place, as the parts that a model is cut into share its modules.
    """
    for module in model.modules():
        if type(module) is nn.AdaptiveAvgPool2d:
            module.__class__ = _DividedPool


def _sizes(asked: int | Sequence[int | None] | None, given: Sequence[int]) -> tuple[int, ...]:
    pair = (asked, asked) if asked is None or isinstance(asked, int) else asked
    return tuple(size if own is None else own for own, size in zip(pair, given, strict=True))
