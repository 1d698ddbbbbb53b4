"""Columns of a table that state a split: found by name or by what they hold, used where that is unmistakable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.data._split_names import SYNONYMS, canonical_split, to_toml
from frostline.data._split_question import ask_about_column
from frostline.data._split_values import FALSE, FLAG, TRUE, different_values, list_values, plain_value
from frostline.errors import DataError, closest
from frostline.quantities import format_number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from frostline.study import Splits

__all__ = ["MOST_VALUES", "Stated", "find_stated", "names_a_split"]

NAMED = re.compile(
    r"((data[ _.-]?)?splits?|sets?|subsets?|partitions?|usage|(cv|k)?[ _.-]?folds?)([ _.-]?(name|type|id))?[ _.-]?\d*",
    re.IGNORECASE,
)
MOST_VALUES = 64
"""A column with more different values states no split, unless its name says so."""


@dataclass(frozen=True)
class Stated:
    """The split that a column states for each of N rows: None for a row not used, empty for a missing value.

    ``line`` is that of a study which says the same of the column, and leaves out rows without a value; empty where
    several columns state the split together.
    """

    column: str
    splits: tuple[str | None, ...]
    note: str
    line: str = ""

    @property
    def remedy(self) -> str:
        """What to do about rows without a value."""
        return "fill it in" + (f", or leave such rows out with data.{self.line}" if self.line else "")


def names_a_split(column: str) -> bool:
    """Tell whether a column's name is one that splits have, such as ``fold`` or ``is_valid``."""
    return bool(NAMED.fullmatch(column.strip()) or FLAG.fullmatch(column.strip()))


def find_stated(
    where: str,
    columns: Mapping[str, Sequence[str]],
    given: str | None,
    splits: Splits | None,
    place: Callable[[int], str],
    *,
    only_sure: bool = False,
) -> Stated | None:
    """Return the split that the columns state for each row, or None where none of them states one.

    Args:
        where: the table, for messages.
        columns: the N values of each column that isn't image or label, as text; empty for a missing one.
        given: the study's ``split_column``.
        splits: the study's ``splits``.
        place: where a row is, for messages.
        only_sure: whether a column that only may state a split can be passed over, because something else states it.

    Raises:
        DataError: what looks like a split can't be read as one without being told, or several contradict each other;
            the message has the line that tells.
    """
    if given == "none" or (splits is not None and not splits.stated):
        return None
    if given is not None and given not in columns:
        others = f"; those that could state a split are {', '.join(columns)}" if columns else ""
        raise DataError(f'data.split_column = "{given}": {where} has no such column{others}{closest(given, columns)}')
    if splits is not None:
        return _as_said(where, columns, given, splits)
    if given is not None:
        mapping = _mapping(given, columns[given])
        if mapping is None:
            raise DataError(ask_about_column(where, given, columns[given], place, named=True))
        return _with_train(where, _applied(given, columns[given], mapping))
    return _unmistakable(where, columns, place, only_sure)


def _unmistakable(
    where: str, columns: Mapping[str, Sequence[str]], place: Callable[[int], str], only_sure: bool
) -> Stated | None:
    sure: dict[str, Stated] = {}
    doubtful: list[str] = []
    for column, values in columns.items():
        mapping = _mapping(column, values)
        if mapping and (names_a_split(column) or len(set(mapping.values())) > 1):
            sure[column] = _applied(column, values, mapping)
        elif mapping is None and _looks_like_one(column, values):
            doubtful.append(column)
    flags = [column for column in sure if FLAG.fullmatch(column.strip())]
    if len(flags) > 1:
        together = _together(where, [sure.pop(flag) for flag in flags], place)
        sure = {together.column: together, **sure}
    if len({stated.splits for stated in sure.values()}) > 1:
        lines = "".join(f'\n  split_column = "{column}"' for column in sure if ", " not in column)
        raise DataError(
            f"{where}: the columns {' and '.join(sure)} state different splits; write one of these in [data]:{lines}"
        )
    if sure:
        return _with_train(where, next(iter(sure.values())))
    if doubtful and not only_sure:
        raise DataError(ask_about_column(where, doubtful[0], columns[doubtful[0]], place, named=False))
    return None


