"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# A shell gives what it starts in the background Ctrl-C ignored, and every process that a test starts would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cifar10_path() -> Path:
    """The Parquet files of CIFAR-10: ``$FROSTLINE_CIFAR10``, or beside the checkout; skips where they are absent."""
    given = os.environ.get("FROSTLINE_CIFAR10")
    path = Path(given) if given else REPOSITORY.parent / "shared" / "data" / "cifar10"
    if not path.is_dir():
        pytest.skip("CIFAR-10 is not at hand: set FROSTLINE_CIFAR10 to the folder of its Parquet files")
    return path


@pytest.fixture(autouse=True)
def private_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's cache and workspace; facts of networks are shared by a whole session."""
    base = tmp_path_factory.getbasetemp()
    # Workers of pytest-xdist have folders of their own below the session's.
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "places"
    # pytest-xdist gives its workers a width, which tables would take for a terminal's.
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("FROSTLINE_CACHE", str(root / "cache"))
    monkeypatch.setenv("FROSTLINE_WORKSPACE", str(tmp_path_factory.mktemp("workspace") / "runs"))
