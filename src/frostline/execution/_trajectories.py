"""Trains the plan's trajectories, each from where it was interrupted, and stores what every epoch gave."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from frostline.execution._artifacts import record_arms
from frostline.execution._finishing import ENDED, Finisher, ending_arms
from frostline.execution._rows import rows_of
from frostline.execution.events import StepProgress, TrajectoryEnded
from frostline.features import explaining
from frostline.ledger import EpochRow
from frostline.training import (
    PhaseTraining,
    has_diverged,
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


def _describe(context: Context, planned: TrajectoryPlan, until: int | None = None) -> str:
    return f"training {context.prepared.arms[planned.arm].name}"


@explaining(_describe)
def run_trajectory(context: Context, planned: TrajectoryPlan, until: int | None = None) -> None:
    """Train a trajectory to its end; epochs that are stored are told again and not trained again.

    Args:
        context: the run.
        planned: the trajectory.
        until: the epoch, of its own, to stop after for now; the same call without it continues from there.
    """
    recorder = context.recorder
    status = recorder.trajectory_status(planned.id)
    rows = recorder.epochs(planned.id) if status in ENDED else _kept_epochs(context, planned)
    finisher = Finisher.of(context, [planned])
    finisher.replay(planned.id, rows)
    if status in ENDED:
        return
    if planned.parent is not None and not _has_branched(context, planned):
        # By the plain loop, too, an arm ends in the phase where its training diverges.
        message = f"the phase before it diverged ({planned.parent})"
        recorder.record_trajectory(planned.id, "diverged", message)
        context.emit(TrajectoryEnded(planned.id, "diverged", message))
        return
    recorder.record_trajectory(planned.id, "running")
    _train(context, planned, finisher, len(rows), planned.epochs if until is None else min(until, planned.epochs))


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


def _train(context: Context, planned: TrajectoryPlan, finisher: Finisher, done: int, last: int) -> None:
    """Train the epochs after the first ``done``, up to the last, storing each before it is told."""
    recipe = context.recipe(planned)
    training = _begin(context, planned, context.networks.chain(recipe, len(context.dataset.classes)))
    if done:
        training.restore(load_checkpoint(context.files.checkpoint(planned.id, done)))
    train_rows, val_rows = (rows_of(context, planned, recipe, split) for split in ("train", "val"))
    for number in range(done + 1, last + 1):
        started = time.perf_counter()

        def on_step(step: int, n_steps: int, number: int = number) -> None:
            context.emit(StepProgress(planned.id, number, planned.epochs, step, n_steps))

        with on_threads(planned.threads):
            train_loss = training.run_epoch(number - 1, train_rows, on_step)
        if has_diverged(train_loss, len(context.dataset.classes)):
            finisher.finish({planned.id: EpochRow(number, train_loss, None, None, time.perf_counter() - started)})
            return
        with on_threads(planned.threads):
            logits = training.evaluate(val_rows)
        val_loss, val_accuracy = score(logits, context.dataset.val.labels)
        seconds = time.perf_counter() - started
        path = context.files.checkpoint(planned.id, number)
        save_checkpoint(path, training.checkpoint())
        if number in planned.keep_epochs:
            training.assert_frozen()
            ended = ending_arms(context, planned, number)
            record_arms(context, [(arm, planned, training.model_state(), logits) for arm in ended])
        checkpoint = str(path.relative_to(context.files.root))
        finisher.finish({planned.id: EpochRow(number, train_loss, val_loss, val_accuracy, seconds, checkpoint)})
        if number - 1 not in planned.keep_epochs:
            context.files.checkpoint(planned.id, number - 1).unlink(missing_ok=True)


def _kept_epochs(context: Context, planned: TrajectoryPlan) -> list[EpochRow]:
    """Return the epochs from which training can go on: those up to the last one whose checkpoint is there."""
    rows = context.recorder.epochs(planned.id)
    while rows and not context.files.checkpoint(planned.id, rows[-1].epoch).exists():
        rows.pop()
    context.recorder.drop_epochs_after(planned.id, len(rows))
    return rows


def _has_branched(context: Context, planned: TrajectoryPlan) -> bool:
    """Return whether the parent got as far as this trajectory needs, whatever became of it afterwards."""
    assert planned.parent is not None
    rows = context.recorder.epochs(planned.parent)[: planned.parent_epochs]
    return len(rows) == planned.parent_epochs and all(row.val_loss is not None for row in rows)
