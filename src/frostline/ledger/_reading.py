"""Queries that turn rows into records."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from frostline.errors import LedgerError, closest
from frostline.ledger._records import ArmRecord, EpochRow, FileRow, PassRow, RunRecord, RunRow, Segment, Took

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["find_run", "read_epochs", "read_passes", "read_record", "read_runs", "read_runs_of"]


def read_epochs(connection: sqlite3.Connection, run: str, trajectory: str) -> list[EpochRow]:
    """Return a trajectory's epochs in order."""
    rows = connection.execute("SELECT * FROM epochs WHERE run = ? AND trajectory = ? ORDER BY epoch", (run, trajectory))
    return [_epoch_row(row) for row in rows]


def read_passes(connection: sqlite3.Connection, run: str) -> list[PassRow]:
    """Return a run's feature passes in the order they were recorded."""
    return [
        PassRow(row["name"], row["n_images"], row["n_passed"], row["n_bytes"], row["seconds"], row["engine"])
        for row in connection.execute("SELECT * FROM passes WHERE run = ? ORDER BY rowid", (run,))
    ]


def read_runs_of(connection: sqlite3.Connection, study_digest: str, mode: str, *, complete: bool) -> list[str]:
    """Return the runs of a study that are complete, or those that aren't, the newest first."""
    rows = connection.execute(
        f"SELECT run FROM runs WHERE study_digest = ? AND mode = ? AND status {'=' if complete else '!='} 'complete' "
        "ORDER BY seq DESC",
        (study_digest, mode),
    )
    return [run for (run,) in rows]


def read_runs(connection: sqlite3.Connection, is_claimed: Callable[[str], bool]) -> list[RunRow]:
    """Return every run, the newest first."""
    rows = connection.execute("SELECT * FROM runs ORDER BY seq DESC").fetchall()
    return [_run_row(connection, row, _honest_status(row, is_claimed)) for row in rows]


def read_record(
    connection: sqlite3.Connection, run: str, directory: Path, is_claimed: Callable[[str], bool]
) -> RunRecord:
    """Return all that is known of a run, which must exist."""
    row = connection.execute("SELECT * FROM runs WHERE run = ?", (run,)).fetchone()
    status = _honest_status(row, is_claimed)
    provenance = connection.execute(
        "SELECT json FROM provenances WHERE id IN (SELECT provenance FROM runs WHERE run = :run UNION "
        "SELECT provenance FROM passes WHERE run = :run UNION SELECT provenance FROM epochs WHERE run = :run) "
        "ORDER BY id",
        {"run": run},
    )
    return RunRecord(
        run=row["run"],
        study=row["study"],
        study_digest=row["study_digest"],
        mode=row["mode"],
        status=status,
        created=row["created"],
        finished=row["finished"],
        definition=json.loads(row["study_json"]),
        data=json.loads(row["data_json"]),
        plan=json.loads(row["plan_json"]),
        cost=json.loads(row["cost_json"]),
        provenance=tuple(json.loads(text) for (text,) in provenance.fetchall()),
        passes=tuple(read_passes(connection, run)),
        arms=_read_arms(connection, run, status),
        directory=directory,
        took=_read_took(connection, row),
        chosen=tuple(json.loads(row["chosen_json"])),
    )


def _read_took(connection: sqlite3.Connection, row: sqlite3.Row) -> Took:
    """Return what a run took; what is known of it where it is older than the record of sessions."""
    sums = connection.execute(
        "SELECT count(*), total(seconds), total(measuring_seconds), total(compiling_seconds), total(waiting_seconds) "
        "FROM sessions WHERE run = ?",
        (row["run"],),
    ).fetchone()
    known = json.loads(row["cost_json"]).get("seconds")
    if sums[0]:
        return Took(*sums[1:])
    if known is not None:
        return Took(float(known))
    tables = ("passes", "epochs")
    counts = [
        connection.execute(f"SELECT total(seconds) FROM {table} WHERE run = ?", (row["run"],)) for table in tables
    ]
    return Took(sum(seconds for rows in counts for (seconds,) in rows))


def _honest_status(row: sqlite3.Row, is_claimed: Callable[[str], bool]) -> str:
    # A killed process can't say that it ended; its lock is gone with it.
    if row["status"] == "running" and not is_claimed(row["run"]):
        return "interrupted"
    return str(row["status"])


def _run_row(connection: sqlite3.Connection, row: sqlite3.Row, status: str) -> RunRow:
    arms = _read_arms(connection, row["run"], status)
    return RunRow(
        run=row["run"],
        study=row["study"],
        study_digest=row["study_digest"],
        mode=row["mode"],
        status=status,
        created=row["created"],
        finished=row["finished"],
        n_arms=len(arms),
        n_complete=sum(arm.status == "complete" for arm in arms),
        seconds=_read_took(connection, row).seconds,
    )


