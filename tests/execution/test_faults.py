"""Killed, stopped, in company, out of room, diverging: what is finished is kept, and the numbers are the same."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.studies import LITE0, RESNET, numbers_of, small_study

import frostline
from frostline.errors import DiskFullError, LedgerError
from frostline.execution.events import EpochFinished, Event, Notice, PassFinished, RunStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from frostline import RunRecord, Study


def busy_study() -> Study:
    """Return a study with a pass of two cuts, views, phases, and every kind of optimizer state."""
    return small_study(
        {"train_from": "head", "optimizer": [{"name": "adam"}, {"name": "sgd", "lr": 0.01, "momentum": 0.9}]},
        {"train_from": "layer4.1", "optimizer": {"name": "adamw", "lr": 1e-4}, "schedule": "one-cycle"},
        {"train_from": "head", "augmentation": "flip", "views": 2, "epochs": 3},
        {"phases": [{"train_from": "head", "epochs": 1}, {"train_from": "layer4.1", "epochs": [1, 2]}]},
        **RESNET,
    )


class Worker:
    """A process that runs the study in children, one at a time."""

    def __init__(self, study: Study) -> None:
        self._study = study.model_dump(mode="json")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.execution.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, engine: str = "torch") -> int:
        """Start a child in the places that the environment names, and return its process id."""
        request = {"study": self._study, "engine": engine, "cache": os.environ["FROSTLINE_CACHE"]}
        request["workspace"] = os.environ["FROSTLINE_WORKSPACE"]
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def wait(self) -> int:
        """Return the child's exit status, negative for the signal that ended it."""
        return self._read()

    def _read(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(busy_study())
    yield made
    made.close()


def everything(record: RunRecord) -> dict[str, Any]:
    """Return every number of a run: losses and accuracies by epoch, and the contents of its models and predictions."""
    # The description of an arm names its run.
    kept = [(arm.name, file) for arm in record.arms for file in arm.files if file.kind != "description"]
    files = {(name, file.kind): file.digest for name, file in kept}
    tests = {arm.name: (arm.test_loss, arm.test_accuracy) for arm in record.arms}
    return {"numbers": numbers_of(record), "files": files, "tests": tests}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("engine", "n_kills"),
    [
        ("torch", 4),
        pytest.param("torch", 20, marks=pytest.mark.slow),
        pytest.param("openvino", 5, marks=pytest.mark.slow),
    ],
)
def test_killed_at_random_moments_the_numbers_are_the_same(
    engine: str, n_kills: int, worker: Worker, fresh_places: Callable[[str], None]
) -> None:
    frostline.plan_study(busy_study())  # measures the machine, which no later run does again
    fresh_places("uninterrupted")
    worker.start(engine)
    started = time.monotonic()
    assert worker.wait() == 0
    seconds = time.monotonic() - started
    with frostline.Ledger(os.environ["FROSTLINE_WORKSPACE"]) as ledger:
        expected = everything(ledger.load())
    assert len(expected["files"]) == 2 * 6 + 1  # and the chosen arm's predictions on test
    moments = random.Random(0)
    kills = sequences = 0
    while kills < n_kills:
        sequences += 1
        fresh_places(f"killed {sequences}")
        while True:
            child = worker.start(engine)
            timer = threading.Timer(moments.uniform(0.05, 1.0) * seconds, os.kill, (child, signal.SIGKILL))
            timer.start()
            status = worker.wait()
            timer.cancel()
            if status == 0:
                break
            assert status == -signal.SIGKILL
            kills += 1
            with frostline.Ledger(os.environ["FROSTLINE_WORKSPACE"]) as ledger:
                if [row.status for row in ledger.runs()] == ["complete"]:
                    break  # killed between its last word and its end
        with frostline.Ledger(os.environ["FROSTLINE_WORKSPACE"]) as ledger:
            finished = ledger.load()
            assert finished.status == "complete"
            assert everything(finished) == expected
            assert [row.status for row in ledger.runs()].count("complete") == 1
        assert not (finished.directory / "checkpoints").exists()


def test_stopped_it_says_so_and_goes_on(worker: Worker, fresh_places: Callable[[str], None]) -> None:
    frostline.plan_study(busy_study())
    fresh_places("stopped")
    child = worker.start()
    place = Path(os.environ["FROSTLINE_WORKSPACE"])
    while not list(place.glob("*-small")):
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(child, signal.SIGINT)
    assert worker.wait() == 130
    with frostline.Ledger(place) as ledger:
        assert [row.status for row in ledger.runs()] == ["interrupted"]
    events: list[Event] = []
    record = frostline.run(busy_study(), cache="always", engine="torch", listener=events.append)
    assert record.status == "complete"
    assert [event.resumed for event in events if isinstance(event, RunStarted)] == [True]


