"""Trajectories in processes of their own: the same numbers, and a process that dies takes only its trajectory."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.studies import RESNET, logits_of, numbers_of, small_study

import frostline
from frostline.errors import DiskFullError, TrainingError
from frostline.execution import _processes
from frostline.execution.events import EpochFinished, Event, Notice, RunStarted, StepProgress, TrajectoryEnded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from frostline.execution._units import TrajectoryUnit

SGD = {"name": "sgd", "lr": 1e-3, "momentum": 0.9}
ARMS: list[dict[str, Any]] = [
    {"train_from": "layer4", "optimizer": SGD, "seed": [0, 1], "epochs": [1, 2]},
    {"train_from": "head"},
    {"optimizer": SGD, "phases": [{"train_from": "head", "epochs": 1}, {"train_from": "layer4", "epochs": 2}]},
    {"train_from": "layer4", "optimizer": SGD, "augmentation": "flip", "views": "fresh", "epochs": 1},
]


@dataclass
class Processes:
    """The ids of the processes that were started, and by trajectory of the last one that was asked to train it."""

    started: list[int] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)

    def kill(self, trajectory: str) -> None:
        os.kill(self.asked[trajectory], signal.SIGKILL)

    def all_ended(self) -> bool:
        return bool(self.started) and all(map(has_ended, self.started))


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch, two_threads: None) -> Processes:
    """Have plans use two processes whatever they take to start, and return what is known of them."""
    monkeypatch.setattr("frostline.plan._side_by_side.START_SECONDS", 0.0)
    seen = Processes()
    start, ask = _processes._Worker._start, _processes._Worker.ask

    def note_start(worker: _processes._Worker) -> None:
        start(worker)
        assert worker.process is not None
        seen.started.append(worker.process.pid)

    def note_ask(worker: _processes._Worker, unit: TrajectoryUnit) -> None:
        ask(worker, unit)
        assert worker.process is not None
        seen.asked[unit.trajectory] = worker.process.pid

    monkeypatch.setattr(_processes._Worker, "_start", note_start)
    monkeypatch.setattr(_processes._Worker, "ask", note_ask)
    return seen


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def run(listener: Callable[[Event], None] | None = None, *arms: dict[str, Any], **options: Any) -> frostline.RunRecord:
    study = small_study(*(arms or ARMS), **RESNET)
    return frostline.run(study, cache="always", engine="torch", listener=listener, **options)


def run_in_turn(monkeypatch: pytest.MonkeyPatch, *arms: dict[str, Any]) -> frostline.RunRecord:
    """Run in this process alone."""
    with monkeypatch.context() as patch:
        patch.setattr("frostline.plan._side_by_side.START_SECONDS", 1e9)
        return run(None, *arms)


def test_equals_one_after_the_other(
    processes: Processes, fresh_places: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_places("side by side")
    events: list[Event] = []
    beside = run(events.append)
    assert beside.plan["workers"] == 2
    assert len(processes.started) == 2
    assert processes.all_ended()
    (begun,) = (event for event in events if isinstance(event, RunStarted))
    assert begun.predicted_seconds == pytest.approx(beside.plan["totals"]["seconds"])
    fresh_places("in turn")
    in_turn = run_in_turn(monkeypatch)
    assert in_turn.plan["workers"] == 1
    assert numbers_of(beside) == numbers_of(in_turn)
    for one, other in zip(beside.arms, in_turn.arms, strict=True):
        assert one.status == other.status == "complete"
        assert (logits_of(beside, one) == logits_of(in_turn, other)).all()
    told = {(e.trajectory, arm.name, arm.epoch) for e in events if isinstance(e, EpochFinished) for arm in e.arms}
    assert len(told) == sum(arm.n_epochs for arm in beside.arms)


def test_a_process_that_dies_is_replaced_once(
    processes: Processes, fresh_places: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = [{"train_from": "layer4", "optimizer": SGD, "seed": [0, 1], "epochs": 3}]
    fresh_places("undisturbed")
    expected = numbers_of(run_in_turn(monkeypatch, *arms))
    fresh_places("disturbed")
    notices: list[str] = []
    killed: list[str] = []

    def disturb(event: Event) -> None:
        # Once: until its replacement has started, the other process may come to its second epoch too.
        if isinstance(event, StepProgress) and event.epoch == 2 and not killed:
            killed.append(event.trajectory)
            processes.kill(event.trajectory)
        if isinstance(event, Notice):
            notices.append(event.text)

    assert numbers_of(run(disturb, *arms)) == expected
    assert len(processes.started) == 3
    assert any("was killed by SIGKILL: it is tried once more" in text for text in notices)


@pytest.mark.slow
def test_what_dies_twice_is_given_up_and_the_others_finish(
    processes: Processes, fresh_places: Callable[[str], None]
) -> None:
    fresh_places("killer")
    arms = [{"train_from": "layer4", "optimizer": SGD, "seed": [0, 1]}]
    failed: list[TrajectoryEnded] = []

    def kill(event: Event) -> None:
        if isinstance(event, StepProgress) and event.trajectory == min(processes.asked):
            processes.kill(event.trajectory)
        if isinstance(event, TrajectoryEnded) and event.status == "failed":
            failed.append(event)

    with pytest.raises(
        TrainingError, match=r"given up, as the process that trained it ended twice; all others are kept"
    ):
        run(kill, *arms)
    assert [event.message for event in failed] == ["the process that trained it was killed by SIGKILL, twice"]
    with frostline.Ledger(os.environ["FROSTLINE_WORKSPACE"]) as ledger:
        record = ledger.load()
        assert sorted(arm.status for arm in record.arms) == ["complete", "failed"]
        assert record.status == "failed"
    again = run(None, *arms, resume=True)
    assert [arm.status for arm in again.arms] == ["complete", "complete"]
    assert again.run == record.run


def test_an_error_in_a_process_is_the_runs_own(
    processes: Processes, fresh_places: Callable[[str], None], tmp_path: Path
) -> None:
    fresh_places("blocked")

    def block(event: Event) -> None:
        if isinstance(event, StepProgress):
            with frostline.Ledger(os.environ["FROSTLINE_WORKSPACE"]) as ledger:
                place = ledger.load().directory / "checkpoints"
            if not place.exists():
                place.write_text("in the way")

    arms = [{"train_from": "layer4", "optimizer": SGD, "seed": [0, 1], "epochs": 4}]
    with pytest.raises(DiskFullError, match="What was finished before is kept"):
        run(block, *arms)
    assert processes.all_ended()


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_behind(processes: Processes, fresh_places: Callable[[str], None]) -> None:
    fresh_places("interrupted")

    def interrupt(event: Event) -> None:
        if isinstance(event, StepProgress) and event.trajectory in processes.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupt)
    assert processes.all_ended()
    resumed = run(resume=True)
    assert all(arm.status == "complete" for arm in resumed.arms)
    assert resumed.plan["workers"] == 2
