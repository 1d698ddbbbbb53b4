"""The stages of a backbone, and what training from each would mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from frostline.quantities import format_bytes, format_count
from frostline.report._table import Table

if TYPE_CHECKING:
    from frostline.models.facts import BackboneFacts

__all__ = ["StageLine", "stage_lines", "stages_table"]


class StageLine(NamedTuple):
    """One stage: its own size, what crosses into it for one image, and what ``train_from`` it would train.

    ``trained_parameters`` leave out the new head, whose size depends on the number of classes; ``flops`` are
    operations of one forward pass of one image.
    """

    name: str
    layers: int
    parameters: int
    flops: int
    crossing_shapes: tuple[tuple[int, ...], ...]
    crossing_bytes: int
    trained_parameters: int
    trained_flops: int
    train_from: str


def stage_lines(facts: BackboneFacts) -> tuple[StageLine, ...]:
    """Return a backbone's stages in execution order."""
    cuts = {cut.name: cut for cut in facts.cuts}
    lines = []
    for stage in facts.stages:
        cut = cuts[stage.cut]
        lines.append(
            StageLine(
                name=stage.name,
                layers=stage.layers,
                parameters=stage.parameters,
                flops=stage.flops,
                crossing_shapes=cut.shapes,
                crossing_bytes=cut.row_bytes,
                trained_parameters=facts.parameters_without_head - cut.parameters_before,
                trained_flops=facts.flops - cut.flops_before,
                train_from="all" if stage.cut == "input" else stage.name,
            )
        )
    return tuple(lines)


def stages_table(facts: BackboneFacts) -> Table:
    """Return a backbone's stages as text."""
    rows = []
    for line in stage_lines(facts):
        shapes = " + ".join("x".join(str(size) for size in shape) for shape in line.crossing_shapes)
        trained = f"{line.trained_parameters:,} + head" if line.trained_parameters else "only the head"
        rows.append(
            (
                line.name,
                str(line.layers),
                f"{line.parameters:,}",
                format_count(line.flops),
                shapes,
                format_bytes(line.crossing_bytes),
                line.train_from,
                trained,
            )
        )
    notes = [
        f"{facts.parameters:,} parameters with its own classifier, {facts.parameters_without_head:,} without it; "
        f"{format_count(facts.flops)} operations per image of {facts.image_size} pixels.",
        f"The new head takes {facts.head_features:,} features; `head` in a recipe sets its hidden layers and dropout.",
    ]
    if not facts.cuttable:
        notes.append(f"It can't be cut, so it is trained uncut: {facts.why_not}")
    return Table(
        title=f"{facts.backbone} at {facts.image_size} pixels",
        columns=("stage", "layers", "parameters", "operations", "input", "input size", "train_from", "trained"),
        rows=tuple(rows),
        left=frozenset({"stage", "input", "train_from"}),
        notes=tuple(notes),
    )