def test_two_processes_at_once_are_both_right(fresh_places: Callable[[str], None]) -> None:
    workers = [Worker(busy_study()), Worker(busy_study())]
    fresh_places("alone")
    workers[0].start()
    assert workers[0].wait() == 0
    expected = everything(frostline.Ledger(os.environ["FROSTLINE_WORKSPACE"]).load())
    fresh_places("together")
    for each in workers:
        each.start()
    assert [each.wait() for each in workers] == [0, 0]
    with frostline.Ledger(os.environ["FROSTLINE_WORKSPACE"]) as ledger:
        records = [ledger.load(row.run) for row in ledger.runs()]
    assert [everything(record) for record in records] == [expected, expected]
    made = [row.name for record in records for row in record.passes if not row.reused]
    assert len(made) == len(set(made)), "a pass was made twice"
    for each in workers:
        each.close()


def test_a_run_resumes_with_the_epochs_it_has(fresh_places: Callable[[str], None]) -> None:
    fresh_places("resumed")
    study = small_study({"train_from": "head", "epochs": [2, 4]}, **RESNET)

    def stop_at_three(event: Event) -> None:
        if isinstance(event, EpochFinished) and event.arms[-1].epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frostline.run(study, listener=stop_at_three)
    with frostline.Ledger(os.environ["FROSTLINE_WORKSPACE"]) as ledger:
        stopped = ledger.load()
    assert stopped.status == "interrupted"
    assert [len(arm.epochs) for arm in stopped.arms] == [2, 3]
    events: list[Event] = []
    record = frostline.run(study, resume=True, listener=events.append)
    assert record.run == stopped.run
    assert [e.replayed for e in events if isinstance(e, EpochFinished)] == [True, True, True, False]
    assert numbers_of(record) == numbers_of(frostline.run(study, resume=False))


def test_nothing_to_resume_is_said(fresh_places: Callable[[str], None]) -> None:
    fresh_places("nothing")
    with pytest.raises(
        LedgerError, match=r'nothing to resume: no interrupted run of "small" .* without --resume \(resume=True in'
    ):
        frostline.run(small_study({"train_from": "head"}, **RESNET), resume=True)


@pytest.mark.parametrize(
    "damage", ["flipped", *(pytest.param(each, marks=pytest.mark.slow) for each in ("truncated", "missing"))]
)
def test_a_damaged_segment_is_made_again_and_said_so(damage: str, fresh_places: Callable[[str], None]) -> None:
    fresh_places(damage)
    study = small_study({"train_from": "head"}, **RESNET)
    before = frostline.run(study, cache="always")
    folder = Path(os.environ["FROSTLINE_CACHE"]) / "features"
    rows = max((p for p in folder.rglob("*") if p.is_file() and p.suffix != ".json"), key=lambda p: p.stat().st_size)
    content = bytearray(rows.read_bytes())
    if damage == "missing":
        rows.unlink()
    else:
        content[len(content) // 2] ^= 1
        rows.write_bytes(content[:-7] if damage == "truncated" else content)
    events: list[Event] = []
    after = frostline.run(study, cache="always", resume=False, listener=events.append)
    assert numbers_of(after) == numbers_of(before)
    assert any("made again" in event.text for event in events if isinstance(event, Notice))


def test_a_diverging_arm_is_marked_and_the_others_finish() -> None:
    study = small_study(
        {"train_from": "head", "optimizer": {"name": "sgd", "lr": [1e6, 0.01]}},
        {
            "phases": [
                {"train_from": "head", "epochs": 1, "optimizer": {"name": "sgd", "lr": 1e6}},
                {"train_from": "layer4", "epochs": 1},
            ]
        },
        **RESNET,
    )
    record = frostline.run(study, resume=False)
    assert record.status == "complete"
    assert [arm.status for arm in record.arms] == ["diverged", "complete", "diverged"]
    assert "diverged in epoch 1" in (record.arms[0].message or "")
    assert record.arms[1].test_accuracy is not None
    plain = frostline.run(study, plain=True, resume=False)
    assert [arm.status for arm in plain.arms] == ["diverged", "complete", "diverged"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; skips where it can't be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small file system can't be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_clearly_and_the_run_goes_on_after(
    small_disk: Path, fresh_places: Callable[[str], None]
) -> None:
    fresh_places("full")
    study = small_study({"train_from": ["head", "layer4"], "optimizer": {"name": "sgd", "lr": 0.01}}, **RESNET)
    with pytest.raises(DiskFullError, match="run the same command again"):
        frostline.run(study, workspace=small_disk, cache="always")
    with frostline.Ledger(small_disk) as ledger:
        stopped = ledger.load()
        assert stopped.status == "failed"
        assert [arm.status for arm in stopped.arms] == ["complete", "waiting"]
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    events: list[Event] = []
    record = frostline.run(study, workspace=small_disk, cache="always", listener=events.append)
    assert record.run == stopped.run
    assert record.status == "complete"
    assert numbers_of(record) == numbers_of(frostline.run(study, resume=False, cache="always"))


def test_real_weights_survive_a_kill_too(fresh_places: Callable[[str], None]) -> None:
    fresh_places("real")
    study = small_study({"train_from": "conv_head"}, **LITE0)
    events: list[Event] = []
    first = frostline.run(study, cache="always", listener=events.append)
    assert not any(event.reused for event in events if isinstance(event, PassFinished))
    again = frostline.run(study, cache="always", resume=False)
    assert everything(again) == everything(first)
    assert all(row.reused for row in again.passes)
