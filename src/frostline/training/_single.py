"""A head that was trained in a stack, evaluated by itself with the stack's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from frostline.training._stack import HeadStack, StackMember, StackSpec
from frostline.training._threads import on_threads

if TYPE_CHECKING:
    from frostline.plan import Precision
    from frostline.study import Recipe
    from frostline.training._rows import Rows

__all__ = ["evaluate_head"]


def evaluate_head(
    head: torch.nn.Module, recipe: Recipe, rows: Rows, device: torch.device, precision: Precision = "ieee"
) -> torch.Tensor:
    """Return the logits, float32 [N, K] on the CPU, that a stack gives for a head: they depend on no other in it.

    Args:
        head: hidden and linear layers, with its parameters.
        recipe: what it was trained by.
        rows: what enters the head, [N, D].
        device: where to compute.
        precision: of products.
    """
    spec = StackSpec(head, recipe, (StackMember("", recipe.phases[-1]),), rows, rows)
    with on_threads(1):
        return HeadStack([spec], torch.nn.CrossEntropyLoss(), device, precision).evaluate()[0]
