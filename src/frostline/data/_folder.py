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
from frostline.data._litter import DOCUMENT, Ignored, describe_ignored, names_a_document
from frostline.data._opening import image_suffixes
from frostline.data._source import SPLIT_NAMES, ImageSource
from frostline.data._walking import list_folder, walk_files
from frostline.data_paths import data_path_fault
from frostline.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    def entries(self, folder: Path) -> list[Path]:
        """Return what a folder holds, sorted, without what is ignored."""
        return [entry for entry in list_folder(folder, self.ignored) if not self._is_document(entry)]

    def files(self, folder: Path) -> Iterator[Path]:
        """Yield the files in a folder and below it, without what is ignored."""
        return (file for file in walk_files(folder, self.ignored) if not self._is_document(file))

    def _is_document(self, path: Path) -> bool:
        """Tell whether a document or metadata lies at a path, which is then ignored."""
        found = names_a_document(path.name) and path.is_file() and not _looks_like_an_image(path)
        if found:
            self.ignored.reasons[str(path)] = DOCUMENT
        return found

    def name(self, path: Path) -> str:
        """Return a file's name as it can be printed and stored: what isn't UTF-8 in it becomes a question mark."""
        return os.fsencode(path.relative_to(self.root).as_posix()).decode("utf-8", "replace")


def open_folder(path: str, data: Data) -> ImageSource:
    """Return the images of ``path/CLASS/...``, ``path/{train,val,test}/CLASS/...`` or ``path/CLASS/{train,val,test}``.

    Images are in the order of their paths. Folders below a class folder belong to the class; links are followed. What
    systems and editors leave behind is ignored, as are documents, metadata, broken links and what is no file. Any other
    file that is no image is a fault.

    Args:
        path: the folder.
        data: what the study says of splits and labels.

    Raises:
        DataError: the folder does not exist, holds no class folders, or folders that may be splits or not.
    """
    fault = data_path_fault("folder", path)
    if fault is not None:
        raise DataError(f'data.path = "{path}": {fault}')
    root = Path(path).expanduser()
    listing = _Listing(root)
    layout = find_layout(path, root, listing.entries, data.splits)
    for entry in layout.stray:
        listing.fault(entry, "is outside the class folders")
    for folder in layout.classes:
        _list_class(folder, listing)
    if not listing.class_names:
        raise DataError(
            f'data.path = "{path}": holds no class folders; images are expected in {path}/CLASS/ or '
            f"{path}/train/CLASS/ (and val, test)" + describe_ignored(listing.ignored.counts, "\n  ")
        )
    return _source(f'data.path = "{path}"', listing, data.unlabelled, tuple(layout.notes))


def _source(where: str, listing: _Listing, unlabelled: tuple[str, ...] | None, notes: tuple[str, ...]) -> ImageSource:
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

    return ImageSource(
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
    for path in listing.files(folder.path):
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
