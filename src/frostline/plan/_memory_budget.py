"""Predicted peak memory: what is there all along, and what a pass, a trajectory or a group of heads needs besides.

The constants were measured on Linux with torch 2.14 and OpenVINO 2026.4 (tests/execution/test_memory.py compares runs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.plan._stacking import ROWS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from frostline.models.facts import BackboneFacts, CutFacts
    from frostline.plan._costs import CostModel, EpochWork
    from frostline.plan._passes import Need
    from frostline.plan._storing import Choice
    from frostline.study import Recipe

__all__ = [
    "BASE_BYTES",
    "ROWS_KEPT_BYTES",
    "ROWS_KEPT_LEAST_BYTES",
    "heads_bytes",
    "largest_map",
    "moments",
    "pass_bytes",
    "resident_bytes",
    "trajectory_bytes",
]

BASE_BYTES = 930_000_000
"""Python with torch, torchvision, timm and the data's libraries, and what these keep after a first step."""

ENGINE_BYTES = 170_000_000
"""OpenVINO and torch.export, and what they keep after a pass."""

COMPILED_COPIES = 2
"""How often the weights of a compiled prefix are held: by what was exported, and by OpenVINO in its own layout."""

ENGINES_KEPT, NETWORKS_KEPT = 3, 2
"""Compiled prefixes, and backbones with their weights, that stay in memory."""

ROWS_KEPT_BYTES, ROWS_KEPT_LEAST_BYTES = 256 * 1024 * 1024, 64 * 1024 * 1024
"""The most of stored rows that stays in memory, and what does even where little memory is free.

A head is trained three times as fast on rows in memory as on rows of 5 KB in the page cache; a limit keeps the peak the
same however many rows there are.
"""

FLOAT = 4

PASS_BATCH, PASS_BATCHES, WAITING_BATCHES, WAITING_BYTES = 16, 8, 8, 128 * 1024 * 1024
"""A pass's images at a time, its batches under way, and how much of what it gives may wait to be written."""

BATCHES_AHEAD = 5
"""Batches of inputs in memory at once: read ahead, in use, and copied to another layout."""

WORKSPACE = 4
"""The largest maps in memory beside those that are kept for the backward pass: gradients, and an operation's own."""

CHECKPOINT_COPIES = 2
"""What is written is serialized in memory first."""

READS_AHEAD = 5
"""Reads of a stack of heads that are in memory at once."""

HEAD_WORKSPACE, LOGIT_COPIES = 6, 2
"""What a stack holds of a batch for each unit, and how often the validation logits of a head are held."""


def resident_bytes(recipes: Iterable[tuple[Recipe, CostModel]], needs: Sequence[Need]) -> int:
    """Return what stays in memory all along a run: libraries, pretrained weights, and compiled prefixes."""
    networks = {
        (r.backbone, r.weights, r.weights_key, r.image_size): FLOAT * costs.facts.parameters for r, costs in recipes
    }
    kept = sorted(networks.values(), reverse=True)[:NETWORKS_KEPT]
    prefixes = {(need.source._replace(split=""), need.cuts): COMPILED_COPIES * _prefix_bytes(need) for need in needs}
    compiled = sorted(prefixes.values(), reverse=True)[:ENGINES_KEPT]
    return BASE_BYTES + sum(kept) + sum(compiled) + (ENGINE_BYTES if compiled else 0)


def pass_bytes(need: Need) -> int:
    """Return what a feature pass needs beside what is resident: a network, batches under way, and what waits."""
    facts = need.costs.facts
    rows = PASS_BATCH * sum(facts.resolve(cut).row_bytes for cut in need.cuts)
    images = PASS_BATCH * (1 + FLOAT) * facts.cuts[0].row_bytes
    inside = PASS_BATCH * WORKSPACE * largest_map(facts, facts.cuts[0])
    waiting = min(WAITING_BATCHES * rows, max(WAITING_BYTES, rows))
    return FLOAT * facts.parameters_without_head + PASS_BATCHES * (images + rows) + inside + waiting


