"""Stored rows, read in random batches with read-ahead; memory stays the same however many rows there are."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.features._ahead import iterate_ahead
from frostline.features._held import HeldMemory
from frostline.features._reading import SegmentFiles

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from frostline.features._format import RowFormat
    from frostline.features._locks import UseMark

__all__ = ["Features"]

BATCHES_AHEAD = 3
"""Batches whose rows are asked for before the one being read, so that the disk works while memory does."""


class Features:
    """The rows of some images at one specification, complete and checked, in the order that they were asked for.

    Attributes:
        n: number of rows, N.
        shapes: one row's tensors, without the batch.
        dtype: as stored; ``float16`` is read as float32.
        n_bytes: bytes of these rows on disk, exact copies counted as often as they appear.
        closed: whether they are released for pruning.

    Args:
        folder: where the rows are.
        row_format: what they are.
        segments, offsets: int64 [N], the segment of each row and its place there.
        mark: keeps them from being pruned.
        held: what may be held in memory, of these rows and others.
    """

    def __init__(
        self,
        folder: Path,
        row_format: RowFormat,
        segments: NDArray[np.int64],
        offsets: NDArray[np.int64],
        mark: UseMark | None = None,
        held: HeldMemory | None = None,
    ) -> None:
        self.n, self.shapes, self.dtype = len(segments), row_format.shapes, row_format.dtype
        self.n_bytes = self.n * sum(row_format.row_bytes)
        self._folder, self._format, self._mark = folder, row_format, mark
        self._memory = HeldMemory() if held is None else held
        self._segments, self._offsets = segments, offsets
        self.closed = False

    def read(self, positions: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Return the rows at some positions.

        Args:
            positions: int64 [B], each in [0, N), in any order, repeats allowed.

        Returns:
            One new array [B, ...] for each tensor, float32 or (at the cut ``input``) uint8; B = 0 gives empty arrays.

        Raises:
            IndexError: a position is outside [0, N).
            FeatureError: the rows on disk can't be read any more.
        """
        with SegmentFiles(self._folder, self._format) as files:
            return self._read(files, positions)

    def batches(self, order: Sequence[NDArray[np.int64]]) -> Generator[tuple[NDArray[Any], ...]]:
        """Yield the rows of each batch of positions in turn, read ahead in a background thread."""
        return iterate_ahead(self._read_advised(order), depth=2)

    def close(self) -> None:
        """Release the rows for pruning; arrays that were read stay valid."""
        self.closed = True
        if self._mark is not None:
            self._mark.close()

    @cached_property
    def _held(self) -> list[NDArray[Any]] | None:
        """All rows, [N, ...] for each tensor, where there is room: one gather for a batch, and no file to read."""
        if not self._memory.take(self, self.n_bytes):
            return None
        held = [np.empty((self.n, *shape), self.dtype) for shape in self.shapes]
        order = np.argsort(self._segments, kind="stable")
        numbers, starts = np.unique(self._segments[order], return_index=True)
        own = np.split(order, starts[1:]) if len(order) else []
        with SegmentFiles(self._folder, self._format) as files:
            for number, positions in zip(numbers.tolist(), own, strict=True):
                offsets = self._offsets[positions]
                n_first = int(offsets.max()) + 1
                for tensor, rows in enumerate(held):
                    # Few rows of many are read one by one, else all of them up to the last in one go.
                    if len(positions) * 2 < n_first:
                        part = np.empty((len(positions), *rows.shape[1:]), self.dtype)
                        files.read_rows(tensor, [number] * len(positions), offsets.tolist(), part)
                        rows[positions] = part
                    else:
                        first = np.empty((n_first, *rows.shape[1:]), self.dtype)
                        files.read_first(tensor, number, first)
                        rows[positions] = first[offsets]
        return held

    def _read(self, files: SegmentFiles, positions: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        self._require_inside(positions)
        if self._held is not None:
            rows = [held[positions] for held in self._held]
        else:
            segments, offsets = self._locate(positions)
            rows = [np.empty((len(positions), *shape), self.dtype) for shape in self.shapes]
            for tensor, target in enumerate(rows):
                files.read_rows(tensor, segments, offsets, target)
        return tuple(each.astype(np.float32) if self.dtype == "float16" else each for each in rows)

    def _require_inside(self, positions: NDArray[np.int64]) -> None:
        if len(positions) and not (positions.min() >= 0 and positions.max() < self.n):
            raise IndexError(f"positions must be in [0, {self.n}), got {positions.min()} to {positions.max()}")

    def _locate(self, positions: NDArray[np.int64]) -> tuple[list[int], list[int]]:
        return self._segments[positions].tolist(), self._offsets[positions].tolist()

    def _read_advised(self, order: Sequence[NDArray[np.int64]]) -> Iterator[tuple[NDArray[Any], ...]]:
        with SegmentFiles(self._folder, self._format) as files:
            if self._held is None:
                files.advise_all(np.unique(self._segments).tolist(), self.n_bytes)
                for positions in order[:BATCHES_AHEAD]:
                    self._advise(files, positions)
            for index, positions in enumerate(order):
                if self._held is None and index + BATCHES_AHEAD < len(order):
                    self._advise(files, order[index + BATCHES_AHEAD])
                yield self._read(files, positions)

    def _advise(self, files: SegmentFiles, positions: NDArray[np.int64]) -> None:
        self._require_inside(positions)
        files.advise_rows(*self._locate(positions))
