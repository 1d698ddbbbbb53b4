"""What a study's data path leads to: nothing, a file, a folder, or something that isn't to be read at all."""

from __future__ import annotations

import stat
from pathlib import Path

__all__ = ["data_path_fault", "kind_of_mode", "what_it_is"]

WANTED = {
    "folder": (("folder",), "a folder"),
    "csv": (("file",), "a CSV file"),
    "parquet": (("file", "folder"), "a Parquet file or a folder of them"),
    "cifar10": (("folder",), "a folder"),
}
"""Of each source that has a path: what may lie there, and its name in a message."""

CIFAR10_ARCHIVE = "cifar-10-python.tar.gz"


def data_path_fault(source: str, path: str) -> str | None:
    """Return why a source of images can't be at a path, or None; nothing in it is read.

    Args:
        source: of a study's data; one that isn't at a path has no fault.
        path: as the study has it; a relative one starts from the working directory.
    """
    if source not in WANTED:
        return None
    kinds, named = WANTED[source]
    try:
        place = Path(path).expanduser()
        if not place.exists():
            # what isn't there yet is downloaded to there
            return None if source == "cifar10" else f"does not exist (looked for {place.absolute()})"
        kind = what_it_is(place)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: the home of an unknown user
        return f"can't be read ({getattr(error, 'strerror', None) or error})"
    if kind in kinds or (source == "cifar10" and kind == "file" and place.name == CIFAR10_ARCHIVE):
        return None
    return f"is a {kind}, not {named}"


def what_it_is(path: Path) -> str:
    """Return what lies at a path that exists, links followed, as ``kind_of_mode`` calls it."""
    return kind_of_mode(path.stat().st_mode)


def kind_of_mode(mode: int) -> str:
    """Return what a file's mode says it is: ``file``, ``folder``, ``pipe``, ``socket`` or ``device``."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
