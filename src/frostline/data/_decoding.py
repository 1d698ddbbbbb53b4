"""From an image file's bytes to RGB pixels: simplejpeg first, then Pillow for everything it rejects."""

from __future__ import annotations

import io
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from frostline.data._orientation import jpeg_orientation, turn_upright
from frostline.errors import DataError

__all__ = ["BadImageError", "Pixels", "decode_image"]

Pixels: TypeAlias = NDArray[np.uint8]  # [H, W, 3], RGB

# Pillow opens these by pixel size alone: 16 bits a pixel, whatever the byte order
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
# EPS would start Ghostscript on whatever the file says; the others are stubs that only recognise a file
NOT_DECODED_BY_PILLOW = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")


class BadImageError(DataError):
    """One image that can't be used; the message is the reason alone, without the image's name."""


def decode_image(data: bytes) -> Pixels:
    """Return the pixels of an encoded image as uint8 [H, W, 3] in RGB, rotated as its EXIF orientation says.

    Grey, palette and CMYK images become RGB; transparency is laid over white, as a viewer shows it; 16-bit samples
    are scaled from [0, 65535] to [0, 255]; of several frames the first counts. Colour profiles are not applied.
    The pixels do not depend on which of the two decoders read them.

    Args:
        data: the whole file, in any format that Pillow reads.

    Raises:
        BadImageError: the bytes are empty, truncated, damaged or no image, or have no fixed range (32-bit samples).
    """
    if not data:
        raise BadImageError("is empty (0 bytes)")
    if data[:3] == b"\xff\xd8\xff":
        pixels = _decode_jpeg(data)
        if pixels is not None:
            return pixels
    return _decode_with_pillow(data)


def _decode_jpeg(data: bytes) -> Pixels | None:
    """Return a JPEG's pixels, or None when Pillow should try: CMYK, recoverable errors, not a JPEG after all."""
    try:
        if simplejpeg.decode_jpeg_header(data)[2] not in ("YCbCr", "Gray", "RGB"):
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
    except ValueError:
        return None
    return turn_upright(pixels, jpeg_orientation(data))


def _decode_with_pillow(data: bytes) -> Pixels:
    """Return the pixels as Pillow reads them, or raise BadImageError with the reason."""
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            image.load()
            return _to_rgb(_upright(image))
    except BadImageError:
        raise
    except UnidentifiedImageError:
        raise BadImageError(f"is not an image (it starts with {_beginning(data)})") from None
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, zlib.error, IndexError, ...
        raise BadImageError(_reason(error)) from error


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats to try: all that Pillow decodes itself, without running other programs."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NOT_DECODED_BY_PILLOW))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are whole, only the EXIF block is damaged: viewers show such a file as it lies
        return image


def _to_rgb(image: Image.Image) -> Pixels:
    """Return uint8 [H, W, 3] for every mode Pillow can open."""
    if image.mode in SIXTEEN_BIT_MODES or image.mode == "I":
        return _from_integers(np.asarray(image).astype(np.int64))
    if image.mode == "F":
        raise BadImageError("has 32-bit float samples without a fixed range: convert it to 8 or 16 bits a sample")
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, layered)
    # a copy: the array must stay writable and alive after the file is closed
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _from_integers(values: NDArray[Any]) -> Pixels:
    """Return grey pixels [H, W, 3] from 16-bit samples [H, W]; Pillow opens some 16-bit files as 32-bit integers."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise BadImageError(f"has integer samples from {low} to {high}: convert it to 8 or 16 bits a sample")
    grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "truncated" in text.lower():
        return f"is truncated ({text})"
    return f"can't be decoded ({text})"


def _beginning(data: bytes) -> str:
    return repr(data[:12])[1:]
