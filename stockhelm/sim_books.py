"""The product's books as a scenario's expectations read them: the SQLite files, never written."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from central.ledger.verify import verify_ledger
from central.store import open_engine
from edge.counting.verify import verify_counts
from runtime.clock import NS_PER_S
from runtime.errors import StartError
from runtime.store import open_database
from sim_hardware.plant import edge_process
from sim_hardware.scenarios.checks import BooksError, Lots, Serials, Stock
from sim_hardware.scenarios.witness import Seen
from stockhelm.demo_site import DemoSite
from stockhelm.sim_promises import PROMISES, OpenBooks
from stockhelm.sim_waiting import stands_still
from wire.ids import bin_of

LOOKS: Final = tuple(f'{{"type":"{kind}"%' for kind in ("BinSighted", "MissionEnded"))
"""What eyes say that go on looking at a world that stands still: no goods move by it."""
EDGE: Final = edge_process("")
Units = dict[tuple[str, str], int]
LotUnits = dict[tuple[str, str, str], int]


@dataclass(frozen=True, slots=True)
class Rest:
    """What is not at rest in the books of a site."""

    moving: int
    """Facts on their way that are not looks."""
    seen: int
    """Sightings, and ends of rounds of looks, on their way."""
    mark: str


class SiteBooks:
    """All books of one site: each edge's and central's."""

    def __init__(self, demo: DemoSite) -> None:
        self._demo = demo

    def orders(self, status: str) -> int:
        """Return how many orders stand so; empty: all."""
        return self._count("customer_order", status=status)

    def tasks(self, kind: str, status: str) -> int:
        """Return how many tasks of a kind stand so."""
        return self._count("task", kind=kind, status=status)

    def purchases(self, status: str) -> int:
        """Return how many purchase orders stand so; empty: all."""
        return self._count("purchase_order", status=status)

    def counted(self, bin_id: str) -> int:
        """Return how often people counted a bin."""
        return self._count("observation", kind="counted", bin_id=bin_id)

    def sighted(self, bin_id: str) -> int:
        """Return how often cameras and drones saw a bin."""
        return self._count("observation", kind="sighted", bin_id=bin_id)

    def waiting(self, edge: str) -> int:
        """Return how many facts of an edge (`edge A`) are not in central's books yet."""
        with self._edge(edge.removeprefix(EDGE)) as db:
            return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def clock_off_s(self, edge: str) -> float:
        """Return how far an edge's clock was before central's, s, at its newest movement."""
        query = (
            "SELECT received_at_ns - committed_at_ns FROM movement WHERE edge_id = ?"
            " ORDER BY id DESC LIMIT 1"
        )
        with self._central() as db:
            row = db.execute(query, (edge.removeprefix(EDGE),)).fetchone()
        return row[0] / NS_PER_S if row else 0.0

    def proposals(self, kind: str, status: str, target: str) -> list[str]:
        """Return the ids of proposals; empty words match all, `target` is a place or GTIN-14."""
        query = (
            "SELECT proposal_id FROM proposal WHERE (?1 = '' OR kind = ?1)"
            " AND (?2 = '' OR status = ?2)"
            " AND (?3 = '' OR to_place = ?3 OR from_place = ?3 OR gtin = ?3)"
            " ORDER BY created_at_ns, proposal_id"
        )
        with self._central() as db:
            return [row[0] for row in db.execute(query, (kind, status, target))]

    def units(self, place: str, gtin: str) -> int:
        """Return the units that central's book has at a place."""
        with self._central() as db:
            query = "SELECT units FROM balance WHERE place = ? AND gtin = ?"
            row = db.execute(query, (place, gtin)).fetchone()
        return int(row[0]) if row else 0

    def bins(self, stock: Stock, in_flight: list[str], lots: Lots = ()) -> tuple[int, list[str]]:
        """Return how many bins hold something, and a line for each that is not as in the books."""
        physical = _by_bin(stock)
        at_edges: Units = {}
        for edge in self._demo.edges:
            with self._edge(edge) as db:
                at_edges |= _by_bin(db.execute("SELECT place, gtin, units FROM counts"))
        with self._central() as db:
            at_central = _by_bin(db.execute("SELECT place, gtin, units FROM balance"))
        keys = sorted(physical.keys() | at_edges.keys() | at_central.keys())
        lines = []
        for key in keys:
            found = (physical.get(key, 0), at_edges.get(key, 0), at_central.get(key, 0))
            if key[0] not in in_flight and len(set(found)) > 1:
                lines.append(
                    f"{key[0]} {key[1]}: physically {found[0]}, edge {found[1]}, central {found[2]}"
                )
        lines += self._lots_off(lots, in_flight, at_central)
        return len({bin_id for bin_id, _ in keys}), lines

    def lot_units(self, gtin: str, lot: str) -> dict[str, int]:
        """Return the units of a lot by place in central's book, where they are not 0."""
        query = "SELECT place, units FROM lot_balance WHERE gtin = ? AND lot = ? AND units != 0"
        with self._central() as db:
            return {place: int(units) for place, units in db.execute(query, (gtin, lot))}

    def serials_off(self, serials: Serials, in_flight: list[str]) -> list[str]:
        """Return a line for each numbered unit of a bin that is not there in central's book."""
        if not serials:
            return []
        with self._central() as db:
            rows = list(db.execute("SELECT place, gtin, serial FROM serial_place"))
        there, booked = (
            {(bin_of(place), gtin, serial) for place, gtin, serial in found if bin_of(place)}
            for found in (serials, rows)
        )
        return [
            f"{bin_id} {gtin} serial {serial}: "
            + ("not in the book" if (bin_id, gtin, serial) in there else "not physically there")
            for bin_id, gtin, serial in sorted(there ^ booked, key=str)
            if bin_id not in in_flight
        ]

    def _lots_off(self, lots: Lots, in_flight: list[str], held: Units) -> Iterator[str]:
        """Yield a line for each lot of a bin that is not as in the books, where all are known."""
        if not lots:
            return
        there = _by_lot((place, gtin, lot, units) for place, gtin, lot, units in lots)
        query = "SELECT place, gtin, lot, units FROM lot_balance"
        with self._central() as db:
            at_central = _by_lot(db.execute(query))
        at_edges: LotUnits = {}
        for edge in self._demo.edges:
            with self._edge(edge) as db:
                at_edges |= _by_lot(db.execute("SELECT place, gtin, lot, units FROM lot_counts"))
        known: Counter[tuple[str, str]] = Counter()
        for (bin_id, gtin, _), units in at_central.items():
            known[bin_id, gtin] += units
        for key in sorted(there.keys() | at_central.keys() | at_edges.keys()):
            bin_id, gtin, lot = key
            found = (there.get(key, 0), at_edges.get(key, 0), at_central.get(key, 0))
            if known[bin_id, gtin] != held.get((bin_id, gtin), 0) or bin_id in in_flight:
                continue
            if len(set(found)) > 1:
                yield (
                    f"{bin_id} {gtin} lot {lot}: physically {found[0]}, edge {found[1]},"
                    f" central {found[2]}"
                )

    def not_whole(self) -> list[str]:
        """Return a line for each thing that is wrong inside the books themselves."""
        wrong = []
        try:
            engine = open_engine(self._demo.database_url)
            try:
                report = verify_ledger(engine)
            finally:
                engine.dispose()
            if not report.balanced:
                wrong.append("central: " + report.text().replace("\n", ";"))
            for edge in self._demo.edges:
                wrong += self._edge_not_whole(edge)
        except StartError as error:
            raise BooksError(str(error)) from error
        return wrong

    def _edge_not_whole(self, edge: str) -> Iterator[str]:
        db = open_database(self._edge_file(edge))
        with closing(db.conn):
            differences = verify_counts(db)
            waiting = int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])
        if differences:
            yield f"edge {edge}: {len(differences)} counts differ from the journal"
        if waiting:
            yield f"edge {edge}: {waiting} events are not in central's books"

    def standing_still(self, now_ns: int) -> list[str]:
        """Return a line for each kind of worker that has work and has done nothing for long."""
        with self._central() as db:
            return list(stands_still(db, now_ns))

    def broken(self, promise: str, seen: Seen) -> list[str]:
        """Return a line for each thing that breaks a promise of the product."""
        with ExitStack() as stack:
            central = stack.enter_context(self._central())
            edges = {edge: stack.enter_context(self._edge(edge)) for edge in self._demo.edges}
            books = OpenBooks(site=self._demo.site, central=central, edges=edges, seen=seen)
            try:
                return list(PROMISES[promise].broken(books))
            except sqlite3.Error as error:
                raise BooksError(f"the books cannot be read: {error}") from error

    def rest(self) -> Rest:
        """Return what is on its way to central, and a mark that changes with the goods' books."""
        moving = seen = 0
        marks = []
        try:
            for edge in self._demo.edges:
                with self._edge(edge) as db:
                    waiting, looks = db.execute(
                        "SELECT count(*), coalesce(sum(payload LIKE ? OR payload LIKE ?), 0)"
                        " FROM outbox",
                        LOOKS,
                    ).fetchone()
                    moving += waiting - looks
                    seen += looks
                    written = "SELECT count(*) FROM journal WHERE payload NOT LIKE ? AND payload"
                    marks.append(str(_one(db, written + " NOT LIKE ?", *LOOKS)))
            with self._central() as db:
                # What an edge did not hear of a robot, central tells it again, ever more seldom.
                told = "SELECT count(*) FROM edge_command WHERE kind = 'record' AND status = 'open'"
                moving += _one(db, told)
                marks.append(str(_one(db, "SELECT count(*) FROM movement")))
                marks.append(str(_one(db, "SELECT sum(moved_units) FROM task")))
        except BooksError as error:
            return Rest(moving=1, seen=0, mark=str(error))
        return Rest(moving=moving, seen=seen, mark="/".join(marks))

    # --- files -----------------------------------------------------------------------------------

    def _count(self, table: str, **where: str) -> int:
        """Return how many rows of a table have these values; an empty value matches all."""
        asked = {column: value for column, value in where.items() if value}
        words = "".join(f" AND {column} = :{column}" for column in asked)
        with self._central() as db:
            query = f"SELECT count(*) FROM {table} WHERE 1{words}"  # noqa: S608 - names of ours
            return int(db.execute(query, asked).fetchone()[0])

    def _edge_file(self, edge: str) -> Path:
        return self._demo.data(f"edge-{edge}") / "edge.db"

    @contextmanager
    def _central(self) -> Iterator[sqlite3.Connection]:
        with _reading(self._demo.data("central") / "central.db") as db:
            yield db

    @contextmanager
    def _edge(self, edge: str) -> Iterator[sqlite3.Connection]:
        with _reading(self._edge_file(edge)) as db:
            yield db


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as db:
            yield db
    except sqlite3.Error as error:
        raise BooksError(f"{path.name} cannot be read: {error}") from error


def _by_bin(rows: Iterable[tuple[str, str, int]]) -> Units:
    found: Units = {}
    for place, gtin, units in rows:
        bin_id = bin_of(place)
        if bin_id is not None and units:
            found[bin_id, gtin] = units
    return found


def _by_lot(rows: Iterable[tuple[str, str, str, int]]) -> LotUnits:
    bins = ((bin_of(place), gtin, lot, units) for place, gtin, lot, units in rows)
    return {(bin_id, gtin, lot): units for bin_id, gtin, lot, units in bins if bin_id and units}


def _one(db: sqlite3.Connection, query: str, *values: str) -> int:
    row: tuple[Any, ...] = db.execute(query, values).fetchone()
    return int(row[0] or 0)
