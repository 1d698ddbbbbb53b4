"""Places that can't be written, disks that are full, files that aren't what they should be."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from frostline.errors import DiskFullError, LedgerError
from frostline.ledger import ArmEntry, EpochRow, Ledger, Segment
from frostline.ledger import _database as database_module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import StartRun


def mount(*arguments: str) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)):
        pytest.skip("no right to mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A workspace with one complete run, then made read-only."""
    place = tmp_path / "runs"
    with Ledger(place) as ledger:
        arm = ArmEntry("a", {"epochs": 1}, (Segment("t", 1),))
        run = ledger.start_run("s", "d", "shared", {}, {}, {}, {}, [arm])
        ledger.record_epochs(run, {"t": EpochRow(1, 0.5, 0.5, 0.5, 1.0)})
        ledger.finish_run(run, "complete", {})
    # Root may write anywhere but on a read-only disk.
    if mount("--bind", str(place), str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield place
        subprocess.run(["umount", "-l", str(place)], check=True)
    elif os.geteuid() != 0:
        place.chmod(0o500)
        (place / "ledger.db").chmod(0o400)
        yield place
        place.chmod(0o700)
    else:
        pytest.skip("no right to make a place read-only")


def test_what_is_in_a_read_only_place_can_be_read(read_only: Path) -> None:
    with Ledger(read_only, create=False) as ledger:
        record = ledger.load()
        assert record.status == "complete"
        assert [row.status for row in ledger.runs()] == ["complete"]
        assert [row.train_loss for row in record.arms[0].epochs] == [0.5]


def test_nothing_can_be_written_in_a_read_only_place(read_only: Path, start_run: StartRun) -> None:
    with Ledger(read_only) as ledger:
        run = ledger.load().run
        with pytest.raises(DiskFullError, match=r"can't write .*runs.*: make it writable, or choose another place"):
            start_run(ledger)
        with pytest.raises(
            DiskFullError, match=r"can't write the ledger .*ledger\.db .*--workspace \(workspace= in Python\)"
        ):
            ledger.record_epochs(run, {"t": EpochRow(2, 0.4, None, None, 1.0)})
    with pytest.raises(DiskFullError, match=r"can't write the ledger .*below"):
        Ledger(read_only / "below")


def test_a_full_disk_leaves_what_was_recorded(small_disk: Path, start_run: StartRun) -> None:
    ballast = small_disk / "ballast"
    with Ledger(small_disk / "runs") as ledger:
        run = start_run(ledger)
        ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, 0.5, 0.5, 1.0)})
        fill(ballast)
        acknowledged: list[int] = [1]
        with pytest.raises(
            DiskFullError, match=r"no room to write .*B free.*: make room .*--resume \(resume=True in Python\)"
        ):
            record_until_it_fails(ledger, run, acknowledged)
        stored = len(acknowledged)
        assert [row.epoch for row in ledger.epochs(run, "t1")] == list(range(1, stored + 1))
        ballast.unlink()
        # The same ledger goes on once there is room.
        ledger.record_epochs(run, {"t1": EpochRow(stored + 1, 0.5, 0.5, 0.5, 1.0)})
    with Ledger(small_disk / "runs") as ledger:
        assert len(ledger.epochs(run, "t1")) == stored + 1


def test_a_full_disk_from_the_beginning(small_disk: Path, start_run: StartRun) -> None:
    (small_disk / "runs").mkdir()
    fill(small_disk / "ballast")
    with pytest.raises(DiskFullError, match="no room to write"):
        start_run(Ledger(small_disk / "runs"))
    (small_disk / "ballast").unlink()
    with Ledger(small_disk / "runs") as ledger:
        assert start_run(ledger)


def record_until_it_fails(ledger: Ledger, run: str, acknowledged: list[int]) -> None:
    for epoch in range(len(acknowledged) + 1, 10_000):
        ledger.record_epochs(run, {"t1": EpochRow(epoch, 0.5, 0.5, 0.5, 1.0, "c" * 500)})
        acknowledged.append(epoch)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def test_a_database_that_may_not_grow_is_a_full_disk(ledger: Ledger, start_run: StartRun) -> None:
    # The same fault as a full disk's, which needs no right to mount one.
    run = start_run(ledger)
    connection = ledger._database._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    acknowledged: list[int] = []
    with pytest.raises(DiskFullError, match=r"no room to write the ledger .*ledger\.db .*B free"):
        record_until_it_fails(ledger, run, acknowledged)
    stored = len(acknowledged)
    assert len(ledger.epochs(run, "t1")) == stored
    with pytest.raises(DiskFullError, match="no room"):
        start_run(ledger, study={"much": "x" * 100_000})
    # A run that couldn't be recorded never was.
    assert [path.name for path in ledger.workspace.iterdir() if path.is_dir()] == [run]
    connection.execute("PRAGMA max_page_count = 1000000")
    ledger.record_epochs(run, {"t1": EpochRow(stored + 1, 0.5, 0.5, 0.5, 1.0)})
    assert len(ledger.epochs(run, "t1")) == stored + 1


