"""Writing a study as TOML."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["emit_study"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def emit_study(
    name: str,
    data: Mapping[str, Any],
    networks: Mapping[str, str],
    defaults: Mapping[str, Any],
    arms: Sequence[Mapping[str, Any]],
) -> str:
    """Return the text of a study file."""
    parts = [f"name = {_value(name)}\n", _table("[data]", data)]
    if networks:
        parts.append(_table("[networks]", networks))
    if defaults:
        parts.append(_table("[defaults]", defaults))
    parts += [_table("[[arms]]", arm) for arm in arms]
    return "\n".join(parts)


def _table(header: str, table: Mapping[str, Any]) -> str:
    return "\n".join([header, *(f"{_key(key)} = {_value(value)}" for key, value in table.items())]) + "\n"


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float):
        return repr(float(value))  # also of NumPy's floats, which print otherwise
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"


def _string(text: str) -> str:
    # TOML's escapes are JSON's, but for DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
