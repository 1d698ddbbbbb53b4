"""How maps lie in memory: channel by channel, or all channels of a pixel together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from frostline.plan import Layout

__all__ = ["apply_layout", "in_layout"]

_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def apply_layout(model: torch.nn.Module, layout: Layout) -> None:
    """Lay a model's convolution weights out; values stay as they are."""
    model.to(memory_format=_FORMATS[layout])


def in_layout(tensors: tuple[torch.Tensor, ...], layout: Layout) -> tuple[torch.Tensor, ...]:
    """Return tensors with maps [B, C, H, W] laid out; others, such as tokens [B, T, D], as they are."""
    return tuple(t.contiguous(memory_format=_FORMATS[layout]) if t.dim() == 4 else t for t in tensors)
