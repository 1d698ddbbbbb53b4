"""The handwritten digits that ship with scikit-learn: 1,797 grey images of 8 by 8 pixels, ten classes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frostline.data._source import ImageSource
from frostline.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy.typing as npt

    from frostline.data._decoding import Pixels

__all__ = ["open_digits"]

FILE = "datasets/data/digits.csv.gz"
"""Where scikit-learn keeps the digits; not part of what it promises."""


def open_digits() -> ImageSource:
    """Return the digits, their 17 levels of grey spread over [0, 255].

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    grey, labels = _load_digits()

    def read(image: int) -> Pixels:
        return np.repeat(grey[image][:, :, None], 3, axis=2)

    return ImageSource(
        classes=tuple(str(digit) for digit in range(10)),
        labels=labels,
        parts={"train": np.arange(len(grey), dtype=np.int64)},
        name=lambda image: f"digit {image}",
        open=lambda _: read,
    )


def _load_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the images [N, 8, 8] and their labels [N], as `sklearn.datasets.load_digits` does.

    Importing scikit-learn takes seconds, most of a plan's time, so its file is read directly where it is known to be: a
    row for each digit, of 64 levels and the label.
    """
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise MissingExtraError("scikit-learn", "starter", 'the data source "digits"')
    file = Path(spec.origin).parent / FILE
    if file.exists():
        table = np.loadtxt(file, delimiter=",")  # [N, 65]
        levels, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    else:
        from sklearn.datasets import load_digits

        levels, labels = (digits := load_digits()).images, digits.target
    return np.rint(levels * (255 / 16)).astype(np.uint8), labels.astype(np.int64)