def _mapping(column: str, values: Sequence[str]) -> dict[str, str] | None:
    """Return the split that each of a column's values states, or None where that isn't unmistakable."""
    found = {plain_value(value) for value in values} - {""}
    flag = FLAG.fullmatch(column.strip())
    if flag is not None and found <= TRUE | FALSE:
        split = SYNONYMS[flag["split"].lower()]
        # what isn't train may be val or test
        if not flag["sure"] or split == "train":
            return None
        return {value: split if value in TRUE else "train" for value in found}
    splits = {value: canonical_split(value) for value in found}
    return {value: split for value, split in splits.items() if split is not None} if all(splits.values()) else None


def _looks_like_one(column: str, values: Sequence[str]) -> bool:
    found = {plain_value(value) for value in values} - {""}
    if FLAG.fullmatch(column.strip()):
        return found <= TRUE | FALSE and len(found) > 1
    if NAMED.fullmatch(column.strip()):
        return len(found) > 1
    splits = {canonical_split(value) for value in found}
    return "train" in splits and len(splits - {None}) > 1


def _as_said(where: str, columns: Mapping[str, Sequence[str]], given: str | None, splits: Splits) -> Stated | None:
    mapping = {plain_value(name): split for split, names in splits.by_split().items() for name in names}
    if set(mapping) <= {"true", "false"}:
        # a study's true and false are whatever a table writes for them
        mapping |= {value: split for name, split in mapping.items() for value in (TRUE if name == "true" else FALSE)}
        needed: set[str] = set()
    else:
        needed = set(mapping)
    if given is not None:
        found = {plain_value(value) for value in columns[given]}
        absent = sorted(needed - found)
        if absent or not found & set(mapping):
            what = f'"{absent[0]}"' if absent else "true or false"
            raise DataError(
                f"data.splits: {where} has no row whose {given} is {what}; the column holds "
                f"{list_values(different_values(columns[given]))}"
            )
        return _applied(given, columns[given], mapping, blank=None)
    candidates = []
    for column, values in columns.items():
        found = {plain_value(value) for value in values}
        if needed <= found and (needed or (found - {""} and found - {""} <= TRUE | FALSE)):
            candidates.append(column)
    if len(candidates) > 1:
        raise DataError(
            f"{where}: the columns {' and '.join(candidates)} hold what data.splits names; "
            "name one in data.split_column"
        )
    return _applied(candidates[0], columns[candidates[0]], mapping, blank=None) if candidates else None


def _applied(column: str, values: Sequence[str], mapping: Mapping[str, str], blank: str | None = "") -> Stated:
    """Return the split of each row; a missing value is ``blank``."""
    splits = tuple(mapping.get(plain_value(value)) if value.strip() else blank for value in values)
    n_unused = splits.count(None)
    unused = f"; not used: {format_number_of(n_unused, 'row')} with another value" if n_unused else ""
    said: dict[str, list[str]] = {}
    for value in different_values(values):
        if plain_value(value) in mapping:
            said.setdefault(mapping[plain_value(value)], []).append(value)
    note = f'splits: taken from column "{column}", {to_toml(said)}{unused}'
    return Stated(column, splits, note, f"splits = {to_toml(said)}")


def _with_train(where: str, stated: Stated) -> Stated:
    found = set(stated.splits) - {"", None}
    if not found or "train" in found:
        return stated
    names = " and ".join(sorted(map(str, found)))
    raise DataError(
        f"{where}: column {stated.column} says {names} for every row and train for none. Use the table that has the "
        'training images, or, to train on these anyway, write in [data]:\n  split_column = "none"'
    )


def _together(where: str, flags: list[Stated], place: Callable[[int], str]) -> Stated:
    """Return what columns such as is_valid and is_test state together."""
    splits: list[str | None] = []
    names = " and ".join(flag.column for flag in flags)
    for row, stated in enumerate(zip(*(flag.splits for flag in flags), strict=True)):
        others = {split for split in stated if split not in ("train", "")}
        if len(others) > 1:
            raise DataError(f"{where}: {names} are both true in {place(row)}: an image belongs to one split only")
        splits.append(others.pop() if others else "" if "" in stated else "train")
    return Stated(", ".join(flag.column for flag in flags), tuple(splits), f"splits: taken from columns {names}")
