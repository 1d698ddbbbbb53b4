"""The values of a column that may state a split: how they are compared, put in order and shown."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from frostline.data._split_names import SYNONYMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["FALSE", "FLAG", "TRUE", "different_values", "list_values", "plain_value"]

FLAG = re.compile(
    rf"(?P<sure>(is|in)[ _.-]?)?(?P<split>{'|'.join(SYNONYMS)})[ _.-]?(set|split|image|img|sample)?", re.IGNORECASE
)
"""The names of columns whose truth values say whether an image is of a split."""

TRUE, FALSE = frozenset({"1", "true", "t", "yes", "y"}), frozenset({"0", "false", "f", "no", "n"})
SHOWN = 8


def plain_value(value: str) -> str:
    """Return a cell as it is compared: without case, truth values and whole numbers in one spelling."""
    return _whole(value.strip().lower())


def different_values(values: Iterable[str]) -> list[str]:
    """Return what a column holds but for empty cells, as the table writes it, numbers before words."""
    return sorted({_whole(value.strip()) for value in values} - {""}, key=_in_order)


def list_values(values: Sequence[str]) -> str:
    """Return values in quotes in a line, the first of them where they are many."""
    shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in values[:SHOWN])
    return shown + (f" and {len(values) - SHOWN} more" if len(values) > SHOWN else "")


def _whole(value: str) -> str:
    return value[: value.index(".")] if re.fullmatch(r"-?\d+\.0+", value) else value


def _in_order(value: str) -> tuple[int, float, str]:
    return (0, float(value), value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else (1, 0.0, value)
