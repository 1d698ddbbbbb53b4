"""Images in class folders, with or without train, val and test folders above them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from frostline.data._dataset import Skipped
from frostline.data._decoding import Pixels, decode_image
from frostline.data._litter import Ignored, describe_ignored
from frostline.data._opening import image_suffixes
from frostline.data._source import SPLIT_NAMES, SYNONYMS, Source, canonical_split, sorted_classes
from frostline.data._special_files import what_it_is
from frostline.data._walking import list_folder, walk_files
from frostline.errors import DataError, closest

__all__ = ["open_folder"]


@dataclass
class _Listing:
    """The images found so far, in the order in which they get their ids."""

    root: Path
    paths: list[Path] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    faults: list[Skipped] = field(default_factory=list)
    class_names: set[str] = field(default_factory=set)
    ignored: Ignored = field(default_factory=Ignored)

    def fault(self, path: Path, reason: str) -> None:
        self.faults.append(Skipped(self.name(path), reason))

    def name(self, path: Path) -> str:
        """Return a file's name as it can be printed and stored: what isn't UTF-8 in it becomes a question mark."""
        return os.fsencode(path.relative_to(self.root).as_posix()).decode("utf-8", "replace")


def open_folder(path: str) -> Source:
    """Return the images of ``path/CLASS/...`` or ``path/{train,val,test}/CLASS/...``, in the order of their paths.

    Folders below a class folder belong to the class; links are followed. What systems and editors leave behind is
    ignored, as are broken links and what is no file. Any other file that is no image is a fault.

    Raises:
        DataError: the folder does not exist, holds no class folders, or has unknown split folders.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        missing = f"does not exist (looked for {root.absolute()})"
        what = f"is a {what_it_is(root)}, not a folder" if root.exists() else missing
        raise DataError(f'data.path = "{path}": {what}')
    listing = _Listing(root)
    top = list_folder(root, listing.ignored)
    if any(canonical_split(entry.name) == "train" and entry.is_dir() for entry in top):
        for split, entry in _split_folders(path, top, listing):
            _list_classes(list_folder(entry, listing.ignored), split, listing)
    else:
        _list_classes(top, "train", listing)
    if not listing.class_names:
        raise DataError(
            f'data.path = "{path}": holds no class folders; images are expected in {path}/CLASS/ or '
            f"{path}/train/CLASS/ (and val, test)" + describe_ignored(listing.ignored.counts, "\n  ")
        )
    return _source(listing)


def _source(listing: _Listing) -> Source:
    classes = sorted_classes(listing.class_names)
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[name] for name in listing.classes], dtype=np.int64)
    splits = np.array(listing.splits, dtype=object)
    parts = {name: np.flatnonzero(splits == name).astype(np.int64) for name in SPLIT_NAMES if name in listing.splits}
    paths = listing.paths

    def read(image: int) -> Pixels:
        return decode_image(paths[image].read_bytes())

    return Source(
        classes=classes,
        labels=labels,
        parts={"train": np.empty(0, dtype=np.int64), **parts},
        name=lambda image: listing.name(paths[image]),
        open=lambda _: read,
        files=lambda ids: [paths[image] for image in ids.tolist()],
        faults=tuple(listing.faults),
        ignored=listing.ignored.counts,
    )


def _split_folders(path: str, top: list[Path], listing: _Listing) -> list[tuple[str, Path]]:
    """Return (split, folder) for each folder beside ``train``; a stray file is a fault, another folder an error."""
    folders: dict[str, Path] = {}
    for entry in top:
        if not entry.is_dir():
            listing.fault(entry, "lies outside the class folders")
            continue
        split = canonical_split(entry.name)
        if split is None:
            hint = closest(entry.name.lower(), SYNONYMS)
            raise DataError(f'data.path = "{path}": split folder "{entry.name}" is unknown: train, val, test{hint}')
        if split in folders:
            raise DataError(f'data.path = "{path}": "{folders[split].name}" and "{entry.name}" are both {split}')
        folders[split] = entry
    return list(folders.items())


def _list_classes(entries: list[Path], split: str, listing: _Listing) -> None:
    for entry in entries:
        if not entry.is_dir():
            listing.fault(entry, "lies outside the class folders")
            continue
        if not _is_text(entry.name):
            raise DataError(
                f'data.path = "{listing.root}": the name of class folder "{listing.name(entry)}" is not UTF-8 text, '
                "so no report could name the class: rename the folder"
            )
        listing.class_names.add(entry.name)
        for path in walk_files(entry, listing.ignored):
            _list_file(path, entry.name, split, listing)


def _list_file(path: Path, class_name: str, split: str, listing: _Listing) -> None:
    if path.suffix.lower() in image_suffixes() or _looks_like_an_image(path):
        listing.paths.append(path)
        listing.classes.append(class_name)
        listing.splits.append(split)
    else:
        listing.fault(path, "is not an image")


def _is_text(name: str) -> bool:
    """Tell whether a file's name is UTF-8; Python holds other bytes as surrogates, which can't be written."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _looks_like_an_image(path: Path) -> bool:
    """Tell whether Pillow recognises a file whose name says nothing; reads its header only."""
    try:
        with Image.open(path):
            return True
    except Exception:  # whatever is wrong with it, its name doesn't promise an image
        return False
