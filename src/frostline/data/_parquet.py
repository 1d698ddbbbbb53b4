"""Parquet files in the Hugging Face layout: a struct of ``bytes`` and ``path``, class names in the schema metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from frostline.data._blobs import Blobs
from frostline.data._dataset import Skipped
from frostline.data._decoding import BadImageError, Pixels, decode_image
from frostline.data._litter import Ignored
from frostline.data._parquet_columns import class_labels, column_features, find_image_column, find_label_column
from frostline.data._source import SPLIT_NAMES, SYNONYMS, Ids, Reader, Source, canonical_split
from frostline.data._special_files import read_file, what_it_is
from frostline.data._walking import walk_files
from frostline.errors import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["open_parquet"]

DAMAGED = (pa.ArrowException, OSError, ValueError)  # ValueError: text that isn't UTF-8


@dataclass(frozen=True, eq=False)
class _File:
    """One Parquet file: where its rows begin in the source, and in which split they are."""

    path: Path
    name: str
    split: str
    file: Any
    first: int

    @property
    def n_rows(self) -> int:
        return int(self.file.metadata.num_rows)


def open_parquet(path: str, image_column: str | None = None, label_column: str | None = None) -> Source:
    """Return the images of one file, or of a folder of ``train-*.parquet``, ``validation-*`` and ``test-*``.

    Only labels are read here; opening a reader reads the encoded bytes of the chosen rows, one row group at a time.

    Args:
        path: a file (all of it train) or a folder, searched below too; a file's split is the beginning of its name,
            or the name of the folder it is in. Files that name no split at all are all train.
        image_column: the column of the images; found by its type where left out.
        label_column: the column of the labels; found by the schema's metadata or its name where left out.

    Raises:
        DataError: no such path, no Parquet file, unknown split names, no column of images or labels, or more than one.
    """
    ignored = Ignored()
    files = _open_files(path, ignored)
    schema = files[0].file.schema_arrow
    for file in files[1:]:
        if file.file.schema_arrow.names != schema.names:
            raise DataError(
                f'data.path = "{path}": the columns of {file.name} ({", ".join(file.file.schema_arrow.names)}) '
                f"differ from those of {files[0].name} ({', '.join(schema.names)})"
            )
    features = column_features(schema)
    image = find_image_column(path, schema, features, image_column)
    label = find_label_column(path, schema, features, label_column, image)
    values = [value for file in files for value in _column(file, label)]
    given = features.get(label, {}).get("names")
    classes, labels = class_labels(path, label, values, given if isinstance(given, list) else None)

    def file_of(row: int) -> _File:
        return next(file for file in reversed(files) if row >= file.first)

    def name(row: int) -> str:
        file = file_of(row)
        return f"{file.name} row {row - file.first}"

    parts: dict[str, Ids] = {"train": np.empty(0, dtype=np.int64)}
    for split in SPLIT_NAMES:
        rows = [np.arange(file.first, file.first + file.n_rows) for file in files if file.split == split]
        if rows:
            ids = np.concatenate(rows).astype(np.int64)
            parts[split] = ids[labels[ids] >= 0]
    unlabelled = np.flatnonzero(labels < 0).tolist()
    return Source(
        classes=classes,
        labels=labels,
        parts=parts,
        name=name,
        open=lambda ids: _reader(files, image, ids),
        files=lambda ids: [file.path for file in files],
        faults=tuple(Skipped(name(row), f"has no valid label ({label} = {values[row]!r})") for row in unlabelled),
        ignored=ignored.counts,
    )


def _open_files(path: str, ignored: Ignored) -> list[_File]:
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f'data.path = "{path}": does not exist (looked for {root.absolute()})')
    if root.is_file():
        found = [(root, root.name, "train")]
    elif not root.is_dir():
        raise DataError(f'data.path = "{path}": is a {what_it_is(root)}, not a Parquet file or a folder of them')
    else:
        paths = sorted(found for found in walk_files(root, ignored) if found.suffix == ".parquet")
        if not paths:
            raise DataError(f'data.path = "{path}": holds no .parquet file')
        found = _with_splits(path, [(file, file.relative_to(root)) for file in paths])
    # in the order of the splits, so that ids don't depend on how a split's files are called
    found.sort(key=lambda entry: (SPLIT_NAMES.index(entry[2]), entry[1]))
    files = []
    first = 0
    for file_path, name, split in found:
        try:
            opened = pq.ParquetFile(file_path)
        except DAMAGED as error:
            raise DataError(f"{file_path}: is not a readable Parquet file ({_first_line(error)})") from error
        groups = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
        if min(groups, default=0) < 0 or sum(groups) != opened.metadata.num_rows:
            raise DataError(f"{file_path}: is not a readable Parquet file (its row counts contradict each other)")
        files.append(_File(file_path, name, split, opened, first))
        first += files[-1].n_rows
    return files


def _with_splits(path: str, files: Sequence[tuple[Path, Path]]) -> list[tuple[Path, str, str]]:
    named = [(file, relative, _split_of(relative)) for file, relative in files]
    if all(split is None for _, _, split in named):
        return [(file, relative.as_posix(), "train") for file, relative, _ in named]
    result = []
    for file, relative, split in named:
        if split is None:
            hint = closest(relative.stem.split("-")[0].lower(), SYNONYMS)
            raise DataError(
                f'data.path = "{path}": {relative.as_posix()} is of no known split: a name begins with train, '
                f"validation or test{hint}"
            )
        result.append((file, relative.as_posix(), split))
    return result


def _split_of(relative: Path) -> str | None:
    """Return the split that a file's name begins with (``train-00000-of-00001``), or that of its nearest folder."""
    beginning = relative.stem.replace("_", "-").replace(".", "-").split("-")[0]
    for piece in (relative.stem, beginning, *(parent.name for parent in relative.parents)):
        split = canonical_split(piece)
        if split is not None:
            return split
    return None


