"""Whether a ledger of very many movements is slower than a small one: to add to, and to look up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from shutil import copyfile
from typing import Final

from sqlalchemy import Connection, Engine, String, insert, literal, select

from bench.events import ARTICLES, BEGUN_NS, BINS, STEP_NS, TASK_EVERY, batches_of, movements
from bench.store_apply import SEED, apply
from central.ledger.segments import rebuild_segments
from central.ledger.verify import rebuild_balances
from central.store import open_engine, upsert
from central.tables import MARK_READY, balance, movement, stock_at, stock_mark, watermark
from runtime.clock import Clock
from wire.messages import EVENTS_PER_BATCH_MAX, JournalBatch

DEVICES: Final = 50
BATCH: Final = 1_000
BATCHES: Final = 30
WARM_BATCHES: Final = 3
_NS_PER_US: Final = 1_000
Pair = tuple[float, float]
PAIRS: Final = BINS
"""Between so many pairs of places the known movements are, each of one article."""


def _bin(number: str) -> str:
    return f"printf('bin:A-%03d-%02d-1', ({number}) / 100, ({number}) % 100)"


_DEVICE: Final = f"'scanner-' || (n % {DEVICES})"
_OBSERVED: Final = f"{BEGUN_NS} + n * {STEP_NS}"
_KNOWN: Final = {
    "id": "n",
    "event_id": f"{_DEVICE} || '/1760000000000000/' || n",
    "edge_id": f"'E' || (n % {DEVICES})",
    "epoch": "1",
    "seq": f"(n - 1) / {DEVICES} + 1",
    "gtin": f"printf('04%011d0', n % {PAIRS} % {ARTICLES})",
    "units": "n % 12 + 1",
    "from_place": _bin(f"n % {PAIRS}"),
    "to_place": _bin(f"(n % {PAIRS} * 7 + 1) % {PAIRS}"),
    "reason": "'putaway'",
    "device_id": _DEVICE,
    "task_id": f"CASE WHEN n % {TASK_EVERY} THEN '' ELSE 'T-' || {_DEVICE} || '-' || n / 20 END",
    "observed_at_ns": _OBSERVED,
    "received_at_ns": f"{_OBSERVED} + 2000000",
    "committed_at_ns": f"{_OBSERVED} + {STEP_NS}",
}
"""What a column holds in movement `n`; the others are empty. However many movements there are, they
are between the same places: both ledgers have the same stock."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A closed ledger, and how many movements are in it."""

    path: Path
    items: int


@dataclass(slots=True)
class _Opened:
    """One ledger, and how long its inserts and look-ups took so far."""

    engine: Engine
    items: int
    insert_ns: int = 0
    look_up_ns: int = 0

    def insert(self, number: int, clock: Clock) -> None:
        """Take in one batch of new movements."""
        work = self._news(number)
        now_ns = work[-1].events[-1].observed_at_ns + STEP_NS
        begun_ns = clock.monotonic_ns()
        apply(self.engine, work, now_ns)
        self.insert_ns += clock.monotonic_ns() - begun_ns

    def _news(self, number: int) -> list[JournalBatch]:
        """Return what each device saw next: the ids and journals that are known already go on."""
        each = BATCH // DEVICES
        first = self.items + number * each + 1
        seq = self.items // DEVICES + number * each + 1
        return [
            one
            for device in range(DEVICES)
            for one in batches_of(
                movements(
                    each, seed=SEED + number * DEVICES + device, first=first,
                    device_id=f"scanner-{device}",
                ),
                EVENTS_PER_BATCH_MAX, edge_id=f"E{device}", first=seq,
            )
        ]  # fmt: skip

    def look_up(self, number: int, clock: Clock) -> None:
        """Find movements by their event ids, any of them."""
        random = Random(SEED + number)
        wanted = [random.randint(1, self.items) for _ in range(BATCH)]
        ids = [(f"scanner-{n % DEVICES}/1760000000000000/{n}",) for n in wanted]
        query = "SELECT id FROM movement WHERE event_id = ?"
        with self.engine.connect() as conn:
            cursor = conn.connection.cursor()
            begun_ns = clock.monotonic_ns()
            found = [cursor.execute(query, one).fetchall() for one in ids]
            self.look_up_ns += clock.monotonic_ns() - begun_ns
        assert found == [[(n,)] for n in wanted], "each is there"


def filled(directory: Path, items: int) -> Ledger:
    """Return a new ledger with so many movements, written and closed."""
    ledger = Ledger(directory / f"ledger-{items}.db", items)
    engine = open_engine(f"sqlite:///{ledger.path}")
    _fill(engine, items)
    engine.dispose()
    return ledger


def microseconds(large: Ledger, small: Ledger, clock: Clock) -> tuple[Pair, Pair]:
    """Return what an insert takes in a copy of both, large and small, and what a look-up.

    They are opened as central opens its ledger, and take turns, so that a busy machine slows both.
    """
    with _copied(large) as one, _copied(small) as other:
        for number in range(-WARM_BATCHES, BATCHES):
            for ledger in (one, other):
                ledger.insert(number + WARM_BATCHES, clock)
                ledger.look_up(number, clock)
                if number < 0:
                    ledger.insert_ns = ledger.look_up_ns = 0
        each = BATCH * BATCHES * _NS_PER_US
        return (
            (one.insert_ns / each, other.insert_ns / each),
            (one.look_up_ns / each, other.look_up_ns / each),
        )


@contextmanager
def _copied(ledger: Ledger) -> Iterator[_Opened]:
    """Yield an open copy that goes with the block; it is on the disk before anything is timed."""
    path = ledger.path.with_suffix(".copy.db")
    copyfile(ledger.path, path)
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    engine = open_engine(f"sqlite:///{path}")
    try:
        yield _Opened(engine, ledger.items)
    finally:
        engine.dispose()
        for file_of_it in path.parent.glob(f"{path.name}*"):
            file_of_it.unlink()


def _fill(engine: Engine, items: int) -> None:
    """Write movements by the database itself, in the order in which devices would have.

    And what central keeps beside them (balances, stock at a time, segments, watermarks): else each
    insert that is measured would do a part of that, in the large ledger only.
    """
    values = [
        _KNOWN.get(column.name, "''" if isinstance(column.type, String) else "0")
        for column in movement.columns
    ]
    names = ", ".join(column.name for column in movement.columns)
    with engine.begin() as conn:
        conn.exec_driver_sql(
            f"INSERT INTO movement({names})"  # noqa: S608 - names and values of ours
            f" WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
            f" WHERE n < {items}) SELECT {', '.join(values)} FROM numbers"
        )
        _keep(conn, items)
    with engine.connect() as conn:
        conn.rollback()
        conn.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _keep(conn: Connection, items: int) -> None:
    """Make what central keeps beside its movements, from them."""
    rows = rebuild_balances(conn)
    rebuild_segments(conn)
    marks = [{"edge_id": f"E{n}", "epoch": 1, "seq": items // DEVICES} for n in range(DEVICES)]
    upsert(conn, watermark, marks, replace=("seq",))
    at_ns = BEGUN_NS + items * STEP_NS
    mark = {"at_ns": at_ns, "last_id": items, "rows": rows, "state": MARK_READY}
    conn.execute(insert(stock_mark), mark)
    b = balance.c
    stock = select(literal(at_ns), b.place, b.gtin, b.units).where(b.units != 0)
    conn.execute(insert(stock_at).from_select(["at_ns", "place", "gtin", "units"], stock))
