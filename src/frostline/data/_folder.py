"""Images in class folders, with or without train, val and test folders above them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from frostline.data._dataset import Skipped
from frostline.data._decoding import Pixels, decode_image
from frostline.data._source import SPLIT_NAMES, SYNONYMS, Source, canonical_split, sorted_classes
from frostline.errors import DataError, closest

__all__ = ["open_folder"]

LITTER = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass
class _Listing:
    """The images found so far, in the order in which they get their ids."""

    root: Path
    paths: list[Path] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    faults: list[Skipped] = field(default_factory=list)
    class_names: set[str] = field(default_factory=set)

    def fault(self, path: Path, reason: str) -> None:
        self.faults.append(Skipped(self.name(path), reason))

    def name(self, path: Path) -> str:
        """Return a file's name as it can be printed and stored: what isn't UTF-8 in it becomes a question mark."""
        return os.fsencode(path.relative_to(self.root).as_posix()).decode("utf-8", "replace")


def open_folder(path: str) -> Source:
    """Return the images of ``path/CLASS/...`` or ``path/{train,val,test}/CLASS/...``, in the order of their paths.

    Folders below a class folder belong to the class; hidden files and what file managers leave behind are ignored;
    links are followed. Any other file that is no image is a fault.

    Raises:
        DataError: the folder does not exist, holds no class folders, or has unknown split folders.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else f"does not exist (looked for {root.absolute()})"
        raise DataError(f'data.path = "{path}": {what}')
    listing = _Listing(root)
    top = _entries(root)
    if any(canonical_split(entry.name) == "train" and entry.is_dir() for entry in top):
        for split, entry in _split_folders(path, top, listing):
            _list_classes(_entries(entry), split, listing)
    else:
        _list_classes(top, "train", listing)
    if not listing.class_names:
        raise DataError(
            f'data.path = "{path}": holds no class folders; images are expected in {path}/CLASS/ or '
            f"{path}/train/CLASS/ (and val, test)"
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
    )


def _entries(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted by name, without hidden files and litter."""
    kept = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted((entry for entry in kept if entry.name.lower() not in LITTER), key=lambda entry: entry.name)


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
        for folder, folders, names in os.walk(entry, followlinks=True, onerror=_stop):
            # a link that leads back up would be followed for ever
            above = {os.path.realpath(parent) for parent in (Path(folder), *Path(folder).parents)}
            kept = (name for name in folders if not _ignored(name))
            folders[:] = sorted(name for name in kept if os.path.realpath(Path(folder) / name) not in above)
            for name in sorted(name for name in names if not _ignored(name)):
                _list_file(Path(folder) / name, entry.name, split, listing)


def _list_file(path: Path, class_name: str, split: str, listing: _Listing) -> None:
    if path.suffix.lower() in _image_suffixes() or _looks_like_an_image(path):
        listing.paths.append(path)
        listing.classes.append(class_name)
        listing.splits.append(split)
    else:
        listing.fault(path, "is not an image")


def _stop(error: OSError) -> None:
    """Raise what os.walk would pass over in silence: a folder that can't be listed."""
    raise error


def _is_text(name: str) -> bool:
    """Tell whether a file's name is UTF-8; Python holds other bytes as surrogates, which can't be written."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in LITTER


def _image_suffixes() -> frozenset[str]:
    Image.init()
    return frozenset(Image.registered_extensions())


def _looks_like_an_image(path: Path) -> bool:
    """Tell whether Pillow recognises a file whose name says nothing; reads its header only."""
    try:
        with Image.open(path):
            return True
    except Exception:  # whatever is wrong with it, its name doesn't promise an image
        return False
