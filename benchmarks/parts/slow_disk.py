"""A disk that takes only so many bytes a second, for trying what a plan makes of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from frostline.features._segments import SegmentWriter
from frostline.machine import _timing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from frostline.features._segments import ImageIds

__all__ = ["slow_disk"]


def slow_disk(rate: float) -> None:
    """Hold back whatever is written for stored rows in this process, and what measures how fast that is."""
    append, measure = SegmentWriter.append, _timing.store_rate

    def slowly(writer: SegmentWriter, ids: ImageIds, tensors: Sequence[NDArray[Any]]) -> None:
        append(writer, ids, tensors)
        time.sleep(sum(each.nbytes for each in tensors) / rate)

    SegmentWriter.append = slowly  # type: ignore[method-assign, assignment]
    _timing.store_rate = lambda: min(rate, measure())
