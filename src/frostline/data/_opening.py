"""Which format an image's bytes are in, and Pillow's image of them."""

from __future__ import annotations

import io
import struct
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image

from frostline.data._pixels import BadImageError, check_size
from frostline.data._plugins import PLUGIN_SUFFIXES, open_with_plugin
from frostline.data._tiff import TiffImage

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["image_suffixes", "open_image"]

# EPS would start Ghostscript on whatever the file says; the others are stubs that only recognise a file
NOT_DECODED_BY_PILLOW = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
NOT_OF_THIS_FORMAT = (SyntaxError, IndexError, TypeError, struct.error)  # what Image.open takes for that, too
LFS_POINTER = b"version https://git-lfs"


def open_image(data: bytes) -> ImageFile:
    """Return an encoded image as Pillow opens it, its pixels not yet decoded.

    As ``Image.open``, but without its warnings (of images that are large, but not too large), with the same limit on
    pixels for all formats, and with the reason where a file is of a known format but can't be read.

    Raises:
        BadImageError: no format that can be decoded, or too many pixels.
    """
    image = _open_with_pillow(data)
    check_size(*image.size)
    return image


def _open_with_pillow(data: bytes) -> ImageFile:
    reasons = []
    for name in _formats():
        factory, accept = Image.OPEN[name]
        accepted = accept(data[:16]) if accept else True
        if not accepted or isinstance(accepted, str):  # a text says that Pillow was built without this format
            continue
        try:
            return TiffImage(io.BytesIO(data)) if name == "TIFF" else factory(io.BytesIO(data), "")
        except NOT_OF_THIS_FORMAT as error:
            if accept:  # the others find out only by trying
                reasons.append(f"as {name}: {error}")
    image = open_with_plugin(data)
    if image is not None:
        return image
    if reasons:
        raise BadImageError(f"can't be decoded ({reasons[0]})")
    if data.startswith(LFS_POINTER):
        raise BadImageError("is a pointer to a file that Git LFS hasn't fetched: run git lfs pull")
    raise BadImageError(f"is not an image (it starts with {repr(data[:12])[1:]})")


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats to try: all that Pillow decodes itself, without running other programs; clear ones first."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NOT_DECODED_BY_PILLOW, key=lambda name: (Image.OPEN[name][1] is None, name)))


@cache
def image_suffixes() -> frozenset[str]:
    """Return the endings of file names, in lower case, that promise an image, whether or not it can be decoded here."""
    Image.init()
    return PLUGIN_SUFFIXES.union(Image.registered_extensions())
