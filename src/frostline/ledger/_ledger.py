"""The ledger: everything that runs write and reports read."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from frostline.errors import LedgerError, closest
from frostline.ledger._claims import Claims
from frostline.ledger._database import Database
from frostline.ledger._folders import keep_folder, make_folder
from frostline.ledger._reading import find_run, read_epochs, read_passes, read_record, read_runs, read_runs_of
from frostline.ledger._writing import (
    begin_session,
    now_text,
    provenance_id,
    stored,
    touch_session,
    write_epoch,
    write_pass,
    write_run,
    write_status,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from frostline.ledger._records import ArmEntry, EpochRow, FileRow, PassRow, RunRecord, RunRow, Took

__all__ = ["Ledger"]

_FILE_NAME: Final = "ledger.db"


class Ledger:
    """The ledger of a workspace, created where there is none; any number of processes may use it at once.

    A context manager. Every ``record_`` is stored when it returns, or raises; nothing that failed is only logged.
    Where the workspace can't be written, an existing ledger can still be read.

    Args:
        path: the workspace directory, or the database file itself: one that is there and whose name ends in ``.db``,
            or any place named ``ledger.db`` that isn't a directory.
        create: whether to make a ledger where there is none.

    Raises:
        LedgerError: there is no ledger (``create=False``), or it is damaged, of a newer version or locked.
        DiskFullError: no room or no permission to write it. Both hold for every method.
    """

    def __init__(self, path: Path | str, *, create: bool = True) -> None:
        given = Path(path)
        # A workspace may be called "birds.db" too, so a new place with such a name is a directory like any other.
        is_file = given.suffix == ".db" and (given.is_file() or (given.name == _FILE_NAME and not given.is_dir()))
        self.path: Path = given if is_file else given / _FILE_NAME
        if not create and not self.path.exists():
            raise LedgerError(f'no runs in "{self.path.parent}" yet: start one, e.g. `frostline run starter`')
        self._database = Database(self.path)
        self._claims = Claims()

    @property
    def workspace(self) -> Path:
        """The directory that holds the database and one folder for each run."""
        return self.path.parent

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the runs held and close the database; closing twice does nothing."""
        self._claims.release_all()
        self._database.close()

    def run_directory(self, run: str) -> Path:
        """Return the folder of a run's files (made when the run starts)."""
        return self.workspace / run

    # Runs

    def start_run(
        self,
        study_name: str,
        study_digest: str,
        mode: str,
        study: Mapping[str, Any],
        data: Mapping[str, Any],
        plan: Mapping[str, Any],
        provenance: Mapping[str, Any],
        arms: Sequence[ArmEntry],
        began: float | None = None,
        parts: Took | None = None,
    ) -> str:
        """Start a run, hold it for this process, and return its id: UTC time and study, ``20261124-034216-starter``.

        Args:
            study_name: the study's name.
            study_digest: what makes two runs the same question.
            mode: ``shared`` or ``plain``.
            study: the study as asked, as JSON holds it.
            data: the data's description for the results.
            plan: the plan as JSON holds it.
            provenance: versions of code, packages and weights that make this run's numbers.
            arms: the arms in the study's order.
            began: when whoever waits for the run began to, in seconds since 1970; now, when left out.
            parts: what of that time has a name by now; its ``seconds`` don't count.

        Raises:
            LedgerError: there are no arms, or one has no path.
        """
        if not arms or not all(arm.path for arm in arms):
            raise LedgerError(f'the run of "{study_name}" has no arms, or an arm without a trajectory')
        self._database.check()
        now = datetime.now(UTC)
        run = make_folder(self.workspace, study_name, now)
        self._claims.claim(run, self.run_directory(run))
        try:
            with self._database.writing() as connection:
                write_run(connection, run, study_name, study_digest, mode, now, study, data, plan, provenance, arms)
                begin_session(connection, run, began, parts)
        except BaseException:
            # A run that couldn't be recorded never was.
            self._claims.release(run)
            shutil.rmtree(self.run_directory(run), ignore_errors=True)
            raise
        return run

    def unfinished(self, study_digest: str, mode: str) -> list[str]:
        """Return the runs of a study that ended early and that no living process works on, the newest first.

        Those are runs that are not complete: interrupted, killed, or failed.
        """
        with self._database.reading() as connection:
            runs = read_runs_of(connection, study_digest, mode, complete=False)
        return [run for run in runs if not self._is_claimed(run)]

    def finished(self, study_digest: str, mode: str) -> list[str]:
        """Return the complete runs of a study, the newest first."""
        with self._database.reading() as connection:
            return read_runs_of(connection, study_digest, mode, complete=True)

    def reopen(
        self,
        run: str,
        provenance: Mapping[str, Any] | None = None,
        began: float | None = None,
        parts: Took | None = None,
    ) -> None:
        """Go on with a run in a new session: hold it for this process and mark it running.

        Args:
            run: the run's full id.
            provenance: versions that make the numbers from here on; left out, those of the run's start.
            began, parts: as for ``start_run``.

        Raises:
            LedgerError: there is no such run, or another process works on it.
        """
        self._require(run)
        self._database.check()
        keep_folder(self.run_directory(run))
        self._claims.claim(run, self.run_directory(run))
        with self._database.writing() as connection:
            connection.execute("UPDATE runs SET status = 'running', finished = NULL WHERE run = ?", (run,))
            begin_session(connection, run, began, parts)
            if provenance is not None:
                number = provenance_id(connection, provenance)
                connection.execute("UPDATE runs SET provenance = ? WHERE run = ?", (number, run))

    def finish_run(self, run: str, status: str, cost: Mapping[str, Any], parts: Took | None = None) -> None:
        """End a run as ``complete``, ``interrupted`` or ``failed``, with its measured and predicted cost.

        Its session ends now; ``parts`` are what of that time has a name, where ``start_run`` didn't know them all.
        """
        with self._database.writing() as connection:
            touch_session(connection, run, parts)
            connection.execute(
                "UPDATE runs SET status = ?, cost_json = ?, finished = ? WHERE run = ?",
                (status, json.dumps(cost), now_text(), run),
            )
        self._claims.release(run)

    def runs(self) -> list[RunRow]:
        """Return every run, the newest first."""
        with self._database.reading() as connection:
            return read_runs(connection, self._is_claimed)

    def load(self, run: str | None = None) -> RunRecord:
        """Return a run by its id or any unique beginning of it, or the newest of a study by name; None is the newest.

        A run's id goes before a study's name, and that before the beginning of an id.

        Raises:
            LedgerError: there is no such run or study, or more than one run begins so.
        """
        with self._database.reading() as connection:
            rows = connection.execute("SELECT run, study FROM runs ORDER BY seq DESC").fetchall()
            name = find_run(run, {row["run"]: row["study"] for row in rows}, self.workspace)
            return read_record(connection, name, self.run_directory(name), self._is_claimed)

    # What happens in a run

    def record_pass(self, run: str, row: PassRow) -> None:
        """Record a feature pass, or a part of one, which adds to the others; one found in the cache adds nothing."""
        with self._recording(run) as connection:
            write_pass(connection, run, row)

    def passes(self, run: str) -> list[PassRow]:
        """Return a run's feature passes."""
        with self._database.reading() as connection:
            return read_passes(connection, run)

    def record_epochs(
        self, run: str, rows: Mapping[str, EpochRow], statuses: Mapping[str, tuple[str, str | None]] | None = None
    ) -> None:
        """Record a finished epoch of several trajectories, and the status and message of some, all or nothing.

        Raises:
            LedgerError: an epoch between the last recorded one and this one is missing.
        """
        with self._recording(run) as connection:
            for trajectory, row in rows.items():
                write_epoch(connection, run, trajectory, row)
            for trajectory, (status, message) in (statuses or {}).items():
                write_status(connection, run, trajectory, status, message)

    def epochs(self, run: str, trajectory: str) -> list[EpochRow]:
        """Return a trajectory's epochs in order; none is an empty list."""
        with self._database.reading() as connection:
            return read_epochs(connection, run, trajectory)

    def drop_epochs_after(self, run: str, trajectory: str, epoch: int) -> None:
        """Forget a trajectory's epochs after one whose checkpoint is the last that can be read (0 drops all)."""
        with self._database.writing() as connection:
            connection.execute(
                "DELETE FROM epochs WHERE run = ? AND trajectory = ? AND epoch > ?", (run, trajectory, epoch)
            )

    def record_trajectory(self, run: str, trajectory: str, status: str, message: str | None = None) -> None:
        """Record where a trajectory stands: ``running``, ``complete``, ``diverged`` or ``failed``."""
        with self._recording(run) as connection:
            write_status(connection, run, trajectory, status, message)

    def trajectory_status(self, run: str, trajectory: str) -> str | None:
        """Return a trajectory's status, or None when it hasn't started."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT status FROM trajectories WHERE run = ? AND trajectory = ?", (run, trajectory)
            ).fetchone()
        return None if row is None else str(row["status"])

    def record_files(self, run: str, files: Mapping[str, Sequence[FileRow]]) -> None:
        """Record files written for arms, by arm, all or nothing; one of each kind, the last one counts."""
        with self._recording(run) as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO files (run, arm, kind, path, digest) VALUES (?, ?, ?, ?, ?)",
                [(run, arm, file.kind, file.path, file.digest) for arm, own in files.items() for file in own],
            )

    def record_choice(self, run: str, arms: Sequence[str]) -> None:
        """Record which arms were chosen on validation: the seeds of one recipe, or none where none is sound."""
        with self._recording(run) as connection:
            connection.execute("UPDATE runs SET chosen_json = ? WHERE run = ?", (json.dumps(list(arms)), run))

    def set_test(self, run: str, arm: str, test_loss: float | None, test_accuracy: float | None) -> None:
        """Record an arm's judgement on the test images."""
        with self._recording(run) as connection:
            connection.execute(
                "UPDATE arms SET test_loss = ?, test_accuracy = ? WHERE run = ? AND name = ?",
                (stored(test_loss), stored(test_accuracy), run, arm),
            )

    @contextmanager
    def _recording(self, run: str) -> Iterator[sqlite3.Connection]:
        """Enter a write transaction of a run, whose session lasts until now."""
        with self._database.writing() as connection:
            yield connection
            touch_session(connection, run)

    def _is_claimed(self, run: str) -> bool:
        return self._claims.is_claimed(run, self.run_directory(run))

    def _require(self, run: str) -> None:
        with self._database.reading() as connection:
            names = [name for (name,) in connection.execute("SELECT run FROM runs")]
        if run not in names:
            raise LedgerError(f'there is no run "{run}" in "{self.workspace}"{closest(run, names)}')
