"""Images that someone gives: files, Pillow images or arrays, as a network's input."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from frostline.data._decoding import decode_image
from frostline.data._preprocessing import Preprocessing, preprocess_image
from frostline.data._workers import map_in_threads
from frostline.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.data._decoding import Pixels

__all__ = ["ImageLike", "read_images"]

ImageLike: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[Any]
"""A file, a Pillow image, or pixels, uint8 [H, W, 3] in RGB."""


def read_images(images: Sequence[ImageLike], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return images as uint8 [N, 3, S, S], decoded in threads in the way of a study's images.

    Raises:
        DataError: an image can't be read, or an array isn't uint8 [H, W, 3]; names it.
    """
    size = preprocessing.image_size
    result = np.empty((len(images), 3, size, size), dtype=np.uint8)

    def fill(row: int) -> None:
        pixels = _pixels(images[row], row)
        result[row] = preprocess_image(pixels, preprocessing).transpose(2, 0, 1)

    map_in_threads(fill, range(len(images)))
    return result


def _pixels(image: ImageLike, number: int) -> Pixels:
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            shape = list(image.shape)
            raise DataError(f"image {number} is an array {image.dtype} {shape}: uint8 [H, W, 3] is needed, in RGB")
        return image
    name = f"image {number}" if isinstance(image, Image.Image) else os.fspath(image)
    try:
        return decode_image(_as_png(image) if isinstance(image, Image.Image) else Path(image).read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{name} does not exist") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{name}: {error}") from error


def _as_png(image: Image.Image) -> bytes:
    """Return a Pillow image as a file, so that its mode and transparency are handled as those of any other."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=0, exif=image.getexif())
    return buffer.getvalue()
