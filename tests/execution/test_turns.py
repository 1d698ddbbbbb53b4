"""Several runs in one process: each has the bits that it has alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.execution.studies import RESNET, numbers_of, small_study

import frostline
from frostline import FrostlineError
from frostline.execution.events import EpochFinished, Event, Notice, RunStarted, StepProgress

if TYPE_CHECKING:
    from pathlib import Path

    from frostline import RunRecord, Study
    from frostline.execution.events import Listener

DROPOUT = {"hidden": [16], "dropout": 0.5}


def study(name: str) -> Study:
    arms: dict[str, dict[str, Any]] = {
        "stacked heads": {"train_from": "head", "head": DROPOUT, "epochs": 3},
        "tail": {"train_from": "layer4", "head": DROPOUT},
        "uncut": {"train_from": "layer4", "head": DROPOUT, "augmentation": "flip", "views": "fresh"},
    }
    return small_study(arms[name], **RESNET)


def run(name: str, workspace: Path, listener: Listener | None = None) -> RunRecord:
    return frostline.run(study(name), workspace=workspace, engine="torch", resume=False, listener=listener)


@pytest.mark.parametrize(("first", "second"), [("tail", "stacked heads"), ("uncut", "tail")])
def test_runs_in_two_threads_have_the_bits_that_each_has_alone(tmp_path: Path, first: str, second: str) -> None:
    alone = [numbers_of(run(name, tmp_path / "alone")) for name in (first, second)]
    found: dict[int, RunRecord] = {}
    told: list[Event] = []
    has_begun, waits = threading.Event(), threading.Event()

    def hold(event: Event) -> None:
        if isinstance(event, StepProgress):
            has_begun.set()
            assert waits.wait(60)

    def listen(event: Event) -> None:
        told.append(event)
        waits.set()

    def other() -> None:
        assert has_begun.wait(60)
        found[1] = run(second, tmp_path / "together", listen)

    thread = threading.Thread(target=other)
    thread.start()
    found[0] = run(first, tmp_path / "together", hold)
    thread.join()
    assert [numbers_of(found[i]) for i in (0, 1)] == alone
    assert told[0] == Notice("waiting for another run in this process to end")
    assert sum(isinstance(event, RunStarted) for event in told) == 1


def test_a_run_within_a_run_is_refused_and_the_outer_one_goes_on(tmp_path: Path) -> None:
    refused: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, RunStarted):
            with pytest.raises(FrostlineError, match="called from inside another run, by its listener") as error:
                run("tail", tmp_path / "inner")
            refused.append(str(error.value))

    assert run("stacked heads", tmp_path, listen).status == "complete"
    assert len(refused) == 1
    assert not (tmp_path / "inner").exists()


def test_a_run_that_fails_gives_its_turn_back(tmp_path: Path) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, EpochFinished):
            raise FrostlineError("enough")

    with pytest.raises(FrostlineError, match="enough"):
        run("tail", tmp_path, fail)
    assert run("tail", tmp_path).status == "complete"


def test_a_listener_that_draws_random_numbers_changes_no_bit(tmp_path: Path) -> None:
    def draw(event: Event) -> None:
        torch.manual_seed(7)
        torch.rand(3)

    assert numbers_of(run("tail", tmp_path, draw)) == numbers_of(run("tail", tmp_path))
