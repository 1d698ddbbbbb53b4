"""How an epoch ends, whoever trained it: scored, judged as diverged or not, stored, and only then told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.execution.events import ArmProgress, EpochFinished, TrajectoryEnded
from frostline.training import describe_divergence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from frostline.execution._context import Context
    from frostline.ledger import EpochRow
    from frostline.plan import TrajectoryPlan

__all__ = ["ENDED", "Finisher", "ending_arms"]

ENDED = ("complete", "diverged")
"""Where a trajectory stands that isn't trained any further."""


class Finisher:
    """Finishes epochs of some trajectories.

    Args:
        context: the run.
        lengths: for each trajectory, how many epochs come before its own, and how many it has.
        progress: the arms that an epoch of a trajectory counts for, and where each of them stands with it.
    """

    def __init__(
        self,
        context: Context,
        lengths: Mapping[str, tuple[int, int]],
        progress: Callable[[str, int], Sequence[ArmProgress]],
    ) -> None:
        self._context, self._lengths, self._progress = context, lengths, progress

    @classmethod
    def of(cls, context: Context, trajectories: Iterable[TrajectoryPlan]) -> Finisher:
        """Return what finishes epochs of planned trajectories."""
        by_id = {planned.id: planned for planned in trajectories}

        def progress(trajectory: str, epoch: int) -> list[ArmProgress]:
            return [
                ArmProgress(arm.name, by_id[trajectory].first_epoch + epoch, sum(epochs for _, epochs in arm.path))
                for arm in context.plan.arms_through[trajectory]
                if epoch <= dict(arm.path)[trajectory]
            ]

        return cls(context, {id_: (each.first_epoch, each.epochs) for id_, each in by_id.items()}, progress)

    def finish(self, rows: Mapping[str, EpochRow]) -> set[str]:
        """Store an epoch of some trajectories at once, tell it, and return those that it was the last of."""
        ends: dict[str, tuple[str, str | None]] = {}
        n_classes = len(self._context.dataset.classes)
        for id_, row in rows.items():
            before, n_epochs = self._lengths[id_]
            message = describe_divergence(before + row.epoch, row.train_loss, n_classes)
            if message is not None:
                ends[id_] = ("diverged", message)
            elif row.epoch == n_epochs:
                ends[id_] = ("complete", None)
        self._context.recorder.record_epochs(rows, ends)
        for id_, row in rows.items():
            self.tell(id_, row, replayed=False)
            if id_ in ends:
                self._context.emit(TrajectoryEnded(id_, *ends[id_]))
        return set(ends)

    def replay(self, trajectory: str, rows: Sequence[EpochRow]) -> None:
        """Tell what is stored of a trajectory, and how it ended if it did."""
        for row in rows:
            self.tell(trajectory, row, replayed=True)
        status = self._context.recorder.trajectory_status(trajectory)
        if status in ENDED:
            self._context.emit(TrajectoryEnded(trajectory, status))

    def tell(self, trajectory: str, row: EpochRow, *, replayed: bool) -> None:
        """Tell an epoch; ``replayed`` when it was stored before."""
        progress = tuple(self._progress(trajectory, row.epoch))
        scores = (row.train_loss, row.val_loss, row.val_accuracy, row.seconds)
        self._context.emit(EpochFinished(trajectory, progress, *scores, replayed=replayed))


def ending_arms(context: Context, planned: TrajectoryPlan, epoch: int) -> list[str]:
    """Return the names of the arms whose last epoch is this one of a trajectory."""
    return [arm.name for arm in context.plan.arms_through[planned.id] if arm.path[-1] == (planned.id, epoch)]
