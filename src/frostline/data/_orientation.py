"""The EXIF orientation of JPEG files, read without Pillow, which warns about every damaged EXIF block."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["jpeg_orientation", "turn_upright"]

EXIF = b"Exif\x00\x00"
ORIENTATION_TAG = 0x0112
APP1, START_OF_SCAN = 0xE1, 0xDA


def jpeg_orientation(data: bytes) -> int:
    """Return the EXIF orientation of a JPEG, 1 to 8; 1 (upright) where there is none or the block is damaged."""
    if EXIF not in data[:65536]:
        return 1
    try:
        block = _exif_block(data)
        return _orientation(block) if block else 1
    except (struct.error, IndexError):
        return 1


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return an image [H, W, 3] as its orientation (EXIF 2.32, tag 274) wants it shown; contiguous."""
    if orientation >= 5:  # rows and columns change places first
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _exif_block(data: bytes) -> bytes:
    """Return the TIFF structure inside the first EXIF segment, empty where there is none."""
    place = 2
    while data[place] == 0xFF and data[place + 1] != START_OF_SCAN:
        if data[place + 1] == 0xFF:  # padding before a marker is allowed
            place += 1
            continue
        marker, length = data[place + 1], struct.unpack_from(">H", data, place + 2)[0]
        if marker == APP1 and data[place + 4 : place + 10] == EXIF:
            return data[place + 10 : place + 2 + length]
        place += 2 + length
    return b""


def _orientation(block: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    first = struct.unpack_from(order + "I", block, 4)[0]
    for entry in range(struct.unpack_from(order + "H", block, first)[0]):
        tag, _, _, value = struct.unpack_from(order + "HHIH", block, first + 2 + 12 * entry)
        if tag == ORIENTATION_TAG:
            return int(value) if 1 <= value <= 8 else 1
    return 1
