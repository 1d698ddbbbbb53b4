"""How much of a run is done and how long the rest should take, from its plan and the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Part", "TimeLeft"]

Part: TypeAlias = tuple[str, str]
"""A piece of a run's work: ``("pass", name)`` or ``("trajectory", id)``."""

_JUDGING: Final = ("pass", "over the test images of the arm that is chosen")

# Below this share of the predicted work the clock says little, and the prediction is taken as it is.
_ENOUGH: Final = 0.03


class TimeLeft:
    """Weighs each part by its predicted seconds, and corrects the prediction by this session's own pace.

    Args:
        plan: a plan's JSON; without one (a plain run), trajectories share ``predicted_seconds`` evenly.
        n_trajectories: how many trajectories there are.
        predicted_seconds: of the work to do, where known.
    """

    def __init__(self, plan: Mapping[str, Any], n_trajectories: int, predicted_seconds: float | None) -> None:
        self._seconds: dict[Part, float] = {}
        for each in plan.get("passes", ()):
            self._seconds["pass", each["name"]] = max(float(each["seconds"]), 1e-9)
        trajectories, totals = plan.get("trajectories", ()), plan.get("totals", {})
        whole = sum(float(each["seconds"]) for each in trajectories)
        # Less than one after the other, where several train side by side.
        share = float(totals.get("training_seconds", whole)) / whole if whole else 1.0
        for each in trajectories:
            self._seconds["trajectory", each["id"]] = max(float(each["seconds"]) * share, 1e-9)
        if "test_seconds" in totals:
            self._seconds[_JUDGING] = float(totals["test_seconds"])
        self._even = max((predicted_seconds or 1.0) / max(n_trajectories, 1), 1e-9)
        self._n_trajectories = n_trajectories
        self._done: dict[Part, float] = {}
        self._free: dict[Part, float] = {}

    def advance(self, part: Part, fraction: float, *, free: bool = False) -> None:
        """Say that a part is done to a fraction in [0, 1]; ``free`` when it cost no time now (read from a store)."""
        if part[0] == "pass" and part not in self._seconds and _JUDGING in self._seconds:
            part = _JUDGING  # the plan knows every pass but the last one
        self._seconds.setdefault(part, self._even)
        before = self._done.get(part, 0.0)
        self._done[part] = max(before, min(fraction, 1.0))
        if free:
            self._free[part] = self._free.get(part, 0.0) + self._done[part] - before

    @property
    def fraction(self) -> float:
        """The share of the predicted work that is done, in [0, 1]."""
        total = self._total()
        return self._weigh(self._done) / total if total else 0.0

    def seconds_left(self, elapsed_seconds: float) -> float:
        """Return the seconds that the rest should take, after so many seconds of this session."""
        done = self._weigh(self._done)
        worked = done - self._weigh(self._free)
        remaining = max(self._total() - done, 0.0)
        pace = elapsed_seconds / worked if worked > _ENOUGH * self._total() else 1.0
        return remaining * pace

    def _total(self) -> float:
        unknown = self._n_trajectories - sum(kind == "trajectory" for kind, _ in self._seconds)
        return sum(self._seconds.values()) + max(unknown, 0) * self._even

    def _weigh(self, fractions: Mapping[Part, float]) -> float:
        return sum(self._seconds[part] * fraction for part, fraction in fractions.items())
