"""`frostline.run` in a program: what it shows, and to whom."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import frostline
from frostline.execution.events import ArmProgress, EpochFinished, Event, Preparing, RunStarted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STARTED = RunStarted("run-1", "study", False, 1, 1, 30.0)
LINES = "loading PyTorch\nrun-1 started: 1 arm, 1 trajectory, about 30 s to go\narm: epoch 1/2, loss 0.5000\n"


@pytest.fixture(autouse=True)
def fake_run(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Have a run tell two events and do nothing."""
    given: dict[str, Any] = {}

    def tell(study: object, *, listener: Callable[[Event], None], **options: Any) -> str:
        given.update(options, study=study)
        listener(STARTED)
        listener(EpochFinished("t", (ArmProgress("arm", 1, 2),), 0.5, None, None, 1.0))
        return "record"

    monkeypatch.setattr("frostline.execution.run", tell, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    return given


def run(**options: Any) -> object:
    return frostline.run("study", **options)


@pytest.mark.parametrize(
    ("notebook", "options", "shown"),
    [
        (False, {}, ""),
        (False, {"progress": False}, ""),
        (False, {"progress": True}, LINES),
        (True, {}, LINES),
        (True, {"progress": False}, ""),
        (True, {"listener": lambda event: None}, ""),
        (True, {"listener": lambda event: None, "progress": True}, LINES),
    ],
)
def test_elsewhere_than_in_a_terminal_lines_are_shown_where_asked_for_or_in_a_notebook(
    notebook: bool,
    options: dict[str, Any],
    shown: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr("frostline.cli._listener.find_spec", lambda name: None)
    assert run(**options) == "record"
    assert capsys.readouterr() == ("", shown)


@pytest.mark.parametrize("progress", [None, True, False])
def test_a_terminal_has_the_display(
    progress: bool | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(progress=progress) == "record"
    out, err = capsys.readouterr()
    assert out == ""
    assert ("study" in err and "run-1 started" in err) == (progress is not False)


def test_a_listener_is_told_beside_it(fake_run: dict[str, Any], tmp_path: Path) -> None:
    told: list[Event] = []
    run(progress=True, listener=told.append, workspace=str(tmp_path), resume=True, disk="1GB")
    assert told[:2] == [Preparing("loading PyTorch"), STARTED]
    assert len(told) == 3
    assert (fake_run["study"], fake_run["workspace"], fake_run["resume"]) == ("study", tmp_path, True)
    assert fake_run["disk"] == "1GB"


@pytest.mark.parametrize("options", ["", "progress=True, "])
def test_something_is_said_before_anything_large_is_loaded(options: str) -> None:
    code = f"""
import sys
import frostline
def first(event):
    print(event.what, sorted({{"torch", "timm", "sklearn"}} & sys.modules.keys()))
    sys.exit(0)
frostline.run("starter", {options}listener=first)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "loading PyTorch []\n"
