"""Files that are either whole or not there, however the program ends."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from typing import TYPE_CHECKING

from frostline.errors import DiskFullError

if TYPE_CHECKING:
    from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["save_file", "sync_file", "sync_folder", "write_atomically"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file under a name of its own, then give it its name; its folder is made where it is missing.

    Args:
        path: where.
        content: what.
        durable: whether it must outlast a power cut, too; what can be made again needn't.

    Raises:
        OSError: it can't be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
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


def save_file(path: Path, content: bytes) -> None:
    """Write a result as ``write_atomically`` does.

    Raises:
        DiskFullError: it can't be written; says what to do.
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        what = "no room left" if error.errno in FULL else (error.strerror or str(error))
        raise DiskFullError(
            f"{path}: {what}. What was finished before is kept: make room or allow writing there, then run the same "
            "command again."
        ) from error


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
