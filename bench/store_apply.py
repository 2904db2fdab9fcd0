"""How fast rows come into the two stores, beside plain sqlite3 that is given the same rows.

Ours takes events as they come off the wire; the peer is handed finished rows (payloads encoded, a
row per entry) and does nothing but `executemany`: same tables, same indices, same settings, a
commit per batch. Both take turns batch by batch, so that a busy machine slows both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from bench.events import batches_of, movements
from central.ledger.journal import apply_batches
from central.store import open_engine
from edge.counting.store import EdgeStore, open_store
from runtime.clock import NS_PER_S, Clock
from runtime.store import WAL_PAGES_PER_CHECKPOINT
from wire.messages import EVENTS_PER_BATCH_MAX, JournalBatch, Movement

SEED: Final = 11
Rows = Sequence[Sequence[Any]]
_ADD: Final = (
    "INSERT INTO {table}(place, gtin, units) VALUES (?, ?, ?)"
    " ON CONFLICT(place, gtin) DO UPDATE SET units = units + excluded.units"
)
_MARK: Final = (
    "INSERT INTO watermark(edge_id, epoch, seq) VALUES (?, ?, ?)"
    " ON CONFLICT(edge_id, epoch) DO UPDATE SET seq = excluded.seq"
)
_JOURNAL: Final = (
    "INSERT INTO journal(seq, event_id, payload) VALUES (?, ?, ?) ON CONFLICT(event_id) DO NOTHING"
)


def central_per_s(
    directory: Path, clock: Clock, *, batch: int, batches: int
) -> tuple[float, float]:
    """Return events per second of central's apply, and of plain sqlite3 with the same rows."""
    engine = open_engine(f"sqlite:///{directory}/central.db")
    peer = _bare_copy(directory / "central.db", directory / "bare-central.db")
    ours_ns = peer_ns = last_id = 0
    for work in _central_batches(batch, batches):
        begun_ns = clock.monotonic_ns()
        apply(engine, work, begun_ns)
        ours_ns += clock.monotonic_ns() - begun_ns
        rows, marks = _written(directory / "central.db", last_id)
        last_id = rows[-1][0]
        statements = {
            _insert_all("movement", rows): rows,
            _ADD.format(table="balance"): _entries(event for one in work for event in one.events),
            _MARK: marks,
        }
        peer_ns += _timed(clock, partial(_write, peer, statements))
    peer.close()
    engine.dispose()
    events = batch * batches * NS_PER_S
    return events / ours_ns, events / peer_ns


def edge_per_s(directory: Path, clock: Clock, *, batch: int, batches: int) -> tuple[float, float]:
    """Return events per second of the edge's journal, and of plain sqlite3 with the same rows."""
    store = open_store(directory / "edge.db", edge_id="A", new_epoch=1)
    peer = _bare_copy(directory / "edge.db", directory / "bare-edge.db")
    ours_ns = peer_ns = 0
    for number in range(batches):
        moves = movements(batch, seed=SEED + number, first=number * batch + 1)
        ours_ns += _timed(clock, partial(append, store, moves))
        rows = [
            (number * batch + n, move.event_id, msgspec.json.encode(move).decode())
            for n, move in enumerate(moves, start=1)
        ]
        tasks = [(move.task_id, move.units) for move in moves if move.task_id]
        statements = {
            _JOURNAL: rows,
            _ADD.format(table="counts"): _entries(moves),
            "INSERT INTO task_units VALUES (?, ?) ON CONFLICT(task_id)"
            " DO UPDATE SET units = units + excluded.units": tasks,
        }
        peer_ns += _timed(clock, partial(_write, peer, statements))
    peer.close()
    store.close()
    events = batch * batches * NS_PER_S
    return events / ours_ns, events / peer_ns


def apply_per_s(engine: Engine, clock: Clock, *, batch: int, batches: int) -> float:
    """Return events per second of central's apply into this database."""
    work = list(_central_batches(batch, batches))
    begun_ns = clock.monotonic_ns()
    for part in work:
        apply(engine, part, begun_ns)
    return batch * batches * NS_PER_S / (clock.monotonic_ns() - begun_ns)


def apply(engine: Engine, work: Sequence[JournalBatch], now_ns: int) -> None:
    """Commit some batches as central does."""
    with engine.begin() as conn:
        applied = apply_batches(conn, work, now_ns)
    assert not applied.duplicates, "every row is new"
    assert len(applied.events) == sum(len(one.events) for one in work), "every row is taken"


def append(store: EdgeStore, moves: Sequence[Movement]) -> None:
    """Commit some events as the edge does."""
    with store.transaction() as tx:
        tx.append_all(moves)


def _central_batches(batch: int, batches: int) -> Iterable[list[JournalBatch]]:
    """Yield what central takes in one transaction: batches of several edges, as they are sent."""
    edges = max(batch // EVENTS_PER_BATCH_MAX, 1)
    each = batch // edges
    for number in range(batches):
        first = number * each + 1
        yield [
            one
            for edge in range(edges)
            for one in batches_of(
                movements(
                    each, seed=SEED + number * edges + edge, first=first,
                    device_id=f"scanner-{edge}",
                ),
                EVENTS_PER_BATCH_MAX, edge_id=f"E{edge}", first=first,
            )
        ]  # fmt: skip


def _bare_copy(ours: Path, path: Path) -> sqlite3.Connection:
    """Return plain sqlite3 on a new file with the tables and settings of ours."""
    peer = sqlite3.connect(path, isolation_level=None)
    peer.execute("PRAGMA journal_mode=WAL")
    peer.execute("PRAGMA synchronous=FULL")
    peer.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES_PER_CHECKPOINT}")
    source = sqlite3.connect(ours)
    made = "SELECT sql FROM sqlite_master WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%'"
    for (sql,) in source.execute(made).fetchall():
        peer.execute(sql)
    source.close()
    return peer


def _written(ours: Path, last_id: int) -> tuple[Rows, Rows]:
    """Return the movements that came in after `last_id`, and the watermarks."""
    db = sqlite3.connect(ours)
    rows = db.execute("SELECT * FROM movement WHERE id > ? ORDER BY id", (last_id,)).fetchall()
    marks = db.execute("SELECT edge_id, epoch, seq FROM watermark").fetchall()
    db.close()
    return rows, marks


def _insert_all(table: str, rows: Rows) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})"  # noqa: S608 - a name of ours


def _entries(events: Iterable[object]) -> Rows:
    """Return both entries of each movement, in the order of the movements."""
    rows = []
    for move in events:
        assert isinstance(move, Movement), "the bench makes movements"
        rows.append((move.from_place, move.gtin, -move.units))
        rows.append((move.to_place, move.gtin, move.units))
    return rows


def _write(peer: sqlite3.Connection, statements: dict[str, Rows]) -> None:
    peer.execute("BEGIN IMMEDIATE")
    for sql, rows in statements.items():
        peer.executemany(sql, rows)
    peer.execute("COMMIT")


def _timed(clock: Clock, call: Callable[[], None]) -> int:
    begun_ns = clock.monotonic_ns()
    call()
    return clock.monotonic_ns() - begun_ns
