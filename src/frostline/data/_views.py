"""Augmented views: view v of an image is a function of a seed, the image's content and v, and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from frostline.errors import DataError
from frostline.streams import numpy_stream

if TYPE_CHECKING:
    from frostline.data._decoding import Pixels

__all__ = ["View", "augment_image"]


@dataclass(frozen=True)
class View:
    """One of the augmented views of every image.

    Attributes:
        augmentation: ``flip`` mirrors left and right with probability 1/2; ``crop-flip`` also shifts by up to an
            eighth of the size each way, mirroring what lies outside.
        seed: of the recipe.
        index: which view, from 0; fresh augmentation counts on with every epoch.

    Raises:
        DataError: the augmentation is unknown or the index negative.
    """

    augmentation: Literal["flip", "crop-flip"]
    seed: int
    index: int

    def __post_init__(self) -> None:
        if self.augmentation not in ("flip", "crop-flip"):
            raise DataError(f'augmentation "{self.augmentation}" has no views: "flip" and "crop-flip" have')
        if self.index < 0:
            raise DataError(f"view {self.index} does not exist: views count from 0")


def augment_image(image: Pixels, view: View, digest: str) -> Pixels:
    """Return the view of a preprocessed image, uint8 [S, S, 3] to the same shape (possibly a strided view of it).

    ``digest`` is that of the image's content, hex of at least 32 digits: an image has the same views wherever it lies.

    The crop is that of Krizhevsky et al. 2012 (section 4.1) in the padded form of He et al. 2016 (section 4.2):
    S // 8 pixels on each side, reflected rather than black.
    """
    stream = numpy_stream("view", view.seed, int(digest[:32], 16), view.index)
    flipped = bool(stream.integers(2))  # drawn first, so both augmentations flip the same images
    if view.augmentation == "crop-flip":
        size = image.shape[0]
        padding = size // 8
        top, left = stream.integers(0, 2 * padding + 1, size=2)
        image = image[_reflected(size, int(top) - padding)][:, _reflected(size, int(left) - padding)]
    return image[:, ::-1] if flipped else image


def _reflected(size: int, shift: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the ``size`` indices from ``shift`` on, reflected at both edges without repeating the edge."""
    indices = np.abs(np.arange(shift, shift + size))
    return np.where(indices < size, indices, 2 * (size - 1) - indices)
