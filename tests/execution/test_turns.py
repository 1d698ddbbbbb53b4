"""Several runs in one process: each has the bits that it has alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.execution.studies import RESNET, numbers_of, small_study
from torch import nn

import frostline
from frostline import FrostlineError
from frostline.execution.events import EpochFinished, Event, Notice, Preparing, RunStarted, StepProgress
from frostline.models._measured import measure_backbone

if TYPE_CHECKING:
    from collections.abc import Callable
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
        if not isinstance(event, Preparing):
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


@pytest.mark.parametrize("name", ["tail", "stacked heads"])
def test_a_listener_that_draws_random_numbers_changes_no_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of stacked heads it is told on one thread what is trained on another."""
    monkeypatch.setattr("frostline.training._heads.POLL_SECONDS", 1e-4)

    def draw(event: Event) -> None:
        torch.manual_seed(7)
        torch.rand(3)

    assert numbers_of(run(name, tmp_path, draw)) == numbers_of(run(name, tmp_path))


@pytest.mark.parametrize("name", ["tail", "stacked heads", "plain"])
def test_networks_looked_at_in_another_thread_change_no_bit(
    name: str, tmp_path: Path, fresh_places: Callable[[str], None]
) -> None:
    """Building them draws random numbers, running them may, and a function of the user's may set the seed."""

    def build() -> nn.Module:
        torch.manual_seed(5)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 4))

    arm = {"backbone": "drawn", "image_size": 32}
    other = frostline.Study(name="other", data={"source": "digits"}, arms=[arm], networks={"drawn": build})
    n_looked, trained = 0, threading.Event()

    def look() -> None:
        nonlocal n_looked
        while not trained.is_set():
            assert frostline.check_networks(other) == []
            measure_backbone("squeezenet1_1", 64)
            n_looked += 1

    def train() -> RunRecord:
        asked = study("tail" if name == "plain" else name)
        return frostline.run(asked, workspace=tmp_path, engine="torch", resume=False, plain=name == "plain")

    fresh_places("together")
    alone = numbers_of(train())
    thread = threading.Thread(target=look)
    thread.start()
    try:
        together = numbers_of(train())
    finally:
        trained.set()
        thread.join()
    assert together == alone
    assert n_looked > 0
