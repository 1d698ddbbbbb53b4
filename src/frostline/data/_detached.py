"""A dataset that another process can be given: all that is known of the images, without their pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from frostline.data._dataset import Dataset

__all__ = ["detach", "is_detached"]


def detach(dataset: Dataset) -> Dataset:
    """Return the same dataset so that it can be pickled; who needs a pixel of it loads the images again."""
    for split in dataset.splits:
        dataset.names(split)
    detached = replace(dataset, read=_absent, name_of=_absent)
    # What was looked up of names goes along: predictions carry them.
    detached.__dict__["_names"] = dict(dataset.__dict__["_names"])
    return detached


def is_detached(dataset: Dataset) -> bool:
    """Tell whether a dataset has no pixels here."""
    return dataset.read is _absent


def _absent(image: int) -> NoReturn:
    raise LookupError(f"image {image}: a detached dataset has no pixels")
