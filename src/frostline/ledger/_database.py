"""Opening the database, transactions, and what each of SQLite's faults means to a person."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from frostline.errors import DiskFullError, FrostlineError, LedgerError
from frostline.ledger._schema import APPLICATION_ID, MIGRATIONS, migrate
from frostline.quantities import format_bytes, format_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Database", "explain_write_failure"]

BUSY_SECONDS: Final = 30.0
_HARD_FULL_BYTES: Final = 1 << 20
_CHOOSE_ANOTHER_PLACE: Final = "choose another place with --workspace (workspace= in Python) or FROSTLINE_WORKSPACE"
_RUN_AGAIN: Final = "run the same command again with --resume (resume=True in Python)"


class Database:
    """One SQLite database in write-ahead mode, used by any number of processes, and of threads one at a time.

    Raises:
        LedgerError: it is damaged, isn't a ledger, is of a newer version, or stays locked by another process.
        DiskFullError: it can't be created or written where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._explained():
            self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        # Only a database that is already there can be read where nothing can be written (a read-only disk).
        if self.path.exists() and not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)):
            # SQLite can't make the shared-memory file of write-ahead mode here; "immutable" reads without it.
            connection = _connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1")
            self._check_identity(connection)
            return connection
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain_write_failure(error, self.path.parent, "the ledger") from error
        connection = _connect(str(self.path))
        try:
            self._check_identity(connection)
            _enter_wal(connection)
            # An epoch that was reported must survive a power cut, and there are few of them.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_identity(self, connection: sqlite3.Connection) -> None:
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        n_tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if n_tables and application != APPLICATION_ID:
            raise LedgerError(
                f"{self.path} is a database of another program, not a Frostline ledger: {_CHOOSE_ANOTHER_PLACE}"
            )
        if version > len(MIGRATIONS):
            raise LedgerError(
                f"{self.path} was written by a newer Frostline (ledger version {version}; this one reads "
                f"up to {len(MIGRATIONS)}): upgrade Frostline, or {_CHOOSE_ANOTHER_PLACE}"
            )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Enter a write transaction: all of it is stored when the block ends, or nothing."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after some faults (a full disk).
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Enter a read transaction: every query in it sees the same moment; read records within it, not after."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            except (ValueError, TypeError, KeyError, IndexError) as error:
                # SQLite doesn't check what is in a row, so damage there shows when it is read as a record.
                raise _damaged(self.path, f"a record can't be read: {error!r}") from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def check(self) -> None:
        """Read the whole database, so that damage is found before hours of work go into it."""
        with self.reading() as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise _damaged(self.path, str(answer).splitlines()[-1])

    def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        with self._lock, self._explained():
            self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error
        except UnicodeDecodeError as error:
            # Text of a damaged database, or SQLite's own message about it.
            raise _damaged(self.path, f"text can't be read: {error}") from error


def _connect(address: str) -> sqlite3.Connection:
    # Transactions are opened by hand (isolation_level None); the lock of Database lets threads take turns.
    connection = sqlite3.connect(
        address, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=address.startswith("file:")
    )
    connection.row_factory = sqlite3.Row
    return connection


def _enter_wal(connection: sqlite3.Connection) -> None:
    # SQLite doesn't wait for its lock here (the busy timeout doesn't hold), so two processes that create a ledger at
    # once would meet "database is locked".
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _primary_code(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _explain(error: sqlite3.Error, path: Path) -> FrostlineError:
    code = _primary_code(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _free_bytes(path) < _HARD_FULL_BYTES):
        return explain_write_failure(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path, "the ledger")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return explain_write_failure(OSError(errno.EACCES, str(error)), path, "the ledger")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return _damaged(path, str(error))
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LedgerError(
            f"the ledger {path} was locked by another process for {format_seconds(BUSY_SECONDS)}: "
            f"see what else has it open, then {_RUN_AGAIN}"
        )
    return LedgerError(f"the ledger {path} can't be used: {error}")


def explain_write_failure(error: OSError, path: Path, what: str) -> DiskFullError:
    """Return the error for something that can't be written: what, where, why, and the remedy."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(
            f"no room to write {what} {path} ({format_bytes(_free_bytes(path))} free): make room "
            f"(`frostline cache prune` frees stored activations), then {_RUN_AGAIN}"
        )
    reason = error.strerror or str(error)
    remedy = "a file is in the way:" if error.errno in {errno.EEXIST, errno.ENOTDIR} else "make it writable, or"
    return DiskFullError(f"can't write {what} {path} ({reason}): {remedy} {_CHOOSE_ANOTHER_PLACE}")


def _damaged(path: Path, detail: str) -> LedgerError:
    return LedgerError(
        f"the ledger {path} is damaged ({detail}): move it aside and start again; what can still be read of it, "
        f'`sqlite3 "{path}" .recover` gives'
    )


def _free_bytes(path: Path) -> int:
    for place in (path, *path.absolute().parents):
        if place.exists():
            return shutil.disk_usage(place).free
    return 0
