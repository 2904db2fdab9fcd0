"""Whether a ledger of very many movements is slower than a small one: to add to, and to look up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from sqlalchemy import Engine, String

from bench.events import batches_of, movements
from bench.store_apply import SEED, apply
from central.store import open_engine
from central.tables import movement
from runtime.clock import Clock
from wire.messages import EVENTS_PER_BATCH_MAX

DEVICES: Final = 50
BATCH: Final = 1_000
BATCHES: Final = 30
WARM_BATCHES: Final = 3
_NS_PER_US: Final = 1_000
_KNOWN: Final = {
    "id": "n",
    "event_id": f"'scanner-' || (n % {DEVICES}) || '/1760000000000000/' || n",
    "edge_id": f"'E' || (n % {DEVICES})",
    "epoch": "1",
    "seq": f"n / {DEVICES} + 1",
    "gtin": "printf('04%011d0', n % 1000)",
    "units": "n % 12 + 1",
    "from_place": "printf('bin:A-%03d-%02d-1', n % 50, n % 97)",
    "to_place": "printf('bin:A-%03d-%02d-1', n % 49, n % 89)",
    "reason": "'putaway'",
    "device_id": f"'scanner-' || (n % {DEVICES})",
}


@dataclass(slots=True)
class Ledger:
    """One ledger, and how long its inserts and look-ups took so far."""

    path: Path
    items: int
    engine: Engine
    insert_ns: int = 0
    look_up_ns: int = 0

    def insert(self, number: int, clock: Clock) -> None:
        """Take in one batch of new movements."""
        first = number * BATCH + 1
        moves = movements(BATCH, seed=SEED + number, first=first, device_id="scanner-new")
        work = batches_of(moves, EVENTS_PER_BATCH_MAX, edge_id="new", first=first)
        begun_ns = clock.monotonic_ns()
        apply(self.engine, work, begun_ns)
        self.insert_ns += clock.monotonic_ns() - begun_ns

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


def microseconds(
    directory: Path, clock: Clock, *, items: int, small: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return what an insert takes with `items` and with `small` movements, and what a look-up.

    The two ledgers take turns, so that a busy machine slows both.
    """
    ledgers = []
    for count in (items, small):
        path = directory / f"ledger-{count}.db"
        ledgers.append(Ledger(path, count, open_engine(f"sqlite:///{path}")))
        _fill(ledgers[-1].engine, count)
    for number in range(-WARM_BATCHES, BATCHES):
        for ledger in ledgers:
            ledger.insert(number + WARM_BATCHES, clock)
            ledger.look_up(number, clock)
            if number < 0:
                ledger.insert_ns = ledger.look_up_ns = 0
    each = BATCH * BATCHES * _NS_PER_US
    for ledger in ledgers:
        ledger.engine.dispose()
        for file in directory.glob(f"{ledger.path.name}*"):
            file.unlink()
    large, little = ledgers
    return (
        (large.insert_ns / each, little.insert_ns / each),
        (large.look_up_ns / each, little.look_up_ns / each),
    )


def _fill(engine: Engine, items: int) -> None:
    """Write movements by the database itself, in the order in which devices would have."""
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
    with engine.connect() as conn:
        conn.rollback()
        conn.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
