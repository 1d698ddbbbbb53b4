from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from frostline.ledger import Ledger
from frostline.ledger._schema import APPLICATION_ID, MIGRATIONS, migrate

if TYPE_CHECKING:
    from pathlib import Path

# Append the digest of each new migration; a digest here never changes, since ledgers of that version exist.
RELEASED = ["abf4f35efd261eed", "ae5afc551cdd90e7", "4f62fceb10bce608"]


def test_released_migrations_never_change() -> None:
    digests = [hashlib.sha256(json.dumps(migration).encode()).hexdigest()[:16] for migration in MIGRATIONS]
    assert digests == RELEASED


def test_a_database_knows_whose_it_is(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        path = ledger.path
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_only_what_is_missing_is_applied() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    first, second = ("CREATE TABLE a (x)",), ("CREATE TABLE b (x)", "INSERT INTO a VALUES (1)")
    assert migrate(connection, [first]) == 1
    connection.execute("INSERT INTO a VALUES (0)")
    assert migrate(connection, [first, second]) == 1
    assert migrate(connection, [first, second]) == 0
    assert connection.execute("SELECT x FROM a ORDER BY x").fetchall() == [(0,), (1,)]
    connection.close()


def test_a_migration_that_breaks_leaves_the_version_before() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    first, broken = ("CREATE TABLE a (x)",), ("CREATE TABLE b (x)", "NOT SQL")
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        migrate(connection, [first, broken])
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    connection.close()


@pytest.mark.parametrize("room", ["ledger", "report", "cli"])
def test_importing_needs_no_torch(room: str) -> None:
    code = f"import sys, frostline.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
