"""The handwritten digits that ship with scikit-learn: 1,797 grey images of 8 by 8 pixels, ten classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from frostline.data._source import Source
from frostline.errors import MissingExtraError

if TYPE_CHECKING:
    from frostline.data._decoding import Pixels

__all__ = ["open_digits"]


def open_digits() -> Source:
    """Return the digits, their 17 levels of grey spread over [0, 255].

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError("scikit-learn", "starter", 'the data source "digits"') from None
    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # [N, 8, 8]

    def read(image: int) -> Pixels:
        return np.repeat(grey[image][:, :, None], 3, axis=2)

    return Source(
        classes=tuple(str(digit) for digit in range(10)),
        labels=digits.target.astype(np.int64),
        parts={"train": np.arange(len(grey), dtype=np.int64)},
        name=lambda image: f"digit {image}",
        open=lambda _: read,
    )
