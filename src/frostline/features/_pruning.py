"""What can be removed of a store, and in which order: segments, those that were used longest ago first."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from frostline.features._format import META
from frostline.features._segments import file_number, ids_path, remove_segment, segment_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Entry", "Piece", "list_pieces", "make_entry", "remove_pieces"]

ID_BYTES = 16


@dataclass(frozen=True)
class Entry:
    """The rows of one specification in the store, or those of them that were removed.

    Attributes:
        key: its name on disk.
        spec: what it holds, as data; empty where that can't be read.
        n_bytes: bytes on disk.
        n_images: of how many images there are rows (not whether they are intact: see ``FeatureStore.verify``).
        last_used: seconds since the epoch.
    """

    key: str
    spec: dict[str, Any]
    n_bytes: int
    n_images: int
    last_used: float


class Piece(NamedTuple):
    """What is removed at once: a segment, or a folder that has none (``number`` is None)."""

    folder: Path
    number: int | None
    n_bytes: int
    n_images: int
    last_used: float


def list_pieces(folder: Path) -> list[Piece]:
    """Return the pieces of a folder; the last used of them counts whatever else is there, as that goes with it."""
    numbers, _ = segment_numbers(folder)
    sizes: dict[int | None, int] = dict.fromkeys(numbers, 0)
    rest = 0
    try:
        with os.scandir(folder) as files:
            for file in files:
                number = file_number(file.name)
                with suppress(FileNotFoundError):  # renamed by a pass under way
                    if number in sizes:
                        sizes[number] += file.stat().st_size
                    else:
                        rest += file.stat().st_size
        pieces = []
        for number in numbers:
            with suppress(FileNotFoundError):
                state = ids_path(folder, number).stat()
                pieces.append(Piece(folder, number, sizes[number], state.st_size // ID_BYTES, state.st_mtime))
        if not pieces:
            return [Piece(folder, None, rest + sum(sizes.values()), 0, folder.stat().st_mtime)]
    except FileNotFoundError:
        return []  # pruned by another process
    pieces.sort(key=lambda piece: (piece.last_used, piece.number))
    unlisted = sum(sizes.values()) - sum(piece.n_bytes for piece in pieces)
    pieces[-1] = pieces[-1]._replace(n_bytes=pieces[-1].n_bytes + rest + unlisted)
    return pieces


def make_entry(folder: Path, pieces: Sequence[Piece]) -> Entry:
    """Return what some pieces of a folder come to."""
    spec: dict[str, Any] = {}
    with suppress(OSError, ValueError, KeyError, TypeError):
        spec = dict(json.loads((folder / META).read_bytes())["spec"])
    n_bytes, n_images = sum(piece.n_bytes for piece in pieces), sum(piece.n_images for piece in pieces)
    return Entry(folder.name, spec, n_bytes, n_images, max(piece.last_used for piece in pieces))


def remove_pieces(folder: Path, pieces: Sequence[Piece]) -> None:
    """Remove some pieces of a folder, and the folder where nothing would be left."""
    if len(pieces) < len(list_pieces(folder)):
        for piece in pieces:
            if piece.number is not None:
                remove_segment(folder, piece.number)
        return
    # Renamed first: rows half removed must never be taken for rows.
    trash = folder.with_name(f".trash-{folder.name}-{os.getpid()}-{time.monotonic_ns()}")
    folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)
