"""The order in which images are seen: a function of seed and epoch alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from frostline.streams import numpy_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["batch_order", "batches_in_order"]


def batch_order(seed: int, epoch: int, n: int, batch_size: int) -> list[NDArray[np.int64]]:
    """Return the positions of each batch of an epoch (0-based, counted over all phases), every image once.

    A last batch of one image joins the batch before it: BatchNorm has no variance to take from one image.
    """
    return _split(numpy_stream("batch order", seed, epoch).permutation(n), batch_size)


def batches_in_order(n: int, batch_size: int) -> list[NDArray[np.int64]]:
    """Return the positions 0 .. n - 1 in batches, for evaluation."""
    return _split(np.arange(n), batch_size)


def _split(positions: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    starts = list(range(0, len(positions), batch_size))
    if batch_size > 1 and len(starts) > 1 and len(positions) - starts[-1] == 1:
        starts.pop()
    ends = [*starts[1:], len(positions)]
    return [positions[start:end] for start, end in zip(starts, ends, strict=True)]
