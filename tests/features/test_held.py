"""What is held of rows in memory: no more than the limit, no more than a share of what is available, and no longer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from frostline.features import _held
from frostline.features._held import HeldMemory
from frostline.plan import ROWS_KEPT_BYTES, ROWS_KEPT_LEAST_BYTES

if TYPE_CHECKING:
    from pathlib import Path

MB = 10**6
READ = _held._available_bytes


class Owner(SimpleNamespace):
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__


def take(memory: HeldMemory, owner: Any, n_bytes: int) -> bool:
    return memory.take(owner, n_bytes)


@pytest.fixture(autouse=True)
def available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_held, "_available_bytes", lambda: 10**12)


def test_all_together_take_no_more_than_the_limit() -> None:
    memory, owners = HeldMemory(100 * MB), [Owner() for _ in range(3)]
    assert take(memory, owners[0], 60 * MB)
    assert not take(memory, owners[1], 60 * MB)
    assert take(memory, owners[1], 40 * MB)
    assert not take(memory, owners[2], 1)
    assert take(memory, owners[2], 0)


def test_the_same_rows_count_once_and_those_that_are_gone_no_more() -> None:
    memory, first, second = HeldMemory(100 * MB), Owner(), Owner()
    assert take(memory, first, 60 * MB)
    assert take(memory, first, 60 * MB)
    assert not take(memory, second, 60 * MB)
    del first
    assert take(memory, second, 60 * MB)


@pytest.mark.parametrize(
    ("n_bytes", "free", "held"),
    [
        (ROWS_KEPT_LEAST_BYTES, 0, True),
        (ROWS_KEPT_LEAST_BYTES + 1, 0, False),
        (200 * MB, 1600 * MB - 1, False),
        (200 * MB, 1600 * MB, True),
        (ROWS_KEPT_BYTES, 10**12, True),
        (ROWS_KEPT_BYTES + 1, 10**12, False),
    ],
)
def test_more_than_the_least_is_held_where_memory_is_free(
    n_bytes: int, free: int, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_held, "_available_bytes", lambda: free)
    assert take(HeldMemory(), Owner(), n_bytes) == held


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MemTotal:  100 kB\nMemAvailable:    21 kB\n", 21 * 1024),
        ("MemTotal:  100 kB\n", 0),
        ("MemAvailable:\n", 0),
        ("MemAvailable: much\n", 0),
        ("nonsense", 0),
        (None, 0),
    ],
)
def test_available_memory_is_what_the_system_tells(text: str | None, expected: int, tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    if text is not None:
        meminfo.write_text(text)
    assert READ(meminfo) == expected