@pytest.fixture
def written(workspace: Path, start_run: StartRun) -> Path:
    """The file of a ledger of some size."""
    with Ledger(workspace) as ledger:
        for _ in range(4):
            run = start_run(ledger, study={"text": "x" * 5000})
            for epoch in range(1, 16):
                ledger.record_epochs(run, {"t1": EpochRow(epoch, 0.5, 0.5, 0.5, 1.0, f"checkpoint-{epoch}")})
    return workspace / "ledger.db"


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be read as one" * 100, b"short", b"\0" * 4096]
)
def test_a_file_that_is_no_database(workspace: Path, content: bytes) -> None:
    workspace.mkdir()
    (workspace / "ledger.db").write_bytes(content)
    with pytest.raises(LedgerError, match=r"ledger\.db is damaged \(file is not a database\): move it aside"):
        Ledger(workspace)
    assert (workspace / "ledger.db").read_bytes() == content


def test_damage_is_found_before_work_goes_into_a_ledger(written: Path, start_run: StartRun) -> None:
    content = bytearray(written.read_bytes())
    generator = random.Random(0)
    # Everything but the first page, which says that it is a ledger.
    for _ in range(400):
        content[generator.randrange(4096, len(content))] ^= 0xFF
    written.write_bytes(content)
    # Found as it is opened or as the run starts, by which page was hit.
    with pytest.raises(LedgerError, match=r"is damaged .*sqlite3 .* \.recover"), Ledger(written.parent) as ledger:
        start_run(ledger)


def test_a_truncated_ledger(written: Path) -> None:
    written.write_bytes(written.read_bytes()[: written.stat().st_size // 2])
    with (
        pytest.raises(LedgerError, match=r"is damaged \(database disk image is malformed\)"),
        Ledger(written.parent) as ledger,
    ):
        ledger.load()


def test_random_damage_never_gives_anything_but_an_error_of_ours(written: Path) -> None:
    whole = written.read_bytes()
    generator = random.Random(1)
    n_errors = 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(generator.choice([1, 10, 100])):
            content[generator.randrange(len(content))] = generator.randrange(256)
        written.write_bytes(content)
        try:
            with Ledger(written.parent) as ledger:
                ledger.load()
                ledger.runs()
        except (LedgerError, DiskFullError):
            n_errors += 1
    assert n_errors > 0


def test_a_ledger_from_a_newer_version(written: Path) -> None:
    connection = sqlite3.connect(written)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = written.read_bytes()
    with pytest.raises(LedgerError, match=r"newer Frostline \(ledger version 99; this one reads up to \d+\): upgrade"):
        Ledger(written.parent)
    assert written.read_bytes() == before


def test_a_database_of_another_program(workspace: Path) -> None:
    workspace.mkdir()
    connection = sqlite3.connect(workspace / "ledger.db")
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError, match=r"is a database of another program.*--workspace"):
        Ledger(workspace)


def test_a_folder_where_the_file_should_be(workspace: Path) -> None:
    (workspace / "ledger.db").mkdir(parents=True)
    with pytest.raises(DiskFullError, match=r"can't write the ledger .*unable to open database file"):
        Ledger(workspace)


def test_a_file_where_the_workspace_should_be(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    with pytest.raises(DiskFullError, match=r"can't write the ledger .*File exists\): a file is in the way: choose"):
        Ledger(tmp_path / "runs")


def test_a_ledger_that_stays_locked(workspace: Path, monkeypatch: pytest.MonkeyPatch, start_run: StartRun) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.2)
    with Ledger(workspace) as ledger:
        run = start_run(ledger)
        other = sqlite3.connect(ledger.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match=r"was locked by another process for 0\.20 s"):
            ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, 0.5, 0.5, 1.0)})
        # Readers aren't kept out.
        assert ledger.load().run == run
        other.execute("ROLLBACK")
        other.close()
        ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, 0.5, 0.5, 1.0)})
