"""How much of a run is done and how long the rest should take, from its plan and the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Part", "TimeLeft"]

Part: TypeAlias = tuple[str, str]
"""A piece of a run's work: ``("pass", name)``, ``("trajectory", id)``, or ``("heads", id)`` of a group of them."""

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
        # Heads that are trained together are one part, of which only the first tells its steps.
        self._groups = {id_: g["id"] for g in plan.get("groups", ()) if g["stacked"] for id_ in g["trajectories"]}
        whole = sum(float(each["seconds"]) for each in trajectories)
        # Less than one after the other, where several train side by side.
        share = float(totals.get("training_seconds", whole)) / whole if whole else 1.0
        for each in trajectories:
            part = self._part(("trajectory", each["id"]))
            self._seconds[part] = self._seconds.get(part, 0.0) + max(float(each["seconds"]) * share, 1e-9)
        # Of judging, a pass over the test images tells its progress, evaluating doesn't.
        self._judged = 1.0
        if "test_seconds" in totals:
            self._seconds[_JUDGING] = test = float(totals["test_seconds"])
            self._judged = float(totals.get("test_pass_seconds", test)) / test if test else 1.0
        self._even = max((predicted_seconds or 1.0) / max(n_trajectories, 1), 1e-9)
        self._n_unknown = n_trajectories - len(trajectories)
        self._done: dict[Part, float] = {}
        self._free: dict[Part, float] = {}
        self._ended: set[str] = set()
        self._latest: Part | None = None
        self._at = 0.0

    def advance(self, part: Part, fraction: float, elapsed_seconds: float, *, free: bool = False) -> None:
        """Say that a part is done to a fraction in [0, 1].

        Args:
            part: of which a trajectory may stand for all heads that are trained with it.
            fraction: never goes back.
            elapsed_seconds: of this session, by now.
            free: whether that cost no time now, as it was read from a store.
        """
        part, fraction = self._part(part), min(fraction, 1.0)
        if part[0] == "pass" and part not in self._seconds and _JUDGING in self._seconds:
            part, fraction = _JUDGING, fraction * self._judged  # the plan knows every pass but the last one
        if part not in self._seconds:
            self._seconds[part] = self._even
            self._n_unknown -= part[0] == "trajectory"
        before = self._done.get(part, 0.0)
        self._done[part] = max(before, fraction)
        if free:
            self._free[part] = self._free.get(part, 0.0) + self._done[part] - before
        self._latest, self._at = part, max(self._at, elapsed_seconds)

    def end(self, trajectory: str, elapsed_seconds: float, *, free: bool = False) -> None:
        """Say that a trajectory has ended: its part has when all of the heads that are trained with it have."""
        self._ended.add(trajectory)
        group = self._groups.get(trajectory)
        if group is None or all(id_ in self._ended for id_, own in self._groups.items() if own == group):
            self.advance(("trajectory", trajectory), 1.0, elapsed_seconds, free=free)

    @property
    def fraction(self) -> float:
        """The share of the predicted work that is done, in [0, 1]."""
        total = self._total()
        return self._weigh(self._done) / total if total else 0.0

    def seconds_left(self, elapsed_seconds: float) -> float | None:
        """Return the seconds that the rest should take, after so many seconds of this session.

        None while what is under way takes longer than was predicted: nobody knows then how much longer.
        """
        total, done = self._total(), self._weigh(self._done)
        worked = done - self._weigh(self._free)
        pace = self._at / worked if worked > _ENOUGH * total else 1.0
        waited = max(elapsed_seconds - self._at, 0.0)
        remaining = max(total - done, 0.0) * pace
        if remaining > 1e-9 * total and waited > self._under_way() * pace:
            return None
        return max(remaining - waited, 0.0)

    def _under_way(self) -> float:
        """Return the predicted seconds of what is left of the part under way: the latest, else the next."""
        parts = [*([] if self._latest is None else [self._latest]), *self._seconds]
        left = (self._seconds[part] * (1 - self._done.get(part, 0.0)) for part in parts)
        return next((seconds for seconds in left if seconds > 0), self._even)

    def _part(self, part: Part) -> Part:
        group = self._groups.get(part[1]) if part[0] == "trajectory" else None
        return part if group is None else ("heads", group)

    def _total(self) -> float:
        return sum(self._seconds.values()) + max(self._n_unknown, 0) * self._even

    def _weigh(self, fractions: Mapping[Part, float]) -> float:
        return sum(self._seconds[part] * fraction for part, fraction in fractions.items())
