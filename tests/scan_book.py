"""One person's scans over a real edge database: session, journal and counts as they are kept."""

from __future__ import annotations

import datetime as dt
from typing import Any

from edge.counting.store import open_store
from edge.counting.verify import verify_counts
from edge.scanning.core import Arrival, Floor, Outcome, Work, step
from edge.scanning.gs1 import read_label
from tests.build import movement, scan
from tests.edge_world import GLN, MUG, PEN
from wire.ids import gs1_check_digit
from wire.messages import Movement, PersonTask, StockEvent

GS = "\x1d"
TODAY_NS = int(dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC).timestamp()) * 1_000_000_000
FLOOR = Floor(
    gln=GLN,
    edge_id="A",
    bin_owner={"DOCK-1": "A", "A-01": "A", "A-02": "A", "A-03": "A", "B-01": "B"},
    article_name={MUG: "mug", PEN: "pen"},
)


def sscc(number: int) -> str:
    digits = f"3404911{number:010}"
    return digits + str(gs1_check_digit(digits))


def container_label(number: int) -> str:
    return f"]C100{sscc(number)}"


def order_label(order_id: str) -> str:
    return f"]C1400{order_id}"


def lot_label(
    lot: str = "", units: int = 1, gtin: str = MUG, day: str = "", serial: str = ""
) -> str:
    text = f"]C101{gtin}" + (f"17{day}" if day else "")
    parts = [f"10{lot}"] * bool(lot) + [f"21{serial}"] * bool(serial)
    parts += [f"30{units}"] * (units != 1)
    return text + GS.join(parts)


class ScanBook:
    """A scanner's session over a database in memory."""

    def __init__(self, *tasks: PersonTask) -> None:
        self.store = open_store(None, edge_id="A", new_epoch=1)
        self.tasks: list[PersonTask] = list(tasks)
        self.seq = 0
        self.now_ns = TODAY_NS
        self.events: list[StockEvent] = []

    def put(self, place: str, units: int, gtin: str = MUG, **said: Any) -> None:
        """Let the book have something at a place."""
        with self.store.transaction() as tx:
            assert tx.append(
                movement(event_id=f"open/{tx.last_seq}", gtin=gtin, units=units,
                         from_place="opening:", to_place=place, reason="opening", **said)
            )  # fmt: skip

    def scan(self, *texts: str) -> Outcome:
        """Scan one after the other as the edge does; return the last answer."""
        for text in texts:
            self.seq += 1
            arrival = Arrival(scan=scan(text, seq=self.seq), received_at_ns=self.now_ns)
            with self.store.transaction() as tx:
                work = Work(
                    person_id="P1", tasks=self.tasks, handed_on=(), done_units=tx.done_units,
                    book_units=tx.book_units, details=tx,
                )  # fmt: skip
                before = tx.session("scanner-1")
                after, outcome = step(before, read_label(text), arrival, FLOOR, work)
                if not outcome.ok:
                    assert outcome.events == ()
                    assert after == before or outcome.code == "recount"
                for event in outcome.events:
                    assert tx.append(event)
                tx.put_session("scanner-1", after)
            self.events += outcome.events
        return outcome

    def units(self, place: str, gtin: str = MUG) -> int:
        with self.store.transaction() as tx:
            return tx.book_units(place, gtin)

    def lots(self, place: str, gtin: str = MUG) -> dict[str, int]:
        with self.store.transaction() as tx:
            return tx.lots_at(place, gtin)

    def serial(self, serial: str, gtin: str = MUG) -> str:
        with self.store.transaction() as tx:
            return tx.serial_place(gtin, serial)

    def moves(self) -> list[tuple[str, str, int]]:
        found = (event for event in self.events if isinstance(event, Movement))
        return [(event.from_place, event.to_place, event.units) for event in found]

    def check(self) -> None:
        """Assert what must hold after any scans."""
        db = self.store.db
        assert verify_counts(db) == [], "the journal alone makes the same tables"
        for table in ("counts", "lot_counts"):
            by = "gtin" if table == "counts" else "gtin, lot"
            query = f"SELECT sum(units) FROM {table} GROUP BY {by}"
            assert {total for (total,) in db.execute(query)} <= {0}, "double entry"
        rows = list(db.execute("SELECT place, gtin, units FROM counts"))
        for place, gtin, units in rows:
            if not place.startswith(("bin:", "container:", "tote:")):
                continue
            assert units >= 0, f"{place}: scans take no more than the book has"
            lots = self.lots(place, gtin)
            assert sum(lots.values()) <= units, f"{place}: more in lots than in all: {lots}"
            query = "SELECT count(*) FROM serials WHERE place = ? AND gtin = ?"
            assert db.execute(query, (place, gtin)).fetchone()[0] <= units, f"{place}: serials"
