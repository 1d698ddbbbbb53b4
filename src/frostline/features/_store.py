"""The folder of all stored rows: opened by specification and images, listed, checked, and pruned to a size."""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np

from frostline.errors import FeatureError
from frostline.features._disk import disk_errors
from frostline.features._engines import Engines
from frostline.features._features import Features
from frostline.features._format import META, RowFormat
from frostline.features._held import HeldMemory
from frostline.features._index import Index, first_of_each
from frostline.features._locks import UseMark, making, unused
from frostline.features._pruning import Entry, Piece, list_pieces, make_entry, remove_pieces
from frostline.features._segments import Segment, image_ids, read_segment, segment_numbers
from frostline.places import cache_directory
from frostline.quantities import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from frostline.features._segments import ImageIds
    from frostline.features._spec import FeatureSpec

__all__ = ["FeatureStore"]


@dataclass(frozen=True)
class Found:
    """Rows of some images: what they are, which of an index's each image has (-1: none), and damaged segments."""

    row_format: RowFormat
    index: Index
    rows: NDArray[np.int64]
    faults: dict[int, str]


class FeatureStore:
    """Rows by specification, below one directory, with an optional limit on what they take together.

    Args:
        root: the directory, made when first written to; ``features`` in the cache directory when left out.
        limit_bytes: new passes prune the least recently used rows to stay below this; left out, it is the size in
            ``$FROSTLINE_CACHE_LIMIT``, such as ``20GB``, and without that rows are never pruned.
        engines: compiled prefixes that passes may use, and add to.

    Raises:
        FeatureError: the limit in the environment is no size.
    """

    def __init__(
        self, root: Path | None = None, limit_bytes: int | None = None, engines: Engines | None = None
    ) -> None:
        self.path = cache_directory() / "features" if root is None else root
        self.limit_bytes = _limit_of_environment() if limit_bytes is None else limit_bytes
        # Segments checked by this process, with what changes when one of their files is touched.
        self._checked: dict[tuple[str, int], tuple[tuple[int, int, int], ...]] = {}
        self._marks: dict[str, UseMark] = {}
        self._opened: WeakValueDictionary[tuple[str, bytes], Features] = WeakValueDictionary()
        self.engines = Engines() if engines is None else engines
        self._held = HeldMemory()

    def folder(self, spec: FeatureSpec) -> Path:
        """Return where the rows of a specification are, or would be."""
        return self.path / spec.key

    def open(self, spec: FeatureSpec, images: Sequence[str]) -> Features | None:
        """Return the rows of some images, each byte checked, or None when one is absent or damaged.

        They count as in use, and are not pruned, until closed or collected.

        Args:
            spec: what the rows are.
            images: digests of the images' contents, hex of 32 digits or more, in the order of the rows wanted.
        """
        mark = UseMark(self.path, spec.key)
        ids = image_ids(images)
        found = self.find(spec, ids)
        if found is None or (found.rows < 0).any():
            mark.close()
            return None
        segments, offsets = found.index.segment[found.rows], found.index.offset[found.rows]
        used = set(np.unique(segments).tolist())
        for segment in found.index.segments:
            if segment.number in used:
                segment.touch()
        # Small rows are held in memory, once for all who use them.
        name = (spec.key, hashlib.sha256(ids.tobytes()).digest())
        there = self._opened.get(name)
        if there is None or there.closed:
            there = Features(self.folder(spec), found.row_format, segments, offsets, mark, self._held)
            self._opened[name] = there
        return there

    def count_missing(self, spec: FeatureSpec, images: Sequence[str]) -> int:
        """Return how many of some images have no row yet; that those there are intact, ``open`` checks."""
        folder = self.folder(spec)
        row_format = RowFormat.read(folder)
        if row_format is None:
            return len(set(images))
        ids = image_ids(images)
        segments, _ = _read_segments(folder, row_format)
        absent = np.flatnonzero(Index(segments).locate(ids) < 0)
        return len(first_of_each(ids, absent))

    def find(self, spec: FeatureSpec, ids: ImageIds) -> Found | None:
        """Return which rows some images have, [N, 2], each byte of these checked; None without a folder of rows."""
        folder = self.folder(spec)
        row_format = RowFormat.read(folder)
        if row_format is None:
            return None
        segments, faults = _read_segments(folder, row_format)
        while True:
            index = Index(segments)
            rows = index.locate(ids)
            used = set(np.unique(index.segment[rows[rows >= 0]]).tolist())
            damaged = self._check(spec.key, [each for each in segments if each.number in used], row_format.row_bytes)
            if not damaged:
                return Found(row_format, index, rows, faults)
            # Another segment may have the same rows.
            faults |= damaged
            segments = [each for each in segments if each.number not in damaged]

    def _check(self, key: str, segments: Sequence[Segment], row_bytes: Sequence[int]) -> dict[int, str]:
        """Return what is wrong with some segments; those that were checked and not touched since aren't read again."""

        def check(segment: Segment) -> str | None:
            state = segment.states()
            if state is not None and self._checked.get((key, segment.number)) == state:
                return None
            fault = segment.check(row_bytes)
            if fault is None and state is not None:
                self._checked[key, segment.number] = state
            return fault

        # Checksums and reading both run outside Python's lock, so threads help.
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            faults = zip(segments, pool.map(check, segments), strict=True)
            return {segment.number: fault for segment, fault in faults if fault is not None}

    def hold(self, spec: FeatureSpec) -> None:
        """Keep anyone from pruning the rows of a specification until ``close``: a pass holds what it was asked for."""
        if spec.key not in self._marks:
            self._marks[spec.key] = UseMark(self.path, spec.key)

    def close(self) -> None:
        """Give everything free that passes of this store hold; features opened from it stay in use until closed."""
        for mark in self._marks.values():
            mark.close()
        self._marks.clear()

    def lock(self, specs: Iterable[FeatureSpec], waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Hold the exclusive right to make these rows; ``waiting`` is called when another process holds it."""
        return making(self.path, [spec.key for spec in specs], waiting)

    def entries(self) -> tuple[Entry, ...]:
        """Return what is in the store, most recently used first; nothing when there is no store yet."""
        pieces = {folder: list_pieces(folder) for folder in self._folders()}
        entries = [make_entry(folder, of_folder) for folder, of_folder in pieces.items() if of_folder]
        return tuple(sorted(entries, key=lambda entry: (-entry.last_used, entry.key)))

    def verify(self) -> dict[str, dict[int, str]]:
        """Return what is wrong, as ``{key: {segment: fault}}``; -1 stands for the whole folder. Reads every byte."""
        result: dict[str, dict[int, str]] = {}
        for folder in self._folders():
            row_format = RowFormat.read(folder)
            if row_format is None:
                result[folder.name] = {-1: f"{META} is missing or damaged"}
                continue
            segments, faults = _read_segments(folder, row_format)
            checked = {segment.number: segment.check(row_format.row_bytes) for segment in segments}
            faults |= {number: fault for number, fault in checked.items() if fault is not None}
            if faults:
                result[folder.name] = dict(sorted(faults.items()))
        return result

    def prune(self, limit_bytes: int, keep: Iterable[FeatureSpec] = ()) -> tuple[Entry, ...]:
        """Remove the least recently used segments until the rest takes at most ``limit_bytes``.

        Returns what was removed, an entry for each specification. Rows being made or used, by any process or by passes
        of this store, stay, and so do those of ``keep``.
        """
        kept = {spec.key for spec in keep}
        pieces = [piece for folder in self._folders() for piece in list_pieces(folder)]
        total = sum(piece.n_bytes for piece in pieces)
        free: dict[Path, bool] = {}
        removed: dict[Path, list[Piece]] = {}
        with disk_errors(self.path), ExitStack() as held:
            for piece in sorted(pieces, key=lambda piece: (piece.last_used, piece.folder.name, piece.number or 0)):
                if total <= limit_bytes:
                    break
                folder = piece.folder
                if folder not in free:
                    free[folder] = folder.name not in kept and held.enter_context(unused(self.path, folder.name))
                if free[folder]:
                    total -= piece.n_bytes
                    removed.setdefault(folder, []).append(piece)
            entries = [make_entry(folder, of_folder) for folder, of_folder in removed.items()]
            for folder, of_folder in removed.items():
                remove_pieces(folder, of_folder)
            for trash in self.path.glob(".trash-*"):  # left by a process killed while it removed
                shutil.rmtree(trash, ignore_errors=True)
        return tuple(entries)

    def _folders(self) -> list[Path]:
        try:
            names = sorted(self.path.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [path for path in names if path.name != "locks" and not path.name.startswith(".") and path.is_dir()]


def _limit_of_environment() -> int | None:
    given = os.environ.get("FROSTLINE_CACHE_LIMIT")
    if not given:
        return None
    try:
        return parse_bytes(given)
    except ValueError as error:
        raise FeatureError(f"FROSTLINE_CACHE_LIMIT = {error}") from error


def _read_segments(folder: Path, row_format: RowFormat) -> tuple[list[Segment], dict[int, str]]:
    """Return the segments of a folder in order, and what is wrong with those whose record is no good."""
    segments, faults = [], {}
    for number in sorted(segment_numbers(folder)[0]):
        read = read_segment(folder, number, row_format)
        if isinstance(read, str):
            faults[number] = read
        else:
            segments.append(read)
    return segments, faults
