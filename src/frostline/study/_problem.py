"""What is wrong in a study, and where: one plain value for each problem."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["KeyPath", "Problem", "format_key", "format_problems", "format_value"]

KeyPath = tuple[str | int, ...]
"""Where a value stands in a study: table keys and list positions, e.g. ``("arms", 1, "optimizer", "lr")``."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_VALUE = 60
_MOST_LINES = 100


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a study.

    ``file`` is the study file, ``built-in NAME``, ``--set`` for an override, or None for a study made in Python.
    ``line`` and ``column`` count from 1, in characters; None where there is no place to point at. ``key`` is written
    as in ``--set``, ``given`` as in TOML; both may be empty.
    """

    file: str | None
    line: int | None
    column: int | None
    key: str
    message: str
    given: str = ""

    def __str__(self) -> str:
        """Return the line a person reads: ``study.toml:12:7: arms[1].optimizer.lr = -0.1: must be above 0``."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        subject = f"{self.key} = {self.given}" if self.key and self.given else self.key
        text = ": ".join(part for part in (place, subject, self.message) if part)
        # One line that any terminal can show, whatever a file or an override holds.
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def format_problems(problems: Sequence[Problem]) -> str:
    """Return the message of all problems, a line each; only the number of those beyond a hundred."""
    lines = [str(problem) for problem in problems[:_MOST_LINES]]
    more = len(problems) - len(lines)
    return "\n".join(lines + ([f"and {more:,} more problems"] if more else []))


def format_key(path: KeyPath) -> str:
    """Return a path as ``--set`` takes it: ``arms[1].optimizer.lr``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        shown = part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False)
        text += f".{shown}" if text else shown
    return text


def format_value(value: object) -> str:
    """Return a value as a study file would have it, shortened to one readable line."""
    text = _write(value, depth=0)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 2] + ".."


def _write(value: object, depth: int) -> str:
    if depth > 3:
        return ".."
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value[: _LONGEST_VALUE * 2], ensure_ascii=False)
    if isinstance(value, int):
        # Python refuses to print integers of thousands of digits, so their size is told instead.
        return str(value) if value.bit_length() <= 256 else f"an integer of {value.bit_length()} bits"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_write(item, depth + 1) for item in value[:20]) + "]"
    if isinstance(value, dict):
        items = list(value.items())[:20]
        return "{" + ", ".join(f"{format_key((str(key),))} = {_write(item, depth + 1)}" for key, item in items) + "}"
    return str(value)
