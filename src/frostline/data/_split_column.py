"""Columns of a table that state a split: found by name or by what they hold, used where that is unmistakable."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.data._split_names import SYNONYMS, canonical_split, splits_line, to_toml
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
FLAG = re.compile(
    rf"(?P<sure>(is|in)[ _.-]?)?(?P<split>{'|'.join(SYNONYMS)})[ _.-]?(set|split|image|img|sample)?", re.IGNORECASE
)
TRUE, FALSE = frozenset({"1", "true", "t", "yes", "y"}), frozenset({"0", "false", "f", "no", "n"})
MOST_VALUES = 64
"""A column with more different values states no split, unless its name says so."""
SHOWN = 8
ROWS_LISTED = 10


@dataclass(frozen=True)
class Stated:
    """The split that a column states for each of N rows: None for a row not used, empty for a missing value."""

    column: str
    splits: tuple[str | None, ...]
    note: str


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
        there = f"has no such column, but {', '.join(columns)}" if columns else "has no such column"
        raise DataError(f'data.split_column = "{given}": {where} {there}{closest(given, columns)}')
    if splits is not None:
        return _as_said(where, columns, given, splits)
    if given is not None:
        mapping = _mapping(given, columns[given])
        if mapping is None:
            raise DataError(_question(where, given, columns[given], place))
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
        raise DataError(_question(where, doubtful[0], columns[doubtful[0]], place))
    return None


def _mapping(column: str, values: Sequence[str]) -> dict[str, str] | None:
    """Return the split that each of a column's values states, or None where that isn't unmistakable."""
    found = {_plain(value) for value in values} - {""}
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
    found = {_plain(value) for value in values} - {""}
    if FLAG.fullmatch(column.strip()):
        return found <= TRUE | FALSE and len(found) > 1
    if NAMED.fullmatch(column.strip()):
        return len(found) > 1
    splits = {canonical_split(value) for value in found}
    return "train" in splits and len(splits - {None}) > 1


def _as_said(where: str, columns: Mapping[str, Sequence[str]], given: str | None, splits: Splits) -> Stated | None:
    mapping = {_plain(name): split for split, names in splits.by_split().items() for name in names}
    if set(mapping) <= {"true", "false"}:
        # a study's true and false are whatever a table writes for them
        mapping |= {value: split for name, split in mapping.items() for value in (TRUE if name == "true" else FALSE)}
        needed: set[str] = set()
    else:
        needed = set(mapping)
    if given is not None:
        found = {_plain(value) for value in columns[given]}
        absent = sorted(needed - found)
        if absent or not found & set(mapping):
            what = f'"{absent[0]}"' if absent else "true or false"
            raise DataError(
                f"data.splits: {where} has no row whose {given} is {what}; it holds {_listed(sorted(found))}"
            )
        return _applied(given, columns[given], mapping, blank=None)
    candidates = []
    for column, values in columns.items():
        found = {_plain(value) for value in values}
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
    splits = tuple(mapping.get(_plain(value)) if value.strip() else blank for value in values)
    n_unused = splits.count(None)
    unused = f"; not used: {format_number_of(n_unused, 'row')} with another {column}" if n_unused else ""
    said: dict[str, list[str]] = {}
    for value in sorted({_plain(value) for value in values} & set(mapping), key=_in_order):
        said.setdefault(mapping[value], []).append(value)
    return Stated(column, splits, f"splits: as column {column} states, {to_toml(said)}{unused}")


def _with_train(where: str, stated: Stated) -> Stated:
    found = set(stated.splits) - {"", None}
    if not found or "train" in found:
        return stated
    names = " and ".join(sorted(map(str, found)))
    raise DataError(
        f"{where}: column {stated.column} says {names} of every row, and train of none. Give the table that has the "
        'training images, or, to train on these all the same, write in [data]:\n  split_column = "none"'
    )


def _together(where: str, flags: list[Stated], place: Callable[[int], str]) -> Stated:
    """Return what columns such as is_valid and is_test state together."""
    splits: list[str | None] = []
    names = " and ".join(flag.column for flag in flags)
    for row, stated in enumerate(zip(*(flag.splits for flag in flags), strict=True)):
        others = {split for split in stated if split not in ("train", "")}
        if len(others) > 1:
            raise DataError(f"{where}: {names} are both true in {place(row)}: an image is in one split")
        splits.append(others.pop() if others else "" if "" in stated else "train")
    return Stated(", ".join(flag.column for flag in flags), tuple(splits), f"splits: as columns {names} state")


def _question(where: str, column: str, values: Sequence[str], place: Callable[[int], str]) -> str:
    """Return what to say of a column that looks like a split: how to use it, and how not to."""
    found = sorted({_whole(value.strip()) for value in values} - {""}, key=_in_order)
    odd = [value for value in found if canonical_split(value) is None]
    known = ""
    if len(odd) < len(found):
        # most likely mistyped, so the first of them is pointed at
        row = next(row for row, value in enumerate(values) if _whole(value.strip()) == odd[0])
        known = f', and "{odd[0]}" ({place(row)}) is neither train, val nor test{closest(odd[0].lower(), SYNONYMS)}'
    return (
        f"{where}: column {column} may state a split: it holds {_listed(found)}{known}\n"
        f'If it does, write in [data] (rows with other values are left out):\n  split_column = "{column}"\n'
        f'  {_suggestion(column, found)}\nor, if it doesn\'t:\n  split_column = "none"'
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
    if all(re.fullmatch(r"\d+", value) for value in values) and 2 <= len(values) <= SHOWN + 4:
        # folds: the last for testing, the one before for validation
        parts = {"train": values[:-2], "val": values[-2:-1], "test": values[-1:]}
        return "splits = " + to_toml(parts if len(values) > 2 else {"train": values[:1], "test": values[1:]})
    return splits_line(list(values), "VALUE")


def _plain(value: str) -> str:
    """Return a cell as it is compared: without case, truth values and whole numbers in one spelling."""
    return _whole(value.strip().lower())


def _whole(value: str) -> str:
    return value[: value.index(".")] if re.fullmatch(r"-?\d+\.0+", value) else value


def _in_order(value: str) -> tuple[int, float, str]:
    return (0, float(value), value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else (1, 0.0, value)


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in values[:SHOWN])
    return shown + (f" and {len(values) - SHOWN} more" if len(values) > SHOWN else "")
