"""The first line of a CSV table: which mark separates its columns, and what they are called."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.errors import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Header", "read_header"]

IMAGE_NAMES = (
    *("path", "file_name", "filename", "file", "filepath", "file_path", "image", "image_path", "imagepath"),
    *("image_name", "image_file", "fname", "img", "img_path", "img_name"),
)
LABEL_NAMES = ("label", "labels", "class", "class_name", "classname", "category", "target")
MARKS = (",", ";", "\t", "|")
FORMULA = re.compile(r"sep=(.)", re.IGNORECASE)
"""What Excel writes above a table to say which mark it uses."""


@dataclass(frozen=True)
class Header:
    """A table's columns: where the image and the label stand in a row.

    Attributes:
        n_lines: how many lines come before the rows.
        mark: what separates columns.
        columns: their names; an unnamed one is empty.
        image, label: positions in a row.
    """

    n_lines: int
    mark: str
    columns: tuple[str, ...]
    image: int
    label: int


def read_header(where: str, lines: Sequence[str], image: str | None, label: str | None) -> Header:
    """Return the header of a table.

    It is the first line that isn't blank, whose names may be quoted, spaced or missing. Of the marks, the one is
    taken that makes the columns of image and label stand in it, or most columns.

    Args:
        where: the table, for messages.
        lines: the table's first lines.
        image, label: the study's columns; found by their names where left out.

    Raises:
        DataError: the table is empty, or has no such columns, or more than one.
    """
    n_blank = next((n for n, line in enumerate(lines) if line.strip(" \t\r\n,;|")), len(lines))
    marks: tuple[str, ...] = MARKS
    said = FORMULA.fullmatch(lines[n_blank].strip().strip('"')) if n_blank < len(lines) else None
    if said is not None:
        marks, n_blank = (said[1],), n_blank + 1
    if n_blank >= len(lines):
        raise DataError(f"{where}: is empty; a header line with path,label is needed")
    read = [(mark, _names(lines[n_blank], mark)) for mark in marks]
    wanted = [(_matching(columns, image, IMAGE_NAMES), _matching(columns, label, LABEL_NAMES)) for _, columns in read]
    best = max(range(len(read)), key=lambda n: (all(wanted[n]), len(read[n][1])))
    mark, columns = read[best]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise DataError(f"{where}: the header names column {', '.join(twice)} more than once")
    found_image = _one(where, columns, wanted[best][0], "image", image or "path")
    found_label = _one(where, columns, wanted[best][1], "label", label or "label")
    if found_image == found_label:
        raise DataError(f"{where}: column {columns[found_image]} can't be both data.image_column and data.label_column")
    return Header(n_blank + 1, mark, columns, found_image, found_label)


def _names(line: str, mark: str) -> tuple[str, ...]:
    """Return the names in a header line; spaces may stand around quotes."""
    spaced = re.sub(rf'"\s+(?={re.escape(mark)}|$)', '"', line.rstrip("\r\n"))
    cells = next(csv.reader([spaced], delimiter=mark, skipinitialspace=True), [])
    return tuple(cell.strip().strip("'\"").strip() for cell in cells)


def _matching(columns: Sequence[str], given: str | None, usual: Sequence[str]) -> list[int]:
    """Return the positions of the given column, exactly or but for case, or else those with the most usual names."""
    if given is not None:
        exact = [n for n, name in enumerate(columns) if name == given.strip()]
        return exact or [n for n, name in enumerate(columns) if name.lower() == given.strip().lower()]
    first = [n for n, name in enumerate(columns) if name.lower() == usual[0]]
    return first or [n for n, name in enumerate(columns) if re.sub(r"[ -]", "_", name.lower()) in usual]


def _one(where: str, columns: Sequence[str], found: list[int], what: str, name: str) -> int:
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(columns[n] for n in found)
        raise DataError(f"{where}: {several} could each be the {what} column; name one in data.{what}_column")
    named = [each for each in columns if each]
    raise DataError(
        f'{where}: has no column "{name}"; its columns are {", ".join(named)}: name one in data.{what}_column'
        f"{closest(name, named)}"
    )
