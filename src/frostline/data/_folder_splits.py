"""What the folders of a data set are: classes, or splits with classes in them, or classes with splits in them."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from frostline.data._folder_layout import NONE, PLACEHOLDER, ClassFolder, Finder, FolderLayout, few, splits_of
from frostline.data._split_names import SYNONYMS, canonical_split, mentions_split, splits_line, stated_splits, to_toml
from frostline.errors import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from frostline.errors import DataError
    from frostline.study import Splits

__all__ = ["find_layout"]


def find_layout(
    path: str, root: Path, entries: Callable[[Path], list[Path]], splits: Splits | None = None
) -> FolderLayout:
    """Return the class folders of ``path/CLASS``, ``path/SPLIT/CLASS`` or ``path/CLASS/SPLIT``.

    Args:
        path: as the study has it, for messages.
        root: the folder.
        entries: lists what a folder holds, sorted, without what is always ignored.
        splits: what the study says.

    Raises:
        DataError: folders that may be splits or not, the same split twice, no train among the splits, or a folder
            that the study names and that isn't there.
    """
    finder = Finder(f'data.path = "{path}"', root, entries)
    if splits is None:
        _as_found(finder, path)
    elif splits.stated:
        _as_said(finder, splits)
    else:
        finder.add_classes(root, "train", told=True)
    return finder.layout


def _as_said(finder: Finder, splits: Splits) -> None:
    root, tops = finder.root, finder.folders(finder.root)
    split_of = {name: split for split, names in splits.by_split().items() for name in names}
    absent = [name for name in split_of if not (root / name).is_dir()]
    finder.layout.stray += finder.files(root)
    _require_apart(finder, split_of)
    if len(absent) == len(split_of) and all(any((top / name).is_dir() for top in tops) for name in split_of):
        for name, split in split_of.items():
            finder.layout.classes += [ClassFolder(split, top.name, top / name) for top in tops if (top / name).is_dir()]
        unused = sorted({each.name for top in tops for each in finder.folders(top)} - set(split_of))
    elif absent:
        there = [each.name for each in tops]
        raise finder.error(
            f"data.splits.{split_of[absent[0]]}: there is no folder "
            f"{json.dumps(absent[0], ensure_ascii=False)}; the folders are {few(there)}{closest(absent[0], there)}"
        )
    else:
        for name, split in split_of.items():
            finder.add_classes(_within(finder, root / name), split, told=True)
        used = {Path(name).parts[0] for name in split_of}
        unused = [top.name for top in tops if top.name not in used]
    if unused:
        finder.layout.notes.append(f"not used: {'folder' if len(unused) == 1 else 'folders'} {few(unused)}")


def _require_apart(finder: Finder, split_of: dict[str, str]) -> None:
    """Raise DataError for folders outside the root or within each other, whose images would be used twice."""
    places: dict[PurePath, str] = {}
    for name, split in split_of.items():
        place = PurePath(os.path.normpath(name))
        if place.is_absolute() or place.parts[:1] in ((), ("..",)):
            raise finder.error(f'data.splits.{split}: "{name}" is not a folder below data.path')
        twice = next((each for each in places if each.is_relative_to(place) or place.is_relative_to(each)), None)
        if twice is not None:
            raise finder.error(
                f'data.splits: "{name}" ({split}) and "{places[twice]}" ({split_of[places[twice]]}) '
                "are the same folder, or one is within the other"
            )
        places[place] = name


def _as_found(finder: Finder, path: str) -> None:
    tops = finder.folders(finder.root)
    stated = stated_splits([top.name for top in tops]) if tops else None
    if stated is not None:
        _splits_above(finder, tops, stated)
        return
    suspects = [top for top in tops if canonical_split(top.name)]
    # a folder whose name only mentions a split is one when classes are in it: bullet_train has images
    suspects += [top for top in tops if top not in suspects and mentions_split(top.name) and finder.folders(top)]
    if suspects:
        raise _mixed(finder, tops, suspects)
    if len(tops) == 1 and finder.folders(tops[0]):
        inside = [each.name for each in finder.folders(tops[0])]
        raise finder.error(
            f"holds one folder only, {tops[0].name}, with {few(inside)} in it; to look there, set "
            f'data.path = "{path.rstrip("/")}/{tops[0].name}"'
        )
    if not _splits_below(finder, tops):
        finder.add_classes(finder.root, "train", told=False)


def _splits_above(finder: Finder, tops: list[Path], stated: dict[str, str]) -> None:
    folders: dict[str, Path] = {}
    for top in tops:
        split = stated[top.name]
        if split in folders:
            raise finder.refuse(
                f'"{folders[split].name}" and "{top.name}" are both {split}',
                ("To use both", splits_of(stated)),
                ("If they are classes", NONE),
            )
        folders[split] = _within(finder, top)
    if "train" not in folders:
        names = [top.name for top in tops]
        raise finder.refuse(
            f"has {' and '.join(folders)} folders ({few(names)}) but none for train",
            ("To train on one of them, such as the first", f"splits = {to_toml({'train': names[:1]})}"),
            ("If they are classes", NONE),
        )
    if not finder.folders(folders["train"]):
        raise finder.refuse(
            f"{finder.name(folders['train'])} holds no folders, so the classes aren't known: put the images of each "
            "in a folder of its own, or list their paths and labels in a CSV table",
            (f"Or, if {few([top.name for top in tops])} are the classes themselves", NONE),
        )
    _require_classes_in_all(finder, folders)
    finder.layout.stray += finder.files(finder.root)
    for split, folder in folders.items():
        finder.add_classes(folder, split, told=False)
    if any(finder.name(folder) != split for split, folder in folders.items()):
        said = {split: [finder.name(folder)] for split, folder in folders.items()}
        finder.layout.notes.append(f"splits: taken from the folders, {to_toml(said)}")


def _require_classes_in_all(finder: Finder, folders: dict[str, Path]) -> None:
    """Raise DataError for a split whose images aren't in class folders, as competitions publish their test images."""
    flat = [split for split, folder in folders.items() if finder.holds_images(folder) and not finder.folders(folder)]
    if not flat:
        return
    name = finder.name(folders[flat[0]])
    kept = {split: [finder.name(folder)] for split, folder in folders.items() if split not in flat}
    raise finder.error(
        f"{name} holds images but no class folders, so nothing says which classes they are of. Put the images of each "
        f"class in a folder of its own, or leave {name} out (then {' and '.join(flat)} images are taken from train); "
        f"to do that, write in [data]:\n  splits = {to_toml(kept)}"
    )


