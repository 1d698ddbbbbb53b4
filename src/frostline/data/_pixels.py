"""What decoding an image gives: its RGB pixels, or the reason why there are none."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from frostline.errors import DataError

__all__ = ["BadImageError", "Pixels", "check_size"]

Pixels: TypeAlias = NDArray[np.uint8]  # [H, W, 3], RGB

# half a gigabyte once decoded; Pillow refuses more, and so do all formats here
MOST_PIXELS = 178_956_970


class BadImageError(DataError):
    """One image that can't be used; the message is the reason alone, without the image's name."""


def check_size(width: int, height: int) -> None:
    """Raise BadImageError for an image that is too large to decode, of whatever format."""
    if width * height > MOST_PIXELS:
        raise BadImageError(
            f"has {width:,} by {height:,} pixels, and at most {MOST_PIXELS:,} in all are decoded: make it smaller"
        )
