"""What a check of images found, remembered by the files that they are in.

For plans, which needn't decode the same images each time. A run decodes all of them: what it stores is named by their
contents, and a file's size and time only make it likely that these are the same.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from frostline.data._dataset import Skipped
from frostline.data._plugins import decoders
from frostline.files import keep_json
from frostline.places import cache_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from frostline.data._source import Ids

__all__ = ["Outcome", "files_key", "recall", "remember"]

Outcome = str | Skipped
"""Of an image: the digest of its pixels, or why it can't be used."""

DECODING = 2
"""Raised whenever other pixels, or another reason, may come out of the same file."""

KEPT = 16
"""Files of outcomes, each of one choice of images, 70 bytes for each of them."""


def files_key(files: Sequence[Path], ids: Ids) -> str | None:
    """Return what names the images with these ids in these files as they are now, and what decodes them.

    None where a file is missing.
    """
    try:
        states = [(str(file.absolute()), *_state(file)) for file in files]
    except (OSError, ValueError):  # ValueError: a path that no system accepts
        return None
    digest = hashlib.sha256(json.dumps([DECODING, decoders(), states]).encode())
    digest.update(ids.tobytes())
    return digest.hexdigest()


def recall(key: str, n: int) -> list[Outcome] | None:
    """Return the N outcomes remembered under a key; None where there are none, or none that can be read."""
    try:
        stored = json.loads(_path(key).read_text())
        outcomes = [each if isinstance(each, str) else Skipped(*map(str, each)) for each in stored]
    except (OSError, ValueError, TypeError):
        return None
    return outcomes if len(outcomes) == n else None


def remember(key: str, outcomes: Sequence[Outcome]) -> None:
    """Keep outcomes, and of all that are kept the latest; where nothing can be written, nothing is."""
    path = _path(key)
    keep_json(path, [each if isinstance(each, str) else (each.item, each.reason) for each in outcomes])
    with suppress(OSError):
        latest = sorted(path.parent.iterdir(), key=lambda each: each.stat().st_mtime_ns, reverse=True)
        for old in latest[KEPT:]:
            old.unlink(missing_ok=True)


def _state(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_size, state.st_mtime_ns


def _path(key: str) -> Path:
    return cache_directory() / "images" / f"{key}.json"
