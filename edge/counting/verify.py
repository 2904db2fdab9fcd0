"""Counts against the journal: what differs, and the table made again from the journal alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlite_utils

from edge.counting.core import Fold
from edge.counting.store import decode_event
from edge.counting.tables import make_tables, missing_tables
from wire.messages import StockEvent

_ROWS_PER_READ: Final = 1_000


@dataclass(frozen=True, slots=True)
class CountDifference:
    """One row that is not what the journal adds up to; None where there is no row."""

    place: str
    gtin: str
    counted: int | None
    journal: int | None


def verify_counts(db: sqlite_utils.Database) -> list[CountDifference]:
    """Return each place and article whose count differs from the journal's sum, by place.

    A table of counts that is not there differs by all. Raises StoreError without a journal.
    """
    conn: sqlite3.Connection = db.conn
    kept = "counts" not in missing_tables(db)
    conn.execute("BEGIN")  # one moment for both tables, while the edge goes on writing
    try:
        should = Fold().add(_events(conn)).counts
        rows = conn.execute("SELECT place, gtin, units FROM counts") if kept else ()
        there = {(place, gtin): units for place, gtin, units in rows}
    finally:
        conn.execute("COMMIT")
    return [
        CountDifference(place, gtin, there.get((place, gtin)), should.get((place, gtin)))
        for place, gtin in sorted(there.keys() | should.keys())
        if there.get((place, gtin)) != should.get((place, gtin))
    ]


def rebuild_counts(db: sqlite_utils.Database) -> int:
    """Make counts and task progress again from the journal; return how many rows counts has now.

    Tables that are gone are made again too. To be used while the edge agent of this database is
    stopped. Raises StoreError without a journal.
    """
    conn: sqlite3.Connection = db.conn
    make_tables(db, missing_tables(db))
    conn.execute("BEGIN IMMEDIATE")
    try:
        fold = Fold().add(_events(conn))
        conn.execute("DELETE FROM counts")
        conn.execute("DELETE FROM task_units")
        conn.executemany(
            "INSERT INTO counts(place, gtin, units) VALUES (?, ?, ?)",
            [(place, gtin, units) for (place, gtin), units in fold.counts.items()],
        )
        conn.executemany("INSERT INTO task_units VALUES (?, ?)", fold.task_units.items())
        conn.execute("COMMIT")
    except BaseException:
        conn.execute("ROLLBACK")
        raise
    return len(fold.counts)


def _events(conn: sqlite3.Connection) -> Iterator[StockEvent]:
    cursor = conn.execute("SELECT payload FROM journal ORDER BY seq")
    while rows := cursor.fetchmany(_ROWS_PER_READ):
        for (payload,) in rows:
            yield decode_event(payload)