def trajectory_bytes(
    choice: Choice, recipe: Recipe, phase: int, work: EpochWork, costs: CostModel, n_classes: int
) -> int:
    """Return what training a trajectory by itself needs beside what is resident."""
    facts, batch = costs.facts, recipe.batch_size
    weights = FLOAT * (facts.parameters_without_head + work.head_parameters)
    trained = FLOAT * costs.trained_parameters(work)
    state = moments(recipe, phase) * trained
    image = FLOAT * facts.cuts[0].row_bytes
    crossing = image if work.train_from == facts.cuts[0] else work.train_from.row_bytes
    # A hidden layer keeps its input, the sign of what it gives, and dropout's mask.
    kept = costs.saved_bytes(work.train_from) + crossing + 3 * FLOAT * sum(recipe.head.hidden)
    ahead = BATCHES_AHEAD * (choice.cut.row_bytes if choice.mode == "cached" else facts.cuts[0].row_bytes) + image
    if choice.mode == "recomputed":
        ahead += choice.cut.row_bytes
    step = int(batch * (kept + ahead + WORKSPACE * largest_map(facts, choice.cut)))
    logits = 3 * FLOAT * work.n_val * n_classes
    written = CHECKPOINT_COPIES * (trained + state)
    # What a step has freed isn't all given back to the system by the time that the checkpoint is written.
    # What computes rows anew is compiled like a pass's prefix, and has a few images under way.
    anew = choice.mode == "recomputed" and choice.cut != facts.cuts[0]
    engine = ENGINE_BYTES + COMPILED_COPIES * FLOAT * choice.cut.parameters_before if anew else 0
    inside = PASS_BATCH * WORKSPACE * largest_map(facts, facts.cuts[0]) if anew else 0
    kept_rows = _kept_rows([(choice, recipe, work)])
    return weights + trained + state + step + logits + written + kept_rows + engine + inside


def heads_bytes(heads: Sequence[tuple[Choice, Recipe, EpochWork]], costs: CostModel, n_classes: int) -> int:
    """Return what training stacked heads together needs beside what is resident."""
    lanes = min(costs.lanes, len(heads))
    total = 2 * FLOAT * costs.facts.parameters_without_head + _kept_rows(heads)
    total += lanes * READS_AHEAD * max(_rows_at_once(r, w) * c.cut.row_bytes for c, r, w in heads)
    for _, recipe, own in heads:
        # Weights, two moments, a gradient and an update; the first three once more for each copy that is written.
        total += FLOAT * own.head_parameters * (5 + 3 * CHECKPOINT_COPIES)
        total += HEAD_WORKSPACE * FLOAT * recipe.batch_size * (sum(recipe.head.hidden) + n_classes)
        total += LOGIT_COPIES * FLOAT * own.n_val * n_classes
    return total


def _rows_at_once(recipe: Recipe, work: EpochWork) -> int:
    return min(max(ROWS_AT_ONCE, recipe.batch_size), max(work.n_train, work.n_val))


def moments(recipe: Recipe, phase: int) -> int:
    """Return how many numbers an optimizer keeps for each that it trains."""
    optimizer = recipe.phases[phase].optimizer
    return 2 if optimizer.name != "sgd" else int(optimizer.momentum > 0)


def _kept_rows(trained: Sequence[tuple[Choice, Recipe, EpochWork]]) -> int:
    """Return how much of stored rows is held in memory: of every view, and of every seed that draws views."""
    rows: dict[int | None, int] = {}
    for choice, recipe, work in trained:
        if choice.mode == "cached":
            drawn = recipe.augmentation != "none" and recipe.views != "fresh"
            n_train = work.n_train * int(recipe.views) if drawn else work.n_train
            rows[recipe.seed if drawn else None] = (n_train + work.n_val) * choice.cut.row_bytes
    return min(sum(rows.values()), ROWS_KEPT_BYTES)


def _prefix_bytes(need: Need) -> int:
    return FLOAT * max(need.costs.facts.resolve(cut).parameters_before for cut in need.cuts)


def largest_map(facts: BackboneFacts, cut: CutFacts) -> int:
    """Return the bytes of the largest tensors between two layers from a cut on, for one image."""
    after = facts.cuts[facts.cuts.index(cut) :]
    return max((each.row_bytes for each in after if each != facts.cuts[0]), default=0)
