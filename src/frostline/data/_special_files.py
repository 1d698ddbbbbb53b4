"""Pipes, sockets and devices, which stand among files but could be read for ever."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from frostline.data._pixels import BadImageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["name_kind", "read_file", "what_it_is"]


def name_kind(mode: int) -> str:
    """Return what a file's mode says it is: ``file``, ``folder``, ``pipe``, ``socket`` or ``device``."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"


def what_it_is(path: Path) -> str:
    """Return what lies at a path that exists, links followed, as ``name_kind`` calls it."""
    return name_kind(path.stat().st_mode)


def read_file(path: Path) -> bytes:
    """Return what a file holds, and never wait for a pipe.

    Raises:
        BadImageError: it is a pipe, a socket or a device.
        OSError: as for any file; a folder is none.
    """
    kind = what_it_is(path)
    if kind not in ("file", "folder"):
        raise BadImageError(f"is a {kind}, not a file")
    return path.read_bytes()
