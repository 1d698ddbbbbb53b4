"""From decoded images to a network's input: antialiased uint8 resize, centre crop, view, normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from frostline.data._views import View, augment_image
from frostline.data._workers import map_in_threads
from frostline.errors import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from frostline.data._dataset import Dataset, Split
    from frostline.data._decoding import Pixels

__all__ = ["Preprocessing", "load_images", "normalise", "preprocess_image"]

INTERPOLATIONS = ("bilinear", "bicubic", "nearest")
# beyond this ratio of the sides the far ends are cut off before resizing: they never reach the centre crop, and
# a picture of 1 by 5,000 pixels would need gigabytes
LONGEST_TO_SHORTEST = 8


@dataclass(frozen=True)
class Preprocessing:
    """What the weights' own recipe does to an image: its short side becomes ``image_size``, then a centre crop.

    Attributes:
        image_size: S, pixels.
        interpolation: of the resize; antialiased, except ``nearest``.
        mean, std: of each channel, in units of [0, 1].

    Raises:
        DataError: a size below 1, an unknown interpolation, a std that isn't above 0.
    """

    image_size: int
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise DataError(f"image_size = {self.image_size}: must be at least 1 pixel")
        if self.interpolation not in INTERPOLATIONS:
            hint = closest(self.interpolation, INTERPOLATIONS)
            raise DataError(
                f'interpolation "{self.interpolation}" is unknown: it must be one of {", ".join(INTERPOLATIONS)}{hint}'
            )
        if len(self.mean) != 3 or len(self.std) != 3 or not all(value > 0 for value in self.std):
            raise DataError(f"mean = {self.mean}, std = {self.std}: three values each, std above 0")


def preprocess_image(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """Return a decoded image, uint8 [H, W, 3], as uint8 [S, S, 3]: resized by torchvision v2 and cropped.

    An image is resized by itself, so the pixels can't depend on the batch it is in.
    """
    import torch
    from torchvision.transforms.v2 import InterpolationMode, functional

    size = preprocessing.image_size
    pixels = _within_ratio(pixels)
    height, width = pixels.shape[:2]
    if (height, width) == (size, size):
        return pixels
    # a strided [3, H, W] view: torchvision's uint8 kernel is fastest with channels last in memory
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
    if min(height, width) != size:
        mode = InterpolationMode(preprocessing.interpolation)
        image = functional.resize(image, [size], interpolation=mode, antialias=preprocessing.interpolation != "nearest")
    if image.shape[1] != image.shape[2]:
        image = functional.center_crop(image, [size, size])
    result: Pixels = image.permute(1, 2, 0).numpy()
    return result


def load_images(
    dataset: Dataset,
    split: Split | str,
    positions: Sequence[int] | NDArray[np.int64],
    preprocessing: Preprocessing,
    view: View | None = None,
) -> NDArray[np.uint8]:
    """Return images of a split as uint8 [B, 3, S, S], contiguous, decoded in threads.

    Row b depends on image ``positions[b]``, the preprocessing and the view only: not on the other rows, their order
    or the number of threads. No positions give [0, 3, S, S].

    Args:
        dataset: where the images are.
        split: one of its splits, or a split's name.
        positions: [B], positions in the split (not ids), repeated at will.
        preprocessing: the backbone's.
        view: an augmented view, or None for the image as it is.

    Raises:
        DataError: an image vanished or changed since the dataset was loaded; names it.
    """
    chosen = dataset.split(split) if isinstance(split, str) else split
    size = preprocessing.image_size
    images = np.empty((len(positions), 3, size, size), dtype=np.uint8)

    def fill(row: int) -> None:
        position = int(positions[row])
        image = preprocess_image(dataset.pixels(chosen, position), preprocessing)
        if view is not None:
            image = augment_image(image, view, chosen.digests[position])
        images[row] = image.transpose(2, 0, 1)

    map_in_threads(fill, range(len(positions)))
    return images


def normalise(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Return ``(images / 255 - mean) / std`` as float32 [B, 3, H, W] on the images' device.

    Args:
        images: uint8 [B, 3, H, W].
        preprocessing: whose mean and std are used.

    Raises:
        DataError: the images aren't uint8 [B, 3, H, W].
    """
    import torch

    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"images are {images.dtype} {list(images.shape)}: uint8 [B, 3, H, W] is needed")

    def channels(values: tuple[float, float, float]) -> Any:
        return torch.tensor(values, dtype=torch.float32, device=images.device).view(1, 3, 1, 1)

    return images.to(torch.float32).div_(255.0).sub_(channels(preprocessing.mean)).div_(channels(preprocessing.std))


def _within_ratio(pixels: Pixels) -> Pixels:
    """Return the middle of an extremely long image, at most LONGEST_TO_SHORTEST times as long as it is short."""
    height, width = pixels.shape[:2]
    longest = LONGEST_TO_SHORTEST * min(height, width)
    if max(height, width) <= longest:
        return pixels
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    return pixels[top : top + longest, left : left + longest]
