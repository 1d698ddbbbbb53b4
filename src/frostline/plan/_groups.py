"""What is trained together: heads on stored activations are stacked, everything else is a group of its own."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from frostline.plan._costs import BOOKKEEPING_SECONDS
from frostline.plan._plan import GroupPlan
from frostline.plan._stacking import SeedHeads, divide_heads, stack_lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from frostline.plan._costs import CostModel, EpochWork
    from frostline.plan._peaks import Peaks
    from frostline.plan._plan import Decided
    from frostline.plan._storing import Choice
    from frostline.plan._trajectories import Node
    from frostline.study import Arm, Recipe

__all__ = ["Grouping", "group_nodes", "likeness", "stack_key"]

LARGEST_HEAD = 1_000_000
"""Parameters of the largest head that is stacked: a larger one keeps all cores busy by itself."""


@dataclass
class Grouping:
    """The groups of a plan in the order they are trained in, and predicted seconds of an epoch by trajectory.

    ``share`` is a trajectory's part of its group's epoch, ``alone`` what it would take by itself, ``marginal`` what it
    adds to the others; the three are equal for a trajectory that isn't stacked. ``peak`` is the most memory that the
    process takes while a trajectory's group is trained, in bytes.
    """

    groups: list[GroupPlan] = field(default_factory=list)
    share: dict[str, float] = field(default_factory=dict)
    alone: dict[str, float] = field(default_factory=dict)
    marginal: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)


def stack_key(recipe: Recipe) -> str:
    """Return what heads that see the same rows in the same order have in common: all but their phases."""
    return json.dumps(recipe.model_dump(mode="json", exclude={"phases"}), sort_keys=True)


def likeness(recipe: Recipe) -> str:
    """Return what heads of several seeds have in common that can be one stack: all but seed and phases."""
    return json.dumps(recipe.model_dump(mode="json", exclude={"phases", "seed"}), sort_keys=True)


def group_nodes(
    nodes: Sequence[Node],
    arms: Sequence[Arm],
    works: Mapping[str, EpochWork],
    choices: Mapping[str, Choice],
    costs_of: Callable[[Recipe], CostModel],
    peaks: Peaks,
    decided: Mapping[str, Decided],
) -> Grouping:
    """Return how trajectories are trained together: stacked heads of one backbone and image size, others alone.

    Heads are divided where they need too much memory together; a resumed run keeps the groups that it had.
    """
    grouping = Grouping()
    members: dict[object, list[Node]] = {}
    for node in nodes:
        recipe = arms[node.arm].recipe
        stacked = _is_stacked(node, choices[node.id], costs_of(recipe), works[node.id])
        before = decided[node.id].group if node.id in decided else None
        network = (recipe.backbone, recipe.weights, recipe.weights_key, recipe.image_size)
        key: object = (*network, before) if stacked else node.id
        members.setdefault(key, []).append(node)
    for key, group in _divided(members, peaks):
        first = group[0]
        costs = costs_of(arms[first.arm].recipe)
        if isinstance(key, str):
            seconds = choices[first.id].epoch_seconds(costs, works[first.id])
            grouping.groups.append(GroupPlan(first.id, (first.id,), False, seconds * first.epochs))
            for table in (grouping.share, grouping.alone, grouping.marginal):
                table[first.id] = seconds
            grouping.peak[first.id] = peaks.trajectory(first)
            continue
        grouping.peak |= dict.fromkeys((node.id for node in group), peaks.heads(group))
        _price_stacks(grouping, group, arms, works, choices, costs, peaks.n_classes)
        seconds = sum(grouping.share[node.id] * node.epochs for node in group)
        grouping.groups.append(GroupPlan(f"heads-{first.id}", tuple(node.id for node in group), True, seconds))
    return grouping


def _divided(members: Mapping[object, list[Node]], peaks: Peaks) -> Iterator[tuple[object, list[Node]]]:
    for key, group in members.items():
        if isinstance(key, tuple) and key[-1] is None:
            yield from ((key, part) for part in peaks.divide(group))
        else:
            if isinstance(key, tuple):
                peaks.check_heads(group)
            yield key, group


def _is_stacked(node: Node, choice: Choice, costs: CostModel, work: EpochWork) -> bool:
    """Return whether a trajectory is one of stacked heads: it trains a new, small head on rows and no more."""
    return (
        choice.cut.name == node.train_from.name == "head"
        and choice.cut.shapes == ((costs.facts.head_features,),)
        and node.parent is None
        and work.head_parameters <= LARGEST_HEAD
    )


def _price_stacks(
    grouping: Grouping,
    group: Sequence[Node],
    arms: Sequence[Arm],
    works: Mapping[str, EpochWork],
    choices: Mapping[str, Choice],
    costs: CostModel,
    n_classes: int,
) -> None:
    """Price heads that are trained in stacks, one on each thread side by side."""
    by_seed: dict[str, list[Node]] = defaultdict(list)
    for node in group:
        by_seed[stack_key(arms[node.arm].recipe)].append(node)
    nodes = list(by_seed.values())
    seeds = [
        _seed_heads([arms[node.arm].recipe for node in own], works[own[0].id].n_val, choices[own[0].id])
        for own in nodes
    ]
    lanes = stack_lanes(seeds, costs.lanes)
    ends = [0.0] * lanes
    for stack in divide_heads(seeds, n_classes, lanes):
        work = works[nodes[min(stack)][0].id]
        # A thread that is done takes the next stack.
        first = ends.index(min(ends))
        ends[first] += costs.stack_epoch_seconds(work, sum(map(len, stack.values())), len(stack))
        ends[first] += sum(_rows_seconds(nodes[seed][0], works, choices, costs) for seed in stack)
    for own in nodes:
        alone = BOOKKEEPING_SECONDS + costs.stack_epoch_seconds(works[own[0].id], 1)
        alone += _rows_seconds(own[0], works, choices, costs)
        added = costs.stacked_head_seconds(works[own[0].id]) if len(own) > 1 else alone
        grouping.alone |= {node.id: alone for node in own}
        grouping.marginal |= {node.id: added / lanes for node in own}
    grouping.share |= {node.id: (BOOKKEEPING_SECONDS + max(ends)) / len(group) for node in group}


def _rows_seconds(node: Node, works: Mapping[str, EpochWork], choices: Mapping[str, Choice], costs: CostModel) -> float:
    """Return the seconds to compute an epoch's rows anew; none where they are stored."""
    choice = choices[node.id]
    return 0.0 if choice.mode == "cached" else costs.anew_seconds(works[node.id], choice.cut)


def _seed_heads(recipes: Sequence[Recipe], n_val: int, choice: Choice) -> SeedHeads:
    recipe = recipes[0]
    optimizers = tuple(each.phases[0].optimizer for each in recipes)
    return SeedHeads(likeness(recipe), optimizers, n_val, bool(recipe.head.dropout), choice.mode == "cached")
