"""What every source of images offers before anything is chosen from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from frostline.data._decoding import Pixels

if TYPE_CHECKING:
    from pathlib import Path

    from frostline.data._dataset import Skipped

__all__ = ["SPLIT_NAMES", "Ids", "ImageSource", "Reader"]

Ids: TypeAlias = NDArray[np.int64]
Reader: TypeAlias = Callable[[int], Pixels]

SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class ImageSource:
    """All images of a source; an image's id is its position in ``labels``.

    Attributes:
        classes: K class names, in the order of the labels.
        labels: int64 [N] in [0, K), or -1 for an image that can't be used, which no part lists.
        parts: the ids of each split that the source has itself; ``train`` is always there.
        name: the name of an image, as a person would look for it.
        open: returns the reader of the chosen ids; a reader raises BadImageError and OSError.
        files: returns the files that hold the chosen ids; none where there is nothing to decode.
        faults: what can't be used and was noticed before decoding anything.
        ignored: how many files and folders were passed over, for each reason.
        notes: how the data were read, where that could have been otherwise, and what isn't used.
        warnings: what a person should know before trusting a result.
    """

    classes: tuple[str, ...]
    labels: Ids
    parts: dict[str, Ids]
    name: Callable[[int], str]
    open: Callable[[Ids], Reader]
    files: Callable[[Ids], Sequence[Path]] = field(default=lambda ids: ())
    faults: tuple[Skipped, ...] = field(default=())
    ignored: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())
