"""The product's promises as far as a run can show them: each a check over the books as they lie.

An auditor's view: plain SQL over the files of central and the edges, beside the product's own code.
P10 (the same code with devices and with simulated ones) is nothing that a run can show: the import
rules and the contract tests of runtime/ check it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from central.replenish.planner import recompute
from sim_hardware.scenarios.witness import Seen
from stockhelm.sim_waiting import waits_for_ever
from wire.ids import bin_of
from wire.site import Site

ANSWERS_KEPT_MIN: Final = 512
"""An edge keeps at least so many answers of one boot of a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBooks:
    """All books of one site, open to be read."""

    site: Site
    central: sqlite3.Connection
    edges: Mapping[str, sqlite3.Connection]
    seen: Seen


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise: what it says, what is measured, and what yields a line for each breach."""

    says: str
    measured: str
    broken: Callable[[OpenBooks], Iterator[str]]


# --- P1 -------------------------------------------------------------------------------------------


def _beeps_are_durable(books: OpenBooks) -> Iterator[str]:
    kept: dict[tuple[str, int, int], int] = {}
    last: Counter[tuple[str, int]] = Counter()
    for db in books.edges.values():
        for device, epoch, seq, ok in db.execute("SELECT device_id, epoch, seq, ok FROM answer"):
            kept[device, epoch, seq] = ok
            last[device, epoch] = max(last[device, epoch], seq)
    for device, epoch, seq in sorted(books.seen.good_beeps):
        if seq > last[device, epoch] - ANSWERS_KEPT_MIN and not kept.get((device, epoch, seq)):
            yield f"{device} got a good beep for scan {seq} of boot {epoch}, which no edge kept"


# --- P2 -------------------------------------------------------------------------------------------


def _double_entry(books: OpenBooks) -> Iterator[str]:
    wrong = (
        "SELECT event_id, units, from_place, to_place, reason, device_id FROM movement"
        " WHERE units < 1 OR from_place = to_place OR reason = '' OR device_id = ''"
    )
    for event_id, units, from_place, to_place, reason, device_id in books.central.execute(wrong):
        yield (
            f"movement {event_id}: {units} units from {from_place} to {to_place},"
            f" reason {reason!r}, by {device_id!r}"
        )
    over = "SELECT gtin, sum(units) FROM balance GROUP BY gtin HAVING sum(units) != 0"
    for gtin, units in books.central.execute(over):
        yield f"{gtin}: its balances add up to {units}, not to 0"


# --- P3 -------------------------------------------------------------------------------------------


def _exactly_once(books: OpenBooks) -> Iterator[str]:
    at_edges: set[str] = set()
    for edge, db in books.edges.items():
        count, first, last = db.execute(
            "SELECT count(*), min(seq), max(seq) FROM journal"
        ).fetchone()
        if count and (first, last) != (1, count):
            yield f"edge {edge}: {count} journal rows are numbered {first} to {last}"
        epoch = int(db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()[0])
        row = books.central.execute(
            "SELECT seq FROM watermark WHERE edge_id = ? AND epoch = ?", (edge, epoch)
        ).fetchone()
        if (row[0] if row else 0) != count:
            yield f"edge {edge}: central has its rows up to {row and row[0]} of {count}"
        at_edges.update(id_ for (id_,) in db.execute(_MOVEMENT_IDS))
    at_central = {id_ for (id_,) in books.central.execute("SELECT event_id FROM movement")}
    yield from (f"movement {id_} is at no edge" for id_ in sorted(at_central - at_edges))
    yield from (f"movement {id_} is not at central" for id_ in sorted(at_edges - at_central))
    doubled = (
        "SELECT edge_id, epoch, seq, count(*) FROM movement GROUP BY edge_id, epoch, seq"
        " HAVING count(*) > 1"
    )
    for edge, epoch, seq, count in books.central.execute(doubled):
        yield f"row {seq} of edge {edge} (epoch {epoch}) is {count} times in the ledger"


_MOVEMENT_IDS: Final = (
    "SELECT event_id FROM journal WHERE json_extract(payload, '$.type') = 'Movement'"
)

# --- P4 -------------------------------------------------------------------------------------------


def _one_writer(books: OpenBooks) -> Iterator[str]:
    owners = {bin_id: row.edge_id for bin_id, row in books.site.bins.items()}
    rows = "SELECT event_id, edge_id, from_place, to_place FROM movement"
    for event_id, edge, *places in books.central.execute(rows):
        for bin_id in filter(None, map(bin_of, places)):
            if owners.get(bin_id) != edge:
                owner = owners.get(bin_id)
                yield f"movement {event_id} of {bin_id}, which is {owner}'s, was written by {edge}"
    for edge, db in books.edges.items():
        for (place,) in db.execute("SELECT place FROM counts WHERE units != 0 ORDER BY place"):
            counted = bin_of(place)
            if counted and owners.get(counted) != edge:
                yield f"edge {edge} counts {counted}, which is {owners.get(counted)}'s"


# --- P5 -------------------------------------------------------------------------------------------

_FROM_JOURNAL: Final = """
WITH moved AS (
  SELECT json_extract(payload, '$.to_place') AS place, json_extract(payload, '$.gtin') AS gtin,
         json_extract(payload, '$.units') AS units
  FROM journal WHERE json_extract(payload, '$.type') = 'Movement'
  UNION ALL
  SELECT json_extract(payload, '$.from_place'), json_extract(payload, '$.gtin'),
         -json_extract(payload, '$.units')
  FROM journal WHERE json_extract(payload, '$.type') = 'Movement')
