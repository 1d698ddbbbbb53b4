"""Images in class folders, with or without train, val and test folders above them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from frostline.data._dataset import Skipped
from frostline.data._decoding import Pixels, decode_image
from frostline.data._folder_splits import find_layout
from frostline.data._labels import read_labels
from frostline.data._litter import Ignored, describe_ignored
from frostline.data._opening import image_suffixes
from frostline.data._source import SPLIT_NAMES, Source
from frostline.data._special_files import what_it_is
from frostline.data._walking import list_folder, walk_files
from frostline.errors import DataError

if TYPE_CHECKING:
    from frostline.data._folder_layout import ClassFolder
    from frostline.study import Data

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


def open_folder(path: str, data: Data) -> Source:
    """Return the images of ``path/CLASS/...``, ``path/{train,val,test}/CLASS/...`` or ``path/CLASS/{train,val,test}``.

    Images are in the order of their paths. Folders below a class folder belong to the class; links are followed. What
    systems and editors leave behind is ignored, as are broken links and what is no file. Any other file that is no
    image is a fault.

    Args:
        path: the folder.
        data: what the study says of splits and labels.

    Raises:
        DataError: the folder does not exist, holds no class folders, or folders that may be splits or not.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        missing = f"does not exist (looked for {root.absolute()})"
        what = f"is a {what_it_is(root)}, not a folder" if root.exists() else missing
        raise DataError(f'data.path = "{path}": {what}')
    listing = _Listing(root)
    layout = find_layout(path, root, lambda folder: list_folder(folder, listing.ignored), data.splits)
    for entry in layout.stray:
        listing.fault(entry, "lies outside the class folders")
    for folder in layout.classes:
        _list_class(folder, listing)
    if not listing.class_names:
        raise DataError(
            f'data.path = "{path}": holds no class folders; images are expected in {path}/CLASS/ or '
            f"{path}/train/CLASS/ (and val, test)" + describe_ignored(listing.ignored.counts, "\n  ")
        )
    return _source(f'data.path = "{path}"', listing, data.unlabelled, tuple(layout.notes))


def _source(where: str, listing: _Listing, unlabelled: tuple[str, ...] | None, notes: tuple[str, ...]) -> Source:
    paths = listing.paths
    labels = read_labels(
        where, listing.classes, unlabelled, lambda image: listing.name(paths[image]), also=listing.class_names
    )
    splits = np.array(listing.splits, dtype=object)
    parts = {
        name: np.flatnonzero((splits == name) & ~labels.left_out).astype(np.int64)
        for name in SPLIT_NAMES
        if name in listing.splits
    }

    def read(image: int) -> Pixels:
        return decode_image(paths[image].read_bytes())

    return Source(
        classes=labels.classes,
        labels=labels.labels,
        parts={"train": np.empty(0, dtype=np.int64), **parts},
        name=lambda image: listing.name(paths[image]),
        open=lambda _: read,
        files=lambda ids: [paths[image] for image in ids.tolist()],
        faults=tuple(listing.faults),
        ignored=listing.ignored.counts,
        notes=(*notes, *labels.notes),
        warnings=labels.warnings,
    )


def _list_class(folder: ClassFolder, listing: _Listing) -> None:
    if not _is_text(folder.name):
        raise DataError(
            f'data.path = "{listing.root}": the name of class folder "{listing.name(folder.path)}" is not UTF-8 text, '
            "so no report could name the class: rename the folder"
        )
    listing.class_names.add(folder.name)
    for path in walk_files(folder.path, listing.ignored):
        _list_file(path, folder.name, folder.split, listing)


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
