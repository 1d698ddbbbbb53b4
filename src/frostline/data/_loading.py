"""A study's data, loaded: open the source, choose the splits, check the chosen images, report every fault by name."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.data._checking import check_images
from frostline.data._choosing import choose_splits
from frostline.data._dataset import Dataset, Skipped, Split
from frostline.data._litter import describe_ignored
from frostline.data._source import SPLIT_NAMES, Ids, Source
from frostline.errors import DataError, FrostlineError, closest

if TYPE_CHECKING:
    from collections.abc import Callable

    from frostline.study import Data

__all__ = ["load_dataset"]

LISTED = 20  # faults named in a message; the rest is counted
LISTED_IN_A_LINE = 5


def load_dataset(data: Data, *, remembered: bool = False) -> Dataset:
    """Return the images that a study asks for, split, decoded once to check them, with digests of their contents.

    Only the chosen images are decoded, in threads. Every image that can't be used is reported by name: in one error
    with ``on_bad_image = "stop"``, as ``Dataset.skipped`` with ``"skip"`` (nothing is drawn in its place, so the
    other images stay the same). Duplicates across splits, and under two labels, are warnings.

    Args:
        data: source, path, sizes and seed; a relative path starts at the working directory.
        remembered: whether what an earlier check found will do, of files whose size and time are the same since: for
            plans. Images that a Parquet table only points at are not looked at again.

    Raises:
        DataError: a missing path, an unreadable layout, unknown split names, one class only, fewer images than
            asked for, or bad images; says what, where and what to do.
        MissingExtraError: ``digits`` without scikit-learn.
    """
    try:
        source, faults = _trainable(_open(data))
    except FrostlineError:
        raise
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        raise DataError(f"{_where(data)}: {named}can't be read ({error.strerror or error})") from error
    if len(source.classes) < 2:
        found = f'one class only, "{source.classes[0]}"' if source.classes else "no class with an image in train"
        listed = _listed(faults) + describe_ignored(source.ignored, "\n  ")
        raise DataError(f"{_where(data)}: {found}: at least two are needed{listed}")
    asked = {"train": data.train, "val": data.val, "test": data.test}
    try:
        chosen = choose_splits(source.labels, source.classes, source.parts, asked, data.seed)
    except DataError as error:
        listed = _listed(faults) + describe_ignored(source.ignored, "\n  ")
        raise DataError(f"{_where(data)}: {error}{listed}") from error
    ids = np.concatenate([chosen[name] for name in SPLIT_NAMES])
    outcomes, read = check_images(source, ids, remembered=remembered)
    digests = {image: each for image, each in zip(ids.tolist(), outcomes, strict=True) if isinstance(each, str)}
    faults = [*faults, *(each for each in outcomes if isinstance(each, Skipped))]
    if faults and data.on_bad_image == "stop":
        raise DataError(
            f"{_where(data)}: {_counted(faults)} can't be used{_listed(faults)}\n"
            'Repair or remove what is listed, or set data.on_bad_image = "skip" to leave it out.'
        )
    splits = [_split(name, chosen[name], source.labels, digests) for name in SPLIT_NAMES]
    _require_images(data, source, splits, faults)
    return Dataset(
        classes=source.classes,
        train=splits[0],
        val=splits[1],
        test=splits[2],
        skipped=tuple(faults),
        warnings=(*_left_out(faults), *_passed_over(source), *_duplicates(splits, source.name)),
        source=_description(data),
        read=read,
        name_of=source.name,
        ignored=source.ignored,
    )


def _open(data: Data) -> Source:
    """Return the source; each one's reader is imported when it is asked for."""
    match data.source:
        case "digits":
            from frostline.data._digits import open_digits

            return open_digits()
        case "cifar10":
            from frostline.data._cifar10 import open_cifar10

            return open_cifar10(data.path, download=data.download)
        case "folder":
            from frostline.data._folder import open_folder

            return open_folder(_path(data))
        case "csv":
            from frostline.data._csv_table import open_csv

            return open_csv(_path(data), data.image_column, data.label_column)
        case "parquet":
            from frostline.data._parquet import open_parquet

            return open_parquet(_path(data), data.image_column, data.label_column)
        case other:
            allowed = ("digits", "cifar10", "folder", "csv", "parquet")
            raise DataError(f'data.source = "{other}": {", ".join(allowed)} exist{closest(str(other), allowed)}')


def _path(data: Data) -> str:
    if not data.path:
        raise DataError(f'data.path is missing: the source "{data.source}" needs one')
    return str(data.path)


