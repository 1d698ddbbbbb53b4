"""Parquet files in the Hugging Face layout: a struct of ``bytes`` and ``path``, class names in the schema metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.data._blobs import Blobs
from frostline.data._dataset import Skipped
from frostline.data._decoding import BadImageError, Pixels, decode_image
from frostline.data._litter import Ignored
from frostline.data._parquet_columns import (
    column_features,
    find_image_column,
    find_label_column,
    require_columns,
    split_columns,
)
from frostline.data._parquet_files import DAMAGED, ParquetFile, first_line, open_files
from frostline.data._parquet_labels import FileLabels, read_file_labels
from frostline.data._source import SPLIT_NAMES, Ids, ImageSource, Reader
from frostline.data._special_files import read_file
from frostline.data._split_column import Stated, find_stated
from frostline.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from frostline.study import Data

__all__ = ["open_parquet"]


def open_parquet(path: str, data: Data) -> ImageSource:
    """Return the images of one file, or of a folder of ``train-*.parquet``, ``validation-*`` and ``test-*``.

    Only labels are read here; opening a reader reads the encoded bytes of the chosen rows, one row group at a time.

    Args:
        path: a file (all of it train, unless a column states a split) or a folder, searched below too; a file's split
            is the beginning of its name, or the name of the folder it is in. Files that name no split are all train.
        data: which columns are the image, found by its type where left out, the label, found by the schema's metadata
            or its name, and the split; and what its values or the files' names mean.

    Raises:
        DataError: no such path, no Parquet file, no column of images or labels, or more than one; labels that can't be
            read; or splits that can't be without being told.
    """
    where = f'data.path = "{path}"'
    by_column = data.split_column not in (None, "none")
    ignored = Ignored()
    files, notes = open_files(path, data.splits, ignored, by_column=by_column)
    schema = files[0].file.schema_arrow
    features = column_features(schema)
    image = find_image_column(path, schema, features, data.image_column)
    label = find_label_column(path, schema, features, data.label_column, image)
    require_columns(path, files, image, label)

    def file_of(row: int) -> ParquetFile:
        return next(file for file in reversed(files) if row >= file.first)

    def name(row: int) -> str:
        file = file_of(row)
        return f"{file.name} row {row - file.first}"

    splits, stated = _splits(where, files, (image, label), data, name)
    values = [file.read_column(label) for file in files]
    labels = read_file_labels(
        where,
        label,
        [FileLabels(file.name, each, _names(file, label)) for file, each in zip(files, values, strict=True)],
        data.unlabelled,
        name,
        [split is not None for split in splits],
    )
    usable = (labels.labels >= 0) & (np.array([split or "" for split in splits]) != "")
    parts: dict[str, Ids] = {"train": np.empty(0, dtype=np.int64)}
    for split in SPLIT_NAMES:
        rows = np.flatnonzero(np.array([each == split for each in splits])).astype(np.int64)
        if len(rows):
            parts[split] = rows[usable[rows]]
    faulty = [
        row
        for row in np.flatnonzero(~usable & ~labels.left_out).tolist()
        if splits[row] is not None  # what the study leaves out needs no label
    ]

    blank = [row for row in faulty if splits[row] == ""]

    def fault(row: int) -> Skipped:
        if splits[row] == "" and stated is not None:
            reason = f"has no {stated.column}; {stated.remedy}"
            n_more = len(blank) - 1
            shared = f"{name(blank[0])}, like {n_more:,} more of the rows, {reason}" if n_more else ""
            return Skipped(name(row), reason, shared)
        file = file_of(row)
        value = values[files.index(file)][row - file.first]
        return Skipped(name(row), f"has no valid label ({label} = {value!r})")

    return ImageSource(
        classes=labels.classes,
        labels=labels.labels,
        parts=parts,
        name=name,
        open=lambda ids: _reader(files, image, ids),
        files=lambda ids: [file.path for file in files],
        faults=tuple(fault(row) for row in faulty),
        ignored=ignored.counts,
        notes=(*([stated.note] if stated is not None else []), *notes, *labels.notes),
        warnings=labels.warnings,
    )


def _names(file: ParquetFile, label: str) -> list[str] | None:
    names = column_features(file.file.schema_arrow).get(label, {}).get("names")
    return [str(name) for name in names] if isinstance(names, list) and names else None


def _splits(
    where: str, files: Sequence[ParquetFile], used: tuple[str, str], data: Data, name: Any
) -> tuple[list[str | None], Stated | None]:
    """Return the split of each row, by the files' names or by a column, and what the column states."""
    by_file = [file.split for file in files for _ in range(file.n_rows)]
    named = any(file.split for file in files)
    if data.split_column == "none" or (named and data.splits is not None):
        columns: dict[str, list[str]] = {}
    else:
        columns = split_columns(str(data.path), files, used, data.split_column, data.splits)
    stated = (
        find_stated(where, columns, data.split_column, data.splits, name, only_sure=named)
        if columns or data.split_column
        else None
    )
    if stated is None:
        if data.splits is not None and data.splits.stated and not named:
            said = " and ".join(f'"{each}"' for names in data.splits.by_split().values() for each in names)
            raise DataError(f"{where}: data.splits: no file is named and no column holds {said}")
        return [split or "train" for split in by_file], None
    if named:
        for row, (mine, theirs) in enumerate(zip(by_file, stated.splits, strict=True)):
            if theirs != mine and theirs != "":
                raise DataError(
                    f"{where}: {name(row)} is {mine} by its file's name, but column {stated.column} says {theirs}. "
                    f'To go by the names, write in [data]:\n  split_column = "none"\nor by the column:\n'
                    f'  split_column = "{stated.column.split(", ")[0]}"'
                )
        return list(by_file), None
    return list(stated.splits), stated


def _reader(files: Sequence[ParquetFile], column: str, ids: Ids) -> Reader:
    """Return the reader of the chosen rows, whose encoded bytes are read now: each row group once, in order."""
    blobs = Blobs()
    places: dict[int, int] = {}
    for file in files:
        rows = np.unique(ids[(ids >= file.first) & (ids < file.first + file.n_rows)]) - file.first
        start = 0
        for group in range(file.file.num_row_groups):
            stop = start + file.file.metadata.row_group(group).num_rows
            wanted = rows[(rows >= start) & (rows < stop)].tolist()
            if wanted:
                try:
                    cells = file.file.read_row_group(group, columns=[column]).column(column)
                    # one by one: Arrow can't take rows of every type of binary
                    read_cells = [cells[row - start].as_py() for row in wanted]
                except (*DAMAGED, LookupError) as error:
                    raise DataError(f"{file.path}: row group {group} is damaged ({first_line(error)})") from error
                for row, cell in zip(wanted, read_cells, strict=True):
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
