"""`frostline run` with a run that only tells its events: what the command line makes of them, tested alone."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

import frostline
from frostline.data import DataSummary
from frostline.errors import DiskFullError, StudyError
from frostline.execution.events import (
    ArmProgress,
    DataRead,
    EpochFinished,
    Listener,
    Notice,
    PassFinished,
    PassProgress,
    PassStarted,
    RunFinished,
    RunStarted,
    StepProgress,
    TrajectoryEnded,
)
from frostline.ledger import Ledger

from .conftest import FROZEN, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from frostline.ledger import RunRecord

    from .conftest import Invoke

ARMS = ("resnet18 head adam-0.001 2ep seed0", "resnet18 head adam-0.001 3ep seed0")


class FakeRun:
    """Stands in for frostline.run: keeps what it was given, writes a run, tells its events, then may fail."""

    def __init__(self, failure: BaseException | None = None, before: BaseException | None = None) -> None:
        self.failure = failure
        self.before = before
        self.given: dict[str, Any] = {}

    def __call__(self, study: Any, *, listener: Listener, workspace: Path, **given: Any) -> RunRecord:
        self.given = {"study": study, "workspace": workspace, **given}
        if self.before is not None:
            raise self.before
        run = write_run(workspace, status="complete" if self.failure is None else "interrupted")
        tell(listener, run)
        if self.failure is not None:
            raise self.failure
        with Ledger(workspace) as ledger:
            return ledger.load(run)


PETS = DataSummary(
    *("csv", "pets.csv", ("cat", "dog"), (300, 100), (30, 10), (30, 10), 3.0, 0.75),
    n_skipped=0,
    ignored={},
    notes=("splits: taken from column fold",),
)


def tell(listener: Listener, run: str) -> None:
    listener(DataRead(PETS))
    listener(RunStarted(run, "exercise", True, 2, 2, 30.0))
    listener(Notice("segment 3 was damaged and is made again"))
    listener(PassStarted("resnet18 head", 100))
    listener(PassProgress("resnet18 head", 50, 100))
    listener(PassFinished("resnet18 head", 100, 100, 51_200, 2.0))
    listener(EpochFinished("head0", (ArmProgress(ARMS[0], 1, 2),), 0.9, 0.9, 0.9, 1.0, replayed=True))
    listener(StepProgress("head0", 1, 3, 5, 10))
    progress = tuple(ArmProgress(name, 1, epochs) for name, epochs in zip(ARMS, (2, 3), strict=True))
    listener(EpochFinished("head0", progress, 0.8285023129885764, 0.7, 0.9, 1.0))
    listener(EpochFinished("sgd", (ArmProgress("bad", 1, 2),), math.nan, None, None, 1.0))
    listener(TrajectoryEnded("sgd", "diverged", "training diverged in epoch 1"))
    listener(TrajectoryEnded("head0", "complete"))
    listener(RunFinished(run, "complete", 12.0))


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    fake = FakeRun()
    monkeypatch.setattr(frostline, "run", fake, raising=False)
    monkeypatch.setattr(frostline, "load_study", lambda name, overrides: (name, tuple(overrides)), raising=False)
    return fake


def test_elsewhere_than_in_a_terminal_each_arm_and_epoch_is_a_line(
    workspace: Path, invoke: Invoke, fake_run: FakeRun
) -> None:
    result = invoke("run", "s.toml")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        f"{ARMS[0]}: epoch 1/2, loss 0.8285, val loss 0.7000, val acc 90.0%",
        f"{ARMS[1]}: epoch 1/3, loss 0.8285, val loss 0.7000, val acc 90.0%",
        "bad: epoch 1/2, loss nan",
    ]
    run = frostline.Ledger(workspace).load().run
    errors = result.stderr.splitlines()
    # What is used of the data comes first, and not among the results.
    assert errors[0] == "data: 480 images of 2 classes (csv, pets.csv)"
    assert errors[3].split() == ["cat", "300", "30", "30"]
    assert errors[6:9] == [
        '100 to 300 training images a class (3.0 to 1); always answering "cat" gives val acc 75.0%',
        "splits: taken from column fold",
        "",
    ]
    assert errors[9:] == [
        f"{run} continues where it was interrupted: 2 arms, 2 trajectories, about 30 s to go",
        "note: segment 3 was damaged and is made again",
        "feature pass resnet18 head: 100 images",
        "feature pass resnet18 head: done in 2.00 s, 51.2 kB",
        "trajectory sgd diverged: training diverged in epoch 1",
    ]
    # The arms, then the exercise's table, since epochs and train_from vary.
    assert f"{run}: shared, complete, 6 of 6 arms complete" in result.stdout
    assert ", ".join(f"{loss:.4f}" for loss in FROZEN) in result.stdout.split("train_from layer4")[1]


def test_options_reach_the_library(workspace: Path, invoke: Invoke, fake_run: FakeRun, tmp_path: Path) -> None:
    words = ["run", "s.toml", "--set", "data.train=10", "--set", "defaults.seed=[0,1]", "--plain", "--no-resume"]
    words += [
        "--workspace",
        str(tmp_path / "w"),
        "--device",
        "cpu",
        "--engine",
        "torch",
        "--precision",
        "bf16",
        "--cache",
        "never",
        "--disk",
        "10GB",
        "--memory",
        "4GB",
        "--device-memory",
        "8GB",
    ]
    assert invoke(*words).exit_code == 0
    assert fake_run.given == {
        "study": ("s.toml", ("data.train=10", "defaults.seed=[0,1]")),
        "workspace": tmp_path / "w",
        "plain": True,
        "resume": False,
        "again": False,
        "device": "cpu",
        "engine": "torch",
        "precision": "bf16",
        "cache": "never",
        "disk": "10GB",
        "memory": "4GB",
        "device_memory": "8GB",
        "began": None,
    }
    assert invoke("run", "s.toml").exit_code == 0
    assert fake_run.given == {
        "study": ("s.toml", ()),
        "workspace": workspace,
        "plain": False,
        "resume": None,
        "again": False,
        "device": "auto",
        "engine": "auto",
        "precision": "ieee",
        "cache": "auto",
        "disk": None,
        "memory": None,
        "device_memory": None,
        "began": None,
    }
    assert invoke("run", "s.toml", "--resume").exit_code == 0
    assert fake_run.given["resume"] is True


def test_json_is_all_of_standard_output(workspace: Path, invoke: Invoke, fake_run: FakeRun) -> None:
    result = invoke("run", "s.toml", "--json")
    assert len(json.loads(result.stdout)["arms"]) == 6
    assert f"{ARMS[0]}: epoch 1/2, loss 0.8285, val loss 0.7000, val acc 90.0%" in result.stderr.splitlines()


def test_interruption_says_how_to_continue(workspace: Path, invoke: Invoke, fake_run: FakeRun) -> None:
    fake_run.failure = KeyboardInterrupt()
    result = invoke(
        "run",
        "my study.toml",
        "--set",
        "data.train=10",
        "--plain",
        "--device",
        "cpu",
        "--precision",
        "bf16",
        "--cache",
        "always",
        "--disk",
        "1 GB",
        "--memory",
        "4GB",
        "--device-memory",
        "8GB",
    )
    run = frostline.Ledger(workspace).load().run
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == (
        f"interrupted: {run} is kept up to its last finished epoch; to continue: "
        "frostline run 'my study.toml' --set data.train=10 --plain --device cpu --precision bf16 --cache always "
        "--disk '1 GB' --memory 4GB --device-memory 8GB --resume"
    )
    assert "epoch 1/2" in result.stdout
    assert "arms complete" not in result.stdout


def test_interruption_before_anything_began(workspace: Path, invoke: Invoke, fake_run: FakeRun) -> None:
    fake_run.before = KeyboardInterrupt()
    result = invoke("run", "s.toml")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "interrupted: no run had started; to start one: frostline run s.toml\n"


def test_a_failure_says_what_is_kept(workspace: Path, invoke: Invoke, fake_run: FakeRun) -> None:
    fake_run.failure = DiskFullError("no room for 3 GB in /cache")
    result = invoke("run", "s.toml")
    assert result.exit_code == 1
    run = frostline.Ledger(workspace).load().run
    assert result.stderr.splitlines()[-2:] == [
        "error: no room for 3 GB in /cache",
        f"{run} is kept up to its last finished epoch; to continue: frostline run s.toml --resume",
    ]


def test_a_failure_before_anything_began(workspace: Path, invoke: Invoke, fake_run: FakeRun) -> None:
    fake_run.before = StudyError("s.toml:1:1: arms: missing")
    result = invoke("run", "s.toml")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: s.toml:1:1: arms: missing\n")


# A run that tells a step now and then, as a process of its own.
SLOW = """
import sys, time
from pathlib import Path
import frostline, frostline.cli
from frostline.data import DataSummary
from frostline.execution.events import *
from frostline.ledger import ArmEntry, EpochRow, Ledger, Segment
def run(study, *, listener, workspace, **_):
    with Ledger(workspace) as ledger:
        trajectory = {"id": "t", "seconds": 4.0, "epochs": 2, "train_from": "layer4", "cut": "input", "mode": "uncut"}
        plan = {"passes": [], "trajectories": [trajectory]}
        recipe = {"train_from": "head", "epochs": 2, "optimizer": {"name": "adam"}}
        arm = ArmEntry("arm of two", recipe, (Segment("t", 2),))
        run = ledger.start_run("s", "d", "shared", {}, {}, plan, {}, [arm])
        pets = ("csv", "pets.csv", ("cat", "dog"), (300, 100), (30, 10), (30, 10), 3.0, 0.75, 0, {}, ("how read",))
        listener(DataRead(DataSummary(*pets)))
        listener(RunStarted(run, "slow study", False, 1, 1, 4.0))
        for epoch in (1, 2):
            for step in range(1, 11):
                listener(StepProgress("t", epoch, 2, step, 10))
                time.sleep(SLEEP)
            ledger.record_epochs(run, {"t": EpochRow(epoch, 0.5, 0.5, 0.5, 1.0)})
            listener(EpochFinished("t", (ArmProgress("arm of two", epoch, 2),), 0.5, 0.5, 0.5, 1.0))
        listener(TrajectoryEnded("t", "complete"))
        listener(RunFinished(run, "complete", 1.0))
        ledger.finish_run(run, "complete", {})
        return ledger.load(run)
