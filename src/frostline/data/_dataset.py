"""The chosen images: three splits with their labels and content digests, and pixels on demand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.errors import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from frostline.data._decoding import Pixels

__all__ = ["Dataset", "Skipped", "Split", "pixels_digest"]


@dataclass(frozen=True)
class Skipped:
    """Something that was left out: the image or class by name, and why.

    ``shared`` is the line that messages have once for all that are left out together; empty for what has its own.
    """

    item: str
    reason: str
    shared: str = ""


@dataclass(frozen=True, eq=False)
class Split:
    """N chosen images of one split, in the order of the source.

    Attributes:
        name: ``train``, ``val`` or ``test``.
        ids: int64 [N], the position of each image in its source; a subset of other size leaves them as they are.
        labels: int64 [N] in [0, K).
        digests: the digest of each image's decoded pixels.
    """

    name: str
    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def fingerprint(self) -> str:
        """The hex digest of the ordered contents and labels."""
        digest = hashlib.sha256("".join(self.digests).encode())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images, split and checked.

    Attributes:
        classes: K class names, in the order of the labels.
        train, val, test: the splits; none is empty.
        skipped: what was left out under ``on_bad_image = "skip"``.
        warnings: what a person should know before trusting a result, e.g. duplicates across splits.
        notes: how the data were read, where that could have been otherwise, and what isn't used.
        source: where the images come from, as plain data.
        ignored: how many files and folders were passed over, for each reason: hidden ones, broken links, ...
    """

    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    source: dict[str, Any]
    read: Callable[[int], Pixels] = field(repr=False)
    name_of: Callable[[int], str] = field(repr=False)
    ignored: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Train, val and test."""
        return self.train, self.val, self.test

    @cached_property
    def fingerprint(self) -> str:
        """The hex digest of classes and splits: everything that a result can depend on."""
        parts = [*self.classes, *(split.fingerprint for split in self.splits)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def split(self, name: str) -> Split:
        """Return a split by name.

        Raises:
            DataError: the name is not ``train``, ``val`` or ``test``.
        """
        for split in self.splits:
            if split.name == name:
                return split
        raise DataError(
            f'split "{name}" is unknown: the splits are train, val and test{closest(name, ("train", "val", "test"))}'
        )

    def name(self, split: Split | str, position: int) -> str:
        """Return the name of the image at a position of a split."""
        chosen = self.split(split) if isinstance(split, str) else split
        return self.name_of(int(chosen.ids[position]))

    def names(self, split: Split | str) -> tuple[str, ...]:
        """Return the names of a split's images, in order."""
        chosen = self.split(split) if isinstance(split, str) else split
        if chosen.name not in self._names:
            self._names[chosen.name] = tuple(self.name_of(image) for image in chosen.ids.tolist())
        return self._names[chosen.name]

    @cached_property
    def _names(self) -> dict[str, tuple[str, ...]]:
        return {}

    def pixels(self, split: Split | str, position: int) -> Pixels:
        """Return the decoded image at a position of a split: uint8 [H, W, 3], RGB, upright.

        Raises:
            DataError: the image can't be read any more, or its contents changed since the dataset was loaded.
        """
        chosen = self.split(split) if isinstance(split, str) else split
        index = int(chosen.ids[position])
        try:
            pixels = self.read(index)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.name_of(index)}: could be read when the run began, but now {error}") from error
        # features are stored under the digest, so other pixels must never reach them
        if pixels_digest(pixels) != chosen.digests[position]:
            raise DataError(f"{self.name_of(index)}: its contents changed since the run began; start the run again")
        return pixels

    def to_json(self) -> dict[str, Any]:
        """Return what results record about the data: source, classes, counts, what was left out, fingerprint."""
        return {
            **self.source,
            "classes": list(self.classes),
            "n_train": len(self.train),
            "n_val": len(self.val),
            "n_test": len(self.test),
            "n_by_class": {
                split.name: np.bincount(split.labels, minlength=len(self.classes)).tolist() for split in self.splits
            },
            "n_skipped": len(self.skipped),
            "skipped": [{"item": skipped.item, "reason": skipped.reason} for skipped in self.skipped],
            "ignored": dict(self.ignored),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "fingerprint": self.fingerprint,
        }


def pixels_digest(pixels: Pixels) -> str:
    """Return the digest (128 bits, hex) of an image's size and pixels, uint8 [H, W, 3]."""
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:32]
