"""The logits of a trained network from the rows that enter what was trained of it, with the bits of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.plan import precision_on
from frostline.training import apply_layout, batches_in_order, evaluate, evaluate_head, in_layout, on_threads

if TYPE_CHECKING:
    import torch

    from frostline.artifacts._description import Numerics
    from frostline.models import Chain
    from frostline.study import Recipe
    from frostline.training import Rows

__all__ = ["evaluate_rows"]


def evaluate_rows(chain: Chain, recipe: Recipe, numerics: Numerics, rows: Rows, device: torch.device) -> torch.Tensor:
    """Return the logits of rows, float32 [N, K] on the CPU, in their order.

    Args:
        chain: the network with what was trained of it, on the device.
        recipe: what it was trained by.
        numerics: how to compute.
        rows: what crosses the cut of the numerics, or normalised images.
        device: where to compute.
    """
    precision = precision_on(numerics.precision, device.type)
    if numerics.stacked:
        return evaluate_head(chain.model.get_submodule(chain.head_path), recipe, rows, device, precision)
    apply_layout(chain.model, numerics.layout)
    tail = chain.model if numerics.cut == "input" else chain.tail(numerics.cut)
    batches = rows.batches(batches_in_order(rows.n, recipe.batch_size), 0, device)
    with on_threads(numerics.threads):
        return evaluate(tail, ((in_layout(inputs, numerics.layout), labels) for inputs, labels in batches), precision)
