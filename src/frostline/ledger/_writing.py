"""Writes to the database: those that take more than a line."""

from __future__ import annotations

import hashlib
import json
import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from frostline.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from frostline.ledger._records import ArmEntry, EpochRow, PassRow, Took

__all__ = [
    "begin_session",
    "now_text",
    "provenance_id",
    "stored",
    "touch_session",
    "write_epoch",
    "write_pass",
    "write_run",
    "write_status",
]


def write_epoch(connection: Any, run: str, trajectory: str, row: EpochRow) -> None:
    """Write an epoch; LedgerError when one between the last recorded and this one is missing."""
    (last,) = connection.execute(
        "SELECT coalesce(max(epoch), 0) FROM epochs WHERE run = ? AND trajectory = ?", (run, trajectory)
    ).fetchone()
    if not 1 <= row.epoch <= last + 1:
        raise LedgerError(
            f'run "{run}", trajectory {trajectory}: epoch {row.epoch} can\'t follow epoch {last}: '
            "epochs are recorded in order from 1"
        )
    connection.execute(
        "INSERT OR REPLACE INTO epochs SELECT run, ?, ?, ?, ?, ?, ?, ?, ?, provenance FROM runs WHERE run = ?",
        (
            trajectory,
            row.epoch,
            stored(row.train_loss),
            stored(row.val_loss),
            stored(row.val_accuracy),
            row.seconds,
            row.checkpoint,
            now_text(),
            run,
        ),
    )


def write_pass(connection: Any, run: str, row: PassRow) -> None:
    """Write a feature pass; parts of one add up, and what was found in the cache adds nothing."""
    connection.execute(
        "INSERT INTO passes (run, name, n_images, n_passed, n_bytes, seconds, engine, recorded, provenance) "
        "SELECT run, ?, ?, ?, ?, ?, ?, ?, provenance FROM runs WHERE run = ? "
        "ON CONFLICT (run, name) DO UPDATE SET n_passed = n_passed + excluded.n_passed, "
        "n_bytes = CASE n_passed WHEN 0 THEN 0 ELSE n_bytes END + excluded.n_bytes, "
        "seconds = CASE n_passed WHEN 0 THEN 0 ELSE seconds END + excluded.seconds "
        "WHERE excluded.n_passed > 0",
        (row.name, row.n_images, row.n_passed, row.n_bytes, row.seconds, row.engine, now_text(), run),
    )


def write_status(connection: Any, run: str, trajectory: str, status: str, message: str | None) -> None:
    """Write where a trajectory stands."""
    connection.execute(
        "INSERT OR REPLACE INTO trajectories (run, trajectory, status, message, recorded) VALUES (?, ?, ?, ?, ?)",
        (run, trajectory, status, message, now_text()),
    )


def provenance_id(connection: Any, provenance: Mapping[str, Any]) -> int:
    """Return the number of a provenance, written when it is new."""
    text = json.dumps(provenance, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    connection.execute("INSERT OR IGNORE INTO provenances (digest, json) VALUES (?, ?)", (digest, text))
    (number,) = connection.execute("SELECT id FROM provenances WHERE digest = ?", (digest,)).fetchone()
    return int(number)


def stored(value: float | None) -> float | str | None:
    """Return a number as it is written."""
    # SQLite turns NaN into NULL, which would read as "not measured".
    return "nan" if value is not None and math.isnan(value) else value


def begin_session(connection: Any, run: str, began: float | None, parts: Took | None) -> None:
    """Begin a run's next session, at a time in seconds since 1970; None is now."""
    connection.execute(
        "INSERT INTO sessions (run, began, seconds) VALUES (?, ?, 0)", (run, time.time() if began is None else began)
    )
    touch_session(connection, run, parts)


def touch_session(connection: Any, run: str, parts: Took | None = None) -> None:
    """Let the latest session of a run last until now, whichever process records something; ``parts`` name shares."""
    connection.execute(
        "UPDATE sessions SET seconds = max(seconds, ? - began) WHERE id = (SELECT max(id) FROM sessions WHERE run = ?)",
        (time.time(), run),
    )
    if parts is not None:
        connection.execute(
            "UPDATE sessions SET measuring_seconds = ?, compiling_seconds = ?, waiting_seconds = ? "
            "WHERE id = (SELECT max(id) FROM sessions WHERE run = ?)",
            (parts.measuring_seconds, parts.compiling_seconds, parts.waiting_seconds, run),
        )


def now_text() -> str:
    """Return the time of a record."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_run(
    connection: Any,
    run: str,
    study_name: str,
    study_digest: str,
    mode: str,
    created: datetime,
    study: Mapping[str, Any],
    data: Mapping[str, Any],
    plan: Mapping[str, Any],
    provenance: Mapping[str, Any],
    arms: Sequence[ArmEntry],
) -> None:
    """Write a run as it begins; see ``Ledger.start_run``."""
    connection.execute(
        "INSERT INTO runs (run, study, study_digest, mode, status, created, study_json, data_json, "
        "plan_json, provenance) VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?)",
        (
            run,
            study_name,
            study_digest,
            mode,
            created.isoformat(timespec="seconds"),
            json.dumps(study),
            json.dumps(data),
            json.dumps(plan),
            provenance_id(connection, provenance),
        ),
    )
    for position, arm in enumerate(arms):
        connection.execute(
            "INSERT INTO arms (run, position, name, recipe_json) VALUES (?, ?, ?, ?)",
            (run, position, arm.name, json.dumps(arm.recipe)),
        )
        connection.executemany(
            "INSERT INTO segments (run, arm, position, trajectory, epochs) VALUES (?, ?, ?, ?, ?)",
            [(run, arm.name, i, segment.trajectory, segment.epochs) for i, segment in enumerate(arm.path)],
        )
