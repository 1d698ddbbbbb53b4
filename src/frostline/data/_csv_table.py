"""A CSV table of images: path, label and, if wanted, split."""

from __future__ import annotations

import csv
import posixpath
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frostline.class_names import tidy_class_name
from frostline.data._csv_header import Header, read_header
from frostline.data._csv_paths import locate
from frostline.data._dataset import Skipped
from frostline.data._decoding import decode_image
from frostline.data._labels import read_labels
from frostline.data._source import SPLIT_NAMES, ImageSource
from frostline.data._special_files import read_file
from frostline.data._split_column import MOST_VALUES, Stated, find_stated, names_a_split
from frostline.data_paths import data_path_fault
from frostline.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.data._decoding import Pixels
    from frostline.study import Data

__all__ = ["open_csv"]

LISTED = 10
FIRST_LINES = 100
"""Where the header must be."""


@dataclass
class _Rows:
    """N rows with an image and, whatever it is, a label; the values of other columns while they may state a split."""

    lines: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    others: dict[str, list[str]] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)


def open_csv(path: str, data: Data) -> ImageSource:
    """Return the images that a table lists, in its order.

    The table is UTF-8 text with a header; columns are separated by commas, semicolons, tabs or bars. Where a column
    states a split it is used; without one all is train.

    Args:
        path: the table.
        data: which columns are the image, the label and the split, and what its values mean.

    Raises:
        DataError: no such file, not such a table, columns missing, rows with a missing value or two labels or splits
            for one path, all reported at once by line; or what can't be read without being told.
    """
    where = f'data.path = "{path}"'
    fault = data_path_fault("csv", path)
    if fault is not None:
        raise DataError(f"{where}: {fault}")
    table = Path(path).expanduser()
    rows = _read_rows(where, table, data)

    def place(row: int) -> str:
        return f"{table.name}:{rows.lines[row]}"

    stated = find_stated(where, rows.others, data.split_column, data.splits, place)
    if stated is None and data.splits is not None and data.splits.stated:
        names = " and ".join(f'"{name}"' for names in data.splits.by_split().values() for name in names)
        raise DataError(f"{where}: data.splits: no column holds {names}")
    splits = stated.splits if stated is not None else ("train",) * len(rows.paths)
    problems = [*rows.problems, *_contradictions(rows, splits)]
    if stated is not None:
        problems += _without_split(stated, rows.lines)
    if problems:
        shown = [f"{path}:{line}: {problem}" for line, problem in sorted(problems)]
        more = f"\n... and {len(shown) - LISTED} more" if len(shown) > LISTED else ""
        raise DataError("\n".join(shown[:LISTED]) + more)
    if not rows.paths:
        raise DataError(f"{where}: has a header but no rows")
    used = [label if split else None for label, split in zip(rows.labels, splits, strict=True)]
    labels = read_labels(where, used, data.unlabelled, place)
    located = locate(table, rows.paths)
    repeated = _repetitions(rows, splits)
    kept = np.array([split is not None for split in splits]) & ~labels.left_out
    kept[list(repeated)] = False
    parts = {name: np.flatnonzero((np.array(splits) == name) & kept).astype(np.int64) for name in SPLIT_NAMES}

    def read(image: int) -> Pixels:
        return decode_image(read_file(located.files[image]))

    return ImageSource(
        classes=labels.classes,
        labels=labels.labels,
        parts={name: ids for name, ids in parts.items() if name == "train" or len(ids)},
        name=lambda image: rows.paths[image],
        open=lambda _: read,
        files=lambda ids: [located.files[image] for image in ids.tolist()],
        faults=tuple(
            Skipped(place(image), f"repeats {rows.paths[image]} on line {line}")
            for image, line in sorted(repeated.items())
        ),
        notes=(*([stated.note] if stated is not None else []), *located.notes, *labels.notes),
        warnings=labels.warnings,
    )


