"""The errors a user can cause, each with what was given, what is allowed, where, and what to do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from frostline.study import Problem

__all__ = [
    "BudgetError",
    "DataError",
    "DeviceMemoryError",
    "DiskFullError",
    "FeatureError",
    "FrostlineError",
    "LedgerError",
    "MissingExtraError",
    "ModelError",
    "StudyError",
    "TrainingError",
    "WeightsError",
    "closest",
]


class FrostlineError(Exception):
    """The base of every error that Frostline raises for a reason a user can cause."""


class StudyError(FrostlineError, ValueError):
    """A study that can't be asked: unknown keys, values out of range, a file that isn't TOML; all in ``problems``."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class DataError(FrostlineError, ValueError):
    """Images or labels that can't be used as they are."""


class BudgetError(FrostlineError, ValueError):
    """A budget of disk or memory that isn't a size, or that what was asked can't keep."""


class ModelError(FrostlineError, ValueError):
    """A backbone, stage or head that doesn't exist or can't be built."""


class WeightsError(ModelError):
    """Weights that are missing, damaged or of another network."""


class FeatureError(FrostlineError, RuntimeError):
    """Stored activations that can't be made or read."""


class TrainingError(FrostlineError, RuntimeError):
    """A training run that broke one of its promises."""


class ArtifactError(FrostlineError, ValueError):
    """What an arm left behind is missing or damaged, or doesn't go with the weights that are there."""


class LedgerError(FrostlineError, RuntimeError):
    """A ledger that can't be opened, read or written, or a run that isn't in it."""


class DeviceMemoryError(FrostlineError, MemoryError):
    """A device, or the machine, has too little memory for what was asked of it."""


class DiskFullError(FrostlineError, OSError):
    """No room, or no permission, where Frostline must write."""


class MissingExtraError(FrostlineError, ImportError):
    """An optional dependency that isn't installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'frostline[{extra}]'")


def closest(given: str, allowed: Iterable[str]) -> str:
    """Return ``'; did you mean "x"?'`` for the allowed name nearest to the given one, or an empty string.

    Upper and lower case only matter between names that are the same without.
    """
    names = list(allowed)
    matches = difflib.get_close_matches(given.casefold(), {name.casefold() for name in names}, n=1, cutoff=0.6)
    if not matches:
        return ""
    alike = [name for name in names if name.casefold() == matches[0]]
    return f'; did you mean "{difflib.get_close_matches(given, alike, n=1, cutoff=0)[0]}"?'
