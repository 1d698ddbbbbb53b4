"""The studies that ship with Frostline."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["builtin_studies", "read_builtin"]

_SUFFIX = ".toml"


@cache
def _texts() -> dict[str, str]:
    folder = files("frostline.study") / "builtin"
    found = sorted(item.name for item in folder.iterdir() if item.name.endswith(_SUFFIX))
    return {name.removesuffix(_SUFFIX): (folder / name).read_text(encoding="utf-8") for name in found}


def builtin_studies() -> dict[str, str]:
    """Return the built-in studies' names, each with the line that describes it."""
    return {name: text.split("\n", 1)[0].removeprefix("#").strip() for name, text in _texts().items()}


def read_builtin(name: str) -> str:
    """Return the text of a built-in study; its name must be one of ``builtin_studies()``."""
    return _texts()[name]
