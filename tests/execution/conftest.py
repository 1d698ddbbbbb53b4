"""Places of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.execution.rates import made_up

import frostline.places
from frostline.machine import _busy, _calibration
from frostline.machine._bench import Bench
from frostline.training import on_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the machine for idle, whatever else runs on it while the tests do."""
    monkeypatch.setattr(_busy, "MOST_SHARE", 1.0)
    monkeypatch.setattr(_busy, "AGREEMENT", 0.0)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Have torch compute on two threads, whatever the tests are given."""
    with on_threads(2):
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Have torch compute on one thread, as each of two processes does."""
    with on_threads(1):
        yield


@pytest.fixture(autouse=True)
def made_up_rates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare each network's measurement, seconds long, where a test doesn't ask for ``measured``."""
    if "measured" in request.keywords:
        return
    monkeypatch.setattr(_calibration, "_measure", made_up)
    monkeypatch.setattr(Bench, "start", lambda bench: None)
    monkeypatch.setattr(_calibration, "MACHINE", "made up")
