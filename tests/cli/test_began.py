"""When a command began: with its process, before anything was imported."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from frostline.cli import _began


def stat(start_seconds: float) -> str:
    """Return a line as the kernel writes it, of a process with an awkward name."""
    ticks = round(start_seconds * os.sysconf("SC_CLK_TCK"))
    return f"7 (a (b) 1 2) S 1 {' '.join('0' * 17)} {ticks} 0 0\n"


def test_a_command_begins_with_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stat").write_text(stat(997.5))
    monkeypatch.setattr(_began, "_IMPORTED", 5001.0)
    monkeypatch.setattr(time, "time", lambda: 5002.0)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: 1000.0)
    assert _began.process_began(tmp_path / "stat") == pytest.approx(5002.0 - 2.5)


@pytest.mark.parametrize("line", [None, "", "7 (python) S 1", stat(0.0), stat(999.0)])
def test_where_that_cannot_be_known_it_begins_with_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str | None
) -> None:
    """No such file, another system's, a process that was something else before, one that begins in the future."""
    if line is not None:
        (tmp_path / "stat").write_text(line)
    monkeypatch.setattr(_began, "_IMPORTED", 5000.0)
    monkeypatch.setattr(time, "time", lambda: 5002.0)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: 1000.0)
    assert _began.process_began(tmp_path / "stat") == 5000.0


def test_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_began, "_IMPORTED", time.time())
    monkeypatch.setattr(_began, "LONGEST_START_SECONDS", 1e9)
    began = _began.process_began(Path("/proc/self/stat"))
    assert 0 < began <= time.time()


def test_within_another_program_it_is_not_known() -> None:
    assert _began.command_began() is None
