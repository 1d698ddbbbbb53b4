"""Where the row of each image is, among the segments of a folder."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from frostline.features._segments import ImageIds, Segment

__all__ = ["Index", "first_of_each"]


class Index:
    """The rows of some segments, found by image.

    Attributes:
        segments: whose rows these are.
        segment: int64 [M], for each row the number of its segment.
        offset: int64 [M], and its place there.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = tuple(segments)
        sizes = [len(segment.ids) for segment in segments]
        numbers = np.array([segment.number for segment in segments], dtype=np.int64)
        self.segment = np.repeat(numbers, sizes)
        self.offset = np.concatenate([np.arange(size, dtype=np.int64) for size in sizes] or [np.empty(0, np.int64)])

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
        """Both halves of all names, [M], in the order of the first, and which row each is of."""
        ids = np.concatenate([segment.ids for segment in self.segments] or [np.empty((0, 2), np.uint64)])
        order = np.argsort(ids[:, 0], kind="stable")
        return ids[order, 0], ids[order, 1], order

    def locate(self, ids: ImageIds) -> NDArray[np.int64]:
        """Return for each image, [N, 2], which of the M rows is its own; -1 where none is. Of several, the first."""
        first, second, order = self._sorted
        found = np.full(len(ids), -1, dtype=np.int64)
        # Looked up in order, which is several times as fast as at random.
        left = np.argsort(ids[:, 0], kind="stable")
        at = np.empty(len(ids), dtype=np.int64)
        at[left] = np.searchsorted(first, ids[left, 0])
        # Names that share their first half, which chance alone never makes, are next to each other.
        while len(left):
            left = left[at[left] < len(first)]
            left = left[first[at[left]] == ids[left, 0]]
            same = second[at[left]] == ids[left, 1]
            found[left[same]] = order[at[left[same]]]
            left = left[~same]
            at[left] += 1
        return found


def first_of_each(ids: ImageIds, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions at which an image appears for the first time, in order: exact copies have one row."""
    chosen = ids[positions]
    order = np.lexsort((chosen[:, 1], chosen[:, 0]))  # stable: equal images stay in the order of their positions
    differs = np.ones(len(order), dtype=np.bool_)
    differs[1:] = (chosen[order[1:]] != chosen[order[:-1]]).any(axis=1)
    return positions[np.sort(order[differs])]
