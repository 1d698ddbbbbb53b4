"""What units of work tell their results to: only here is the ledger of a run written, and nothing counts before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from frostline.ledger import EpochRow, FileRow, Ledger, PassRow

__all__ = ["LedgerRecorder", "Recorder", "RemoteRecorder"]


class Recorder(Protocol):
    """Keeps the results of one run; a call returns when what it was given is stored."""

    def trajectory_status(self, trajectory: str) -> str | None:
        """Return ``running``, ``complete``, ``diverged`` or ``failed``; None for one that hasn't started."""

    def epochs(self, trajectory: str) -> list[EpochRow]:
        """Return a trajectory's epochs, in order."""

    def drop_epochs_after(self, trajectory: str, epoch: int) -> None:
        """Forget the epochs after one: those whose checkpoint is gone."""

    def record_trajectory(self, trajectory: str, status: str, message: str | None = None) -> None:
        """Store where a trajectory stands."""

    def record_epochs(self, rows: Mapping[str, EpochRow], ends: Mapping[str, tuple[str, str | None]]) -> None:
        """Store an epoch of some trajectories, and the status and message of those that end with it, all or nothing."""

    def record_files(self, files: Mapping[str, Sequence[FileRow]]) -> None:
        """Store which files arms left behind, by arm, all or nothing."""

    def record_pass(self, row: PassRow) -> None:
        """Store what a feature pass took."""


class LedgerRecorder:
    """Writes the ledger of a run."""

    def __init__(self, ledger: Ledger, run: str) -> None:
        self._ledger, self._run = ledger, run

    def trajectory_status(self, trajectory: str) -> str | None:
        """See Recorder."""
        return self._ledger.trajectory_status(self._run, trajectory)

    def epochs(self, trajectory: str) -> list[EpochRow]:
        """See Recorder."""
        return self._ledger.epochs(self._run, trajectory)

    def drop_epochs_after(self, trajectory: str, epoch: int) -> None:
        """See Recorder."""
        self._ledger.drop_epochs_after(self._run, trajectory, epoch)

    def record_trajectory(self, trajectory: str, status: str, message: str | None = None) -> None:
        """See Recorder."""
        self._ledger.record_trajectory(self._run, trajectory, status, message)

    def record_epochs(self, rows: Mapping[str, EpochRow], ends: Mapping[str, tuple[str, str | None]]) -> None:
        """See Recorder."""
        self._ledger.record_epochs(self._run, rows, ends)

    def record_files(self, files: Mapping[str, Sequence[FileRow]]) -> None:
        """See Recorder."""
        self._ledger.record_files(self._run, files)

    def record_pass(self, row: PassRow) -> None:
        """See Recorder."""
        self._ledger.record_pass(self._run, row)


class RemoteRecorder:
    """Has the recorder of the process that started this one keep the results: a call returns with its answer.

    Args:
        call: takes the name of a method of Recorder and its arguments there, and returns what it gave.
    """

    def __init__(self, call: Callable[[str, tuple[Any, ...]], Any]) -> None:
        self._call = call

    def trajectory_status(self, trajectory: str) -> str | None:
        """See Recorder."""
        status: str | None = self._call("trajectory_status", (trajectory,))
        return status

    def epochs(self, trajectory: str) -> list[EpochRow]:
        """See Recorder."""
        rows: list[EpochRow] = self._call("epochs", (trajectory,))
        return rows

    def drop_epochs_after(self, trajectory: str, epoch: int) -> None:
        """See Recorder."""
        self._call("drop_epochs_after", (trajectory, epoch))

    def record_trajectory(self, trajectory: str, status: str, message: str | None = None) -> None:
        """See Recorder."""
        self._call("record_trajectory", (trajectory, status, message))

    def record_epochs(self, rows: Mapping[str, EpochRow], ends: Mapping[str, tuple[str, str | None]]) -> None:
        """See Recorder."""
        self._call("record_epochs", (dict(rows), dict(ends)))

    def record_files(self, files: Mapping[str, Sequence[FileRow]]) -> None:
        """See Recorder."""
        self._call("record_files", (dict(files),))

    def record_pass(self, row: PassRow) -> None:
        """See Recorder."""
        self._call("record_pass", (row,))
