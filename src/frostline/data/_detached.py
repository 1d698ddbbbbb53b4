"""A dataset that another process can be given: all that is known of the images, without their pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from frostline.data._dataset import Dataset

__all__ = ["detach"]


def detach(dataset: Dataset) -> Dataset:
    """Return the same dataset so that it can be pickled; who needs a pixel of it loads the images again."""
    named = (pair for split in dataset.splits for pair in zip(split.ids.tolist(), dataset.names(split), strict=True))
    return replace(dataset, read=_absent, name_of=dict(named).__getitem__)


def _absent(image: int) -> NoReturn:
    raise LookupError(f"image {image}: a detached dataset has no pixels")