SELECT place, gtin, sum(units) FROM moved GROUP BY place, gtin HAVING sum(units) != 0
"""
_FROM_MOVEMENTS: Final = """
WITH moved AS (
  SELECT to_place AS place, gtin, units FROM movement
  UNION ALL SELECT from_place, gtin, -units FROM movement)
SELECT place, gtin, sum(units) FROM moved GROUP BY place, gtin HAVING sum(units) != 0
"""
Units = dict[tuple[str, str], int]


def _rebuilt_equal(books: OpenBooks) -> Iterator[str]:
    central = _units(books.central, "SELECT place, gtin, units FROM balance WHERE units != 0")
    yield from _differences("central", central, _units(books.central, _FROM_MOVEMENTS))
    at_edges: Units = {}
    for edge, db in books.edges.items():
        counts = _units(db, "SELECT place, gtin, units FROM counts WHERE units != 0")
        yield from _differences(f"edge {edge}", counts, _units(db, _FROM_JOURNAL))
        at_edges |= _of_bins(counts)
    yield from _differences("central beside the edges", _of_bins(central), at_edges)


def _units(db: sqlite3.Connection, query: str) -> Units:
    return {(place, gtin): int(units) for place, gtin, units in db.execute(query)}


def _of_bins(units: Units) -> Units:
    return {key: count for key, count in units.items() if bin_of(key[0])}


def _differences(whose: str, kept: Units, again: Units) -> Iterator[str]:
    for key in sorted(kept.keys() | again.keys()):
        if kept.get(key, 0) != again.get(key, 0):
            place, gtin = key
            yield f"{whose}: {place} {gtin} is {kept.get(key, 0)}, made again {again.get(key, 0)}"


# --- P6 -------------------------------------------------------------------------------------------

_OVER_PROMISED: Final = """
SELECT r.place, r.gtin, sum(r.units), coalesce(max(b.units), 0) FROM reservation r
LEFT JOIN balance b ON b.place = r.place AND b.gtin = r.gtin
GROUP BY r.place, r.gtin HAVING sum(r.units) > coalesce(max(b.units), 0)
"""


def _no_oversell(books: OpenBooks) -> Iterator[str]:
    for place, gtin, promised, there in books.central.execute(_OVER_PROMISED):
        yield f"{place} {gtin}: {promised} units promised, {there} there"
    below = "SELECT place, gtin, units FROM {} WHERE units < 0 AND place LIKE 'bin:%'"
    for place, gtin, units in books.central.execute(below.format("balance")):
        yield f"{place} {gtin}: {units} units in central's book"
    for edge, db in books.edges.items():
        for place, gtin, units in db.execute(below.format("counts")):
            yield f"{place} {gtin}: {units} units in the book of edge {edge}"
    over = "SELECT order_id, line, units, picked_units FROM order_line WHERE picked_units > units"
    for order_id, line, units, picked in books.central.execute(over):
        yield f"order {order_id} line {line}: {units} units ordered, {picked} picked"


# --- P7, P8, P9 -----------------------------------------------------------------------------------


def _paths_apart(books: OpenBooks) -> Iterator[str]:
    yield from books.seen.overlaps


_KNOWN_CAUSES: Final = (
    "SELECT order_id FROM customer_order", "SELECT event_id FROM movement",
    "SELECT event_id FROM observation", "SELECT task_id FROM task",
    "SELECT event_id FROM mission_end",
)  # fmt: skip


def _every_why(books: OpenBooks) -> Iterator[str]:
    known = {id_ for query in _KNOWN_CAUSES for (id_,) in books.central.execute(query)}
    rows = "SELECT proposal_id, status, units, reason, numbers, causes, decided_by FROM proposal"
    for proposal_id, status, units, reason, numbers, causes, decided_by in books.central.execute(
        rows
    ):
        if not reason:
            yield f"proposal {proposal_id} has no reason"
        yield from _not_recomputed(proposal_id, msgspec.json.decode(numbers), status, units)
        for cause in msgspec.json.decode(causes):
            if cause not in known:
                yield f"proposal {proposal_id}: its cause {cause} is in no book"
        if status in ("approved", "rejected", "done") and not decided_by:
            yield f"proposal {proposal_id} is {status} and nobody decided it"


def _not_recomputed(
    proposal_id: str, numbers: dict[str, Any], status: str, units: int
) -> Iterator[str]:
    try:
        again = recompute(numbers)
        said = int(numbers["units"])
    except KeyError as error:
        yield f"proposal {proposal_id}: its numbers lack {error}"
        return
    if again != said:
        yield f"proposal {proposal_id}: its numbers give {again} units, it says {said}"
    if status == "waiting" and units != said:
        yield f"proposal {proposal_id} waits with {units} units, its numbers say {said}"


def _nothing_waits(books: OpenBooks) -> Iterator[str]:
    yield from waits_for_ever(books.central, books.seen.now_ns)
    for edge, db in books.edges.items():
        waiting = int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])
        if waiting:
            yield f"edge {edge}: {waiting} events never reached central"


PROMISES: Final[dict[str, Promise]] = {
    "P1": Promise(
        "A good beep means durable",
        "every good answer that was on the wire to an MQTT scanner is kept by an edge, whatever was"
        " killed since (a serial line's beep has no number: `books are true` shows those)",
        _beeps_are_durable,
    ),
    "P2": Promise(
        "Stock is double entry",
        "every movement has units, two places, a reason and who saw it; the balances of each"
        " article add up to 0",
        _double_entry,
    ),
    "P3": Promise(
        "Exactly-once effect",
        "the movements of the edges' journals are those of the ledger, one for one; journals are"
        " numbered without a gap and central's watermarks are at their ends",
        _exactly_once,
    ),
    "P4": Promise(
        "One writer per bin",
        "every movement of a bin was written by the edge that owns it; no edge counts another's",
        _one_writer,
    ),
    "P5": Promise(
        "Counts can be rebuilt",
        "counts made again from the journals, and balances from the movements, are the same; what"
        " central has of each bin is what its edge has",
        _rebuilt_equal,
    ),
    "P6": Promise(
        "No oversell",
        "no more is promised than is there, no bin is below 0 in any book, no order line is picked"
        " more than once",
        _no_oversell,
    ),
    "P7": Promise(
        "Released paths never overlap",
        "twice in a second of the world: no node that a robot reached last or was released to is"
        " another's; and no two robots touched",
        _paths_apart,
    ),
    "P8": Promise(
        'Every decision answers "why"',
        "every proposal has a reason, numbers that give its units again, causes that are in the"
        " books, and who decided it",
        _every_why,
    ),
    "P9": Promise(
        "Nothing waits for ever",
        "nothing is past its deadline, every open order, approved proposal and arrived purchase has"
        " a next step under way, all events reached central, every process runs",
        _nothing_waits,
    ),
}
"""By name, as in `EXPECT promise P1 holds`."""
