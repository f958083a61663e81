"""The server's own records in one SQLite file: keys, ingest jobs, feedback."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ingest.errors import StorageError

FILE = "server.db"
MIGRATIONS = (  # numbered by their place; never edited, only added to
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY, digest BLOB NOT NULL, role TEXT NOT NULL, bases TEXT NOT NULL,
        note TEXT NOT NULL, created REAL NOT NULL
    );
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, kb TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL,
        report TEXT, error TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL, started REAL, finished REAL
    );
    CREATE INDEX jobs_by_base ON jobs (kb, state, created);
    CREATE TABLE bases (name TEXT PRIMARY KEY);
    """,
    """
    CREATE TABLE feedback (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kb TEXT NOT NULL, caller TEXT NOT NULL,
        question TEXT NOT NULL, answer TEXT NOT NULL, helpful INTEGER NOT NULL,
        citations TEXT NOT NULL, created REAL NOT NULL
    );
    CREATE INDEX feedback_by_base ON feedback (kb, id);
    """,
    "CREATE TABLE deletions (kb TEXT PRIMARY KEY);",
    "ALTER TABLE jobs ADD COLUMN cut_off INTEGER NOT NULL DEFAULT 0;",  # times, by a server's end
)


class Database:
    """One connection for all threads. What `write` returned from is on disk."""

    def __init__(self, folder: Path) -> None:
        """Open the file in `folder`, or make both. Raises StorageError."""
        self._lock = threading.Lock()
        with _clear_errors():
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as exc:
                raise StorageError(f"cannot make {folder}: {exc.strerror or exc}") from exc
            self._connection = sqlite3.connect(
                folder / FILE, check_same_thread=False, isolation_level=None, timeout=10
            )
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate()
        (folder / FILE).chmod(0o600)

    def read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._lock, _clear_errors():
            return self._connection.execute(sql, values).fetchall()

    def write(self, sql: str, *values: object) -> int:
        """Change rows; returns how many. Durable on return."""
        with self._lock, _clear_errors():
            return self._connection.execute(sql, values).rowcount

    def close(self) -> None:
        """Let go of the file. Closing twice does no harm."""
        with self._lock:
            self._connection.close()

    def _migrate(self) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        done = int(connection.execute("PRAGMA user_version").fetchone()[0])
        connection.execute("COMMIT")
        for number, script in enumerate(MIGRATIONS[done:], done + 1):
            connection.executescript(
                f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;"
            )


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise StorageError(f"the server's records ({FILE}): {exc}") from exc
