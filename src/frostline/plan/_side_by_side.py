"""How many trajectories are trained side by side, each in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from frostline.plan._costs import CostModel, EpochWork
    from frostline.plan._groups import Grouping
    from frostline.plan._peaks import Peaks
    from frostline.plan._storing import Choice
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
    works: Mapping[str, EpochWork],
    choices: Mapping[str, Choice],
    costs_of: Callable[[Recipe], CostModel],
    peaks: Peaks,
) -> SideBySide:
    """Choose the number of processes for the trajectories that aren't stacked; it changes no bit of any.

    Each trains on as many threads as alone, so that there are at most as many processes as these leave room for.
    Engines that compute rows anew have their share of the cores.

    Args:
        grouping: what is trained together, with the seconds of an epoch.
        nodes: all trajectories.
        arms, works, choices, costs_of: their recipes, work, where their rows come from, and cost models.
        peaks: what processes together take of memory, and the budget for it.
    """
    alone = {group.id for group in grouping.groups if not group.stacked}
    trained = [node for node in nodes if node.id in alone]
    seconds = {node.id: grouping.share[node.id] * node.epochs for node in trained}
    best = SideBySide(1, sum(seconds.values()))
    anew = dict.fromkeys(seconds, 0.0)
    room = len(trained)
    for node in trained:
        costs = costs_of(arms[node.arm].recipe)
        room = min(
            room,
            1 if costs.only_here or costs.device != "cpu" else costs.rates.threads // costs.threads(works[node.id]),
        )
        if choices[node.id].mode == "recomputed":
            anew[node.id] = node.epochs * costs.anew_seconds(works[node.id], choices[node.id].cut)
    for n in (2**power for power in range(1, room.bit_length())):
        shared = {id_: own + (n - 1) * anew[id_] for id_, own in seconds.items()}
        total = START_SECONDS + makespan(trained, shared, n)
        if peaks.allow(trained, n) and total < WORTH * best.seconds:
            best = SideBySide(n, total)
    if best.workers > 1:
        for node in trained:
            grouping.marginal[node.id] /= best.workers
            grouping.peak[node.id] = peaks.side_by_side(trained, best.workers)
    return best


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
