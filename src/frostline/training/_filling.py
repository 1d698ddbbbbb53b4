"""Numbers filled up with zeros to where the routines for products, exponentials and steps treat all of them alike."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["LEAST_UNITS", "filled_up", "in_rows", "out_of_rows", "wide"]

LEAST_UNITS = 16
"""Units of a seed's heads together, spare ones included, in each layer."""

LEAST_FEATURES = 2
"""Features that heads take at least. With 16 units and 16 images, products of fewer than 400 terms would be left to a
plain loop in torch (``bmm`` and ``baddbmm`` on the CPU), which rounds in another way than the routines for larger ones:
so a head's bits would depend on how many stand beside it."""

IMAGES_AT_ONCE = 16
"""Batches are filled up to a multiple of these: as many numbers as the widest vector unit takes."""

NUMBERS_AT_ONCE = 32
"""A head's parameters are filled up to a multiple of these: two of the widest vectors, as loops are unrolled."""


def filled_up(tensor: torch.Tensor) -> torch.Tensor:
    """Return numbers of each image in a batch, [..., B], with zeros for images of no weight behind them."""
    filling = -tensor.shape[-1] % IMAGES_AT_ONCE
    return nn.functional.pad(tensor, (0, filling)) if filling else tensor


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """Return numbers of each feature, [..., D], with zeros for features of no weight behind a single one."""
    filling = LEAST_FEATURES - tensor.shape[-1]
    return nn.functional.pad(tensor, (0, filling)) if filling > 0 else tensor


def in_rows(tensor: torch.Tensor) -> torch.Tensor:
    """Return what there is for each head, [S, ...], as rows [S, P] that are filled up."""
    rows = tensor.flatten(1)
    filling = -rows.shape[1] % NUMBERS_AT_ONCE
    return nn.functional.pad(rows, (0, filling)) if filling else rows.contiguous()


def out_of_rows(rows: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return what rows [S, P] hold as [S, ...], a view."""
    return rows[:, : shape.numel()].view(len(rows), *shape)
