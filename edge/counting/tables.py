"""The tables of an edge's database: made once; one that went missing is never remade in silence.

The journal is the truth. The other tables but `meta` follow from it or may be begun anew, which is
what `stockhelm ledger rebuild` does: an empty `counts` beside a full journal would refuse every
pick as one too many.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec
import sqlite_utils

from edge.counting.core import container_goods
from runtime.store import StoreError
from wire.messages import StockEvent

Columns = dict[str, type]
_event_decoder: msgspec.json.Decoder[StockEvent] = msgspec.json.Decoder(StockEvent)

TABLES: Final[dict[str, tuple[Columns, str | tuple[str, ...]]]] = {
    "meta": ({"name": str, "value": str}, "name"),
    "journal": ({"seq": int, "event_id": str, "payload": str}, "seq"),
    "counts": ({"place": str, "gtin": str, "units": int}, ("place", "gtin")),
    "lot_counts": (
        {"place": str, "gtin": str, "lot": str, "units": int},
        ("place", "gtin", "lot"),
    ),
    "lots": ({"gtin": str, "lot": str, "expires_on": str}, ("gtin", "lot")),
    "serials": (
        {"gtin": str, "serial": str, "place": str, "lot": str},
        ("gtin", "serial"),
    ),
    "containers": ({"sscc": str, "place": str}, "sscc"),
    "container_goods": (
        {"sscc": str, "gtin": str, "lot": str, "serial": str, "units": int},
        ("sscc", "gtin", "lot", "serial"),
    ),
    "task_units": ({"task_id": str, "units": int}, "task_id"),
    "session": ({"device_id": str, "state": str}, "device_id"),
    "device_state": ({"device_id": str, "epoch": int, "last_seq": int}, ("device_id", "epoch")),
    "answer": (
        {
            "device_id": str, "epoch": int, "seq": int,
            "ok": int, "code": str, "text": str, "sound": str,
        },
        ("device_id", "epoch", "seq"),
    ),
    "command": (
        {"command_id": str, "mark": str, "mission_id": str, "expires_at_ns": int, "ended": int},
        "command_id",
    ),
}  # fmt: skip
IRREPLACEABLE: Final = ("meta", "journal")
ROWS_LOOKED_AT_MAX: Final = 1_000
AWAY: Final = (
    "make it anew with `stockhelm ledger rebuild --config FILE --central FILE`, from what it still"
    " gives and central's copy"
)
REBUILD: Final = "make it anew with `stockhelm ledger rebuild --config FILE`"
_INDEXES: Final = (
    "CREATE UNIQUE INDEX IF NOT EXISTS idx_journal_event_id ON journal(event_id)",
    "CREATE INDEX IF NOT EXISTS idx_serials_place ON serials(place, gtin)",
    "CREATE INDEX IF NOT EXISTS idx_containers_place ON containers(place)",
)
_MOVED: Final = (
    "SELECT EXISTS(SELECT 1 FROM (SELECT payload FROM journal ORDER BY seq LIMIT ?)"
    """ WHERE payload LIKE '{"type":"Movement"%')"""
)


def prepare_tables(db: sqlite_utils.Database) -> None:
    """Make the tables of a new database. Raises StoreError where one that was made is gone."""
    missing = missing_tables(db)
    gone = [name for name in missing if name in _made_tables(db)]
    if gone:
        raise StoreError(f"{file_of(db)}: {_absent(gone)}: {REBUILD}")
    make_tables(db, missing)
    if "container_goods" in missing and len(missing) < len(TABLES):
        _fill_container_goods(db)
    if _counts_were_emptied(db):
        raise StoreError(
            f"{file_of(db)}: table counts is empty, its journal has movements: {REBUILD}"
        )


def missing_tables(db: sqlite_utils.Database) -> list[str]:
    """Return which tables are not there. Raises StoreError where nothing can replace them."""
    there = set(db.table_names())
    missing = [name for name in TABLES if name not in there]
    lost = [name for name in missing if name in IRREPLACEABLE]
    if lost and len(missing) < len(TABLES):
        raise StoreError(f"{file_of(db)}: {_absent(lost)}: {AWAY}")
    return missing


def make_tables(db: sqlite_utils.Database, names: Collection[str]) -> None:
    """Make these tables, empty, all or none of them."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for name in names:
            columns, key = TABLES[name]
            db.execute(db.create_table_sql(name, columns, pk=key, not_null=set(columns)))
        for statement in _INDEXES:
            db.execute(statement)
        db.execute(
            "CREATE VIEW IF NOT EXISTS outbox AS"
            " SELECT seq, event_id, payload FROM journal WHERE seq > "
            "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'acked_seq'), 0)"
        )
        db.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.execute("ROLLBACK")
        raise


def _fill_container_goods(db: sqlite_utils.Database) -> None:
    """Read from the journal what containers were put into bins with, as this was not kept."""
    rows = db.execute(
        """SELECT payload FROM journal WHERE payload LIKE '%"container":"%' ORDER BY seq"""
    )
    goods: dict[tuple[str, str, str, str], int] = {}
    for (payload,) in rows:
        event = _event_decoder.decode(payload)
        found = container_goods(event)
        if found is not None:
            goods[found[:4]] = found[4]
    db.conn.executemany(
        "INSERT INTO container_goods VALUES (?, ?, ?, ?, ?)",
        [(*key, units) for key, units in goods.items()],
    )


def _made_tables(db: sqlite_utils.Database) -> Collection[str]:
    """Return which tables this database had: what is newer than it is made now, empty."""
    if "meta" not in db.table_names():
        return ()
    row = db.execute("SELECT value FROM meta WHERE name = 'tables'").fetchone()
    return TABLES.keys() if row is None else str(row[0]).split()


def file_of(db: sqlite_utils.Database) -> str:
    """Return the name of the database's file."""
    return str(db.execute("PRAGMA database_list").fetchone()[2] or ":memory:")


def _counts_were_emptied(db: sqlite_utils.Database) -> bool:
    if db.execute("SELECT 1 FROM counts LIMIT 1").fetchone() is not None:
        return False
    return bool(db.execute(_MOVED, (ROWS_LOOKED_AT_MAX,)).fetchone()[0])


def _absent(names: Collection[str]) -> str:
    if len(names) == 1:
        return f"table {''.join(names)} is missing"
    return f"tables {', '.join(names)} are missing"
