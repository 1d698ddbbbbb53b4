"""What a study uses of its data: images by split and class, how they were read, and what was left out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from frostline.data._dataset import Dataset

__all__ = ["DataSummary", "summarise_data"]


@dataclass(frozen=True)
class DataSummary:
    """What a dataset comes to, as plain data.

    Attributes:
        source, path: where the images come from.
        classes: K class names.
        train, val, test: images of each class, [K].
        imbalance: how many images of train the largest class has for each one of the smallest; 1 where all are equal.
        majority: the share of val that the largest class of train makes up, in [0, 1]: the accuracy of always
            answering it.
        n_skipped: images and other items left out because they can't be used.
        ignored: how many files and folders were passed over, for each reason.
        notes: how the data were read, where that could have been otherwise, and what isn't used.
    """

    source: str
    path: str | None
    classes: tuple[str, ...]
    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    imbalance: float
    majority: float
    n_skipped: int
    ignored: dict[str, int]
    notes: tuple[str, ...]

    @property
    def n_images(self) -> int:
        """Images of all splits."""
        return sum(self.train) + sum(self.val) + sum(self.test)

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON can hold it."""
        return asdict(self)


def summarise_data(dataset: Dataset) -> DataSummary:
    """Return what a study uses; of classes that are equally large, the first counts as the largest."""
    n_classes = len(dataset.classes)
    train, val, test = (np.bincount(split.labels, minlength=n_classes).tolist() for split in dataset.splits)
    largest = int(np.argmax(train))
    return DataSummary(
        source=str(dataset.source["source"]),
        path=dataset.source["path"],
        classes=dataset.classes,
        train=tuple(train),
        val=tuple(val),
        test=tuple(test),
        imbalance=max(train) / max(min(train), 1),
        majority=val[largest] / max(sum(val), 1),
        n_skipped=len(dataset.skipped),
        ignored=dataset.ignored,
        notes=dataset.notes,
    )
