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
    """Return copies of tensors with maps [B, C, H, W] laid out; others, such as tokens [B, T, D], are contiguous.

    Copies, as torch's own memory begins at multiples of 64 bytes and NumPy's may not, and as maps of one pixel have
    strides of either layout: products round by both.
    """
    return tuple(t.clone(memory_format=_FORMATS[layout] if t.dim() == 4 else torch.contiguous_format) for t in tensors)
