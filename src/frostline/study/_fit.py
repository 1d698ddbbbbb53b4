"""Fitting a table to a model, with everything that doesn't fit found at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from frostline.study._messages import complaints
from frostline.study._problem import KeyPath, format_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from frostline.study._grid import Node

__all__ = ["Finding", "Fit", "fit"]

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Finding:
    """Something wrong at a path of a study; ``at_key`` points at the key, else at its value."""

    path: KeyPath
    message: str
    given: str = ""
    at_key: bool = False


@dataclass(frozen=True)
class Fit(Generic[Model]):
    """A model, or what keeps a table from being one."""

    model: Model | None
    findings: tuple[Finding, ...]


def fit(node: Node, model: type[Model]) -> Fit[Model]:
    """Return a table as a model, or everything that is wrong with it.

    A model stops at the first thing of some kinds. So what is wrong is left out and the rest fitted again, until
    nothing new comes up; what only follows from something left out is not told.
    """
    dropped: set[KeyPath] = set()
    findings: list[Finding] = []
    while True:
        tree = node.without(dropped)
        try:
            fitted = model.model_validate(tree.plain())
        except ValidationError as error:
            found = complaints(error, model)
        else:
            return Fit(None if findings else fitted, tuple(findings))
        before = len(dropped)
        for complaint in found:
            path, given = _locate(tree, complaint.location)
            others = [_locate(tree, (*complaint.location[:-1], other))[0] for other in complaint.others]
            if not _follows(path, others, dropped):
                shown = "" if given is None else format_value(given.plain())
                place = path
                if complaint.at_key and isinstance(path[-1], int):  # an unknown key with a list, taken for a grid
                    place, shown = path[:-1], ""
                findings.append(Finding(place, complaint.message, shown, complaint.at_key))
            dropped.add(path)
        if len(dropped) == before or () in dropped or node.path in dropped:
            return Fit(None, tuple(findings))


def _follows(path: KeyPath, others: Iterable[KeyPath], dropped: set[KeyPath]) -> bool:
    """Return whether a complaint may only be there because something else was left out."""
    return any(gone[: len(place)] == place for place in (path, *others) for gone in dropped)


def _locate(node: Node, location: KeyPath) -> tuple[KeyPath, Node | None]:
    """Return where in a study the value stands that a model complains about, and the value."""
    if location[:1] == ("phases",) and isinstance(node.value, dict):
        # A recipe's own train_from, epochs, optimizer and schedule are short for a phase's.
        phase = _descend(node, location[:2])[1] if "phases" in node.value else None
        key = location[2] if len(location) > 2 else None
        own = phase is not None and (not isinstance(phase.value, dict) or key in phase.value)
        if key in node.value and not own:
            location = location[2:]
    return _descend(node, location)


def _descend(node: Node, location: KeyPath) -> tuple[KeyPath, Node | None]:
    for part in location:
        if isinstance(node.value, dict):
            if part not in node.value:
                return (*node.path, part), None
            node = node.value[str(part)]
        elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:  # a plain value that is short for a table
            break
    return node.path, node
