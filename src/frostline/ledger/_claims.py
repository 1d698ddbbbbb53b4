"""Which process works on a run: a lock that the kernel releases when the process ends, however it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from frostline.errors import LedgerError
from frostline.ledger._database import explain_write_failure

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Claims"]

_LOCK_NAME: Final = ".lock"
# Asking whether a run is claimed holds its lock for an instant, so a claim waits that out.
_CLAIM_SECONDS: Final = 1.0


class Claims:
    """The runs that this ledger's process works on, each claimed by the lock in its folder."""

    def __init__(self) -> None:
        self._held: dict[str, FileLock] = {}

    def claim(self, run: str, directory: Path) -> None:
        """Claim a run until it is released or the process ends.

        Raises:
            LedgerError: another process works on it.
            DiskFullError: its folder can't be written.
        """
        if run in self._held:
            return
        lock = FileLock(directory / _LOCK_NAME, timeout=_CLAIM_SECONDS, thread_local=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise LedgerError(
                f'another process works on run "{run}": wait for it to end, or stop it, then resume the run'
            ) from error
        except OSError as error:
            raise explain_write_failure(error, directory, "the run's folder") from error
        self._held[run] = lock

    def is_claimed(self, run: str, directory: Path) -> bool:
        """Return whether any living process, this one or another, works on a run."""
        if run in self._held:
            return True
        if not (directory / _LOCK_NAME).exists():
            return False
        try:
            with FileLock(directory / _LOCK_NAME, timeout=0, thread_local=False):
                return False
        except Timeout:
            return True
        except OSError:
            # A place where no lock can be taken is one where no run can go on.
            return False

    def release(self, run: str) -> None:
        """Give a run up; a run that isn't held is left alone."""
        lock = self._held.pop(run, None)
        if lock is not None:
            lock.release()

    def release_all(self) -> None:
        """Give every run up."""
        for run in tuple(self._held):
            self.release(run)
