"""The Parquet files of a data set, and the split that each one's name states."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from frostline.data._source import SPLIT_NAMES
from frostline.data._split_names import SYNONYMS, canonical_split, mentions_split, stated_splits, to_toml
from frostline.data._walking import walk_files
from frostline.data_paths import data_path_fault
from frostline.errors import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from frostline.data._litter import Ignored
    from frostline.study import Splits

__all__ = ["DAMAGED", "ParquetFile", "first_line", "open_files"]

DAMAGED = (pa.ArrowException, OSError, ValueError)  # ValueError: text that isn't UTF-8
SHARD = re.compile(r"([-_. ]*\d+([-_.]of[-_.]\d+)?([-_.][0-9a-f]{8,})?)+$", re.IGNORECASE)
"""The end of a file's name that only numbers it: ``-00000-of-00002`` and the like."""

SHOWN = 5


@dataclass(frozen=True, eq=False)
class ParquetFile:
    """One Parquet file: where its rows begin in the source, and the split that its name states, if any."""

    path: Path
    name: str
    split: str | None
    file: Any
    first: int

    @property
    def n_rows(self) -> int:
        """Rows in the file."""
        return int(self.file.metadata.num_rows)

    def read_column(self, name: str) -> list[Any]:
        """Return all values of a column.

        Raises:
            DataError: the column is damaged.
        """
        try:
            values: list[Any] = self.file.read(columns=[name]).column(name).to_pylist()
        except (*DAMAGED, KeyError) as error:
            raise DataError(f'{self.path}: column "{name}" is damaged ({first_line(error)})') from error
        if len(values) != self.n_rows:
            raise DataError(f'{self.path}: column "{name}" is damaged ({len(values)} values in {self.n_rows} rows)')
        return values


def open_files(
    path: str, splits: Splits | None, ignored: Ignored, *, by_column: bool
) -> tuple[list[ParquetFile], list[str]]:
    """Return the files of a path in the order of their splits and names, and notes on what isn't used.

    Args:
        path: a file, whose name states nothing, or a folder, searched below too, through links.
        splits: what the study says; patterns of names, where they are of files.
        ignored: gets an entry for each path that is passed over.
        by_column: whether the study says that a column states the splits.

    Raises:
        DataError: no such path, no Parquet file or a damaged one, or names that state splits for some files only.
    """
    fault = data_path_fault("parquet", path)
    if fault is not None:
        raise DataError(f'data.path = "{path}": {fault}')
    root = Path(path).expanduser()
    if root.is_file():
        named: list[tuple[Path, str, str | None]] = [(root, root.name, None)]
    else:
        found = (file for file in walk_files(root, ignored) if file.suffix == ".parquet")
        relative = sorted(file.relative_to(root) for file in found)
        if not relative:
            raise DataError(f'data.path = "{path}": holds no .parquet files')
        stated = dict.fromkeys(relative) if by_column else _stated(path, relative, splits)
        named = [(root / each, each.as_posix(), split) for each, split in stated.items()]
    # in the order of the splits, so that ids don't depend on how a split's files are called
    named.sort(key=lambda entry: (SPLIT_NAMES.index(entry[2] or "train"), Path(entry[1])))
    files: list[ParquetFile] = []
    for file, name, split in named:
        first = files[-1].first + files[-1].n_rows if files else 0
        files.append(ParquetFile(file, name, split, _opened(file), first))
    notes = []
    if not root.is_file() and len(files) < len(relative):
        unused = sorted({each.as_posix() for each in relative} - {file.name for file in files})
        notes.append(f"not used: {_few(unused)}")
    return files, notes


def _opened(path: Path) -> Any:
    try:
        opened = pq.ParquetFile(path)
    except DAMAGED as error:
        raise DataError(f"{path}: is not a readable Parquet file ({first_line(error)})") from error
    groups = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
    if min(groups, default=0) < 0 or sum(groups) != opened.metadata.num_rows:
        raise DataError(f"{path}: is not a readable Parquet file (its row counts contradict each other)")
    return opened


def _stated(path: str, files: list[Path], splits: Splits | None) -> dict[Path, str | None]:
    """Return the split of each file that is used, None for all of them where no name states one."""
    if splits is not None:
        if not splits.stated:
            return dict.fromkeys(files)
        matched = {
            name: [file for file in files if _matches(file, name)]
            for names in splits.by_split().values()
            for name in names
        }
        if not any(matched.values()):
            return dict.fromkeys(files)  # then they are the values of a column
        return _matched(path, files, splits, matched)
    bases = {file: SHARD.sub("", file.with_suffix("").as_posix()) for file in files}
    together = stated_splits(bases.values())
    found = {file: _split_of(file) or (together[bases[file]] if together else None) for file in files}
    if any(split is None for split in found.values()):
        _require_plain(path, found)
    elif "train" not in found.values():
        others = " and ".join(sorted({split for split in found.values() if split}))
        raise DataError(
            f'data.path = "{path}": there are files for {others} ({_names(found)}) but none for train. To train on one '
            f"of them, such as the first, write in [data]:\n  splits = {to_toml({'train': [files[0].as_posix()]})}\n"
            'or, if these names mean something else:\n  splits = "none"'
        )
    return found


def _matched(path: str, files: list[Path], splits: Splits, matched: dict[str, list[Path]]) -> dict[Path, str | None]:
    result: dict[Path, str | None] = {}
    for split, names in splits.by_split().items():
        for name in names:
            if not matched[name]:
                raise DataError(
                    f'data.splits.{split}: no file in "{path}" is named "{name}"; the files are {_names(files)}'
                )
            for file in matched[name]:
                if result.setdefault(file, split) != split:
                    raise DataError(f"data.splits: {file.as_posix()} is both {result[file]} and {split}")
    return result


def _matches(file: Path, pattern: str) -> bool:
    """Tell whether a pattern is of a file's path, its name, with or without an ending, or of a folder it is in."""
    names = (file.as_posix(), file.name, file.stem, *(parent.as_posix() for parent in file.parents))
    return any(fnmatchcase(name, pattern) for name in names)


def _require_plain(path: str, found: dict[Path, str | None]) -> None:
    """Raise DataError where only some names state a split, or none does and some seem to."""
    unknown = [file for file, split in found.items() if split is None]
    if len(unknown) == len(found) and not any(mentions_split(file.with_suffix("").as_posix()) for file in found):
        return
    hint = closest(unknown[0].stem.split("-")[0].lower(), SYNONYMS)
    known: dict[str, list[str]] = {}
    for file, split in found.items():
        if split is not None:
            known.setdefault(split, []).append(file.as_posix())
    example = {"train": ["PATTERN"], "test": ["PATTERN"], **known}
    raise DataError(
        f'data.path = "{path}": {unknown[0].as_posix()} does not name a split: names begin with train, validation or '
        f"test{hint}\nTo use some files as splits and leave out the others, write in [data]:\n  "
        f'splits = {to_toml(example)}\nor, if these names mean something else:\n  splits = "none"'
    )


def _split_of(relative: Path) -> str | None:
    """Return the split that a file's name states (``train-00000-of-00001``), or that of its nearest folder."""
    beginning = re.split(r"[-_.]", relative.stem)[0]
    pieces = (relative.stem, SHARD.sub("", relative.stem), beginning, *(parent.name for parent in relative.parents))
    return next((split for piece in pieces if (split := canonical_split(piece)) is not None), None)


def _names(files: Iterable[Path]) -> str:
    return _few([file.as_posix() for file in files])


def _few(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
