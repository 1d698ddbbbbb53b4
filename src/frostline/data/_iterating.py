"""Batches of images, decoded ahead in a background thread while the last batch is used."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from frostline.data._preprocessing import Preprocessing, load_images
from frostline.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from frostline.data._dataset import Dataset, Split
    from frostline.data._views import View

__all__ = ["iterate_images"]


def iterate_images(
    dataset: Dataset,
    split: Split | str,
    batches: Iterable[NDArray[np.int64]],
    preprocessing: Preprocessing,
    view: View | None = None,
    *,
    ahead: int = 2,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield (positions [B], images uint8 [B, 3, S, S]) for each batch, in order, decoding ``ahead`` batches ahead.

    An error of one image is raised where its batch is due. Leaving the loop early stops the decoding.

    Args:
        dataset, split, preprocessing, view: as for load_images.
        batches: arrays of positions in the split; may be a generator, which is read ``ahead`` batches ahead.
        ahead: how many batches are held ready, at least 1.

    Raises:
        DataError: ahead is below 1, or an image vanished or changed.
    """
    if ahead < 1:
        raise DataError(f"ahead = {ahead}: at least one batch must be decoded ahead")
    return _iterate(dataset, split, iter(batches), preprocessing, view, ahead)


def _iterate(
    dataset: Dataset,
    split: Split | str,
    batches: Iterator[NDArray[np.int64]],
    preprocessing: Preprocessing,
    view: View | None,
    ahead: int,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    pending: deque[tuple[NDArray[np.int64], Future[NDArray[np.uint8]]]] = deque()
    # one thread keeps the order; load_images itself spreads each batch over all cores
    background = ThreadPoolExecutor(1, thread_name_prefix="frostline-ahead")
    try:
        for positions in batches:
            loading = background.submit(load_images, dataset, split, positions, preprocessing, view)
            pending.append((positions, loading))
            if len(pending) > ahead:
                due, images = pending.popleft()
                yield due, images.result()
        while pending:
            due, images = pending.popleft()
            yield due, images.result()
    finally:
        background.shutdown(wait=True, cancel_futures=True)
