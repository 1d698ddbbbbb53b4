"""Stored rows, read in random batches through memory maps with read-ahead."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.errors import FeatureError
from frostline.features._ahead import iterate_ahead
from frostline.features._layout import Layout, tensor_path
from frostline.features._shards import check_shard

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from frostline.features._locks import UseMark

__all__ = ["Features"]

ADVISED_ROW_BYTES = 16 * 1024
"""Rows from this size on are asked for one by one ahead of reading; smaller ones with their whole shard."""

BATCHES_AHEAD = 3
"""Batches whose pages are asked for before the one being copied, so that the disk works while memory does."""


class Features:
    """The rows of one specification, complete and checked.

    Attributes:
        n: number of rows, N.
        shapes: one row's tensors, without the batch.
        dtype: as stored; ``float16`` is read as float32.
        n_bytes: bytes on disk.
    """

    def __init__(self, folder: Path, layout: Layout, mark: UseMark | None = None) -> None:
        self.n, self.shapes, self.dtype, self.n_bytes = layout.n, layout.shapes, layout.dtype, layout.n_bytes
        self._folder, self._layout, self._mark = folder, layout, mark
        self._maps = [self._map(shard) for shard in range(layout.n_shards)]
        self._rows = [
            [
                np.frombuffer(mapped, layout.dtype).reshape(layout.rows(shard), *shape)
                for mapped, shape in zip(maps, layout.shapes, strict=True)
            ]
            for shard, maps in enumerate(self._maps)
        ]

    def _map(self, shard: int) -> list[mmap.mmap]:
        maps = []
        for tensor in range(len(self.shapes)):
            path = tensor_path(self._folder, shard, tensor)
            try:
                with path.open("rb") as file:
                    maps.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except (OSError, ValueError) as error:
                raise FeatureError(f"stored rows can't be read: {path}: {error}") from error
        return maps

    def read(self, positions: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Return the rows at some positions.

        Args:
            positions: int64 [B], each in [0, N), in any order, repeats allowed.

        Returns:
            One new array [B, ...] for each tensor, float32 or (at the cut ``input``) uint8; B = 0 gives empty arrays.

        Raises:
            IndexError: a position is outside [0, N).
        """
        shards, offsets = self._locate(positions)
        dtype = np.float32 if self.dtype == "float16" else np.dtype(self.dtype)
        result = tuple(np.empty((len(positions), *shape), dtype) for shape in self.shapes)
        # One gather for each shard touched, whatever the order of the positions.
        order = np.argsort(shards, kind="stable")
        bounds = np.flatnonzero(np.diff(shards[order])) + 1
        for places in np.split(order, bounds) if len(order) else ():
            for rows, target in zip(self._rows[int(shards[places[0]])], result, strict=True):
                target[places] = rows[offsets[places]]
        return result

    def batches(self, order: Sequence[NDArray[np.int64]]) -> Generator[tuple[NDArray[Any], ...]]:
        """Yield the rows of each batch of positions in turn, read ahead in a background thread."""
        return iterate_ahead(self._read_advised(order), depth=2)

    def verify(self) -> tuple[str, ...]:
        """Return what is wrong with the bytes on disk, shard by shard; empty when every one is as it was written."""
        faults = ((shard, check_shard(self._folder, self._layout, shard)) for shard in range(self._layout.n_shards))
        return tuple(f"shard {shard}: {fault}" for shard, fault in faults if fault is not None)

    def close(self) -> None:
        """Give the rows free for pruning; arrays that were read stay valid."""
        if self._mark is not None:
            self._mark.close()

    def _locate(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if len(positions) and not (positions.min() >= 0 and positions.max() < self.n):
            raise IndexError(f"positions must be in [0, {self.n}), got {positions.min()} to {positions.max()}")
        shards, offsets = np.divmod(positions, self._layout.rows_per_shard)
        return shards, offsets

    def _read_advised(self, order: Sequence[NDArray[np.int64]]) -> Iterator[tuple[NDArray[Any], ...]]:
        if sum(self._layout.row_bytes) < ADVISED_ROW_BYTES:
            for maps in self._maps:
                for mapped in maps:
                    _advise(mapped, 0, len(mapped))
        for positions in order[:BATCHES_AHEAD]:
            self._advise_rows(positions)
        for index, positions in enumerate(order):
            if index + BATCHES_AHEAD < len(order):
                self._advise_rows(order[index + BATCHES_AHEAD])
            yield self.read(positions)

    def _advise_rows(self, positions: NDArray[np.int64]) -> None:
        shards, offsets = self._locate(positions)
        for tensor, n_bytes in enumerate(self._layout.row_bytes):
            if n_bytes < ADVISED_ROW_BYTES:
                continue
            for shard, offset in zip(shards.tolist(), offsets.tolist(), strict=True):
                _advise(self._maps[shard][tensor], offset * n_bytes, n_bytes)


def _advise(mapped: mmap.mmap, start: int, n_bytes: int) -> None:
    if hasattr(mmap, "MADV_WILLNEED"):
        aligned = start - start % mmap.PAGESIZE
        mapped.madvise(mmap.MADV_WILLNEED, aligned, start + n_bytes - aligned)
