"""Trains the plan's trajectories, each from where it was interrupted, and stores what every epoch gave."""

from __future__ import annotations

import time
from dataclasses import astuple
from typing import TYPE_CHECKING

from frostline.execution._artifacts import record_arm
from frostline.execution._rows import rows_of
from frostline.execution._telling import ending_arms, tell_epoch
from frostline.execution.events import StepProgress, TrajectoryEnded
from frostline.features import explaining
from frostline.ledger import EpochRow
from frostline.training import (
    PhaseTraining,
    describe_divergence,
    load_checkpoint,
    load_model_state,
    on_threads,
    save_checkpoint,
    score,
)

if TYPE_CHECKING:
    from frostline.execution._context import Context
    from frostline.models import Chain
    from frostline.plan import TrajectoryPlan

__all__ = ["run_trajectory"]


@explaining(lambda context, planned: f"training {context.prepared.arms[planned.arm].name}")
def run_trajectory(context: Context, planned: TrajectoryPlan) -> None:
    """Train a trajectory to its end; epochs that the ledger has are told again and not trained again."""
    ledger, run = context.ledger, context.run
    status = ledger.trajectory_status(run, planned.id)
    rows = _kept_epochs(context, planned) if status not in ("complete", "diverged") else ledger.epochs(run, planned.id)
    for row in rows:
        tell_epoch(context, planned, row, replayed=True)
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
    recipe = context.recipe(planned)
    carried: tuple[str, ...] = ()
    if planned.parent is not None:
        parent = load_checkpoint(context.files.checkpoint(planned.parent, planned.parent_epochs))
        load_model_state(chain.model, parent.model)
        carried = tuple(parent.model)
    return PhaseTraining(
        chain,
        recipe,
        planned.phase,
        None if planned.cut == "input" else planned.cut,
        planned.first_epoch,
        context.dataset.train.labels,
        context.dataset.classes,
        context.device,
        planned.layout,
        carried,
        context.precision,
    )


def _train(context: Context, planned: TrajectoryPlan, done: int) -> None:
    """Train the epochs after the first ``done``, storing each before it is told."""
    ledger, run = context.ledger, context.run
    recipe = context.recipe(planned)
    training = _begin(context, planned, context.networks.chain(recipe, len(context.dataset.classes)))
    if done:
        training.restore(load_checkpoint(context.files.checkpoint(planned.id, done)))
    train_rows, val_rows = (rows_of(context, planned, recipe, split) for split in ("train", "val"))
    for epoch in range(done, planned.epochs):
        started = time.perf_counter()

        def on_step(step: int, n_steps: int, epoch: int = epoch) -> None:
            context.emit(StepProgress(planned.id, epoch + 1, planned.epochs, step, n_steps))

        with on_threads(planned.threads):
            train_loss = training.run_epoch(epoch, train_rows, on_step)
        message = describe_divergence(planned.first_epoch + epoch + 1, train_loss, len(context.dataset.classes))
        if message is not None:
            row = EpochRow(epoch + 1, train_loss, None, None, time.perf_counter() - started)
            ledger.record_epoch(run, planned.id, *astuple(row))
            ledger.record_trajectory(run, planned.id, "diverged", message)
            tell_epoch(context, planned, row, replayed=False)
            context.emit(TrajectoryEnded(planned.id, "diverged", message))
            return
        with on_threads(planned.threads):
            logits = training.evaluate(val_rows)
        val_loss, val_accuracy = score(logits, context.dataset.val.labels)
        seconds = time.perf_counter() - started
        number = epoch + 1
        path = context.files.checkpoint(planned.id, number)
        save_checkpoint(path, training.checkpoint())
        if number in planned.keep_epochs:
            training.assert_frozen()
            for arm in ending_arms(context, planned, number):
                record_arm(context, arm, planned, training.model_state(), logits)
        row = EpochRow(number, train_loss, val_loss, val_accuracy, seconds, str(path.relative_to(context.files.root)))
        ledger.record_epoch(run, planned.id, *astuple(row))
        if number - 1 not in planned.keep_epochs:
            context.files.checkpoint(planned.id, number - 1).unlink(missing_ok=True)
        tell_epoch(context, planned, row, replayed=False)
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
