"""Tells an epoch of a trajectory to whoever listens, with the place it has in every arm that it counts for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.execution.events import ArmProgress, EpochFinished

if TYPE_CHECKING:
    from frostline.execution._context import Context
    from frostline.ledger import EpochRow
    from frostline.plan import TrajectoryPlan

__all__ = ["ending_arms", "tell_epoch"]


def tell_epoch(context: Context, planned: TrajectoryPlan, row: EpochRow, *, replayed: bool) -> None:
    """Emit an epoch; ``replayed`` when it was read from the ledger."""
    arms = []
    for arm in context.plan.arms_through[planned.id]:
        if row.epoch <= dict(arm.path)[planned.id]:
            total = sum(epochs for _, epochs in arm.path)
            arms.append(ArmProgress(arm.name, planned.first_epoch + row.epoch, total))
    context.emit(
        EpochFinished(
            planned.id, tuple(arms), row.train_loss, row.val_loss, row.val_accuracy, row.seconds, replayed=replayed
        )
    )


def ending_arms(context: Context, planned: TrajectoryPlan, epoch: int) -> list[str]:
    """Return the names of the arms whose last epoch is this one of a trajectory."""
    return [arm.name for arm in context.plan.arms_through[planned.id] if arm.path[-1] == (planned.id, epoch)]
