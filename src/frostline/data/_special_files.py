"""Reading files among which pipes, sockets and devices stand, which could be read for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.data._pixels import BadImageError
from frostline.data_paths import what_it_is

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_file"]


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