def _column(file: _File, name: str) -> list[Any]:
    try:
        values: list[Any] = file.file.read(columns=[name]).column(0).to_pylist()
    except DAMAGED as error:
        raise DataError(f'{file.path}: column "{name}" is damaged ({_first_line(error)})') from error
    if len(values) != file.n_rows:
        raise DataError(f'{file.path}: column "{name}" is damaged ({len(values)} values in {file.n_rows} rows)')
    return values


def _reader(files: list[_File], column: str, ids: Ids) -> Reader:
    """Return the reader of the chosen rows, whose encoded bytes are read now: each row group once, in order."""
    blobs = Blobs()
    places: dict[int, int] = {}
    for file in files:
        rows = np.unique(ids[(ids >= file.first) & (ids < file.first + file.n_rows)]) - file.first
        start = 0
        for group in range(file.file.num_row_groups):
            stop = start + file.file.metadata.row_group(group).num_rows
            wanted = rows[(rows >= start) & (rows < stop)]
            if len(wanted):
                try:
                    table = file.file.read_row_group(group, columns=[column])
                    cells = table.column(0).take(pa.array(wanted - start)).to_pylist()
                except DAMAGED as error:
                    raise DataError(f"{file.path}: row group {group} is damaged ({_first_line(error)})") from error
                for row, cell in zip(wanted.tolist(), cells, strict=True):
                    places[file.first + row] = blobs.append(_encoded(cell, file.path.parent))
            start = stop

    def read(row: int) -> Pixels:
        return decode_image(blobs[places[row]])

    return read


def _encoded(cell: dict[str, Any] | bytes | None, folder: Path) -> bytes | Exception:
    """Return a cell's encoded image, or the exception that reading it should raise."""
    if isinstance(cell, dict):
        if cell.get("bytes") is None and cell.get("path"):
            # the layout allows an image beside the table instead of in it
            try:
                return read_file(folder / str(cell["path"]))
            except BadImageError as error:
                return BadImageError(f'holds no bytes, and its path "{cell["path"]}" {error}')
            except (OSError, ValueError):
                return BadImageError(f'holds no bytes, and its path "{cell["path"]}" can\'t be read')
        encoded: bytes | None = cell.get("bytes")
    else:
        encoded = cell
    return encoded if encoded is not None else BadImageError("holds no image (null)")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
