"""From an image as Pillow decoded it, in any of its modes, to RGB pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from frostline.data._pixels import BadImageError, Pixels
from frostline.data._tiff import TiffImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["to_rgb"]

# 16 bits a pixel, whatever the byte order
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
# the formats whose 16-bit samples are unsigned and reach from black to white; others store measurements
FIXED_RANGE = ("TIFF", "PNG", "PPM", "JPEG2000", "ICO", "ICNS")
ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
REMEDY = "convert it to 8 or 16 bits a sample"


def to_rgb(image: Image.Image, png_depth: int | None = None) -> Pixels:
    """Return uint8 [H, W, 3] for every mode that Pillow can open; transparency is laid over white.

    Args:
        image: a decoded image.
        png_depth: the bits of a sample in a PNG file.

    Raises:
        BadImageError: the samples have no fixed range, or can't be told from the transparent colour.
    """
    clear = image.info.get("transparency")
    if png_depth is not None and clear is not None:
        clear = _transparent_colour(image.mode, clear, png_depth)
    if image.mode in SIXTEEN_BIT_MODES or image.mode == "I":
        return _from_deep_grey(image, clear)
    if image.mode == "F":
        raise BadImageError(f"has 32-bit float samples without a fixed range: {REMEDY}")
    if image.mode in ALPHA_MODES or clear is not None:
        if clear is not None:
            image.info["transparency"] = clear
        layered = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, layered)
    # a copy: the array must stay writable and alive after the file is closed
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _transparent_colour(mode: str, clear: Any, depth: int) -> Any:
    """Return a PNG's transparent colour in the units of Pillow's samples: it widens these to 8 bits, but not that."""
    if mode == "L":
        return (int(clear) & ((1 << depth) - 1)) * 255 // ((1 << depth) - 1)
    if mode == "RGB" and depth == 16:
        raise BadImageError("is a 16-bit RGB image with a transparent colour: convert it to 8 bits a sample")
    return clear


def _from_deep_grey(image: Image.Image, clear: int | None) -> Pixels:
    """Return grey pixels [H, W, 3] from 16-bit samples [H, W]; Pillow opens some 16-bit files as 32-bit integers."""
    if image.format not in FIXED_RANGE:
        raise BadImageError(f"has samples of more than 8 bits without a fixed range ({image.format}): {REMEDY}")
    values: NDArray[np.int32] = np.asarray(image).astype(np.int32)  # holds 65,535 times 255
    full_scale = image.full_scale if isinstance(image, TiffImage) else 65535
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > full_scale:
        raise BadImageError(f"has samples from {low} to {high}: {REMEDY}")
    grey = ((values * 255 + full_scale // 2) // full_scale).astype(np.uint8)
    if isinstance(image, TiffImage) and image.white_is_zero:
        grey = 255 - grey
    if clear is not None:
        grey[values == clear] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)
