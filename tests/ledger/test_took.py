"""What a run took: from the command to its end, summed over the sessions of a resumed run."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from frostline.ledger import EpochRow, FileRow, Ledger, PassRow, Took, _writing
from frostline.ledger._schema import MIGRATIONS, migrate

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import StartRun


class Clock:
    """A clock that shows what it is set to."""

    now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(_writing, "time", made)
    return made


def test_it_counts_from_the_command_to_the_end(ledger: Ledger, start_run: StartRun, clock: Clock) -> None:
    run = start_run(ledger, began=940.0, parts=Took(measuring_seconds=48.0))
    assert ledger.load(run).took == Took(60.0, 48.0)
    clock.now = 1286.0
    ledger.finish_run(run, "complete", {}, Took(measuring_seconds=48.0, compiling_seconds=12.0, waiting_seconds=3.0))
    assert ledger.load(run).took == Took(346.0, 48.0, 12.0, 3.0)
    (row,) = ledger.runs()
    assert row.seconds == row.to_json()["seconds"] == ledger.load(run).to_json()["took"]["seconds"] == 346.0


RECORDS: dict[str, Any] = {
    "pass": lambda ledger, run: ledger.record_pass(run, PassRow("p", 1, 1, 1, 1.0, "torch")),
    "epoch": lambda ledger, run: ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, 0.5, 0.5, 1.0)}),
    "trajectory": lambda ledger, run: ledger.record_trajectory(run, "t1", "running"),
    "file": lambda ledger, run: ledger.record_files(run, {"gradual": [FileRow("model", "m", "d")]}),
    "test": lambda ledger, run: ledger.set_test(run, "gradual", 0.5, 0.5),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_session_that_was_killed_counts_up_to_the_last_thing_it_recorded(
    workspace: Path, start_run: StartRun, clock: Clock, kind: str
) -> None:
    with Ledger(workspace) as ledger:
        run = start_run(ledger, began=990.0)
        clock.now = 1100.0
        # Recorded by whichever process: here by another one's ledger.
        with Ledger(workspace) as other:
            RECORDS[kind](other, run)
        clock.now = 5000.0  # killed, and nobody waited
    with Ledger(workspace) as ledger:
        assert ledger.load(run).took == Took(110.0)
        assert ledger.runs()[0].seconds == 110.0


def test_a_resumed_run_sums_its_sessions(ledger: Ledger, start_run: StartRun, clock: Clock) -> None:
    run = start_run(ledger, began=990.0, parts=Took(measuring_seconds=5.0))
    clock.now = 1020.0
    ledger.finish_run(run, "interrupted", {}, Took(measuring_seconds=5.0, compiling_seconds=2.0))
    clock.now = 9000.0
    ledger.reopen(run, began=8990.0, parts=Took(waiting_seconds=4.0))
    assert ledger.load(run).took == Took(30.0 + 10.0, 5.0, 2.0, 4.0)
    clock.now = 9100.0
    ledger.finish_run(run, "complete", {}, Took(compiling_seconds=1.0, waiting_seconds=4.0))
    assert ledger.load(run).took == Took(30.0 + 110.0, 5.0, 3.0, 4.0)


def test_a_clock_that_is_put_back_takes_nothing_away(ledger: Ledger, start_run: StartRun, clock: Clock) -> None:
    run = start_run(ledger, began=900.0)
    clock.now = 100.0
    ledger.finish_run(run, "complete", {})
    assert ledger.load(run).took == Took(100.0)


@pytest.mark.parametrize(("cost", "seconds"), [('{"seconds": 20.0}', 20.0), ("{}", 2.5 + 1.5)])
def test_a_run_from_before_there_were_sessions(workspace: Path, cost: str, seconds: float) -> None:
    workspace.mkdir()
    connection = sqlite3.connect(workspace / "ledger.db", isolation_level=None)
    migrate(connection, MIGRATIONS[:1])
    connection.execute("INSERT INTO provenances VALUES (1, 'd', '{}')")
    connection.execute(
        "INSERT INTO runs (run, study, study_digest, mode, status, created, study_json, data_json, plan_json, "
        "cost_json, provenance) VALUES ('r', 's', 'd', 'shared', 'complete', '2026-11-24T03:42:16+00:00', '{}', '{}', "
        "'{}', ?, 1)",
        (cost,),
    )
    connection.execute("INSERT INTO passes VALUES ('r', 'p', 1, 1, 2.5, 'torch', 0, '2026', 1)")
    connection.execute("INSERT INTO epochs VALUES ('r', 't', 1, 0.5, 0.5, 0.5, 1.5, NULL, '2026', 1)")
    connection.close()
    with Ledger(workspace) as ledger:
        assert ledger.load("r").took == Took(seconds)
        assert ledger.runs()[0].seconds == seconds