frostline.run = run
frostline.load_study = lambda *_: None
sys.argv = ["frostline", "run", "s.toml"]
frostline.cli.main()
"""


def test_control_c_stops_at_once_with_code_130(workspace: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.replace("SLEEP", "120")],  # it doesn't wait for the end of what is under way
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=workspace.parent,
    )
    assert process.stderr is not None
    assert any("started: 1 arm, 1 trajectory" in line for line in iter(process.stderr.readline, ""))
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.fullmatch(
        r"interrupted: \S+-s is kept up to its last finished epoch; to continue: frostline run s.toml --resume\n",
        errors,
    )
    assert output == ""
    # The process is gone, and the run isn't held any more.
    with Ledger(workspace) as ledger:
        assert ledger.runs()[0].status == "interrupted"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_has_a_display_with_the_time_left(workspace: Path, columns: int) -> None:
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "30"}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.replace("SLEEP", "0.03")],
        stdin=child,
        stdout=child,
        stderr=child,
        cwd=workspace.parent,
        env=environment,
    )
    os.close(child)
    output = read_all(parent)
    assert process.wait(timeout=30) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    assert "slow study" in text
    assert "data: 480 images of 2 classes (csv, pets.csv)" in text.split("slow study")[0]
    assert re.search(r"about \d+ s left", text)
    assert "training from layer4, epoch 2/2" in text
    assert "loss 0.5000, val acc 50.0%" in text
    # The lines are for elsewhere; the tables come at the end.
    assert "arm of two: epoch 1/2" not in text
    assert "0.5000, 0.5000" in text.rsplit("left", 1)[1]
    assert max(len(line) for chunk in text.split("\r\n") for line in chunk.split("\r")) <= columns


def read_all(descriptor: int) -> str:
    chunks = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1.0)[0]:
            continue
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:
            # Linux ends a terminal whose other side has closed with an error.
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(descriptor)
    return b"".join(chunks).decode(errors="replace")
