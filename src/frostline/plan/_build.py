"""From a study's arms and measured facts to its plan; pure, without torch, in milliseconds."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from frostline.plan._budgets import NO_BUDGETS
from frostline.plan._compiling import Compiling
from frostline.plan._costs import EpochWork
from frostline.plan._groups import Grouping, group_nodes
from frostline.plan._passes import Need, gather_needs, plan_passes, test_bytes
from frostline.plan._peaks import Peaks
from frostline.plan._plan import ArmPlan, CachePolicy, Plan, Totals, TrajectoryPlan
from frostline.plan._side_by_side import lay_side_by_side
from frostline.plan._storing import Choice, choose_modes
from frostline.plan._test_cost import price_judging
from frostline.plan._trajectories import Node, grow_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from frostline.plan._budgets import Budgets
    from frostline.plan._costs import CostModel
    from frostline.plan._passes import Missing
    from frostline.plan._plan import Decided
    from frostline.study import Arm, Head, Recipe

__all__ = ["build_plan"]


def build_plan(
    study: str,
    arms: Sequence[Arm],
    counts: Mapping[str, int],
    n_classes: int,
    costs_of: Callable[[Recipe], CostModel],
    cache: CachePolicy = "auto",
    decided: Mapping[str, Decided] | None = None,
    measured: Mapping[str, float] | None = None,
    budgets: Budgets = NO_BUDGETS,
    missing: Missing | None = None,
) -> Plan:
    """Return the plan of a study.

    Args:
        study: the study's name.
        arms: its expanded arms; their order decides nothing but the order of the plan.
        counts: images by split, ``train``, ``val`` and ``test``.
        n_classes: K, for the size of the new heads.
        costs_of: the facts and rates of a recipe's backbone at its image size.
        cache: whether activations are stored.
        decided: what an earlier plan chose for each trajectory; a resumed run keeps to it, whatever the budget.
        measured: seconds that a run measured, of an epoch by trajectory and of a whole pass by name; they take the
            place of predictions in what the arms cost.
        budgets: what disk and memory there is for it.
        missing: counts the rows that aren't stored yet, as those that are cost nothing; all, when left out. What an arm
            costs alone counts all of them.

    Raises:
        BudgetError: ``cache`` is ``always``, and what that stores is more than the disk budget; or something needs
            more memory than its budget, even alone.
        ModelError: a ``train_from`` that the backbone doesn't have.
    """
    decided, n_test = decided or {}, counts["test"]
    nodes = grow_tree(arms, lambda recipe: costs_of(recipe).facts)
    works = {node.id: _work(node, arms[node.arm].recipe, counts, n_classes, costs_of) for node in nodes}
    choices = choose_modes(nodes, arms, works, counts, costs_of, cache, decided, budgets.disk, missing)
    stored = [(node, choices[node.id]) for node in nodes if choices[node.id].mode == "cached"]
    rows = [(choice.cut.name, choice.activations, node.uses) for node, choice in stored]
    needs = gather_needs(rows, arms, counts, costs_of, missing)
    peaks = Peaks(nodes, arms, works, choices, costs_of, needs, n_classes, budgets)
    grouping = group_nodes(nodes, arms, works, choices, costs_of, peaks, decided)
    side = lay_side_by_side(grouping, nodes, arms, works, choices, costs_of, peaks)
    trajectories = tuple(
        _plan_trajectory(node, choices[node.id], works[node.id], grouping, arms, costs_of) for node in nodes
    )
    compiling = Compiling()
    passes = plan_passes(needs, compiling)
    paths: list[list[Node]] = [[] for _ in arms]
    for node in nodes:  # parents come before children, so that each path is in the order of its phases
        for index in node.uses:
            paths[index].append(node)
    known = measured or {}
    # A pass and a group are measured as a whole; their parts keep the shares that the cost model gives them.
    scales = {p.name: known[p.name] / p.seconds for p in passes if p.name in known and p.seconds > 0}
    scales |= {t.id: known[t.id] / t.seconds_per_epoch for t in trajectories if t.id in known}
    arm_plans = tuple(
        _plan_arm(i, arm, paths[i], choices, works, grouping, costs_of(arm.recipe), needs, scales)
        for i, arm in enumerate(arms)
    )
    training_seconds = sum(group.seconds for group in grouping.groups if group.stacked) + side.seconds
    training_seconds += _compile_seconds(nodes, choices, arms, costs_of, compiling)
    last = [choices[path[-1].id] for path in paths]
    judging = price_judging(arms, last, costs_of, needs, n_test, compiling)
    test_seconds = judging.pass_seconds + judging.evaluation_seconds
    totals = Totals(
        seconds=sum(p.seconds for p in passes) + training_seconds + test_seconds,
        alone_seconds=sum(a.alone_seconds for a in arm_plans) + test_seconds,
        plain_seconds=sum(a.plain_seconds for a in arm_plans) + judging.plain_seconds,
        training_seconds=training_seconds,
        test_seconds=test_seconds,
        test_pass_seconds=judging.pass_seconds,
        bytes=sum(p.bytes for p in passes) + test_bytes(needs, n_test),
        peak_bytes=max([peaks.passes, *grouping.peak.values()]),
        device_peak_bytes=_device_peak(grouping, nodes, peaks),
        trained_epochs=sum(t.epochs for t in trajectories),
        asked_epochs=sum(arm.recipe.total_epochs for arm in arms),
    )
    notes = [*(f"{t.id}: {t.why}" for t in trajectories if t.mode != "cached"), *peaks.notes]
    single = {group.id for group in grouping.groups if not group.stacked}
    threads = max((t.threads for t in trajectories if t.id in single), default=1)
    groups = tuple(grouping.groups)
    doubts = dict.fromkeys(costs_of(arm.recipe).rates.doubt for arm in arms)
    return Plan(
        study,
        passes,
        trajectories,
        groups,
        arm_plans,
        totals,
        side.workers,
        threads,
        tuple(notes),
        tuple(filter(None, doubts)),
    )


def _device_peak(grouping: Grouping, nodes: Sequence[Node], peaks: Peaks) -> int:
    by_id = {node.id: node for node in nodes}
    groups = [[by_id[id_] for id_ in group.trajectories] for group in grouping.groups]
    return peaks.on_device(groups, [group.stacked for group in grouping.groups])


def _compile_seconds(
    nodes: Sequence[Node],
    choices: Mapping[str, Choice],
    arms: Sequence[Arm],
    costs_of: Callable[[Recipe], CostModel],
    compiling: Compiling,
) -> float:
    """Return the seconds to compile what computes rows anew, each network to each cut once."""
    anew = [(arms[node.arm].recipe, choices[node.id]) for node in nodes]
    return sum(
        compiling.count(costs_of(recipe), recipe, (choice.cut.name,))
        for recipe, choice in anew
        if choice.mode == "recomputed"
    )


def _work(
    node: Node,
    recipe: Recipe,
    counts: Mapping[str, int],
    n_classes: int,
    costs_of: Callable[[Recipe], CostModel],
) -> EpochWork:
    head = _head_parameters(costs_of(recipe).facts.head_features, n_classes, recipe.head)
    return EpochWork(node.train_from, counts["train"], counts["val"], recipe.batch_size, head)


def _plan_trajectory(
    node: Node,
    choice: Choice,
    work: EpochWork,
    grouping: Grouping,
    arms: Sequence[Arm],
    costs_of: Callable[[Recipe], CostModel],
) -> TrajectoryPlan:
    recipe, per_epoch = arms[node.arm].recipe, grouping.share[node.id]
    keep = {used for arm, used in node.uses.items() if node.phase == len(arms[arm].recipe.phases) - 1}
    return TrajectoryPlan(
        id=node.id,
        arm=node.arm,
        phase=node.phase,
        backbone=recipe.backbone,
        train_from=recipe.phases[node.phase].train_from,
        cut=choice.cut.name,
        mode=choice.mode,
        activations=choice.activations,
        layout=costs_of(recipe).layout,
        threads=costs_of(recipe).threads(work),
        why=choice.why,
        parent=None if node.parent is None else node.parent.id,
        parent_epochs=node.parent_epochs,
        first_epoch=node.first_epoch,
        epochs=node.epochs,
        keep_epochs=tuple(sorted(keep | node.branches)),
        serves=tuple(arms[i].name for i in node.uses),
        seconds_per_epoch=per_epoch,
        seconds=per_epoch * node.epochs,
        trained_parameters=costs_of(recipe).trained_parameters(work),
        peak_bytes=grouping.peak[node.id],
    )


def _head_parameters(n_features: int, n_classes: int, head: Head) -> int:
    widths = [n_features, *head.hidden, n_classes]
    return sum((a + 1) * b for a, b in pairwise(widths))


def _plan_arm(
    index: int,
    arm: Arm,
    path: Sequence[Node],
    choices: Mapping[str, Choice],
    works: Mapping[str, EpochWork],
    grouping: Grouping,
    costs: CostModel,
    needs: Sequence[Need],
    scales: Mapping[str, float],
) -> ArmPlan:
    """Return an arm's path, and what it costs alone, on top of its company, and by the plain loop."""
    alone = marginal = plain = 0.0
    # Compiling what computes rows anew comes on top of the epochs.
    recomputed = costs.rates.setup if any(choices[node.id].cut.name != "input" for node in path) else 0.0
    notes: list[str] = []
    for node in path:
        choice = choices[node.id]
        used = node.uses[index]
        others = max((n for i, n in node.uses.items() if i != index), default=0)
        scale = scales.get(node.id, 1.0)
        alone += used * grouping.alone[node.id] * scale
        marginal += max(used - others, 0) * grouping.marginal[node.id] * scale
        plain += used * costs.plain_epoch_seconds(works[node.id], choice.cut)
        anew = costs.anew_seconds(works[node.id], choice.cut) if choice.mode == "cached" else 0.0
        recomputed += used * (grouping.alone[node.id] * scale + anew)
        schedule = arm.recipe.phases[node.phase].schedule
        if not schedule.ignores_horizon:
            notes.append(f"{schedule.name} depends on the horizon: no other number of epochs shares this trajectory")
        if choice.mode != "cached":
            notes.append(f"{choice.mode}: {choice.why}")
    for need in needs:
        own = need.of(index)
        scale = scales.get(need.name, 1.0)
        alone += scale * need.seconds(own)
        if own:
            marginal += scale * (need.seconds(need.users) - need.seconds(need.without(index)))
    return ArmPlan(
        name=arm.name,
        path=tuple((node.id, node.uses[index]) for node in path),
        # Alone, an arm for which storing doesn't pay would recompute; what was measured says nothing of that.
        alone_seconds=alone if scales else min(alone, recomputed),
        marginal_seconds=marginal,
        plain_seconds=plain,
        notes=tuple(notes),
    )
