"""The labels of several Parquet files: each file's numbers mean its own names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frostline.data._labels import Labels, read_labels
from frostline.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FileLabels", "read_file_labels"]

SHOWN = 3


@dataclass(frozen=True)
class FileLabels:
    """The label column of one file: a value for each row, and the names that its numbers mean, if it has any."""

    file: str
    values: Sequence[Any]
    names: Sequence[str] | None


def read_file_labels(
    where: str,
    column: str,
    files: Sequence[FileLabels],
    unlabelled: Sequence[str] | None,
    name: Callable[[int], str],
    used: Sequence[bool],
) -> Labels:
    """Return the labels of all files in a row.

    Args:
        where: the data set, for messages.
        column: of the labels.
        files: in order.
        unlabelled: the labels that the study says mean that there is none.
        name: the name of a row, counted over all files.
        used: whether each row is of the study; what the others say is no class.

    Raises:
        DataError: numbers without names beside names, numbers beyond the names, numbers that aren't whole, or labels
            that may mean that there is none.
    """
    texts: list[str | None] = []
    kinds: dict[str, str] = {}
    for file in files:
        read, kind = _texts(where, column, file)
        texts += read
        if kind is not None:
            kinds.setdefault(kind, file.file)
    _require_one_meaning(where, column, files, kinds)
    texts = [text if use else None for text, use in zip(texts, used, strict=True)]
    named = [file for file in files if file.names is not None and kinds.get("names")]
    order = list(dict.fromkeys(each for file in named for each in file.names or ()))
    labels = read_labels(where, texts, unlabelled, name, order=order)
    others = [file.file for file in named if list(file.names or ()) != list(named[0].names or ())]
    if not others:
        return labels
    more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
    note = f"{named[0].file} and {others[0]}{more} number their classes differently; each is read with its own names"
    return Labels(labels.classes, labels.labels, labels.left_out, (note, *labels.notes), labels.warnings)


def _texts(where: str, column: str, file: FileLabels) -> tuple[list[str | None], str | None]:
    """Return a file's labels as text, None for a missing one, and what kind they are: None if there are none."""
    values = [None if value != value else value for value in file.values]  # NaN, pandas' missing number
    present = [value for value in values if value is not None]
    if not present:
        return [None] * len(values), None
    if all(isinstance(value, bool) for value in present):
        return [None if value is None else str(value) for value in values], "text"
    broken = next((value for value in present if isinstance(value, float) and not value.is_integer()), None)
    if broken is not None:
        raise DataError(
            f'{where}: the labels in column "{column}" are numbers such as {broken}: whole numbers or text are needed'
        )
    if not all(isinstance(value, int | float) for value in present):
        return [None if value is None else str(value) for value in values], "text"
    numbers = [None if value is None else int(value) for value in values]
    if file.names is None:
        return [None if number is None else str(number) for number in numbers], "numbers"
    beyond = sorted({number for number in numbers if number is not None and not -1 <= number < len(file.names)})
    if beyond:
        raise DataError(
            f'{where}: column "{column}" of {file.file} holds {", ".join(map(str, beyond[:5]))}, '
            f"but the file names {len(file.names)} classes, 0 to {len(file.names) - 1}"
        )
    # beside names, -1 is the usual way to say "not labelled"
    return [None if number in (None, -1) else file.names[number] for number in numbers], "names"


def _require_one_meaning(where: str, column: str, files: Sequence[FileLabels], kinds: dict[str, str]) -> None:
    """Raise DataError for numbers without names beside names: nobody can tell which number is which name."""
    if "numbers" not in kinds or len(kinds) == 1:
        return
    other = kinds.get("names") or kinds["text"]
    named = next(file for file in files if file.file == other)
    found = named.names or list(dict.fromkeys(str(value) for value in named.values if value is not None))
    if named.names is None and all(each.removeprefix("-").isdecimal() for each in found):
        return
    shown = ", ".join(json.dumps(each, ensure_ascii=False) for each in found[:SHOWN])
    raise DataError(
        f'{where}: in column "{column}", {named.file} has names for its classes ({shown}'
        f"{', ...' if len(found) > SHOWN else ''}) and {kinds['numbers']} only numbers, which needn't mean the same; "
        f"write the names into {kinds['numbers']}, as text or as the ClassLabel of its Hugging Face metadata"
    )
