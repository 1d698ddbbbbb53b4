"""Storing the rows of a pass in a background thread, while the next batches are computed."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.errors import FeatureError
from frostline.features._disk import disk_errors
from frostline.features._shards import ShardWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from frostline.features._layout import Layout

__all__ = ["Target", "Writing", "halve_rows"]

BATCHES_WAITING = 8
BYTES_WAITING = 128 * 1024 * 1024
"""What may wait to be written: enough to bridge an fsync, bounded where rows are large."""


@dataclass
class Target:
    """Where some tensors of each batch go: one folder, of which some shards are still to be written."""

    name: str
    folder: Path
    layout: Layout
    shards: set[int]
    writer: ShardWriter | None = field(default=None, repr=False)

    @property
    def n_bytes_missing(self) -> int:
        """Bytes still to be written."""
        return sum(self.layout.rows(shard) for shard in self.shards) * sum(self.layout.row_bytes)

    def batches(self) -> set[int]:
        """Return the indices of the batches still to be computed."""
        return {batch for shard in self.shards for batch in self.layout.batches(shard)}

    def store(self, batch: int, tensors: Sequence[NDArray[Any]]) -> None:
        """Write one batch of rows when its shard is wanted; batches come in order."""
        shard = batch // self.layout.shard_batches
        if shard not in self.shards:
            return
        if self.writer is None:
            self.writer = ShardWriter(self.folder, self.layout, shard)
        self.writer.append([self._convert(rows) for rows in tensors])
        if batch == self.layout.batches(shard)[-1]:
            self.writer.finish()
            self.writer = None
            self.shards.discard(shard)

    def _convert(self, rows: NDArray[Any]) -> NDArray[Any]:
        return halve_rows(rows, self.name) if self.layout.dtype == "float16" else rows


def halve_rows(rows: NDArray[Any], name: str) -> NDArray[Any]:
    """Return rows in float16; FeatureError where it can't hold them, with the name of what they are of."""
    import torch

    narrow: NDArray[Any] = torch.from_numpy(rows).half().numpy()  # three times as fast as NumPy's
    if np.isinf(narrow).any() and np.isfinite(rows).all():
        raise FeatureError(
            f"{name}: activations reach {np.abs(rows).max():,.0f}, beyond the 65,504 that float16 can hold; "
            'use activations = "float32"'
        )
    return narrow


class Writing:
    """Writes batches to targets in the background; what fails is raised at the next ``put`` or at the end."""

    def __init__(self, root: Path, targets: Sequence[Target], batch_bytes: int) -> None:
        self._root, self._targets = root, targets
        waiting = min(BATCHES_WAITING, max(1, BYTES_WAITING // max(1, batch_bytes)))
        self._queue: queue.Queue[tuple[int, list[Sequence[NDArray[Any]]]] | None] = queue.Queue(waiting)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="frostline-writing", daemon=True)

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def put(self, batch: int, tensors: list[Sequence[NDArray[Any]]]) -> None:
        """Hand over one batch: for each target its tensors [B, ...]. Blocks when writing is behind."""
        self._check()
        self._queue.put((batch, tensors))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:  # what waits needn't be written any more
            self._error = self._error or error
        self._queue.put(None)
        self._thread.join()
        if kind is None:
            self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is not None:
                continue  # keep the queue moving, so that nobody waits for room in it
            batch, tensors = item
            try:
                missing = sum(target.n_bytes_missing for target in self._targets)
                with disk_errors(self._root, missing):
                    for target, rows in zip(self._targets, tensors, strict=True):
                        target.store(batch, rows)
            except BaseException as caught:  # handed to the thread that computes
                self._error = caught
        for target in self._targets:
            if target.writer is not None:
                target.writer.abandon()
                target.writer = None