def _within(finder: Finder, top: Path) -> Path:
    """Return the folder that has the classes: some archives hold seg_train/seg_train."""
    entries = finder.entries(top)
    if len(entries) == 1 and entries[0].is_dir() and entries[0].name == top.name:
        return entries[0]
    return top


def _splits_below(finder: Finder, tops: list[Path]) -> bool:
    """Take class folders with a folder for each split in them, if that is what they are; tell whether they were."""
    inside = {top: finder.folders(top) for top in tops}
    names = {folder.name for folders in inside.values() for folder in folders}
    splits = {name: canonical_split(name) for name in names}
    if not any(splits.values()):
        return False
    bare = all(
        finder.entries(top) == folders and not any(map(finder.folders, folders)) for top, folders in inside.items()
    )
    if not bare or not all(splits.values()) or "train" not in splits.values():
        found = sorted(name for name, split in splits.items() if split)
        raise finder.refuse(
            f"folders named like splits ({few(found)}) are found below {few([top.name for top in tops])}, but not "
            "everywhere",
            (f"If {tops[0].name} is a class, and all below it belongs to it whatever its name", NONE),
            ("If they are splits of the class that they are in", splits_line(found, PLACEHOLDER)),
        )
    for split in ("train", "val", "test"):
        for top in tops:
            for entry in inside[top]:
                if splits[entry.name] == split:
                    finder.layout.classes.append(ClassFolder(split, top.name, entry))
    finder.layout.stray += finder.files(finder.root)
    finder.layout.notes.append(f"splits: taken from the folders in each class ({few(sorted(names))})")
    return True


def _mixed(finder: Finder, tops: list[Path], suspects: list[Path]) -> DataError:
    names = [top.name for top in suspects]
    others = [top.name for top in tops if top not in suspects]
    hint = next((found for name in others if (found := closest(name.lower(), SYNONYMS))), "")
    if not others:
        return finder.refuse(
            f"the folders {few(names)} may be splits",
            ("If they are", splits_line(names, PLACEHOLDER)),
            ("If they are classes", NONE),
        )
    return finder.refuse(
        f"{_quoted(names)} {'is' if len(names) == 1 else 'are'} named like a split, and {_quoted(others)} "
        f"{'is' if len(others) == 1 else 'are'} not{hint}",
        ("To use some folders as splits and leave out the others", splits_line(names, PLACEHOLDER)),
        ("If all of them are classes", NONE),
    )


def _quoted(names: Sequence[str]) -> str:
    return few([f'"{name}"' for name in names])
