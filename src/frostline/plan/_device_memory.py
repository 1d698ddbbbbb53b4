"""Predicted peaks of an accelerator's own memory, by reckoning alone: no accelerator was measured.

What stays there for good is the driver's context and the libraries' workspaces; weights are moved as they are needed.
Stored rows are held there only where there is room left, and are no part of these peaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.plan._memory_budget import FLOAT, WORKSPACE, largest_map, moments
from frostline.plan._numerics import pass_batch_size
from frostline.plan._stacking import ROWS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.plan._costs import CostModel, EpochWork
    from frostline.plan._passes import Need
    from frostline.plan._storing import Choice
    from frostline.study import Recipe

__all__ = ["device_heads_bytes", "device_pass_bytes", "device_trajectory_bytes"]

CONTEXT_BYTES = 800_000_000
"""CUDA's context, its libraries and their workspaces."""

COPIES = 2
"""Batches there at once: the one that is computed and the one that is on its way."""


def device_pass_bytes(need: Need) -> int:
    """Return what a feature pass takes of the device: a prefix, its images and its largest maps."""
    facts, size = need.costs.facts, pass_batch_size(need.costs.device)
    rows = sum(facts.resolve(cut).row_bytes for cut in need.cuts)
    images = COPIES * facts.cuts[0].row_bytes + FLOAT * facts.cuts[0].row_bytes
    batch = size * (images + rows + WORKSPACE * largest_map(facts, facts.cuts[0]))
    return CONTEXT_BYTES + FLOAT * facts.parameters_without_head + batch


def device_trajectory_bytes(choice: Choice, recipe: Recipe, phase: int, work: EpochWork, costs: CostModel) -> int:
    """Return what training a trajectory takes of the device: the network, its optimizer, and what a step keeps."""
    facts = costs.facts
    weights = FLOAT * (facts.parameters_without_head + work.head_parameters)
    # Gradients are as large as what is trained.
    trained = (1 + moments(recipe, phase)) * FLOAT * costs.trained_parameters(work)
    row = FLOAT * facts.cuts[0].row_bytes if choice.cut == facts.cuts[0] else choice.cut.row_bytes
    kept = costs.saved_bytes(work.train_from) + 3 * FLOAT * sum(recipe.head.hidden)
    step = recipe.batch_size * (kept + COPIES * row + WORKSPACE * largest_map(facts, choice.cut))
    return int(CONTEXT_BYTES + weights + trained + step)


def device_heads_bytes(heads: Sequence[tuple[Choice, Recipe, EpochWork]], n_classes: int) -> int:
    """Return what training stacked heads takes of the device, one stack after another."""
    choice, recipe, _ = heads[0]
    total = CONTEXT_BYTES + COPIES * max(ROWS_AT_ONCE, recipe.batch_size) * choice.cut.row_bytes
    for _, own, work in heads:
        total += FLOAT * work.head_parameters * 5
        total += WORKSPACE * FLOAT * own.batch_size * (sum(own.head.hidden) + n_classes)
    return total
