"""SQLite files that survive: opened durable, checked at the start, closed clean."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

import sqlite_utils

from runtime.errors import StartError

BUSY_TIMEOUT_MS: Final = 5_000
WAL_PAGES_PER_CHECKPOINT: Final = 2_000


class StoreError(StartError):
    """A database cannot be used; the text says which and what to do."""


def make_folder_of(file: Path) -> None:
    """Make the folder that a database lies in. Raises StoreError where that cannot be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{file}: expected a folder that can be made and written:"
            f" {error.strerror}: {error.filename}"
        ) from error


def open_database(path: Path | None) -> sqlite_utils.Database:
    """Return the database at `path` (None: in memory), WAL, synchronous=FULL, in autocommit mode.

    Transactions are begun by hand (`BEGIN IMMEDIATE`): what one commit holds stands in one place.
    Raises StoreError where the file is damaged.
    """
    name = ":memory:" if path is None else str(path)
    if path is not None:
        make_folder_of(path)
    try:
        connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES_PER_CHECKPOINT}")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(
            f"{name}: cannot be opened as a database: {error}; where it is damaged, make it anew"
            " with `stockhelm ledger rebuild`"
        ) from error
    if verdict != "ok":
        said = " ".join(str(verdict).split())
        raise StoreError(f"{name}: damaged ({said}): make it anew with `stockhelm ledger rebuild`")
    return sqlite_utils.Database(connection)
