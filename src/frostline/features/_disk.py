"""Failures to write, told with how much room is needed, where, and what to do."""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from frostline.errors import DiskFullError
from frostline.quantities import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["check_room", "disk_errors"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def free_bytes(path: Path) -> int | None:
    """Return the room left for this user at a path that may not exist yet, or None where that can't be known."""
    for place in (path, *path.parents):
        try:
            return shutil.disk_usage(place).free
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
    return None


def _full(root: Path, needed_bytes: int) -> DiskFullError:
    free = free_bytes(root)
    there = "" if free is None else f" and {format_bytes(free)} are free"
    return DiskFullError(
        f"no room for activations in {root}: {format_bytes(needed_bytes)} are needed{there}. Make room there, for "
        "example with `frostline cache prune`, or set FROSTLINE_CACHE to a directory on a larger disk. What is stored "
        "already is kept, and the same command goes on from it."
    )


def check_room(root: Path, needed_bytes: int) -> None:
    """Raise DiskFullError when the disk of a directory has less room than is needed, before any work is done."""
    free = free_bytes(root)
    if free is not None and free < needed_bytes:
        raise _full(root, needed_bytes)


@contextmanager
def disk_errors(root: Path, needed_bytes: int = 0) -> Iterator[None]:
    """Turn the operating system's errors while writing below ``root`` into DiskFullError with a remedy."""
    try:
        yield
    except DiskFullError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise _full(root, needed_bytes) from error
        raise DiskFullError(
            f"activations can't be written in {root} ({error.strerror or error}). Give this user permission there, or "
            "set FROSTLINE_CACHE to a directory that can be written."
        ) from error
