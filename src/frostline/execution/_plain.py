"""Runs each arm alone by the plain loop, and stores its numbers as those of a trajectory of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from frostline.data import load_images, normalise
from frostline.execution._artifacts import record_arms
from frostline.execution._finishing import ENDED, Finisher
from frostline.execution._rows import view_of_epoch
from frostline.execution.events import ArmProgress, StepProgress
from frostline.features import explaining
from frostline.ledger import EpochRow
from frostline.training import PlainPhase, train_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
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
    recorder, recipe, dataset = context.recorder, arm.recipe, context.dataset
    trajectory = plain_trajectory(recipe)

    def progress(_trajectory: str, epoch: int) -> list[ArmProgress]:
        return [ArmProgress(arm.name, epoch, recipe.total_epochs)]

    finisher = Finisher(context, {trajectory: (0, recipe.total_epochs)}, progress)
    if recorder.trajectory_status(trajectory) in ENDED:
        finisher.replay(trajectory, recorder.epochs(trajectory))
        return
    recorder.drop_epochs_after(trajectory, 0)
    recorder.record_trajectory(trajectory, "running")
    preprocessing = context.networks.of(recipe).preprocessing

    def train_images(positions: NDArray[np.int64], epoch: int) -> torch.Tensor:
        images = load_images(dataset, dataset.train, positions, preprocessing, view_of_epoch(recipe, epoch))
        return normalise(torch.from_numpy(images), preprocessing)

    def val_images(positions: NDArray[np.int64]) -> torch.Tensor:
        return normalise(torch.from_numpy(load_images(dataset, dataset.val, positions, preprocessing)), preprocessing)

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
            record_arms(context, [(arm.name, phases[-1], chain.model.state_dict(), epoch.logits)])
        scores = (epoch.train_loss, epoch.val_loss, epoch.val_accuracy, epoch.seconds)
        finisher.finish({trajectory: EpochRow(epoch.epoch, *scores)})


def _phases(context: Context, arm: Arm) -> list[TrajectoryPlan]:
    """Return the trajectories whose numerics an arm's phases have, those of a shared run."""
    path = next(planned.path for planned in context.plan.arms if planned.name == arm.name)
    planned = {trajectory.id: trajectory for trajectory in context.plan.trajectories}
    return [planned[id_] for id_, _ in path]


def _numerics(phases: Sequence[TrajectoryPlan]) -> list[PlainPhase]:
    return [PlainPhase(None if p.cut == "input" else p.cut, p.layout, p.threads) for p in phases]
