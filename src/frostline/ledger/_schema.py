"""The tables, as numbered migrations: append to the list, never edit an entry that was released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

__all__ = ["APPLICATION_ID", "MIGRATIONS", "Migration", "migrate"]

Migration: TypeAlias = tuple[str, ...]

APPLICATION_ID: Final = 0x46524F53
"""SQLite's mark of whose file it is: ``FROS`` in ASCII."""

# `run` is the readable name of a run and `seq` its order. Floats that SQL can't hold (NaN) are stored as text.
MIGRATIONS: Final[tuple[Migration, ...]] = (
    (
        """CREATE TABLE provenances (
            id INTEGER PRIMARY KEY,
            digest TEXT NOT NULL UNIQUE,
            json TEXT NOT NULL
        )""",
        """CREATE TABLE runs (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            run TEXT NOT NULL UNIQUE,
            study TEXT NOT NULL,
            study_digest TEXT NOT NULL,
            mode TEXT NOT NULL CHECK (mode IN ('shared', 'plain')),
            status TEXT NOT NULL CHECK (status IN ('running', 'complete', 'interrupted', 'failed')),
            created TEXT NOT NULL,
            finished TEXT,
            study_json TEXT NOT NULL,
            data_json TEXT NOT NULL,
            plan_json TEXT NOT NULL,
            cost_json TEXT NOT NULL DEFAULT '{}',
            provenance INTEGER NOT NULL REFERENCES provenances (id)
        )""",
        "CREATE INDEX runs_by_study ON runs (study_digest, mode)",
        """CREATE TABLE arms (
            run TEXT NOT NULL REFERENCES runs (run),
            position INTEGER NOT NULL,
            name TEXT NOT NULL,
            recipe_json TEXT NOT NULL,
            test_loss REAL,
            test_accuracy REAL,
            PRIMARY KEY (run, name)
        )""",
        """CREATE TABLE segments (
            run TEXT NOT NULL,
            arm TEXT NOT NULL,
            position INTEGER NOT NULL,
            trajectory TEXT NOT NULL,
            epochs INTEGER NOT NULL,
            PRIMARY KEY (run, arm, position),
            FOREIGN KEY (run, arm) REFERENCES arms (run, name)
        )""",
        """CREATE TABLE passes (
            run TEXT NOT NULL REFERENCES runs (run),
            name TEXT NOT NULL,
            n_images INTEGER NOT NULL,
            n_bytes INTEGER NOT NULL,
            seconds REAL NOT NULL,
            engine TEXT NOT NULL,
            reused INTEGER NOT NULL,
            recorded TEXT NOT NULL,
            provenance INTEGER NOT NULL REFERENCES provenances (id),
            PRIMARY KEY (run, name)
        )""",
        """CREATE TABLE trajectories (
            run TEXT NOT NULL REFERENCES runs (run),
            trajectory TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('running', 'complete', 'diverged', 'failed')),
            message TEXT,
            recorded TEXT NOT NULL,
            PRIMARY KEY (run, trajectory)
        )""",
        """CREATE TABLE epochs (
            run TEXT NOT NULL REFERENCES runs (run),
            trajectory TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            train_loss REAL NOT NULL,
            val_loss REAL,
            val_accuracy REAL,
            seconds REAL NOT NULL,
            checkpoint TEXT,
            recorded TEXT NOT NULL,
            provenance INTEGER NOT NULL REFERENCES provenances (id),
            PRIMARY KEY (run, trajectory, epoch)
        )""",
        """CREATE TABLE files (
            run TEXT NOT NULL,
            arm TEXT NOT NULL,
            kind TEXT NOT NULL,
            path TEXT NOT NULL,
            digest TEXT NOT NULL,
            PRIMARY KEY (run, arm, kind),
            FOREIGN KEY (run, arm) REFERENCES arms (run, name)
        )""",
    ),
    (
        # A run has a session for each command that worked on it; `began` is in seconds since 1970.
        """CREATE TABLE sessions (
            id INTEGER PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs (run),
            began REAL NOT NULL,
            seconds REAL NOT NULL,
            measuring_seconds REAL NOT NULL DEFAULT 0,
            compiling_seconds REAL NOT NULL DEFAULT 0,
            waiting_seconds REAL NOT NULL DEFAULT 0
        )""",
        "CREATE INDEX sessions_by_run ON sessions (run)",
    ),
    (
        "ALTER TABLE passes ADD COLUMN n_passed INTEGER NOT NULL DEFAULT 0",
        "UPDATE passes SET n_passed = CASE reused WHEN 1 THEN 0 ELSE n_images END",
        "ALTER TABLE passes DROP COLUMN reused",
        "ALTER TABLE runs ADD COLUMN chosen_json TEXT NOT NULL DEFAULT '[]'",
        "UPDATE runs SET chosen_json = (SELECT json_group_array(name) FROM (SELECT name FROM arms WHERE "
        "arms.run = runs.run AND test_accuracy IS NOT NULL ORDER BY position))",
    ),
)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring a database up to the newest migration, in one transaction each, and return how many were applied.

    Another process may migrate at the same time: the version is read again once the write lock is held.
    """
    applied = 0
    while _version(connection) < len(migrations):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)
            if version < len(migrations):
                for statement in migrations[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version + 1}")
                applied += 1
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return applied


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
