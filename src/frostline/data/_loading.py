"""A study's data, loaded: open the source, choose the splits, check the chosen images, report every fault by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.data._checking import check_images
from frostline.data._class_coverage import trainable_classes, warn_of_absent_classes
from frostline.data._copies import contradictions, repetitions
from frostline.data._dataset import Dataset, Skipped, Split
from frostline.data._fault_lines import count_faults, list_faults, warn_of_faults
from frostline.data._litter import describe_ignored
from frostline.data._source import SPLIT_NAMES, Ids, ImageSource
from frostline.data._subsets import choose_splits
from frostline.errors import DataError, FrostlineError, closest

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from frostline.study import Data

__all__ = ["load_dataset"]


def load_dataset(data: Data, *, remembered: bool = False) -> Dataset:
    """Return the images that a study asks for, split, decoded once to check them, with digests of their contents.

    Only the chosen images are decoded, in threads. Every image that can't be used is reported by name: in one error
    with ``on_bad_image = "stop"``, as ``Dataset.skipped`` with ``"skip"`` (nothing is drawn in its place, so the
    other images stay the same); so are exact copies under different labels, all of them. Other copies are warnings.

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
        source, faults = trainable_classes(_open(data))
    except FrostlineError:
        raise
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        raise DataError(f"{_where(data)}: {named}can't be read ({error.strerror or error})") from error
    if len(source.classes) < 2:
        found = f'one class only, "{source.classes[0]}"' if source.classes else "no class with an image in train"
        listed = list_faults(faults) + describe_ignored(source.ignored, "\n  ")
        raise DataError(f"{_where(data)}: {found}: at least two are needed{listed}")
    asked = {"train": data.train, "val": data.val, "test": data.test}
    try:
        chosen = choose_splits(source.labels, source.classes, source.parts, asked, data.seed)
    except DataError as error:
        listed = list_faults(faults) + describe_ignored(source.ignored, "\n  ")
        raise DataError(f"{_where(data)}: {error}{listed}") from error
    ids = np.concatenate([chosen[name] for name in SPLIT_NAMES])
    outcomes, read = check_images(source, ids, remembered=remembered)
    digests = {image: each for image, each in zip(ids.tolist(), outcomes, strict=True) if isinstance(each, str)}
    splits = [_split(name, chosen[name], source.labels, digests) for name in SPLIT_NAMES]
    contradictory = contradictions(splits, source.classes, source.name)
    if contradictory:
        splits = [_split(name, chosen[name], source.labels, digests, contradictory) for name in SPLIT_NAMES]
    bad = [each for each in outcomes if isinstance(each, Skipped)]
    faults = [*faults, *bad, *contradictory.values()]
    if faults and data.on_bad_image == "stop":
        raise DataError(
            f"{_where(data)}: {count_faults(faults)} can't be used{list_faults(faults)}\n"
            'Repair or remove what is listed, or set data.on_bad_image = "skip" to leave it out.'
        )
    _require_images(data, source, splits, faults)
    return Dataset(
        classes=source.classes,
        train=splits[0],
        val=splits[1],
        test=splits[2],
        skipped=tuple(faults),
        warnings=(
            *source.warnings,
            *warn_of_faults(faults),
            *_passed_over(source),
            *warn_of_absent_classes(splits, source.classes),
            *repetitions(splits, source.name),
        ),
        source=_description(data),
        read=read,
        name_of=source.name,
        ignored=source.ignored,
        notes=(*source.notes, *_taken(source)),
    )


def _open(data: Data) -> ImageSource:
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

            return open_folder(_path(data), data)
        case "csv":
            from frostline.data._csv_table import open_csv

            return open_csv(_path(data), data)
        case "parquet":
            from frostline.data._parquet import open_parquet

            return open_parquet(_path(data), data)
        case other:
            allowed = ("digits", "cifar10", "folder", "csv", "parquet")
            raise DataError(
                f'data.source = "{other}": must be one of {", ".join(allowed)}{closest(str(other), allowed)}'
            )


def _path(data: Data) -> str:
    if not data.path:
        raise DataError(f'data.path is missing: the source "{data.source}" needs one')
    return str(data.path)


def _split(name: str, ids: Ids, labels: Ids, digests: Mapping[int, str], without: Container[int] = ()) -> Split:
    good = np.array([image for image in ids.tolist() if image in digests and image not in without], dtype=np.int64)
    return Split(name, good, labels[good], tuple(digests[image] for image in good.tolist()))


def _require_images(data: Data, source: ImageSource, splits: list[Split], faults: list[Skipped]) -> None:
    """Raise when skipping left a split empty or a class untrained."""
    for split in splits:
        if not len(split):
            remedy = ""
            if split.name != "train" and split.name in source.parts:
                remedy = f"\nTo take {split.name} from train instead, name only the other splits in data.splits."
            raise DataError(f"{_where(data)}: no image is left in {split.name}{list_faults(faults)}{remedy}")
    counts = np.bincount(splits[0].labels, minlength=len(source.classes))
    gone = [f'"{source.classes[label]}"' for label in np.flatnonzero(counts == 0).tolist()]
    if gone:
        raise DataError(
            f"{_where(data)}: no usable image is left in train for class {', '.join(gone)}{list_faults(faults)}"
        )


def _taken(source: ImageSource) -> tuple[str, ...]:
    """Return a note on the splits that the source has none of."""
    missing = [name for name in ("val", "test") if name not in source.parts]
    return (f"{' and '.join(missing)}: taken from train, since the data have none",) if missing else ()


def _passed_over(source: ImageSource) -> tuple[str, ...]:
    """Return a line that counts what was ignored among the files."""
    line = describe_ignored(source.ignored)
    return (line,) if line else ()


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