def _trainable(source: Source) -> tuple[Source, list[Skipped]]:
    """Return the source without the classes that have no image in train, and all faults so far."""
    counts = np.bincount(source.labels[source.parts["train"]], minlength=len(source.classes))
    faults = list(source.faults)
    if counts.all():
        return source, faults
    parts = {"train": source.parts["train"]}
    for label in np.flatnonzero(counts == 0).tolist():
        others = [ids[source.labels[ids] == label] for name, ids in source.parts.items() if name != "train"]
        n_others = sum(len(ids) for ids in others)
        named = f'class "{source.classes[label]}"'
        if not n_others:
            faults.append(Skipped(named, "has no images"))
        for image in np.concatenate(others).tolist() if n_others else []:
            faults.append(Skipped(source.name(image), f"{named} has no images in train"))
    kept = np.flatnonzero(counts)
    renumbered = np.full(len(source.classes) + 1, -1, dtype=np.int64)  # the last entry keeps label -1 as it is
    renumbered[kept] = np.arange(len(kept))
    for name, ids in source.parts.items():
        parts[name] = ids[renumbered[source.labels[ids]] >= 0]
    classes = tuple(source.classes[label] for label in kept.tolist())
    return dataclasses.replace(source, classes=classes, labels=renumbered[source.labels], parts=parts), faults


def _split(name: str, ids: Ids, labels: Ids, digests: dict[int, str]) -> Split:
    good = np.array([image for image in ids.tolist() if image in digests], dtype=np.int64)
    return Split(name, good, labels[good], tuple(digests[image] for image in good.tolist()))


def _require_images(data: Data, source: Source, splits: list[Split], faults: list[Skipped]) -> None:
    """Raise when skipping left a split empty or a class untrained."""
    for split in splits:
        if not len(split):
            raise DataError(f"{_where(data)}: no image is left in {split.name}{_listed(faults)}")
    counts = np.bincount(splits[0].labels, minlength=len(source.classes))
    gone = [f'"{source.classes[label]}"' for label in np.flatnonzero(counts == 0).tolist()]
    if gone:
        raise DataError(
            f"{_where(data)}: no usable image is left in train for class {', '.join(gone)}{_listed(faults)}"
        )


def _left_out(faults: list[Skipped]) -> tuple[str, ...]:
    """Return a warning that counts what was skipped and names the first of it."""
    if not faults:
        return ()
    first = "; ".join(f"{fault.item} {fault.reason}" for fault in faults[:LISTED_IN_A_LINE])
    more = f"; and {len(faults) - LISTED_IN_A_LINE} more" if len(faults) > LISTED_IN_A_LINE else ""
    return (f"{_counted(faults)} left out: {first}{more}",)


def _passed_over(source: Source) -> tuple[str, ...]:
    """Return a line that counts what was ignored among the files."""
    line = describe_ignored(source.ignored)
    return (line,) if line else ()


def _duplicates(splits: list[Split], name: Callable[[int], str]) -> tuple[str, ...]:
    """Return warnings about equal images in two splits, and about equal images with two labels."""
    places: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for split in splits:
        for digest, image, label in zip(split.digests, split.ids.tolist(), split.labels.tolist(), strict=True):
            places[digest].append((split.name, image, label))
    repeated = [group for group in places.values() if len(group) > 1]
    across = [group for group in repeated if len({split for split, _, _ in group}) > 1]
    contradictory = [group for group in repeated if len({label for _, _, label in group}) > 1]

    def pairs(groups: list[list[tuple[str, int, int]]]) -> str:
        shown = [
            " = ".join(f"{name(image)} ({split})" for split, image, _ in group) for group in groups[:LISTED_IN_A_LINE]
        ]
        return "; ".join(shown) + (
            f"; and {len(groups) - LISTED_IN_A_LINE} more" if len(groups) > LISTED_IN_A_LINE else ""
        )

    warnings = []
    if across:
        warnings.append(f"{_images(len(across))} in more than one split, so scores look too good: {pairs(across)}")
    if contradictory:
        warnings.append(f"{_images(len(contradictory))} under more than one label: {pairs(contradictory)}")
    return tuple(warnings)


def _images(count: int) -> str:
    return "1 image stands" if count == 1 else f"{count} images stand"


def _description(data: Data) -> dict[str, Any]:
    return {
        "source": data.source,
        "path": None if data.path is None else str(data.path),
        "train": data.train,
        "val": data.val,
        "test": data.test,
        "on_bad_image": data.on_bad_image,
        "seed": data.seed,
    }


def _where(data: Data) -> str:
    return f'data.source = "{data.source}"' + (f', data.path = "{data.path}"' if data.path else "")


def _counted(faults: list[Skipped]) -> str:
    return "1 item" if len(faults) == 1 else f"{len(faults)} items"


def _listed(faults: list[Skipped]) -> str:
    lines = [f"\n  {fault.item}: {fault.reason}" for fault in faults[:LISTED]]
    if len(faults) > LISTED:
        lines.append(f"\n  ... and {len(faults) - LISTED} more")
    return "".join(lines)
