"""Trains a group of stacked heads, all an epoch further at a time, and stores what every epoch gave at once."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from frostline.execution._artifacts import record_arms
from frostline.execution._finishing import ENDED, Finisher, ending_arms
from frostline.execution._rows import rows_of
from frostline.execution.events import StepProgress
from frostline.features import explaining
from frostline.ledger import EpochRow
from frostline.models import build_head, freeze, frozen_digest
from frostline.plan import stack_key
from frostline.training import (
    Checkpoint,
    HeadsTraining,
    StackMember,
    StackSpec,
    frozen_changed,
    has_diverged,
    load_tensors,
    save_checkpoint,
    save_tensors,
    score,
)

if TYPE_CHECKING:
    from frostline.execution._context import Context
    from frostline.models import Chain
    from frostline.plan import GroupPlan, TrajectoryPlan
    from frostline.training import HeadEpoch

__all__ = ["run_heads"]


def _describe(context: Context, group: GroupPlan) -> str:
    first = next(t for t in context.plan.trajectories if t.id in group.trajectories)
    name, n = context.prepared.arms[first.arm].name, len(group.trajectories)
    return f"training {name}" + (f" and {n - 1} more heads with it" if n > 1 else "")


@explaining(_describe)
def run_heads(context: Context, group: GroupPlan) -> None:
    """Train the group's heads to their ends; epochs that are stored are told again and not trained again."""
    recorder = context.recorder
    wanted = set(group.trajectories)
    planned = {t.id: t for t in context.plan.trajectories if t.id in wanted}
    active = {id_: t for id_, t in planned.items() if recorder.trajectory_status(id_) not in ENDED}
    done = _epochs_done(context, group, active)
    finisher = Finisher.of(context, planned.values())
    for id_ in planned:
        finisher.replay(id_, recorder.epochs(id_))
    if active:
        _train(context, group, active, done, finisher)


def _epochs_done(context: Context, group: GroupPlan, active: dict[str, TrajectoryPlan]) -> int:
    """Return the epochs from which training can go on: they are recorded for all heads together.

    Without the checkpoint of the last one the heads begin anew.
    """
    done = min((len(context.recorder.epochs(id_)) for id_ in active), default=0)
    if done and not context.files.checkpoint(group.id, done).exists():
        done = 0
    for id_ in active:
        context.recorder.drop_epochs_after(id_, done)
    return done


def _train(
    context: Context, group: GroupPlan, active: dict[str, TrajectoryPlan], done: int, finisher: Finisher
) -> None:
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
            diverged = {id_ for id_ in active if has_diverged(rows[id_].train_loss, len(context.dataset.classes))}
            kept = {id_: t for id_, t in active.items() if epoch in t.keep_epochs and id_ not in diverged}
            # Hashing a network may take longer than an epoch of heads: only what one leaves behind is vouched for.
            if (kept or diverged) and frozen_digest(tail, chain, "head") != frozen:
                raise frozen_changed(chain.backbone, "head")
            _keep(context, kept, epoch, training, results, chain)
            ended = finisher.finish(rows)
            context.files.checkpoint(group.id, epoch - 1).unlink(missing_ok=True)
            training.drop(ended)
            active = {id_: t for id_, t in active.items() if id_ not in ended}


def _specs(context: Context, active: dict[str, TrajectoryPlan]) -> tuple[list[StackSpec], Chain]:
    """Return the heads by what they have in common, and a network that holds what is frozen before them."""
    alike: dict[str, list[TrajectoryPlan]] = defaultdict(list)
    for trajectory in active.values():
        alike[stack_key(context.recipe(trajectory))].append(trajectory)
    n_classes = len(context.dataset.classes)
    # Any of their networks will do, as heads train on rows: a copy for each seed would only be thrown away.
    chain = context.networks.chain(context.recipe(next(iter(active.values()))), n_classes)
    specs = []
    for members in alike.values():
        recipe = context.recipe(members[0])
        specs.append(
            StackSpec(
                head=build_head(recipe.head, context.networks.of(recipe).head_features, n_classes, recipe.seed),
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
    kept: dict[str, TrajectoryPlan],
    epoch: int,
    training: HeadsTraining,
    results: dict[str, HeadEpoch],
    chain: Chain,
) -> None:
    """Store the arms that end with this epoch, all at once, and the states that other phases go on from."""
    states = {
        id_: {f"{chain.head_path}.{name}": tensor for name, tensor in training.head_state(id_).items()} for id_ in kept
    }
    record_arms(
        context,
        [
            (arm, planned, states[id_], results[id_].logits)
            for id_, planned in kept.items()
            for arm in ending_arms(context, planned, epoch)
        ],
    )
    for id_ in kept:
        if any(t.parent == id_ and t.parent_epochs == epoch for t in context.plan.trajectories):
            # A new phase begins with a new optimizer: only the model goes on.
            checkpoint = Checkpoint(states[id_], {"state": {}, "param_groups": []}, None)
            save_checkpoint(context.files.checkpoint(id_, epoch), checkpoint)
