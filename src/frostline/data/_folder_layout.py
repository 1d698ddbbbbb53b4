"""Class folders, wherever they are below a root, and the error that asks which folders are classes."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from frostline.data._opening import image_suffixes
from frostline.data._split_names import stated_splits, to_toml
from frostline.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["NONE", "PLACEHOLDER", "ClassFolder", "Finder", "FolderLayout", "few", "splits_of"]

NONE = 'splits = "none"'
PLACEHOLDER = "FOLDER"
SHOWN = 5


@dataclass(frozen=True)
class ClassFolder:
    """A folder of images of one class and split, folders below it included."""

    split: str
    name: str
    path: Path


@dataclass
class FolderLayout:
    """The class folders in the order in which their images get their ids, and what lies outside of them."""

    classes: list[ClassFolder] = field(default_factory=list)
    stray: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Finder:
    """Looks at a root folder; ``entries`` lists a folder without what is ignored."""

    where: str
    root: Path
    entries: Callable[[Path], list[Path]]
    layout: FolderLayout = field(default_factory=FolderLayout)
    listed: dict[Path, list[Path]] = field(default_factory=dict)

    def folders(self, folder: Path) -> list[Path]:
        """Return the folders in a folder, links to folders too."""
        if folder not in self.listed:
            with os.scandir(folder) as found:
                names = {entry.name for entry in found if _is_folder(entry)}
            # most folders of a class hold images alone
            self.listed[folder] = [entry for entry in self.entries(folder) if entry.name in names] if names else []
        return self.listed[folder]

    def name(self, folder: Path) -> str:
        """Return a folder's path from the root on."""
        return folder.relative_to(self.root).as_posix()

    def refuse(self, what: str, *lines: tuple[str, str]) -> DataError:
        """Return the error that says what was found, and with which line each reading of it is chosen."""
        readings = "".join(f"\n{reading}:\n  {line}" for reading, line in lines)
        return self.error(f"{what}\nSay which in [data]:{readings}")

    def error(self, what: str) -> DataError:
        """Return an error about the root; what isn't UTF-8 in a name is a question mark in it."""
        return DataError(f"{self.where}: {what}".encode("utf-8", "replace").decode())

    def files(self, folder: Path) -> list[Path]:
        """Return the files in a folder."""
        folders = set(self.folders(folder))
        return [entry for entry in self.entries(folder) if entry not in folders]

    def holds_images(self, folder: Path) -> bool:
        """Tell whether there are images in a folder itself."""
        return any(file.suffix.lower() in image_suffixes() for file in self.files(folder))

    def add_classes(self, folder: Path, split: str, *, told: bool) -> None:
        """Take the folders in a folder for classes of a split."""
        found = self.folders(folder)
        if not told:
            self.require_classes(folder, found)
        self.layout.stray += self.files(folder)
        self.layout.classes += [ClassFolder(split, each.name, each) for each in found]

    def require_classes(self, folder: Path, found: Sequence[Path]) -> None:
        """Raise DataError for folders that look like something else than classes: all with the same folders in them."""
        inside = {each: {below.name for below in self.folders(each)} for each in found}
        counts = Counter(name for names in inside.values() for name in names)
        same = sorted(name for name, n in counts.items() if n > 1 and n > len(found) / 2)
        # a single folder in each, such as images, can't be the classes, nor can images beside folders be of a split
        if not same or len(counts) == 1 or all(self.holds_images(each) for each in found):
            return
        names = [self.name(each) for each in found]
        below = f" of {self.name(folder)}" if folder != self.root else ""
        example = f"{names[0]}/{same[0]}"
        top = f"{found[0].name} and {found[1].name}"
        raise self.refuse(
            f"the folders{below} ({few([each.name for each in found])}) hold the same folders ({few(same)}), so either "
            "may be the classes",
            (f"If the classes are {top}", NONE if folder == self.root else self.splits_as_stated()),
            (
                f"If {example} is of class {same[0]}, name the folders of each split; for example, with all in train",
                f"splits = {to_toml({'train': names})}",
            ),
        )

    def splits_as_stated(self) -> str:
        """Return the line that says what the root's folders state, so that nothing more is asked about."""
        stated = stated_splits([each.name for each in self.folders(self.root)]) or {}
        return splits_of(stated)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
        return False


def splits_of(stated: Mapping[str, str]) -> str:
    """Return the line of a study that says which names are which split."""
    names: dict[str, list[str]] = {}
    for name, split in stated.items():
        names.setdefault(split, []).append(name)
    return f"splits = {to_toml(names)}"


def few(names: Sequence[str]) -> str:
    """Return names in a line, the first of them where they are many."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
