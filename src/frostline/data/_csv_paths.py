"""Where the images of a CSV table are: paths start at the table's folder or at the working directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Located", "locate"]

LOOKED_AT = 500
"""Paths, spread over the table, that decide where all of them start."""


@dataclass(frozen=True)
class Located:
    """A file for each path, and how they were found."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def locate(table: Path, paths: Sequence[str]) -> Located:
    """Return the file that each path of a table means.

    Relative paths start at the table's folder; where none of them leads to a file from there, and some do from the
    working directory, they start at that. A backslash separates folders where there is no such file otherwise.
    """
    relative = [path for path in paths if not _as_file(Path(), path).is_absolute()]
    looked_at = relative[:: max(1, len(relative) // LOOKED_AT)]
    base, notes = table.parent, []
    if relative:
        base, where = table.parent, f"the folder of {table.name}"
        if not any(_exists(_as_file(table.parent, path)) for path in looked_at):
            here = Path()
            if any(_exists(_as_file(here, path)) for path in looked_at):
                base, where = here, "the working directory"
        notes.append(f"paths: relative to {where}")
    files = tuple(_as_file(base, path) for path in paths)
    if any("\\" in path and "\\" not in file.name for path, file in zip(paths, files, strict=True)):
        notes.append("paths: backslashes separate folders")
    return Located(files, tuple(notes))


def _as_file(base: Path, path: str) -> Path:
    file = base / path
    if "\\" in path and not _exists(file):
        return base / path.replace("\\", "/")
    return file


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):  # ValueError: a path that no system accepts
        return False
