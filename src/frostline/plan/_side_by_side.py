"""How many trajectories are trained side by side, each in a process of its own with its share of the threads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from frostline.plan._costs import CostModel
    from frostline.plan._groups import Grouping
    from frostline.plan._peaks import Peaks
    from frostline.plan._plan import Decided
    from frostline.plan._trajectories import Node
    from frostline.study import Arm, Recipe

__all__ = ["SideBySide", "lay_side_by_side"]

WORTH = 0.9
"""Processes of their own are used where they take at most this share of the time: they take memory, and a while to
start."""

START_SECONDS = 4.0
"""What starting processes takes from what goes on at the same time."""


@dataclass(frozen=True)
class SideBySide:
    """How many processes train trajectories, 1 for the run's own, and the seconds that they take for all of them."""

    workers: int
    seconds: float


def lay_side_by_side(
    grouping: Grouping,
    nodes: Sequence[Node],
    arms: Sequence[Arm],
    costs_of: Callable[[Recipe], CostModel],
    decided: Mapping[str, Decided],
    peaks: Peaks,
) -> SideBySide:
    """Choose the number of processes for the trajectories that aren't stacked, and price these accordingly.

    Args:
        grouping: what is trained together; prices of an epoch become those beside other processes.
        nodes: all trajectories.
        arms, costs_of: their recipes and cost models.
        decided: what an earlier plan chose for each; a resumed run keeps to it.
        peaks: what processes together take of memory, and the budget for it.
    """
    before = next((each.workers for each in decided.values()), None)
    alone = {group.id for group in grouping.groups if not group.stacked}
    trained = [node for node in nodes if node.id in alone]
    serial = {node.id: grouping.share[node.id] * node.epochs for node in trained}
    best = SideBySide(1, sum(serial.values()))
    if len(trained) > 1 and before != 1:
        costs = {node.id: costs_of(arms[node.arm].recipe) for node in trained}
        measured = [set(each.rates.lanes) for each in costs.values()]
        candidates = [n for n in sorted(set.intersection(*measured)) if n <= len(trained) and peaks.allow(trained, n)]
        if before:
            peaks.check_side_by_side(trained, before)
        for n in [before] if before else candidates:
            seconds = {node.id: serial[node.id] * costs[node.id].slowdown(node.train_from, n) for node in trained}
            total = START_SECONDS + makespan(trained, seconds, n)
            if before or total < WORTH * best.seconds:
                best = SideBySide(n, total)
    if best.workers > 1:
        for node in trained:
            factor = costs[node.id].slowdown(node.train_from, best.workers)
            grouping.share[node.id] *= factor
            grouping.marginal[node.id] *= factor / best.workers
            grouping.peak[node.id] = peaks.side_by_side(trained, best.workers)
        grouping.groups[:] = [
            group if group.stacked else replace(group, seconds=grouping.share[group.id] * epochs_of(group.id, trained))
            for group in grouping.groups
        ]
    return best


def epochs_of(id_: str, nodes: Sequence[Node]) -> int:
    """Return the epochs of a trajectory."""
    return next(node.epochs for node in nodes if node.id == id_)


def makespan(nodes: Sequence[Node], seconds: Mapping[str, float], n_workers: int) -> float:
    """Return when the last of some trajectories ends, each begun after its parent, those that take longest first."""
    waiting = sorted(nodes, key=lambda node: -_ahead(node, nodes, seconds))
    ends: dict[str, float] = {}
    free = [0.0] * n_workers
    now = 0.0
    while waiting:
        unfinished = {node.id for node in waiting} | {id_ for id_, end in ends.items() if end > now}
        ready = next((node for node in waiting if node.parent is None or node.parent.id not in unfinished), None)
        worker = min(range(n_workers), key=free.__getitem__)
        if ready is None or free[worker] > now:
            now = min(end for end in (*ends.values(), *free) if end > now)
            continue
        waiting.remove(ready)
        ends[ready.id] = free[worker] = now + seconds[ready.id]
    return max(ends.values(), default=0.0)


def _ahead(node: Node, nodes: Sequence[Node], seconds: Mapping[str, float]) -> float:
    """Return the seconds of a trajectory and of the longest that goes on from it."""
    after = (_ahead(other, nodes, seconds) for other in nodes if other.parent is node)
    return seconds[node.id] + max(after, default=0.0)