def _read_rows(where: str, table: Path, data: Data) -> _Rows:
    rows = _Rows()
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            first = list(islice(stream, FIRST_LINES))
            header = read_header(where, first, data.image_column, data.label_column)
            columns = {n: name for n, name in enumerate(header.columns) if n not in (header.image, header.label)}
            rows.others = {name: [] for name in columns.values() if name}
            reader = csv.reader(
                chain(first[header.n_lines :], stream), delimiter=header.mark, strict=True, skipinitialspace=True
            )
            different: dict[str, set[str]] = {name: set() for name in rows.others}
            for cells in reader:
                _read_row(cells, reader.line_num + header.n_lines, header, rows, different, data.split_column)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: is not UTF-8 text ({error.reason} at byte {error.start}); save it as CSV in UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(f"{where}: is not a CSV table ({error})") from error
    return rows


def _read_row(
    cells: list[str],
    line: int,
    header: Header,
    rows: _Rows,
    different: dict[str, set[str]],
    split_column: str | None,
) -> None:
    values = [cell.strip() for cell in cells]
    n_columns = len(header.columns)
    if not any(values):
        return
    if any(values[n_columns:]):
        rows.problems.append((line, "has more values than the header has columns (a path with a comma needs quotes)"))
        return
    values += [""] * (n_columns - len(values))
    if not values[header.image]:
        rows.problems.append((line, f"has no {header.columns[header.image]}"))
        return
    rows.lines.append(line)
    rows.paths.append(values[header.image])
    rows.labels.append(values[header.label])
    for n, name in enumerate(header.columns):
        if name in rows.others:
            rows.others[name].append(values[n])
            different[name].add(values[n])
            if len(different[name]) > MOST_VALUES and name != split_column and not names_a_split(name):
                del rows.others[name]


def _contradictions(rows: _Rows, splits: Sequence[str | None]) -> list[tuple[int, str]]:
    """Return the rows that give a path another label or split than an earlier row."""
    first: dict[str, int] = {}
    problems = []
    for row, path in enumerate(rows.paths):
        if splits[row] is None:
            continue
        earlier = first.setdefault(_normal(path), row)
        line = rows.lines[earlier]
        labels = {tidy_class_name(rows.labels[earlier]), tidy_class_name(rows.labels[row])} - {""}
        if len(labels) > 1:
            problems.append(
                (rows.lines[row], f'{path} is "{rows.labels[row]}" here and "{rows.labels[earlier]}" on line {line}')
            )
        elif splits[earlier] != splits[row] and splits[earlier] and splits[row]:
            problems.append(
                (rows.lines[row], f"{path} is in {splits[row]} here and in {splits[earlier]} on line {line}")
            )
    return problems


def _without_split(stated: Stated, lines: Sequence[int]) -> list[tuple[int, str]]:
    """Return the rows without a split as one problem, at the first of them."""
    blank = [lines[row] for row, split in enumerate(stated.splits) if split == ""]
    if not blank:
        return []
    others = ", ".join(map(str, blank[1 : LISTED + 1])) + (", ..." if len(blank) > LISTED + 1 else "")
    more = f", like {len(blank) - 1:,} more of its rows (lines {others})" if len(blank) > 1 else ""
    return [(blank[0], f"has no {stated.column}{more}; {stated.remedy}")]


def _repetitions(rows: _Rows, splits: Sequence[str | None]) -> dict[int, int]:
    """Return the line of the first row for each later row of the same path."""
    first: dict[str, int] = {}
    repeated = {}
    for image, (path, line, split) in enumerate(zip(rows.paths, rows.lines, splits, strict=True)):
        if split is None:
            continue
        if _normal(path) in first:
            repeated[image] = first[_normal(path)]
        else:
            first[_normal(path)] = line
    return repeated


def _normal(path: str) -> str:
    """Return a path as it is compared with others: ``./a//b.png`` and ``a\\b.png`` are ``a/b.png``."""
    return posixpath.normpath(path.replace("\\", "/"))
