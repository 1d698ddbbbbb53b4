"""Storing the rows of a pass in a background thread, while the next batches are computed."""

from __future__ import annotations

import itertools
import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.errors import FeatureError
from frostline.features._disk import disk_errors
from frostline.features._segments import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from frostline.features._format import RowFormat
    from frostline.features._segments import ImageIds

__all__ = ["Target", "Writing", "halve_rows"]

BATCHES_WAITING = 8
BYTES_WAITING = 128 * 1024 * 1024
"""What may wait to be written: enough to bridge an fsync, bounded where rows are large."""


@dataclass
class Target:
    """Where some tensors of each batch go: one folder, in new segments.

    Attributes:
        name: what the rows are of, for messages.
        folder, row_format: where they go, and what they are.
        ids: the images [N, 2] of the pass.
        missing: bool [N], those whose rows are still to be written.
        rows_per_segment: a segment ends with the batch that fills it.
        taken: the numbers of the segments that are there.
    """

    name: str
    folder: Path
    row_format: RowFormat
    ids: ImageIds = field(repr=False)
    missing: NDArray[np.bool_] = field(repr=False)
    rows_per_segment: int
    taken: set[int]
    writer: SegmentWriter | None = field(default=None, repr=False)

    @property
    def n_bytes_missing(self) -> int:
        """Bytes still to be written."""
        return int(self.missing.sum()) * sum(self.row_format.row_bytes)

    def store(self, positions: NDArray[np.int64], tensors: Sequence[NDArray[Any]]) -> None:
        """Write those rows of a batch that are missing; positions [B] and tensors [B, ...]."""
        wanted = self.missing[positions]
        if not wanted.any():
            return
        if self.writer is None:
            number = next(number for number in itertools.count() if number not in self.taken)
            self.taken.add(number)
            self.writer = SegmentWriter(self.folder, number, self.row_format)
        if not wanted.all():
            positions, tensors = positions[wanted], [rows[wanted] for rows in tensors]
        self.writer.append(self.ids[positions], [self._convert(rows) for rows in tensors])
        self.missing[positions] = False
        if self.writer.n_rows >= self.rows_per_segment or not self.missing.any():
            self.writer.finish()
            self.writer = None

    def _convert(self, rows: NDArray[Any]) -> NDArray[Any]:
        return halve_rows(rows, self.name) if self.row_format.dtype == "float16" else rows


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
        self._queue: queue.Queue[tuple[NDArray[np.int64], list[Sequence[NDArray[Any]]]] | None] = queue.Queue(waiting)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="frostline-writing", daemon=True)

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def put(self, positions: NDArray[np.int64], tensors: list[Sequence[NDArray[Any]]]) -> None:
        """Hand over one batch, positions [B]: for each target its tensors [B, ...]. Blocks when writing is behind."""
        self._check()
        self._queue.put((positions, tensors))

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
            positions, tensors = item
            try:
                missing = sum(target.n_bytes_missing for target in self._targets)
                with disk_errors(self._root, missing):
                    for target, rows in zip(self._targets, tensors, strict=True):
                        target.store(positions, rows)
            except BaseException as caught:  # handed to the thread that computes
                self._error = caught
        for target in self._targets:
            if target.writer is not None:
                target.writer.abandon()
                target.writer = None
