"""What a run took, over its sessions: from the command, with getting ready named apart."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.execution.studies import RESNET, small_study

import frostline
from frostline.execution._spent import Spent
from frostline.execution.events import Event, PassFinished, RunFinished
from frostline.features import Engines

if TYPE_CHECKING:
    from pathlib import Path


def test_it_counts_from_the_command_over_all_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))  # so that its pass is compiled now
    study = small_study({"train_from": "head", **RESNET})
    finished: list[RunFinished] = []

    def stop(event: Event) -> None:
        if isinstance(event, RunFinished):
            finished.append(event)
        if isinstance(event, PassFinished) and len(finished) == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frostline.run(study, workspace=tmp_path, cache="always", listener=stop, began=time.time() - 1000.0)
    with frostline.Ledger(tmp_path) as ledger:
        first = ledger.load().took
    assert finished[0].seconds == first.seconds > 1000.0
    assert 0 < first.compiling_seconds < first.seconds - 1000.0
    record = frostline.run(study, workspace=tmp_path, cache="always", listener=stop, began=time.time() - 100.0)
    assert record.took.seconds > first.seconds + 100.0
    assert finished[1].seconds == record.took.seconds
    assert record.took.compiling_seconds >= first.compiling_seconds
    assert "seconds" not in record.cost


@pytest.mark.parametrize(("engine", "compiles"), [("openvino", True), ("torch", False)])
def test_torch_compiles_nothing(engine: str, compiles: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    study = small_study({"train_from": "head", "epochs": 1, **RESNET})
    record = frostline.run(study, workspace=tmp_path, cache="always", engine=engine)
    assert (record.took.compiling_seconds > 0) == compiles


def test_without_an_engine_that_compiles_measuring_is_all_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    spent = Spent(0.0, None)
    with spent.measuring():
        now = 20.0
    assert (spent.parts.measuring_seconds, spent.parts.compiling_seconds) == (20.0, 0.0)


def test_waiting_measuring_and_compiling_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    engines = Engines()
    spent = Spent(0.0, engines)
    with spent.waiting():
        now = 5.0
    with spent.measuring():
        now = 25.0
        engines.compile_seconds += 8.0  # of what the pass uses, too
    engines.compile_seconds += 2.0
    parts = spent.parts
    assert (parts.waiting_seconds, parts.measuring_seconds, parts.compiling_seconds) == (5.0, 12.0, 10.0)
