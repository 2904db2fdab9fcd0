"""What is kept against the journal: what differs, and the tables made again from it alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import sqlite_utils

from edge.counting.core import Fold
from edge.counting.store import decode_event
from edge.counting.tables import make_tables, missing_tables
from wire.messages import StockEvent

_ROWS_PER_READ: Final = 1_000
Value = int | str
Rows = list[tuple[Value, ...]]
_ROWS: Final[Mapping[str, Callable[[Fold], Rows]]] = {
    "counts": lambda fold: [(*key, units) for key, units in fold.counts.items()],
    "lot_counts": lambda fold: [(*key, units) for key, units in fold.lot_counts.items()],
    "lots": lambda fold: [(*key, day) for key, day in fold.lots.items()],
    "serials": lambda fold: [(*key, *where) for key, where in fold.serials.items()],
    "containers": lambda fold: [*fold.containers.items()],
    "container_goods": lambda fold: [(*key, n) for key, n in fold.container_goods.items()],
    "task_units": lambda fold: [*fold.task_units.items()],
}
"""What the journal says should stand in each table that follows from it."""
_VERIFIED: Final = ("lot_counts", "lots", "serials", "containers", "container_goods")


@dataclass(frozen=True, slots=True)
class CountDifference:
    """One row that is not what the journal adds up to; None where there is no row."""

    place: str
    gtin: str
    counted: int | None
    journal: int | None


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row of lots, serials or containers that is kept and should not be, or the other way."""

    table: str
    row: tuple[Value, ...]
    kept: bool


def verify_counts(db: sqlite_utils.Database) -> list[CountDifference | RowDifference]:
    """Return what is not as the journal makes it: counts by place, then lots, serials, containers.

    A table of counts that is not there differs by all. Raises StoreError without a journal.
    """
    conn: sqlite3.Connection = db.conn
    missing = missing_tables(db)
    conn.execute("BEGIN")  # one moment for all tables, while the edge goes on writing
    try:
        fold = Fold().add(_events(conn))
        rows = () if "counts" in missing else conn.execute("SELECT place, gtin, units FROM counts")
        there = {(place, gtin): units for place, gtin, units in rows}
        others = [d for name in _VERIFIED for d in _differ(conn, name, fold, missing)]
    finally:
        conn.execute("COMMIT")
    should = fold.counts
    return [
        CountDifference(place, gtin, there.get((place, gtin)), should.get((place, gtin)))
        for place, gtin in sorted(there.keys() | should.keys())
        if there.get((place, gtin)) != should.get((place, gtin))
    ] + others


def rebuild_counts(db: sqlite_utils.Database) -> int:
    """Make all that follows from the journal again; return how many rows counts has now.

    Tables that are gone are made again too. To be used while the edge agent of this database is
    stopped. Raises StoreError without a journal.
    """
    conn: sqlite3.Connection = db.conn
    make_tables(db, missing_tables(db))
    conn.execute("BEGIN IMMEDIATE")
    try:
        fold = Fold().add(_events(conn))
        for name, rows_of in _ROWS.items():
            conn.execute(f"DELETE FROM {name}")  # noqa: S608 - names of ours
            rows = rows_of(fold)
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                conn.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)  # noqa: S608
        conn.execute("COMMIT")
    except BaseException:
        conn.execute("ROLLBACK")
        raise
    return len(fold.counts)


def _differ(
    conn: sqlite3.Connection, name: str, fold: Fold, missing: list[str]
) -> list[RowDifference]:
    kept = set() if name in missing else set(conn.execute(f"SELECT * FROM {name}"))  # noqa: S608 - names of ours
    should = set(_ROWS[name](fold))
    return [RowDifference(name, row, row in kept) for row in sorted(kept ^ should, key=str)]


def _events(conn: sqlite3.Connection) -> Iterator[StockEvent]:
    cursor = conn.execute("SELECT payload FROM journal ORDER BY seq")
    while rows := cursor.fetchmany(_ROWS_PER_READ):
        for (payload,) in rows:
            yield decode_event(payload)
