"""Copies of module trees that share or drop their tensors."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

__all__ = ["copy_sharing_tensors", "copy_to_meta"]


def copy_sharing_tensors(module: nn.Module, replaced: dict[int, Any] | None = None) -> nn.Module:
    """Return a copy of a module tree whose parameters and buffers are the very same tensors.

    ``replaced`` maps the id of an object in the tree to what the copy has in its place.
    """
    memo: dict[int, Any] = {id(t): t for t in (*module.parameters(), *module.buffers())}
    memo.update(replaced or {})
    return copy.deepcopy(module, memo)


def copy_to_meta(module: nn.Module) -> nn.Module:
    """Return a copy of a module tree on the meta device: shapes and behaviour without numbers."""
    memo: dict[int, Any] = {}
    for p in module.parameters():
        memo[id(p)] = nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False)
    for b in module.buffers():
        memo[id(b)] = torch.empty_like(b, device="meta")
    return copy.deepcopy(module, memo)
