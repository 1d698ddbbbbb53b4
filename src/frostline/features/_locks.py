"""Who makes and who uses a set of rows: locks that the kernel releases when their process dies, however it dies."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from frostline.features._disk import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["UseMark", "making", "unused"]


@contextmanager
def making(root: Path, keys: Iterable[str], waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the exclusive right to make the rows of some keys; ``waiting`` is called when another process has it.

    Locks are taken in the order of the keys, so that two passes that overlap can't wait for each other.
    """
    with ExitStack() as held:
        for key in sorted(set(keys)):
            with disk_errors(root):
                (root / "locks").mkdir(parents=True, exist_ok=True)
                lock = FileLock(root / "locks" / f"{key}.lock", thread_local=False)
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    waiting()
                    lock.acquire(poll_interval=0.1)
            held.callback(lock.release)
        yield


class UseMark:
    """Says that rows are in use, so that pruning leaves them, until it is closed or the process ends.

    A lock that all users share; where the system has none, each of them holds a file of its own.
    """

    def __init__(self, root: Path, key: str) -> None:
        self._descriptor: int | None = None
        self._own: FileLock | None = None
        with suppress(OSError):  # a store that can only be read isn't pruned either
            (root / "locks").mkdir(parents=True, exist_ok=True)
            if fcntl is None:
                own = FileLock(root / "locks" / f"{key}.{uuid.uuid4().hex}.use", thread_local=False)
                own.acquire(timeout=0)
                self._own = own
                return
            self._descriptor = os.open(root / "locks" / f"{key}.use", os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        """Release the rows."""
        if self._own is not None:
            self._own.release()
            with suppress(OSError):
                Path(self._own.lock_file).unlink()
            self._own = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.close()


@contextmanager
def unused(root: Path, key: str) -> Iterator[bool]:
    """Keep everyone from making or using rows for a moment; yields False when someone does already."""
    with ExitStack() as held:
        (root / "locks").mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / "locks" / f"{key}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        held.callback(lock.release)
        if fcntl is None:
            for path in (root / "locks").glob(f"{key}.*.use"):
                if not _is_left_behind(path):
                    yield False
                    return
        else:
            descriptor = os.open(root / "locks" / f"{key}.use", os.O_RDWR | os.O_CREAT, 0o666)
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
        yield True


def _is_left_behind(path: Path) -> bool:
    """Return whether a user's own file is one whose process has died, and remove it then."""
    try:
        with FileLock(path, timeout=0, thread_local=False):
            pass
    except (Timeout, OSError):
        return False
    with suppress(OSError):
        path.unlink()
    return True
