"""The exact check after a fault: scans accepted, edge journal and counts, central ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import sqlite_utils
from sqlalchemy import Engine, select

from central import tables as t
from central.ledger.verify import verify_ledger
from central.store import reading
from edge.counting.core import Fold
from edge.counting.store import decode_event
from edge.counting.verify import verify_counts
from wire.messages import Movement, StockEvent

Accepted = Mapping[str, int]
"""Event id of each scan that was answered `booked`: units."""


@dataclass(frozen=True, slots=True)
class Books:
    """What an edge or central has."""

    moves: dict[str, int]
    """Event id of each movement that a scan made: units."""
    wrong: tuple[str, ...]
    """What contradicts itself."""
    counts: dict[tuple[str, str], int]
    """Units at each place of each article."""


def edge_books(db: sqlite_utils.Database) -> Books:
    """Return what an edge's database holds, checked against its own journal."""
    rows = db.execute("SELECT seq, event_id, payload FROM journal ORDER BY seq").fetchall()
    events = [decode_event(payload) for _, _, payload in rows]
    wrong = [str(difference) for difference in verify_counts(db)]
    if [seq for seq, *_ in rows] != list(range(1, len(rows) + 1)):
        wrong.append("the journal has a hole")
    wrong += [
        f"row {seq} is {event_id}, says {event.event_id}"
        for (seq, event_id, _), event in zip(rows, events, strict=True)
        if event_id != event.event_id
    ]
    (verdict,) = db.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        wrong.append(str(verdict))
    counts = dict(_counts(db.execute("SELECT place, gtin, units FROM counts")))
    if counts != Fold().add(events).counts:
        wrong.append("counts are not the fold of the journal")
    return Books(_scanned(events), tuple(wrong), counts)


def central_books(engine: Engine) -> Books:
    """Return what central's database holds, checked against its own movements."""
    report = verify_ledger(engine)
    with reading(engine) as conn:
        rows = conn.execute(select(t.movement)).all()
        counts = {(row.place, row.gtin): row.units for row in conn.execute(select(t.balance))}
    ids = [row.event_id for row in rows]
    wrong = [] if report.balanced else [report.text()]
    if len(ids) != len(set(ids)):
        wrong.append("a movement stands twice in the ledger")
    moves = {row.event_id: row.units for row in rows if row.reason != "opening"}
    return Books(moves, tuple(wrong), counts)


def losses(accepted: Accepted, books: Books) -> list[str]:
    """Return which accepted scans are not in the books, or with other units, and what is wrong."""
    lost = [
        f"{event_id}: {units} units accepted, the books have {books.moves.get(event_id)}"
        for event_id, units in accepted.items()
        if books.moves.get(event_id) != units
    ]
    return [*lost, *books.wrong]


def differences(accepted: Accepted, edge: Books, central: Books) -> list[str]:
    """Return everything in which the three differ, once all has come to rest."""
    found = [f"edge: {text}" for text in losses(accepted, edge)]
    found += [f"central: {text}" for text in losses(accepted, central)]
    for name, books in (("edge", edge), ("central", central)):
        found += [f"{name}: {x} was never accepted" for x in sorted(books.moves.keys() - accepted)]
    nothing = {key: units for key, units in edge.counts.items() if units}
    there = {key: units for key, units in central.counts.items() if units}
    if nothing != there:
        found.append(f"counts {nothing} at the edge, {there} at central")
    return found


def _scanned(events: list[StockEvent]) -> dict[str, int]:
    return {
        event.event_id: event.units
        for event in events
        if isinstance(event, Movement) and event.reason != "opening"
    }


def _counts(rows: sqlite3.Cursor) -> list[tuple[tuple[str, str], int]]:
    return [((place, gtin), units) for place, gtin, units in rows]
