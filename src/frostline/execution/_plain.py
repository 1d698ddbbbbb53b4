"""Runs each arm alone by the plain loop, and stores its numbers as those of a trajectory of its own."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from frostline.data import load_images, normalise
from frostline.execution._artifacts import record_arm
from frostline.execution._row_room import to_device
from frostline.execution._rows import view_of_epoch
from frostline.execution.events import ArmProgress, EpochFinished, StepProgress, TrajectoryEnded
from frostline.features import explaining
from frostline.ledger import EpochRow
from frostline.training import PlainPhase, describe_divergence, train_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from frostline.execution._context import Context
    from frostline.plan import TrajectoryPlan
    from frostline.study import Arm, Recipe

__all__ = ["plain_trajectory", "run_plain"]


def plain_trajectory(recipe: Recipe) -> str:
    """Return the id of a recipe's own trajectory."""
    return recipe.key()[:12]


@explaining(lambda context, arm: f"training {arm.name}")
def run_plain(context: Context, arm: Arm) -> None:
    """Train one arm from its first epoch to its last; an arm that was interrupted begins anew."""
    ledger, run, recipe, dataset = context.ledger, context.run, arm.recipe, context.dataset
    trajectory = plain_trajectory(recipe)
    status = ledger.trajectory_status(run, trajectory)
    if status in ("complete", "diverged"):
        for row in ledger.epochs(run, trajectory):
            _tell(context, arm, row, replayed=True)
        context.emit(TrajectoryEnded(trajectory, status))
        return
    ledger.drop_epochs_after(run, trajectory, 0)
    ledger.record_trajectory(run, trajectory, "running")
    preprocessing = context.networks.of(recipe).preprocessing

    def train_images(positions: NDArray[np.int64], epoch: int) -> torch.Tensor:
        images = load_images(dataset, dataset.train, positions, preprocessing, view_of_epoch(recipe, epoch))
        return normalise(to_device(images, context.device), preprocessing)

    def val_images(positions: NDArray[np.int64]) -> torch.Tensor:
        images = load_images(dataset, dataset.val, positions, preprocessing)
        return normalise(to_device(images, context.device), preprocessing)

    phases = _phases(context, arm)
    chain = context.networks.chain(recipe, len(context.dataset.classes))
    epochs = train_plain(
        chain,
        recipe,
        _numerics(phases),
        train_images,
        dataset.train.labels,
        val_images,
        dataset.val.labels,
        dataset.classes,
        context.device,
        lambda epoch, step, n: context.emit(StepProgress(trajectory, epoch, recipe.total_epochs, step, n)),
        context.precision,
    )
    for epoch in epochs:
        # The whole network is stored: by this loop's lights there is no telling which part changed.
        if epoch.logits is not None and epoch.epoch == recipe.total_epochs:
            record_arm(context, arm.name, phases[-1], chain.model.state_dict(), epoch.logits)
        row = EpochRow(epoch.epoch, epoch.train_loss, epoch.val_loss, epoch.val_accuracy, epoch.seconds)
        ledger.record_epoch(run, trajectory, *astuple(row))
        _tell(context, arm, row, replayed=False)
    message = describe_divergence(epoch.epoch, epoch.train_loss, len(dataset.classes))
    status = "complete" if message is None else "diverged"
    ledger.record_trajectory(run, trajectory, status, message)
    context.emit(TrajectoryEnded(trajectory, status, message))


def _phases(context: Context, arm: Arm) -> list[TrajectoryPlan]:
    """Return the trajectories whose numerics an arm's phases have, those of a shared run."""
    path = next(planned.path for planned in context.plan.arms if planned.name == arm.name)
    planned = {trajectory.id: trajectory for trajectory in context.plan.trajectories}
    return [planned[id_] for id_, _ in path]


def _numerics(phases: Sequence[TrajectoryPlan]) -> list[PlainPhase]:
    return [PlainPhase(None if p.cut == "input" else p.cut, p.layout, p.threads) for p in phases]


def _tell(context: Context, arm: Arm, row: EpochRow, *, replayed: bool) -> None:
    progress = (ArmProgress(arm.name, row.epoch, arm.recipe.total_epochs),)
    trajectory = plain_trajectory(arm.recipe)
    context.emit(
        EpochFinished(
            trajectory, progress, row.train_loss, row.val_loss, row.val_accuracy, row.seconds, replayed=replayed
        )
    )