def _read_arms(connection: sqlite3.Connection, run: str, run_status: str) -> tuple[ArmRecord, ...]:
    epochs: dict[str, list[EpochRow]] = {}
    for row in connection.execute("SELECT * FROM epochs WHERE run = ? ORDER BY trajectory, epoch", (run,)):
        epochs.setdefault(row["trajectory"], []).append(_epoch_row(row))
    ends = {
        row["trajectory"]: (row["status"], row["message"])
        for row in connection.execute("SELECT * FROM trajectories WHERE run = ?", (run,))
    }
    paths: dict[str, list[Segment]] = {}
    for row in connection.execute("SELECT * FROM segments WHERE run = ? ORDER BY arm, position", (run,)):
        paths.setdefault(row["arm"], []).append(Segment(row["trajectory"], row["epochs"]))
    files: dict[str, list[FileRow]] = {}
    for row in connection.execute("SELECT * FROM files WHERE run = ? ORDER BY arm, kind", (run,)):
        files.setdefault(row["arm"], []).append(FileRow(row["kind"], row["path"], row["digest"]))
    arms = []
    for row in connection.execute("SELECT * FROM arms WHERE run = ? ORDER BY position", (run,)):
        path = tuple(paths[row["name"]])
        status, message = _arm_status(path, epochs, ends, run_status)
        arms.append(
            ArmRecord(
                name=row["name"],
                recipe=json.loads(row["recipe_json"]),
                status=status,
                message=message,
                path=path,
                epochs=_join(path, epochs),
                test_loss=_number(row["test_loss"]),
                test_accuracy=_number(row["test_accuracy"]),
                files=tuple(files.get(row["name"], ())),
            )
        )
    return tuple(arms)


def _join(path: Sequence[Segment], epochs: Mapping[str, Sequence[EpochRow]]) -> tuple[EpochRow, ...]:
    joined: list[EpochRow] = []
    for segment in path:
        rows = epochs.get(segment.trajectory, ())[: segment.epochs]
        joined += rows
        # What a later segment did without the whole of this one isn't this arm's.
        if len(rows) < segment.epochs:
            break
    return tuple(
        EpochRow(number, row.train_loss, row.val_loss, row.val_accuracy, row.seconds, row.checkpoint)
        for number, row in enumerate(joined, start=1)
    )


def _arm_status(
    path: Sequence[Segment],
    epochs: Mapping[str, Sequence[EpochRow]],
    ends: Mapping[str, tuple[str, str | None]],
    run_status: str,
) -> tuple[str, str | None]:
    # A trajectory that broke at epoch 4 still served the arm that asked for its first 2.
    for segment in path:
        status, message = ends.get(segment.trajectory, ("", None))
        rows = epochs.get(segment.trajectory, ())[: segment.epochs]
        if len(rows) < segment.epochs or not all(_is_sound(row) for row in rows):
            if status in {"diverged", "failed"}:
                return status, message
            if len(rows) < segment.epochs:
                begun = path[0].trajectory in epochs
                if run_status == "running":
                    return ("running" if begun or status == "running" else "waiting"), None
                return ("interrupted" if begun else "waiting"), None
    return "complete", None


def _is_sound(row: EpochRow) -> bool:
    # The epoch in which training broke has no validation.
    return math.isfinite(row.train_loss) and row.val_loss is not None and math.isfinite(row.val_loss)


def _epoch_row(row: sqlite3.Row) -> EpochRow:
    train_loss = _number(row["train_loss"])
    return EpochRow(
        epoch=row["epoch"],
        train_loss=math.nan if train_loss is None else train_loss,
        val_loss=_number(row["val_loss"]),
        val_accuracy=_number(row["val_accuracy"]),
        seconds=row["seconds"],
        checkpoint=row["checkpoint"],
    )


def _number(stored: Any) -> float | None:
    return None if stored is None else float(stored)


def find_run(given: str | None, studies: Mapping[str, str], workspace: Path) -> str:
    """Return the run that is meant by its id, by its study's name (the newest one), or by a unique beginning of its id.

    None means the newest of all.

    Args:
        given: what a person gave.
        studies: the name of the study of each run, by run, the newest first.
        workspace: for messages.
    """
    names = list(studies)
    if not names:
        raise LedgerError(f'no runs in "{workspace}" yet: start one, e.g. `frostline run starter`')
    if given is None:
        return names[0]
    found = (
        [name for name in names if name == given]
        or [name for name in names if studies[name] == given][:1]
        or [name for name in names if given and name.startswith(given)]
    )
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(found[:5]) + (", .." if len(found) > 5 else "")
        raise LedgerError(f'"{given}" is the beginning of {len(found)} runs ({shown}): give more of the one you mean')
    known = list(dict.fromkeys(studies.values()))
    shown = ", ".join(known[:5]) + (", .." if len(known) > 5 else "")
    raise LedgerError(
        f'"{given}" is neither a run nor a study with runs in "{workspace}"{closest(given, [*known, *names]) or ":"} '
        f"there are runs of {shown}; `frostline runs` lists them all"
    )
