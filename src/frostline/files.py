"""Files that are either whole or not there, however the program ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from frostline.errors import DiskFullError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["FileBatch", "keep_json", "save_file", "sync_file", "sync_folder", "write_atomically"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

SYNCS_AT_ONCE = 16
"""Files of a batch that are synced at once: a file system writes what several wait for in one go."""


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file under a name of its own, then give it its name; its folder is made where it is missing.

    Args:
        path: where.
        content: what.
        durable: whether it must outlast a power cut, too; what can be made again needn't.

    Raises:
        OSError: it can't be written; nothing is left behind.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                sync_file(file.fileno())
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def keep_json(path: Path, record: object) -> None:
    """Write what can be made again, so that it needn't be; where nothing can be written, nothing is."""
    with contextlib.suppress(OSError):
        write_atomically(path, json.dumps(record).encode(), durable=False)


def save_file(path: Path, content: bytes) -> None:
    """Write a result as ``write_atomically`` does.

    Raises:
        DiskFullError: it can't be written; says what to do.
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise _unwritable(path, error) from error


class FileBatch:
    """Results that are saved together, so that they wait for the disk together: a context manager.

    Each file is whole or not there. They get their names when the ``with`` block ends and the disk has all of them;
    where it ends by an error, or a file can't be written, those without a name yet are removed.

    Raises:
        DiskFullError: one can't be written; says what to do.
    """

    def __init__(self) -> None:
        self._written: dict[Path, Path] = {}

    def save(self, path: Path, content: bytes) -> None:
        """Write a file; its folder is made where it is missing."""
        temporary = self._written[path] = _temporary(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
        except OSError as error:
            raise _unwritable(path, error) from error

    def __enter__(self) -> FileBatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            for temporary in self._written.values():
                with contextlib.suppress(OSError):
                    temporary.unlink()

    def _finish(self) -> None:
        with ThreadPoolExecutor(SYNCS_AT_ONCE, thread_name_prefix="frostline-sync") as threads:
            list(threads.map(_sync, self._written, self._written.values()))
            folders = {path.parent for path in self._written}
            for path, temporary in list(self._written.items()):
                try:
                    temporary.replace(path)
                except OSError as error:
                    raise _unwritable(path, error) from error
                del self._written[path]
            list(threads.map(sync_folder, folders))


def sync_file(descriptor: int) -> None:
    """Make what was written to an open file outlast a power cut.

    On macOS fsync only hands it to the disk, which may keep it in a cache of its own; F_FULLFSYNC has that written, on
    the file systems that know it.
    """
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, full)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder outlast a power cut, where the system can: Windows opens no folders."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        sync_file(descriptor)
    except OSError:  # some file systems sync no folders
        pass
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")


def _sync(path: Path, temporary: Path) -> None:
    """Have the disk take what was written for a path."""
    try:
        with temporary.open("rb+") as file:  # Windows syncs only what is open for writing
            sync_file(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> DiskFullError:
    what = "no room left" if error.errno in FULL else (error.strerror or str(error))
    return DiskFullError(
        f"{path}: {what}. What was finished before is kept: make room or allow writing there, then run the same "
        "command again."
    )
