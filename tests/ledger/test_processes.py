"""Several processes on one ledger, and processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from frostline.errors import LedgerError
from frostline.ledger import EpochRow, Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import StartRun

# Starts (or goes on with) a run, says its name, then writes epochs, each acknowledged once the ledger has it.
WRITER = """
import sys
from frostline.ledger import ArmEntry, EpochRow, Ledger, Segment
workspace, n_epochs, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with Ledger(workspace) as ledger:
    if mode == "start":
        run = ledger.start_run("s", "d1", "shared", {}, {}, {}, {}, [ArmEntry("a", {}, (Segment("t", n_epochs),))])
    else:
        run = mode
        ledger.reopen(run)
    print(run, flush=True)
    for epoch in range(len(ledger.epochs(run, "t")) + 1, n_epochs + 1):
        ledger.record_epochs(run, {"t": EpochRow(epoch, 1 / epoch, 0.5, 0.5, 0.1)})
        print(epoch, flush=True)
    if mode == "start":
        sys.stdin.read()
    ledger.finish_run(run, "complete", {})
"""


def writer(workspace: Path, n_epochs: int, mode: str = "start") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(workspace), str(n_epochs), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_write_at_once_and_lose_nothing(workspace: Path) -> None:
    # All of them also create the ledger at once.
    processes = [writer(workspace, 40) for _ in range(4)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [errors for _, errors in outputs] == [""] * 4
    runs = [output.splitlines()[0] for output, _ in outputs]
    assert len(set(runs)) == 4
    with Ledger(workspace) as ledger:
        assert {row.run for row in ledger.runs()} == set(runs)
        for run in runs:
            record = ledger.load(run)
            assert record.status == "complete"
            assert [row.epoch for row in record.arms[0].epochs] == list(range(1, 41))


def test_a_run_belongs_to_one_living_process(ledger: Ledger, start_run: StartRun, workspace: Path) -> None:
    process = writer(workspace, 2)
    assert process.stdout is not None
    run = process.stdout.readline().strip()
    assert ledger.load(run).status == "running"
    assert ledger.unfinished("d1", "shared") == []
    with pytest.raises(LedgerError, match=f'another process works on run "{run}": wait for it to end'):
        ledger.reopen(run)

    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    # It couldn't say that it ended, and left no lock behind.
    assert ledger.load(run).status == "interrupted"
    assert ledger.runs()[0].status == "interrupted"
    assert ledger.unfinished("d1", "shared") == [run]
    ledger.reopen(run)
    assert ledger.load(run).status == "running"


def test_whatever_was_acknowledged_survives_being_killed(workspace: Path) -> None:
    process = writer(workspace, 400)
    assert process.stdout is not None
    run = process.stdout.readline().strip()
    acknowledged = 0
    for kill in range(20):
        time.sleep(0.002 * (kill % 7))
        os.kill(process.pid, signal.SIGKILL)
        output, errors = process.communicate(timeout=30)
        assert errors == ""
        acknowledged = max([acknowledged, *(int(line) for line in output.splitlines() if line.isdigit())])
        with Ledger(workspace) as ledger:
            stored = [row.epoch for row in ledger.epochs(run, "t")]
            assert stored == list(range(1, len(stored) + 1))
            assert len(stored) >= acknowledged
            status = ledger.load(run).status
            # A writer that was quick may have finished before it was killed.
            assert status == "interrupted" or (status == "complete" and len(stored) == 400)
            if status == "complete":
                break
        process = writer(workspace, 400, run)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == run
    else:
        _, errors = process.communicate(timeout=60)
        assert errors == ""
    with Ledger(workspace) as ledger:
        record = ledger.load(run)
    assert record.status == "complete"
    assert [row.train_loss for row in record.arms[0].epochs] == [1 / epoch for epoch in range(1, 401)]


def test_a_reader_sees_what_a_writer_has_finished(ledger: Ledger, start_run: StartRun, workspace: Path) -> None:
    run = start_run(ledger)
    with Ledger(workspace, create=False) as reader:
        assert reader.load().arms[0].epochs == ()
        ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, 0.5, 0.5, 1.0)})
        assert len(reader.load().arms[0].epochs) == 1
        assert reader.load().status == "running"
