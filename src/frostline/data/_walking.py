"""The files of a folder, in one order on every machine, without what is to be ignored."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, TypeAlias

from frostline.data._litter import BROKEN_LINK, LINK_CYCLE, Ignored, why_ignored
from frostline.data_paths import kind_of_mode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["list_folder", "walk_files"]

Identity: TypeAlias = tuple[int, int]  # of a folder, whatever path leads to it: its device and inode


def walk_files(folder: Path, ignored: Ignored) -> Iterator[Path]:
    """Yield the files in a folder and below it, a folder's files before its folders, each in the order of their names.

    Links are followed, except to a folder above them.

    Args:
        folder: where to begin; its own name may be anything.
        ignored: gets an entry for each path that is passed over, the same one however often it is listed.

    Raises:
        OSError: a folder can't be listed.
    """
    pending = [(folder, _identities(folder))]
    while pending:
        current, above = pending.pop()
        folders, files = _list(current, above, ignored)
        yield from files
        pending.extend((each, above | {_identity(each)}) for each in reversed(folders))


def list_folder(folder: Path, ignored: Ignored) -> list[Path]:
    """Return a folder's own folders and files in the order of their names; the rest is as for ``walk_files``."""
    folders, files = _list(folder, _identities(folder), ignored)
    return sorted([*folders, *files], key=lambda entry: entry.name)


def _list(folder: Path, above: frozenset[Identity], ignored: Ignored) -> tuple[list[Path], list[Path]]:
    """Return the folders and the files in a folder, each sorted by name."""
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = folder / entry.name
            kind = why_ignored(entry.name) or _kind(entry, above)
            if kind == "folder":
                folders.append(path)
            elif kind == "file":
                files.append(path)
            else:
                ignored.reasons[str(path)] = kind
    return folders, files


def _kind(entry: os.DirEntry[str], above: frozenset[Identity]) -> str:
    if not entry.is_symlink():
        if entry.is_file():  # known without asking the disk again, as nearly all are
            return "file"
        return "folder" if entry.is_dir() else kind_of_mode(entry.stat().st_mode)
    try:
        state = entry.stat()
    except PermissionError:
        raise  # what it leads to may well be images
    except OSError:  # its end doesn't exist, or it leads round in a circle
        return BROKEN_LINK
    if stat.S_ISDIR(state.st_mode) and (state.st_dev, state.st_ino) in above:
        return LINK_CYCLE
    return kind_of_mode(state.st_mode)


def _identity(folder: Path) -> Identity:
    state = folder.stat()
    return state.st_dev, state.st_ino


def _identities(folder: Path) -> frozenset[Identity]:
    """Return a folder and all folders above it, by the path given and by the one without links."""
    folder = folder.absolute()
    return frozenset(_identity(each) for each in (folder, *folder.parents, *folder.resolve().parents))
