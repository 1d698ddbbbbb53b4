"""The stages of a network, found by one rule for every architecture.

Containers are opened, level by level, until several of them follow one another; runs of single layers form
one stage, closed by a pooling; units with nothing but normalisation, or no parameters at all, belong to the stage
before; the first stage is ``stem`` and the last one ``head``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from frostline.models._steps import Step

__all__ = ["StageStart", "find_stages"]

_SEVERAL = 3


@dataclass(frozen=True)
class StageStart:
    """A stage's name and the index of its first step."""

    name: str
    position: int


def find_stages(module: nn.Module, steps: Sequence[Step], head_path: str, head_position: int) -> tuple[StageStart, ...]:
    """Return the stages of a network in execution order."""
    units = _find_units(module, steps, head_path)
    stages = [StageStart("stem", 0)]
    seen: set[str] = set()
    begun = False  # whether the current stage has weights already
    closed = True  # whether the next layer with weights begins a stage
    for position, step in enumerate(steps[:head_position]):
        unit = next((path for path in step.stack if path in units), None)
        if unit is None:
            continue
        if unit not in seen:
            seen.add(unit)
            leaf = unit == step.path
            if _has_weights(module.get_submodule(unit), head_path, unit):
                if begun and (closed or not leaf):
                    stages.append(StageStart(unit, position))
                begun = True
                closed = not leaf
        closed = closed or (unit == step.path and step.shrinks)
    return (*stages, StageStart("head", head_position))


def _find_units(module: nn.Module, steps: Sequence[Step], head_path: str) -> set[str]:
    """Return the paths of the units that stages are made of."""
    deeper: dict[str, list[str]] = {"": []}
    for step in steps:
        for parent, child in zip(("", *step.stack), step.stack, strict=False):
            children = deeper.setdefault(parent, [])
            if child not in children:
                children.append(child)
    units = list(deeper[""])
    while True:
        # The first unit is the stem, whatever it is made of, and doesn't count.
        containers = [
            path for path in units[1:] if path in deeper and _has_weights(module.get_submodule(path), head_path, path)
        ]
        opened = containers or [path for path in units if path in deeper]
        if len(containers) >= _SEVERAL or not opened:
            return set(units) - {head_path}
        units = [part for path in units for part in (deeper[path] if path in opened else [path])]


def _has_weights(module: nn.Module, head_path: str, path: str) -> bool:
    """Return whether a unit has parameters outside of the head that aren't of a normalisation."""
    return any(
        next(layer.parameters(recurse=False), None) is not None and "Norm" not in type(layer).__name__
        for name, layer in module.named_modules(prefix=path)
        if not f"{name}.".startswith(f"{head_path}.")
    )
