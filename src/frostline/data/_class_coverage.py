"""Which classes have images in which split: those without any in train can't be learned, others not be judged."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from frostline.data._dataset import Skipped
from frostline.errors import closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.data._dataset import Split
    from frostline.data._source import ImageSource

__all__ = ["trainable_classes", "warn_of_absent_classes"]

LISTED = 5


def trainable_classes(source: ImageSource) -> tuple[ImageSource, list[Skipped]]:
    """Return the source without the classes that have no image in train, and all faults so far.

    Each image of such a class is a fault; a message has one line for all of them.
    """
    counts = np.bincount(source.labels[source.parts["train"]], minlength=len(source.classes))
    faults = list(source.faults)
    if counts.all():
        return source, faults
    parts = {"train": source.parts["train"]}
    kept = np.flatnonzero(counts)
    classes = tuple(source.classes[label] for label in kept.tolist())
    for label in np.flatnonzero(counts == 0).tolist():
        images = [
            source.name(image)
            for name, ids in source.parts.items()
            if name != "train"
            for image in ids[source.labels[ids] == label].tolist()
        ]
        named = f'class "{source.classes[label]}"'
        if not images:
            faults.append(Skipped(named, "has no images"))
        of_class = f"of {named}, which has no images in train{closest(source.classes[label], classes)}"
        shared = f"{len(images):,} images, such as {images[0]}, are {of_class}" if len(images) > 1 else ""
        faults += [Skipped(image, f"is {of_class}", shared) for image in images]
    renumbered = np.full(len(source.classes) + 1, -1, dtype=np.int64)  # the last entry keeps label -1 as it is
    renumbered[kept] = np.arange(len(kept))
    for name, ids in source.parts.items():
        parts[name] = ids[renumbered[source.labels[ids]] >= 0]
    return dataclasses.replace(source, classes=classes, labels=renumbered[source.labels], parts=parts), faults


def warn_of_absent_classes(splits: Sequence[Split], classes: Sequence[str]) -> tuple[str, ...]:
    """Return a warning for each split that has no images of some classes."""
    warnings = []
    for split in splits:
        present = set(split.labels.tolist())
        absent = [f'"{name}"' for label, name in enumerate(classes) if label not in present]
        if absent:
            more = f" and {len(absent) - LISTED:,} more" if len(absent) > LISTED else ""
            them = "it" if len(absent) == 1 else "them"
            warnings.append(
                f"{split.name} has no images of {len(absent):,} of {len(classes):,} classes: "
                f"{', '.join(absent[:LISTED])}{more}, so its accuracy says nothing about {them}"
            )
    return tuple(warnings)
