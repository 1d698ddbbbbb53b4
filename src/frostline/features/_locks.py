"""Who makes and who uses a set of rows: locks that the kernel releases when their process dies, however it dies."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from frostline.features._disk import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where files that are mapped can't be deleted anyway
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
    """Says that rows are in use, so that pruning leaves them, until it is closed or the process ends."""

    def __init__(self, root: Path, key: str) -> None:
        self._descriptor: int | None = None
        if fcntl is None:
            return
        with suppress(OSError):  # a store that can only be read isn't pruned either
            (root / "locks").mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(root / "locks" / f"{key}.use", os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        """Give the rows free."""
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
        if fcntl is not None:
            descriptor = os.open(root / "locks" / f"{key}.use", os.O_RDWR | os.O_CREAT, 0o666)
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
        yield True
