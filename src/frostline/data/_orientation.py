"""How an image is to be turned, by its EXIF or XMP; read without Pillow, which warns about every damaged EXIF block."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import numpy as np

from frostline.data._tiff import TiffImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["image_orientation", "jpeg_orientation", "turn_upright"]

EXIF = b"Exif\x00\x00"
XMP = b"http://ns.adobe.com/xap/1.0/\x00"
ORIENTATION_TAG = 0x0112
APP1, START_OF_SCAN = 0xE1, 0xDA
SMALL = 4096
INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # by EXIF type; SHORT by the standard, others in files
# an attribute or an element; XMP specification part 2, 2.11
IN_XMP = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|\s*>)\s*([1-8])\s*["'<]""")


def jpeg_orientation(data: bytes) -> int:
    """Return the orientation of a JPEG, 1 to 8: that of its EXIF, else of its XMP, else 1 (upright)."""
    if len(data) < SMALL and b"\xff\xe1" not in data:  # no APP1 at all: in a tiny file, quicker than a walk
        return 1
    exif = xmp = b""
    for segment in _app1_segments(data):
        if segment.startswith(EXIF):
            exif = exif or segment[len(EXIF) :]
        elif segment.startswith(XMP):
            xmp = xmp or segment[len(XMP) :]
    return _orientation(exif, xmp)


def image_orientation(image: Image) -> int:
    """Return the orientation of an image that Pillow has decoded, which is still to be applied."""
    if isinstance(image, TiffImage):
        return 1  # Pillow has turned it
    exif = image.info.get("exif", b"")
    if not exif and "Raw profile type exif" in image.info:
        exif = _from_profile(image.info["Raw profile type exif"])
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return _orientation(_as_bytes(exif).removeprefix(EXIF), _as_bytes(xmp))


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return an image [H, W, 3] as its orientation (EXIF 2.32, tag 274) wants it shown; contiguous."""
    if orientation >= 5:  # rows and columns change places first
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _app1_segments(data: bytes) -> Iterator[bytes]:
    """Yield a JPEG's APP1 segments, which hold EXIF and XMP, up to its pixels."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != START_OF_SCAN:
        if data[place + 1] == 0xFF:  # padding before a marker is allowed
            place += 1
            continue
        length = (data[place + 2] << 8) | data[place + 3]
        if data[place + 1] == APP1:
            yield data[place + 4 : place + 2 + length]
        place += 2 + length


def _orientation(exif: bytes, xmp: bytes) -> int:
    """Return the orientation from a TIFF structure, else from an XMP packet, else 1."""
    try:
        found = _in_exif(exif) if exif else None
    except struct.error:  # a damaged block
        found = None
    if found is None and xmp:
        match = IN_XMP.search(xmp)
        found = int(match[1]) if match else None
    return found or 1


def _in_exif(block: bytes) -> int | None:
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return None
    first = struct.unpack_from(order + "I", block, 4)[0]
    for entry in range(struct.unpack_from(order + "H", block, first)[0]):
        place = first + 2 + 12 * entry
        tag, kind = struct.unpack_from(order + "HH", block, place)
        if tag == ORIENTATION_TAG:
            value = struct.unpack_from(order + INTEGERS.get(kind, "H"), block, place + 8)[0]
            return int(value) if 1 <= value <= 8 else None
    return None


def _from_profile(text: str) -> bytes:
    """Return the EXIF that ImageMagick writes into a PNG: hexadecimal lines after two others."""
    try:
        return bytes.fromhex("".join(str(text).split("\n")[3:]))
    except ValueError:
        return b""


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
