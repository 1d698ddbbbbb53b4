"""What is asked of a column that looks like a split and can't be read as one without being told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from frostline.data._split_names import SYNONYMS, canonical_split, splits_line, to_toml
from frostline.data._split_values import FALSE, FLAG, TRUE, different_values, list_values
from frostline.errors import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ask_about_column"]

MOST_FOLDS = 12


def ask_about_column(
    where: str, column: str, values: Sequence[str], place: Callable[[int], str], *, named: bool
) -> str:
    """Return the message, with the lines that answer it.

    Args:
        where: the table.
        column: its column.
        values: what the column says of each row.
        place: where a row is.
        named: whether the study says already that this column states the split.
    """
    found = different_values(values)
    odd = [value for value in found if canonical_split(value) is None]
    known = ""
    if len(odd) < len(found):
        # most likely mistyped, so the first of them is pointed at
        row = next(row for row, value in enumerate(values) if different_values([value]) == odd[:1])
        known = f', and "{odd[0]}" ({place(row)}) is neither train, val nor test{closest(odd[0], SYNONYMS)}'
    line = _suggestion(column, found)
    if named:
        return (
            f"{where}: column {column} holds {list_values(found)}{known}\n"
            f"Say in [data] which values are which split (rows with other values are left out):\n  {line}"
        )
    return (
        f"{where}: column {column} may state a split: it holds {list_values(found)}{known}\n"
        f'If it does, write in [data] (rows with other values are left out):\n  split_column = "{column}"\n'
        f'  {line}\nor, if it doesn\'t:\n  split_column = "none"'
    )


def _suggestion(column: str, values: Sequence[str]) -> str:
    flag = FLAG.fullmatch(column.strip())
    if flag is not None and {value.lower() for value in values} <= TRUE | FALSE:
        split = SYNONYMS[flag["split"].lower()]
        true = [value for value in values if value.lower() in TRUE]
        false = [value for value in values if value.lower() in FALSE]
        return "splits = " + to_toml(
            {"train": true, "test": false} if split == "train" else {"train": false, split: true}
        )
    if all(re.fullmatch(r"\d+", value) for value in values) and 2 <= len(values) <= MOST_FOLDS:
        # folds: the last for testing, the one before for validation
        parts = {"train": values[:-2], "val": values[-2:-1], "test": values[-1:]}
        return "splits = " + to_toml(parts if len(values) > 2 else {"train": values[:1], "test": values[1:]})
    return splits_line(list(values), "VALUE")
