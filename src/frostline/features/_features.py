"""Stored rows, read in random batches with read-ahead; memory stays the same however many rows there are."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.features._ahead import iterate_ahead
from frostline.features._reading import ShardFiles
from frostline.features._shards import check_shard

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from frostline.features._layout import Layout
    from frostline.features._locks import UseMark

__all__ = ["Features"]

HELD_BYTES = 64 * 1024 * 1024
"""Rows that take no more than this together are held in memory: one gather for a batch, and no file to read."""

BATCHES_AHEAD = 3
"""Batches whose rows are asked for before the one being read, so that the disk works while memory does."""


class Features:
    """The rows of one specification, complete and checked.

    Attributes:
        n: number of rows, N.
        shapes: one row's tensors, without the batch.
        dtype: as stored; ``float16`` is read as float32.
        n_bytes: bytes on disk.
        closed: whether they are free for pruning.
    """

    def __init__(self, folder: Path, layout: Layout, mark: UseMark | None = None) -> None:
        self.n, self.shapes, self.dtype, self.n_bytes = layout.n, layout.shapes, layout.dtype, layout.n_bytes
        self._folder, self._layout, self._mark = folder, layout, mark
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
        with ShardFiles(self._folder, self._layout) as files:
            return self._read(files, positions)

    def batches(self, order: Sequence[NDArray[np.int64]]) -> Generator[tuple[NDArray[Any], ...]]:
        """Yield the rows of each batch of positions in turn, read ahead in a background thread."""
        return iterate_ahead(self._read_advised(order), depth=2)

    def verify(self) -> tuple[str, ...]:
        """Return what is wrong with the bytes on disk, shard by shard; empty when every one is as it was written."""
        faults = ((shard, check_shard(self._folder, self._layout, shard)) for shard in range(self._layout.n_shards))
        return tuple(f"shard {shard}: {fault}" for shard, fault in faults if fault is not None)

    def close(self) -> None:
        """Give the rows free for pruning; arrays that were read stay valid."""
        self.closed = True
        if self._mark is not None:
            self._mark.close()

    @cached_property
    def _held(self) -> list[NDArray[Any]] | None:
        """All rows, [N, ...] for each tensor, where they are few."""
        if self.n_bytes > HELD_BYTES:
            return None
        held = [np.empty((self.n, *shape), self.dtype) for shape in self.shapes]
        with ShardFiles(self._folder, self._layout) as files:
            for shard in range(self._layout.n_shards):
                start = shard * self._layout.rows_per_shard
                for tensor, rows in enumerate(held):
                    files.read_shard(tensor, shard, rows[start : start + self._layout.rows(shard)])
        return held

    def _read(self, files: ShardFiles, positions: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        shards, offsets = self._locate(positions)
        if self._held is not None:
            rows = [held[positions] for held in self._held]
        else:
            rows = [np.empty((len(positions), *shape), self.dtype) for shape in self.shapes]
            for tensor, target in enumerate(rows):
                files.read_rows(tensor, shards, offsets, target)
        return tuple(each.astype(np.float32) if self.dtype == "float16" else each for each in rows)

    def _locate(self, positions: NDArray[np.int64]) -> tuple[list[int], list[int]]:
        if len(positions) and not (positions.min() >= 0 and positions.max() < self.n):
            raise IndexError(f"positions must be in [0, {self.n}), got {positions.min()} to {positions.max()}")
        shards, offsets = np.divmod(positions, self._layout.rows_per_shard)
        return shards.tolist(), offsets.tolist()

    def _read_advised(self, order: Sequence[NDArray[np.int64]]) -> Iterator[tuple[NDArray[Any], ...]]:
        with ShardFiles(self._folder, self._layout) as files:
            if self._held is None:
                files.advise_all()
                for positions in order[:BATCHES_AHEAD]:
                    files.advise_rows(*self._locate(positions))
            for index, positions in enumerate(order):
                if self._held is None and index + BATCHES_AHEAD < len(order):
                    files.advise_rows(*self._locate(order[index + BATCHES_AHEAD]))
                yield self._read(files, positions)
