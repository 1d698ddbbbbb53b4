"""A CSV table of images: path, label and, if wanted, split."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frostline.data._dataset import Skipped
from frostline.data._decoding import decode_image
from frostline.data._source import SPLIT_NAMES, SYNONYMS, Source, canonical_split, sorted_classes
from frostline.data._special_files import read_file, what_it_is
from frostline.errors import DataError, closest

if TYPE_CHECKING:
    from frostline.data._decoding import Pixels

__all__ = ["open_csv"]

LISTED = 10


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    split: str


def open_csv(path: str, image_column: str | None = None, label_column: str | None = None) -> Source:
    """Return the images that a table lists, in its order.

    The table is UTF-8 text with a header line; columns are separated by commas, semicolons or tabs. Image paths
    start at the table's folder. A column ``split`` says train, val or test; without it all is train.

    Args:
        path: the table.
        image_column: the column of the paths, ``path`` where left out.
        label_column: the column of the labels, ``label`` where left out.

    Raises:
        DataError: no such file, not such a table, columns missing, or rows with a missing value, unknown split or
            two labels for one path; all such rows are reported at once, by line.
    """
    table = Path(path).expanduser()
    if not table.is_file():
        missing = f"does not exist (looked for {table.absolute()})"
        what = f"is a {what_it_is(table)}, not a CSV file" if table.exists() else missing
        raise DataError(f'data.path = "{path}": {what}')
    rows, problems = _read_rows(path, table, image_column or "path", label_column or "label")
    problems += _contradictions(rows)
    if problems:
        shown = [f"{path}:{line}: {problem}" for line, problem in sorted(problems)]
        more = f"\n... and {len(shown) - LISTED} more" if len(shown) > LISTED else ""
        raise DataError("\n".join(shown[:LISTED]) + more)
    if not rows:
        raise DataError(f'data.path = "{path}": has a header but no rows')
    return _source(table, rows)


def _source(table: Path, rows: list[_Row]) -> Source:
    classes = sorted_classes({row.label for row in rows})
    number = {name: label for label, name in enumerate(classes)}
    splits = np.array([row.split for row in rows], dtype=object)
    parts = {name: np.flatnonzero(splits == name).astype(np.int64) for name in SPLIT_NAMES}
    repeated = _repetitions(rows)
    kept = {name: ids[~np.isin(ids, list(repeated))] for name, ids in parts.items()}

    def read(image: int) -> Pixels:
        return decode_image(read_file(table.parent / rows[image].path))

    return Source(
        classes=classes,
        labels=np.array([number[row.label] for row in rows], dtype=np.int64),
        parts={name: ids for name, ids in kept.items() if name == "train" or len(ids)},
        name=lambda image: rows[image].path,
        open=lambda _: read,
        files=lambda ids: [table.parent / rows[image].path for image in ids.tolist()],
        faults=tuple(
            Skipped(f"{table.name}:{rows[image].line}", f"repeats {rows[image].path} of line {line}")
            for image, line in sorted(repeated.items())
        ),
    )


def _read_rows(path: str, table: Path, image: str, label: str) -> tuple[list[_Row], list[tuple[int, str]]]:
    rows: list[_Row] = []
    problems: list[tuple[int, str]] = []
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline()
            stream.seek(0)
            reader = csv.DictReader(stream, delimiter=_delimiter(header), strict=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            _require_columns(path, columns, image, label)
            for cells in reader:
                _read_row(cells, reader.line_num, image, label, rows, problems)
    except UnicodeDecodeError as error:
        raise DataError(f'data.path = "{path}": is not UTF-8 text ({error.reason} at byte {error.start})') from error
    except csv.Error as error:
        raise DataError(f'data.path = "{path}": is not a CSV table ({error})') from error
    return rows, problems


def _read_row(
    cells: dict[str | None, str | list[str] | None],
    line: int,
    image: str,
    label: str,
    rows: list[_Row],
    problems: list[tuple[int, str]],
) -> None:
    if None in cells:
        problems.append((line, "has more values than the header has columns (a path with a comma needs quotes)"))
        return
    values = {name: str(value or "").strip() for name, value in cells.items()}
    empty = [name for name in (image, label, "split") if name in values and not values[name]]
    if empty:
        problems.append((line, f"has no {' and no '.join(empty)}"))
        return
    split = canonical_split(values.get("split", "train"))
    if split is None:
        hint = closest(values["split"].lower(), SYNONYMS)
        problems.append((line, f'split "{values["split"]}" is unknown: train, val, test{hint}'))
        return
    rows.append(_Row(line, values[image], values[label], split))


def _delimiter(header: str) -> str:
    return next((mark for mark in (",", ";", "\t") if mark in header), ",")


def _require_columns(path: str, columns: list[str], image: str, label: str) -> None:
    if not columns:
        raise DataError(f'data.path = "{path}": is empty; a header line with path,label is needed')
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f'data.path = "{path}": the header names column {", ".join(twice)} more than once')
    for key, name in (("image_column", image), ("label_column", label)):
        if name not in columns:
            raise DataError(
                f'data.path = "{path}": has no column "{name}" but {", ".join(columns)}{closest(name, columns)}; '
                f"name the right one in data.{key}"
            )


def _contradictions(rows: list[_Row]) -> list[tuple[int, str]]:
    """Return the rows that give a path another label or split than an earlier row."""
    first: dict[str, _Row] = {}
    problems = []
    for row in rows:
        earlier = first.setdefault(row.path, row)
        if earlier.label != row.label:
            problems.append(
                (row.line, f'{row.path} is "{row.label}" here and "{earlier.label}" on line {earlier.line}')
            )
        elif earlier.split != row.split:
            problems.append(
                (row.line, f"{row.path} is in {row.split} here and in {earlier.split} on line {earlier.line}")
            )
    return problems


def _repetitions(rows: list[_Row]) -> dict[int, int]:
    """Return the line of the first row for each later row of the same path."""
    first: dict[str, int] = {}
    repeated = {}
    for image, row in enumerate(rows):
        if row.path in first:
            repeated[image] = first[row.path]
        else:
            first[row.path] = row.line
    return repeated
