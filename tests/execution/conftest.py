"""Places of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import frostline.places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def fresh_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that moves cache and workspace to a new, empty place (facts and rates stay known)."""
    shared = frostline.places.cache_directory()

    def move(name: str) -> None:
        cache = tmp_path / name / "cache"
        cache.mkdir(parents=True)
        for folder in ("facts", "calibration"):
            (shared / folder).mkdir(parents=True, exist_ok=True)
            (cache / folder).symlink_to(shared / folder)
        monkeypatch.setenv("FROSTLINE_CACHE", str(cache))
        monkeypatch.setenv("FROSTLINE_WORKSPACE", str(tmp_path / name / "runs"))

    return move
