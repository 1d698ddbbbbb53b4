"""A study that has been run is shown, and trained again only where something changed or someone insists."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.studies import RESNET, numbers_of, small_study

import frostline
from frostline.errors import DiskFullError
from frostline.execution.events import RunFound, StepProgress

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def places(fresh_places: Callable[[str], None]) -> None:
    fresh_places("own")


def ask(**changes: Any) -> frostline.Study:
    return small_study({"train_from": "head", "epochs": 1, **changes}, **RESNET)


def test_a_finished_run_is_returned_and_said_so() -> None:
    first = frostline.run(ask())
    events: list[object] = []
    second = frostline.run(ask(), listener=events.append)
    assert second == first
    assert [event for event in events if isinstance(event, RunFound)] == [
        RunFound(first.run, "small", str(first.finished))
    ]
    with frostline.Ledger(os.environ["FROSTLINE_WORKSPACE"]) as ledger:
        assert len(ledger.runs()) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda: frostline.run(ask(), again=True),
        lambda: frostline.run(ask(), resume=False),
        lambda: frostline.run(ask(seed=1)),
        lambda: frostline.run(ask(), plain=True),
        lambda: frostline.run(ask(), engine="torch"),
        lambda: frostline.run(small_study({"train_from": "head", "epochs": 1}, train=80, **RESNET)),
    ],
    ids=["again", "no resume", "another recipe", "plain", "another engine", "other images"],
)
def test_anything_else_is_trained(change: Callable[[], frostline.RunRecord]) -> None:
    first = frostline.run(ask())
    assert change().run != first.run


def test_again_gives_the_same_numbers() -> None:
    assert numbers_of(frostline.run(ask())) == numbers_of(frostline.run(ask(), again=True))


def test_a_run_whose_folder_is_gone_is_trained_again() -> None:
    first = frostline.run(ask())
    shutil.rmtree(first.directory)
    assert frostline.run(ask()).run != first.run


def test_a_study_may_be_a_file_or_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[data]\nsource = "digits"\ntrain = 40\nval = 20\ntest = 20\n'
        '[defaults]\nbackbone = "resnet18"\nweights = "none"\nimage_size = 32\nepochs = 1\n'
        '[[arms]]\ntrain_from = "head"\n'
    )
    record = frostline.run(str(path))
    assert record.study == "mine"
    assert frostline.run(path) == record
    monkeypatch.chdir(tmp_path)
    assert frostline.run("mine.toml") == record
    with pytest.raises(frostline.FrostlineError, match=r'"starte.*starter'):
        frostline.run("starte")


def test_the_choice_is_recorded() -> None:
    record = frostline.run(small_study({"train_from": "head", "seed": [0, 1]}, {"train_from": "layer4"}, **RESNET))
    assert record.chosen
    assert [arm.name for arm in record.arms if arm.test_accuracy is not None] == list(record.chosen)
    assert {Path(file.path).name for file in record.arm(record.chosen[0]).files} == {
        "arm.json",
        "model.safetensors",
        "val.safetensors",
        "test.safetensors",
    }


def test_a_record_that_cannot_be_written_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(record: object) -> None:
        raise DiskFullError("no room left")

    def fail(event: object) -> None:
        if isinstance(event, StepProgress):
            raise RuntimeError("the reason")

    monkeypatch.setattr("frostline.execution._run.save_run_record", refuse)
    with pytest.raises(RuntimeError, match="the reason"):
        frostline.run(ask(), listener=fail)
    with pytest.raises(DiskFullError, match="no room left"):
        frostline.run(ask())
