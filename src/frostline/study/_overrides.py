"""Overrides: ``--set data.train=2000``, on a study's values before they are checked."""

from __future__ import annotations

import copy
import datetime
import json
import re
import tomllib
from typing import Any

from frostline.study._problem import KeyPath, Problem, format_key, format_value
from frostline.study._toml import is_too_deep

__all__ = ["SET", "apply_override"]

SET = "--set"
"""What a problem of an override names in place of a file."""

_FORM = "must be KEY=VALUE, such as data.train=2000 or arms[0].optimizer.lr=0.01"
_PART = re.compile(r'(?:^|\.)(?:([A-Za-z0-9_-]+)|("(?:[^"\\]|\\.)*"))|\[(\d{1,9}|\*)\]')
_EVERY = -1


class _RefusedError(Exception):
    """Why an override can't be applied, and the key it is about."""

    def __init__(self, key: str, message: str, given: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(SET, None, None, key, message, given)


def apply_override(values: dict[str, Any], override: str) -> tuple[list[KeyPath], list[Problem]]:
    """Set what an override says, in place; return the paths that were set, or why none was.

    ``[*]`` in a key means every entry of a list. A value that isn't TOML is text, so that words and paths need no
    quotes.
    """
    try:
        key, separator, text = override.partition("=")
        if not separator:
            raise _RefusedError("", f'"{override}" {_FORM}')
        path = _parse_key(key.strip())
        return _set(values, (), path, _parse_value(key.strip(), text.strip())), []
    except _RefusedError as refused:
        return [], [refused.problem]


def _parse_key(key: str) -> tuple[str | int, ...]:
    parts: list[str | int] = []
    end = 0
    while end < len(key):
        match = _PART.match(key, end)
        if not match or (match[3] and not parts):
            raise _RefusedError(
                "", f'"{key}" is not a key of a study: keys look like data.train or arms[0].optimizer.lr'
            )
        bare, quoted, index = match.groups()
        try:
            parts.append(json.loads(quoted) if quoted else bare if bare else _EVERY if index == "*" else int(index))
        except ValueError:
            raise _RefusedError("", f"{quoted} in a key is not quoted correctly") from None
        end = match.end()
    if not parts:
        raise _RefusedError("", f"a key is missing: an override {_FORM}")
    return tuple(parts)


def _parse_value(key: str, text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        if text.startswith(("[", "{", '"', "'")):
            raise _RefusedError(key, "is not a TOML value: check its quotes and brackets", text[:60]) from None
        return text
    # A second line would be more than a value, and a date is never meant.
    if set(value) != {"value"} or isinstance(value["value"], datetime.date | datetime.time):
        return text
    if is_too_deep(value):
        raise _RefusedError(key, "is nested too deeply")
    return value["value"]


def _set(table: Any, done: KeyPath, path: tuple[str | int, ...], value: Any) -> list[KeyPath]:
    part, rest = path[0], path[1:]
    if isinstance(table, list):
        if isinstance(part, str):
            raise _RefusedError(format_key(done), f"is a list: say which entry, such as {format_key((*done, 0))}")
        if part >= len(table):
            last = f"the last is {format_key((*done, len(table) - 1))}" if table else "the list is empty"
            raise _RefusedError(format_key((*done, part)), f"does not exist; {last}")
        chosen: list[str | int] = list(range(len(table))) if part == _EVERY else [part]
    elif isinstance(table, dict):
        if not isinstance(part, str):
            shown = "*" if part == _EVERY else part
            raise _RefusedError(format_key(done), f"is a table, not a list: [{shown}] is not in it")
        chosen = [part]
    else:
        raise _RefusedError(format_key(done), "is not a table: set it as a whole", format_value(table))
    paths: list[KeyPath] = []
    for key in chosen:
        if not rest:
            table[key] = copy.deepcopy(value)
            paths.append((*done, key))
            continue
        if isinstance(table, dict) and key not in table:
            table[key] = {}
        paths += _set(table[key], (*done, key), rest, value)
    return paths
