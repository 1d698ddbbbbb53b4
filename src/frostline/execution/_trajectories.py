"""Trains the plan's trajectories, each from where it was interrupted, and stores what every epoch gave."""

from __future__ import annotations

import time
from dataclasses import astuple
from typing import TYPE_CHECKING

from frostline.execution._artifacts import save_arm
from frostline.execution._passes import open_features
from frostline.execution._rows import ImageRows, StoredRows
from frostline.execution.events import ArmProgress, EpochFinished, StepProgress, TrajectoryEnded
from frostline.ledger import EpochRow
from frostline.training import PhaseTraining, has_diverged, load_checkpoint, load_model_state, save_checkpoint, score

if TYPE_CHECKING:
    from frostline.execution._context import Context
    from frostline.models import Chain
    from frostline.plan import TrajectoryPlan
    from frostline.study import Recipe
    from frostline.training import Rows

__all__ = ["rows_of", "run_trajectory"]


def run_trajectory(context: Context, planned: TrajectoryPlan) -> None:
    """Train a trajectory to its end; epochs that the ledger has are told again and not trained again."""
    ledger, run = context.ledger, context.run
    status = ledger.trajectory_status(run, planned.id)
    rows = _kept_epochs(context, planned) if status not in ("complete", "diverged") else ledger.epochs(run, planned.id)
    for row in rows:
        _tell(context, planned, row, replayed=True)
    if status in ("complete", "diverged"):
        context.emit(TrajectoryEnded(planned.id, status))
        return
    if planned.parent is not None and not _has_branched(context, planned):
        # By the plain loop, too, an arm ends in the phase where its training diverges.
        message = f"the phase before it diverged ({planned.parent})"
        ledger.record_trajectory(run, planned.id, "diverged", message)
        context.emit(TrajectoryEnded(planned.id, "diverged", message))
        return
    ledger.record_trajectory(run, planned.id, "running")
    _train(context, planned, done=len(rows))


def _begin(context: Context, planned: TrajectoryPlan, chain: Chain) -> PhaseTraining:
    """Return the training of a trajectory's phase on a new network, which goes on from its parent's weights."""
    recipe = context.prepared.arms[planned.arm].recipe
    carried: tuple[str, ...] = ()
    if planned.parent is not None:
        parent = load_checkpoint(context.files.checkpoint(planned.parent, planned.parent_epochs))
        load_model_state(chain.model, parent.model)
        carried = tuple(parent.model)
    return PhaseTraining(
        chain,
        recipe,
        planned.phase,
        None if planned.mode == "uncut" else planned.cut,
        planned.first_epoch,
        context.dataset.train.labels,
        context.dataset.classes,
        context.device,
        planned.layout,
        carried,
    )


def rows_of(context: Context, planned: TrajectoryPlan, recipe: Recipe, split_name: str) -> Rows:
    """Return a split's rows as they enter a trajectory: stored activations at its cut, or images."""
    split = context.dataset.split(split_name)
    if planned.mode == "cached":
        return StoredRows(open_features(context, recipe, planned.cut, split_name), split.labels)
    augmented = recipe if split_name == "train" else None
    return ImageRows(context.dataset, split, context.networks.of(recipe).preprocessing, augmented)


def _train(context: Context, planned: TrajectoryPlan, done: int) -> None:
    """Train the epochs after the first ``done``, storing each before it is told."""
    ledger, run = context.ledger, context.run
    recipe = context.prepared.arms[planned.arm].recipe
    training = _begin(context, planned, context.networks.chain(recipe, len(context.dataset.classes)))
    if done:
        training.restore(load_checkpoint(context.files.checkpoint(planned.id, done)))
    train_rows, val_rows = (rows_of(context, planned, recipe, split) for split in ("train", "val"))
    for epoch in range(done, planned.epochs):
        started = time.perf_counter()

        def on_step(step: int, n_steps: int, epoch: int = epoch) -> None:
            context.emit(StepProgress(planned.id, epoch + 1, planned.epochs, step, n_steps))

        train_loss = training.run_epoch(epoch, train_rows, on_step)
        if has_diverged(train_loss, len(context.dataset.classes)):
            row = EpochRow(epoch + 1, train_loss, None, None, time.perf_counter() - started)
            ledger.record_epoch(run, planned.id, *astuple(row))
            message = f"training diverged in epoch {planned.first_epoch + epoch + 1} (loss {train_loss:.4g})"
            ledger.record_trajectory(run, planned.id, "diverged", message)
            _tell(context, planned, row, replayed=False)
            context.emit(TrajectoryEnded(planned.id, "diverged", message))
            return
        logits = training.evaluate(val_rows)
        val_loss, val_accuracy = score(logits, context.dataset.val.labels)
        seconds = time.perf_counter() - started
        number = epoch + 1
        path = context.files.checkpoint(planned.id, number)
        save_checkpoint(path, training.checkpoint())
        if number in planned.keep_epochs:
            training.assert_frozen()
            for arm in _ending(context, planned, number):
                save_arm(context, arm, training.model_state(), logits)
        row = EpochRow(number, train_loss, val_loss, val_accuracy, seconds, str(path.relative_to(context.files.root)))
        ledger.record_epoch(run, planned.id, *astuple(row))
        if number - 1 not in planned.keep_epochs:
            context.files.checkpoint(planned.id, number - 1).unlink(missing_ok=True)
        _tell(context, planned, row, replayed=False)
    ledger.record_trajectory(run, planned.id, "complete")
    context.emit(TrajectoryEnded(planned.id, "complete"))


def _kept_epochs(context: Context, planned: TrajectoryPlan) -> list[EpochRow]:
    """Return the epochs from which training can go on: those up to the last one whose checkpoint is there."""
    rows = context.ledger.epochs(context.run, planned.id)
    while rows and not context.files.checkpoint(planned.id, rows[-1].epoch).exists():
        rows.pop()
    context.ledger.drop_epochs_after(context.run, planned.id, len(rows))
    return rows


def _has_branched(context: Context, planned: TrajectoryPlan) -> bool:
    """Return whether the parent got as far as this trajectory needs, whatever became of it afterwards."""
    assert planned.parent is not None
    rows = context.ledger.epochs(context.run, planned.parent)[: planned.parent_epochs]
    return len(rows) == planned.parent_epochs and all(row.val_loss is not None for row in rows)


def _ending(context: Context, planned: TrajectoryPlan, epoch: int) -> list[str]:
    """Return the names of the arms whose last epoch this is."""
    return [arm.name for arm in context.plan.arms if arm.path[-1] == (planned.id, epoch)]


def _tell(context: Context, planned: TrajectoryPlan, row: EpochRow, *, replayed: bool) -> None:
    """Emit an epoch, with the place it has in every arm that it counts for."""
    arms = []
    for arm in context.plan.arms:
        total = sum(epochs for _, epochs in arm.path)
        if any(trajectory == planned.id and row.epoch <= epochs for trajectory, epochs in arm.path):
            arms.append(ArmProgress(arm.name, planned.first_epoch + row.epoch, total))
    context.emit(
        EpochFinished(
            planned.id, tuple(arms), row.train_loss, row.val_loss, row.val_accuracy, row.seconds, replayed=replayed
        )
    )
