"""What the display of a terminal says of what is under way."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from frostline.cli._display import DisplayListener
from frostline.execution.events import (
    ArmProgress,
    EpochFinished,
    Event,
    PassProgress,
    Preparing,
    RunFound,
    RunStarted,
    StepProgress,
)

if TYPE_CHECKING:
    from pathlib import Path


def step(trajectory: str, epoch: int, number: int = 5) -> StepProgress:
    return StepProgress(trajectory, epoch, 2, number, 10)


def epoch(trajectory: str, loss: float, val_accuracy: float | None, *, replayed: bool = False) -> EpochFinished:
    val_loss = None if val_accuracy is None else loss
    return EpochFinished(trajectory, (ArmProgress("a", 1, 2),), loss, val_loss, val_accuracy, 1.0, replayed=replayed)


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([step("a", 1)], "training a, epoch 1/2 step 5/10"),
        ([step("a", 1), epoch("a", 0.5, 0.729), step("a", 2)], "training a, epoch 2/2 loss 0.5000, val acc 72.9%"),
        # The next one has no loss yet: the former one's says nothing about it.
        ([step("a", 2), epoch("a", 0.5, 0.729), step("b", 1)], "training b, epoch 1/2 step 5/10"),
        # Side by side, each has its own.
        (
            [epoch("a", 0.5, 0.729), epoch("b", 0.25, 0.8), step("b", 2), step("a", 2)],
            "training a, epoch 2/2 loss 0.5000, val acc 72.9%",
        ),
        # Read back from the ledger, its own still.
        ([epoch("a", 0.5, 0.729, replayed=True), step("a", 2)], "training a, epoch 2/2 loss 0.5000, val acc 72.9%"),
        ([epoch("a", 0.00001234, None), step("a", 2)], "training a, epoch 2/2 loss 0.000012"),
        ([epoch("a", 0.5, 0.7), PassProgress("p", 1500, 3000)], "feature pass p 1,500 images"),
    ],
)
def test_what_is_under_way_is_shown_with_its_own_numbers(tmp_path: Path, events: list[Event], line: str) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    with DisplayListener(tmp_path, console) as display:
        for event in (RunStarted("run", "study", False, 2, 2, 30.0), *events):
            display(event)
        file.seek(0)
        file.truncate()
    last = [shown for shown in file.getvalue().splitlines() if "epoch" in shown or "pass" in shown][-1]
    assert " ".join(word for word in last.split() if not set(word) & set("━╸╺")) == line


@pytest.mark.parametrize(("predicted", "left"), [(3000.0, "about 50 min 00 s left"), (1e-6, "longer than predicted")])
def test_the_time_left_is_that_of_the_moment(tmp_path: Path, predicted: float, left: str) -> None:
    """Nothing is heard while a prefix is compiled, longer than the whole run was predicted to take."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    with DisplayListener(tmp_path, console) as display:
        display(RunStarted("run", "study", False, 1, 1, predicted))
        time.sleep(0.3)
    shown = [line for line in file.getvalue().splitlines() if "study" in line and "started" not in line]
    assert left in shown[-1]


@pytest.mark.parametrize("after", [RunStarted("run", "study", False, 2, 2, 30.0), RunFound("run", "study", "2026")])
def test_what_comes_before_a_run_is_shown_at_once_until_it_begins(tmp_path: Path, after: Event) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    with DisplayListener(tmp_path, console) as display:
        for what in ("loading PyTorch", "reading the images"):
            display(Preparing(what))
            assert what in file.getvalue().splitlines()[-1]
        display(after)
        file.seek(0)
        file.truncate()
        display._progress.refresh()
        assert "reading" not in file.getvalue()
