"""Trains a group of stacked heads, all an epoch further at a time, and stores what every epoch gave at once."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from frostline.execution._artifacts import record_arm
from frostline.execution._rows import rows_of
from frostline.execution._telling import ending_arms, tell_epoch
from frostline.execution.events import StepProgress, TrajectoryEnded
from frostline.features import explaining
from frostline.ledger import EpochRow
from frostline.models import freeze, frozen_digest
from frostline.plan import stack_key
from frostline.training import (
    Checkpoint,
    HeadsTraining,
    StackMember,
    StackSpec,
    describe_divergence,
    frozen_changed,
    has_diverged,
    load_tensors,
    save_checkpoint,
    save_tensors,
    score,
)

if TYPE_CHECKING:
    import torch

    from frostline.execution._context import Context
    from frostline.models import Chain
    from frostline.plan import GroupPlan, TrajectoryPlan
    from frostline.training import HeadEpoch

__all__ = ["run_heads"]

ENDED = ("complete", "diverged")


def _describe(context: Context, group: GroupPlan) -> str:
    first = next(t for t in context.plan.trajectories if t.id in group.trajectories)
    name, n = context.prepared.arms[first.arm].name, len(group.trajectories)
    return f"training {name}" + (f" and {n - 1} more heads with it" if n > 1 else "")


@explaining(_describe)
def run_heads(context: Context, group: GroupPlan) -> None:
    """Train the group's heads to their ends; epochs that the ledger has are told again and not trained again."""
    ledger, run = context.ledger, context.run
    wanted = set(group.trajectories)
    planned = {t.id: t for t in context.plan.trajectories if t.id in wanted}
    statuses = {id_: ledger.trajectory_status(run, id_) for id_ in planned}
    active = {id_: t for id_, t in planned.items() if statuses[id_] not in ENDED}
    done = _epochs_done(context, group, active)
    for id_, trajectory in planned.items():
        for row in ledger.epochs(run, id_):
            tell_epoch(context, trajectory, row, replayed=True)
        status = statuses[id_]
        if status in ENDED:
            context.emit(TrajectoryEnded(id_, str(status)))
    if active:
        _train(context, group, active, done)


def _epochs_done(context: Context, group: GroupPlan, active: dict[str, TrajectoryPlan]) -> int:
    """Return the epochs from which training can go on: they are recorded for all heads together.

    Without the checkpoint of the last one the heads begin anew.
    """
    done = min((len(context.ledger.epochs(context.run, id_)) for id_ in active), default=0)
    if done and not context.files.checkpoint(group.id, done).exists():
        done = 0
    for id_ in active:
        context.ledger.drop_epochs_after(context.run, id_, done)
    return done


def _train(context: Context, group: GroupPlan, active: dict[str, TrajectoryPlan], done: int) -> None:
    specs, chain = _specs(context, active)
    tail = freeze(chain.tail("head"), chain, "head")
    frozen = frozen_digest(tail, chain, "head")
    dataset = context.dataset
    with HeadsTraining(specs, dataset.train.labels, dataset.classes, context.device, context.precision) as training:
        if done:
            training.restore(load_tensors(context.files.checkpoint(group.id, done))[0])
        epoch = done
        while active:
            epoch += 1
            started = time.perf_counter()
            first, last = next(iter(active)), max(t.epochs for t in active.values())

            def on_step(step: int, n_steps: int, first: str = first, epoch: int = epoch, last: int = last) -> None:
                context.emit(StepProgress(first, epoch, last, step, n_steps))

            results = training.run_epoch(epoch - 1, on_step)
            rows = _score(context, active, epoch, results, started)
            save_tensors(context.files.checkpoint(group.id, epoch), training.checkpoint(), {})
            for id_ in active:
                if not has_diverged(rows[id_].train_loss, len(context.dataset.classes)):
                    _keep(context, active[id_], epoch, training.head_state(id_), results[id_], chain)
            if frozen_digest(tail, chain, "head") != frozen:
                raise frozen_changed(chain.backbone, "head")
            ended = _record(context, active, epoch, rows)
            context.files.checkpoint(group.id, epoch - 1).unlink(missing_ok=True)
            training.drop(ended)
            active = {id_: t for id_, t in active.items() if id_ not in ended}


def _specs(context: Context, active: dict[str, TrajectoryPlan]) -> tuple[list[StackSpec], Chain]:
    """Return the heads by what they have in common, and a network that holds what is frozen before them."""
    alike: dict[str, list[TrajectoryPlan]] = defaultdict(list)
    for trajectory in active.values():
        alike[stack_key(context.recipe(trajectory))].append(trajectory)
    specs = []
    for members in alike.values():
        recipe = context.recipe(members[0])
        chain = context.networks.chain(recipe, len(context.dataset.classes))
        specs.append(
            StackSpec(
                head=chain.model.get_submodule(chain.head_path),
                recipe=recipe,
                members=tuple(StackMember(t.id, context.recipe(t).phases[t.phase]) for t in members),
                train_rows=rows_of(context, members[0], recipe, "train"),
                val_rows=rows_of(context, members[0], recipe, "val"),
            )
        )
    return specs, chain


def _score(
    context: Context,
    active: dict[str, TrajectoryPlan],
    epoch: int,
    results: dict[str, HeadEpoch],
    started: float,
) -> dict[str, EpochRow]:
    """Return what the ledger is to have of each head's epoch; its seconds are its share."""
    scores = {}
    for id_ in active:
        if not has_diverged(results[id_].train_loss, len(context.dataset.classes)):
            scores[id_] = score(results[id_].logits, context.dataset.val.labels)
    seconds = (time.perf_counter() - started) / len(active)
    rows = {}
    for id_ in active:
        val_loss, val_accuracy = scores.get(id_, (None, None))
        rows[id_] = EpochRow(epoch, results[id_].train_loss, val_loss, val_accuracy, seconds)
    return rows


def _keep(
    context: Context,
    planned: TrajectoryPlan,
    epoch: int,
    head: dict[str, torch.Tensor],
    result: HeadEpoch,
    chain: Chain,
) -> None:
    """Store the arms that end here, and the state that another phase goes on from."""
    if epoch not in planned.keep_epochs:
        return
    state = {f"{chain.head_path}.{name}": tensor for name, tensor in head.items()}
    for arm in ending_arms(context, planned, epoch):
        record_arm(context, arm, planned, state, result.logits)
    if any(t.parent == planned.id and t.parent_epochs == epoch for t in context.plan.trajectories):
        # A new phase begins with a new optimizer: only the model goes on.
        checkpoint = Checkpoint(state, {"state": {}, "param_groups": []}, None)
        save_checkpoint(context.files.checkpoint(planned.id, epoch), checkpoint)


def _record(context: Context, active: dict[str, TrajectoryPlan], epoch: int, rows: dict[str, EpochRow]) -> list[str]:
    """Record an epoch of all heads, and which of them end with it, at once; tell it, and return those that ended."""
    statuses: dict[str, tuple[str, str | None]] = {}
    for id_, planned in active.items():
        message = describe_divergence(planned.first_epoch + epoch, rows[id_].train_loss, len(context.dataset.classes))
        if message is not None:
            statuses[id_] = ("diverged", message)
        elif epoch == planned.epochs:
            statuses[id_] = ("complete", None)
    context.ledger.record_epochs(context.run, rows, statuses)
    for id_, planned in active.items():
        tell_epoch(context, planned, rows[id_], replayed=False)
        if id_ in statuses:
            context.emit(TrajectoryEnded(id_, *statuses[id_]))
    return list(statuses)
