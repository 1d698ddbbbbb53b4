"""What is meant by a key that doesn't exist where it stands: of any level of a study, or by another library's name."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final, NamedTuple

from frostline.study._data import Data
from frostline.study._other_names import KEPT_ELSEWHERE, OTHER_NAMES, OTHER_NAMES_HERE
from frostline.study._problem import KeyPath, format_value
from frostline.study._recipe import PHASE_KEYS, Head, Optimizer, Phase, Recipe, Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

__all__ = ["LEVELS", "level_of", "unknown_key"]

# The model of each level: of a table by its key, of arms and defaults as "recipe".
_MODELS: Final[dict[str, type[BaseModel]]] = {
    "data": Data,
    "recipe": Recipe,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "head": Head,
    "phases": Phase,
}

LEVELS: Final = {"study": ("name", "data", "defaults", "arms")} | {
    level: (*(PHASE_KEYS if model is Recipe else ()), *model.model_fields) for level, model in _MODELS.items()
}
"""The keys of each level of a study."""

# Where a key is looked for that isn't one of its own level: the nearest first.
_NEAREST: Final = ("recipe", "optimizer", "head", "schedule", "data", "study")
_NESTED: Final = ("optimizer", "head", "schedule")

# A table in which a key makes sense, for keys of nested tables.
_EXAMPLES: Final = {
    "optimizer.name": "optimizer = {{name = {}}}",
    "optimizer.lr": 'optimizer = {{name = "adam", lr = {}}}',
    "optimizer.momentum": 'optimizer = {{name = "sgd", momentum = {}}}',
    "optimizer.nesterov": 'optimizer = {{name = "sgd", momentum = 0.9, nesterov = {}}}',
    "optimizer.weight_decay": 'optimizer = {{name = "adamw", weight_decay = {}}}',
    "optimizer.stage_decay": 'optimizer = {{name = "adam", stage_decay = {}}}',
    "schedule.name": "schedule = {{name = {}}}",
    "schedule.step_epochs": 'schedule = {{name = "step", step_epochs = {}}}',
    "schedule.gamma": 'schedule = {{name = "step", gamma = {}}}',
    "head.hidden": "head = {{hidden = {}}}",
    "head.dropout": "head = {{hidden = [512], dropout = {}}}",
}

# What a switch of other libraries is here.
_SWITCHES: Final = {
    ("pretrained", True): 'weights = "default"',
    ("pretrained", False): 'weights = "none"',
    ("freeze", True): 'train_from = "head"',
    ("freeze", False): 'train_from = "all"',
    ("frozen", True): 'train_from = "head"',
    ("freeze_backbone", True): 'train_from = "head"',
    ("freeze_backbone", False): 'train_from = "all"',
    ("unfreeze", True): 'train_from = "all"',
    ("unfreeze", False): 'train_from = "head"',
    ("trainable", True): 'train_from = "all"',
    ("trainable", False): 'train_from = "head"',
    ("flip", True): 'augmentation = "flip"',
    ("hflip", True): 'augmentation = "flip"',
    ("horizontal_flip", True): 'augmentation = "flip"',
}

_CLOSE_HERE: Final = 0.6
_CLOSE_ELSEWHERE: Final = 0.8
_SHORTEST_MISSPELT: Final = 4
_LONGEST_EXAMPLE_VALUE: Final = 30


class _Target(NamedTuple):
    """A key that exists: its level and name."""

    level: str
    key: str

    @property
    def path(self) -> str:
        """The key as one writes it: with its table, where that has a name in a recipe."""
        return f"{self.level}.{self.key}" if self.level in (*_NESTED, "data") else self.key


def level_of(model: type[BaseModel], location: KeyPath) -> str:
    """Return the level of a study at a location in a model's input."""
    level = next((name for name, known in _MODELS.items() if known is model), "recipe")
    for part in location:
        level = str(part) if part in _MODELS else level
    return level


def unknown_key(level: str, key: str, given: object = None, *, known: tuple[str, ...] = ()) -> str:
    """Return the message for a key that doesn't exist at a level of a study.

    Args:
        level: one of ``LEVELS``.
        key: as given.
        given: its value, for the example.
        known: further keys that this level has.
    """
    here = (*LEVELS[level], *known)
    name = _normalised(key)
    if name in KEPT_ELSEWHERE and name not in here:
        return f"unknown key; {KEPT_ELSEWHERE[name]}"
    target = _find(level, name, here)
    if target is None:
        return f"unknown key; known here: {', '.join(here)}"
    return f"unknown key; did you mean {_describe(level, target, name, given)}?"


def _find(level: str, name: str, here: tuple[str, ...]) -> _Target | None:
    """Return the key that is meant: one that is written so, by its other names, or nearly so."""
    if name in here:
        return _Target(level, name)
    if (level, name) in OTHER_NAMES_HERE:
        return _Target(level, OTHER_NAMES_HERE[level, name])
    candidates = dict(_candidates(level, here))
    if name in candidates:
        return candidates[name]
    best: _Target | None = None
    most = 0.0
    for candidate, target in candidates.items():
        likeness = SequenceMatcher(None, name, candidate).ratio()
        own = candidate in here
        enough = _CLOSE_HERE if own else _CLOSE_ELSEWHERE
        close = likeness >= enough and (own or len(candidate) >= _SHORTEST_MISSPELT)
        # Of two that are as near, that of the same level, which comes first.
        if close and likeness > most:
            best, most = target, likeness
    return best


def _candidates(level: str, here: tuple[str, ...]) -> Iterator[tuple[str, _Target]]:
    """Yield every name a key may be meant by, with the key: in reverse order of preference where one name has two."""
    for path, names in OTHER_NAMES.items():
        table, _, key = path.rpartition(".")
        own = level if key in here and key != "name" else ""  # of two keys that are called the same, that of this level
        target = _Target(own or table or ("study" if path in LEVELS["study"] else "recipe"), key)
        yield from ((name, target) for name in names)
    for other in reversed([place for place in _NEAREST if place != level]):
        yield from ((key, _Target(other, key)) for key in LEVELS[other])
    yield from ((key, _Target(level, key)) for key in here)


def _describe(level: str, target: _Target, name: str, given: object) -> str:
    example = _example(target, name, given)
    if target.level == level:
        switch = (name, given) in _SWITCHES if isinstance(given, bool) else False
        return example if switch else f'"{target.key}"'
    place = _place(level, target)
    return target.path + (f", {place}" if place else "") + (f": {example}" if example else "")


def _place(level: str, target: _Target) -> str:
    """Say where a key of another level stands; of a table in the same recipe its path says it."""
    if target.level == "data":
        return "in [data]"
    if target.level == "study":
        return "at the top of the study"
    if level in ("study", "data"):
        return "in [defaults] or [[arms]]"
    if level == "phases":
        return "" if target.level in ("optimizer", "schedule") else "in the arm, beside its phases"
    return f"beside {level}, not in it" if level in _NESTED else ""


def _example(target: _Target, name: str, given: object) -> str:
    if isinstance(given, bool) and (name, given) in _SWITCHES:
        return _SWITCHES[name, given]
    pattern = _EXAMPLES.get(target.path)
    if pattern is None:
        return ""
    value = [given] if target.path == "head.hidden" and isinstance(given, int) else given
    text = format_value(value)
    fits = value is not None and not isinstance(value, dict) and len(text) <= _LONGEST_EXAMPLE_VALUE
    return pattern.format(text if fits else "..")


def _normalised(key: str) -> str:
    return key.strip().lower().replace("-", "_").replace(" ", "_")
