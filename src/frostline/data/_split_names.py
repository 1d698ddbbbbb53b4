"""Names of splits as people write them: ``Validation``, ``test_set``, ``seg_train``, ``train2017``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["SYNONYMS", "canonical_split", "mentions_split", "splits_line", "stated_splits"]

SYNONYMS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
# words that say "a part of the images" but not which
HINTS = ("eval", "evaluation", "holdout", "trainval")
# words that add nothing to a split's name
THINGS = ("set", "sets", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "photo", "photos")
NOISE = frozenset({*THINGS, "split", "folder"})
GLUED = {word + thing: split for word, split in SYNONYMS.items() for thing in THINGS}
TOKEN = re.compile(r"[A-Z]*[a-z]+|[A-Z]+|\d+|[^\W\d_]+")
YEAR = re.compile(r"(19|20)\d\d")
LISTED = 12


class _Name(NamedTuple):
    splits: tuple[str, ...]
    rest: tuple[str, ...]


def canonical_split(name: str) -> str | None:
    """Return ``train``, ``val`` or ``test`` for a name that says nothing else, or None for any other."""
    parsed = _parse(name)
    return parsed.splits[0] if len(parsed.splits) == 1 and not parsed.rest else None


def stated_splits(names: Iterable[str]) -> dict[str, str] | None:
    """Return the split that each name states, or None where that isn't unmistakable.

    Names state splits when each has one split's word, and they have the rest in common: ``pets_train`` and
    ``pets_test``, but not ``bullet_train`` and ``car``. A single name has no rest.
    """
    parsed = {name: _parse(name) for name in names}
    rests = {each.rest for each in parsed.values()}
    if any(len(each.splits) != 1 for each in parsed.values()) or len(rests) != 1:
        return None
    splits = {name: each.splits[0] for name, each in parsed.items()}
    return splits if rests == {()} or len(set(splits.values())) > 1 else None


def mentions_split(name: str) -> bool:
    """Tell whether a name has a word for a split in it, whatever else it says."""
    parsed = _parse(name)
    return bool(parsed.splits) or any(token in HINTS for token in parsed.rest)


def splits_line(names: Sequence[str], placeholder: str) -> str:
    """Return the line of a study that says which of the names are train, val and test, as far as they tell.

    Args:
        names: what the data have.
        placeholder: what stands for a name that only a person can give, such as ``FOLDER``.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        splits = _parse(name).splits
        if len(splits) == 1:
            found.setdefault(splits[0], []).append(name)
    if "train" not in found:
        found = {"train": [placeholder], **found}
    if len(found) == 1:
        found["test"] = [placeholder]
    return f"splits = {to_toml(found)}"


def to_toml(splits: Mapping[str, Sequence[str]]) -> str:
    """Return a table of splits as a study file has it."""
    parts = []
    for split in ("train", "val", "test"):
        if splits.get(split):
            names = [json.dumps(name, ensure_ascii=False) for name in splits[split]]
            listed = [*names[:LISTED], '"..."'] if len(names) > LISTED else names
            parts.append(f"{split} = {listed[0] if len(listed) == 1 else '[' + ', '.join(listed) + ']'}")
    return "{" + ", ".join(parts) + "}"


def _parse(name: str) -> _Name:
    splits, rest = [], []
    for token in TOKEN.findall(name):
        word = token.lower()
        split = SYNONYMS.get(word) or GLUED.get(word)
        if split is not None:
            splits.append(split)
        elif word not in NOISE and not YEAR.fullmatch(word):
            rest.append(word)
    if not splits and not rest:
        rest.append(name)
    return _Name(tuple(splits), tuple(rest))
