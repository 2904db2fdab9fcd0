"""What counts found and what had been done at their bins before: kept, and learned from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from sqlalchemy import Connection, bindparam, or_, select

from central.belief.core import (
    MOVE,
    PICK,
    PUTAWAY,
    Prior,
    count_evidence,
    learn_from,
    shifted,
)
from central.belief.settle import ASKED_TWICE, count_is_right
from central.ledger.adjust import EVENT
from central.statement import Row, Statement
from central.store import insert_new
from central.tables import count_interval, movement
from runtime.clock import NS_PER_S
from wire.ids import bin_location
from wire.messages import LOT_SAID
from wire.site import BinRow

MOVES_PER_COUNT_MAX: Final = 20_000
"""So many of the ledger's movements before a count are looked through for those at its bin. Where
the interval began before them, what was found stands for all of it: as much in as much time."""
INTERVALS_READ_MAX: Final = 5_000
"""So many of the newest counts are learned from."""
MISCOUNT_COUNTS: Final = 200.0
"""How many counts the prior's share of miscounts is worth."""
NS_PER_DAY: Final = 86_400 * NS_PER_S
PRIOR: Final = Prior()
OPENING: Final = "opening"

_BEFORE: Final = Statement(
    select(count_interval)
    .where(
        count_interval.c.bin_id == bindparam("of_bin"),
        count_interval.c.gtin == bindparam("of_gtin"),
        count_interval.c.counted_ns < bindparam("until_ns"),
    )
    .order_by(count_interval.c.counted_ns.desc(), count_interval.c.event_id)
    .limit(1)
)
_MOVES: Final = Statement(
    select(
        movement.c.event_id, movement.c.from_place, movement.c.to_place, movement.c.reason,
        movement.c.observed_at_ns,
    )
    .where(
        movement.c.id > bindparam("first_id"),
        movement.c.id <= bindparam("last_id"),
        movement.c.gtin == bindparam("of_gtin"),
        or_(
            movement.c.from_place == bindparam("place"), movement.c.to_place == bindparam("place")
        ),
        movement.c.observed_at_ns <= bindparam("until_ns"),
    )
    .order_by(movement.c.observed_at_ns.desc(), movement.c.id.desc())
)  # fmt: skip
_FIRST_NS: Final = Statement(
    select(movement.c.observed_at_ns)
    .where(movement.c.id > bindparam("first_id"))
    .order_by(movement.c.id)
    .limit(1)
)
_NEWEST: Final = Statement(
    select(count_interval)
    .order_by(count_interval.c.counted_ns.desc(), count_interval.c.event_id)
    .limit(INTERVALS_READ_MAX)
)


def cause_of(reason: str, *, is_source: bool) -> int:
    """Return what a movement does to the bin at one of its ends: PICK, PUTAWAY or MOVE."""
    if not is_source:
        return PUTAWAY
    return PICK if "pick" in reason else MOVE


def is_correction(event_id: str) -> bool:
    """Return whether a movement makes a book agree with a bin, and moves no goods."""
    return event_id.startswith(EVENT)


def sure_after(off_units: int, sure: float = PRIOR.opening) -> float:
    """Return how sure a book is after a count that differs by so many units, before any change."""
    if off_units == 0:
        return shifted(sure, count_evidence(0, PRIOR.miscount))
    return 1.0 - count_is_right(shifted(sure, ASKED_TWICE), off_units, PRIOR.miscount)


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """From when a book was known to a count: a row of `count_interval`."""

    event_id: str
    bin_id: str
    gtin: str
    begun_ns: int
    counted_ns: int
    sure: float
    picks: float
    putaways: float
    moves: float
    off_units: int

    @property
    def days(self) -> float:
        """Return how long it was, days."""
        return max(0.0, (self.counted_ns - self.begun_ns) / NS_PER_DAY)


def interval_of(conn: Connection, count: Row, off_units: int) -> Interval:
    """Return what had been done at the bin of a count (a row of `bin_count`) before it.

    It begins with the count before, a correction since, or the opening of the book.
    """
    pair = {"of_bin": count.bin_id, "of_gtin": count.gtin, "until_ns": count.until_ns}
    before = _BEFORE.first(conn, pair)
    begun_ns = before.counted_ns if before else 0
    sure = sure_after(before.off_units) if before else PRIOR.opening
    done = [0.0, 0.0, 0.0]
    place = bin_location(count.bin_id)
    first = {"first_id": max(0, count.last_id - MOVES_PER_COUNT_MAX)}
    span = first | {"last_id": count.last_id, "place": place}
    looked_back_ns = count.until_ns
    for event_id, from_place, _, reason, at_ns in _MOVES.tuples(conn, {**pair, **span}):
        if at_ns <= begun_ns:
            break
        looked_back_ns = at_ns
        if is_correction(event_id) or reason == OPENING:
            begun_ns, sure = at_ns, PRIOR.adjusted if is_correction(event_id) else PRIOR.opening
            break
        if reason != LOT_SAID:
            done[cause_of(reason, is_source=from_place == place)] += 1.0
    if not begun_ns:
        begun_ns = looked_back_ns
    known_ns = _FIRST_NS.scalars(conn, first)
    part = _part(begun_ns, known_ns[0] if known_ns and first["first_id"] else 0, count.until_ns)
    picks, putaways, moves = (times / part for times in done)
    return Interval(
        event_id=count.event_id, bin_id=count.bin_id, gtin=count.gtin, begun_ns=begun_ns,
        counted_ns=count.until_ns, sure=sure, picks=picks, putaways=putaways, moves=moves,
        off_units=off_units,
    )  # fmt: skip


def _part(begun_ns: int, known_ns: int, until_ns: int) -> float:
    """Return the part of an interval whose movements were looked through."""
    if known_ns <= begun_ns or until_ns <= known_ns:
        return 1.0
    return (until_ns - known_ns) / (until_ns - begun_ns)


def keep_interval(conn: Connection, interval: Interval) -> None:
    """Write an interval down, once per count."""
    insert_new(conn, count_interval, [msgspec.structs.asdict(interval)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What the counts have taught: hazards by zone and kind of bin, and what single bins add."""

    classes: Mapping[str, Sequence[float]]
    """Errors per pick, putaway, move and day of the bins of a zone and kind."""
    site: Sequence[float]
    """The same where no bin of the zone and kind was counted yet."""
    frailty: Mapping[str, float]
    """How much worse than its class a bin has been."""
    miscount: float
    """Share of counts that are wrong."""
    counts: int
    """So many counts it rests on."""

    def expected(
        self, row: BinRow | None, bin_id: str, sure: float, exposed: Sequence[float]
    ) -> float:
        """Return how sure a book is after so many picks, putaways, moves and days."""
        rates = self.classes.get(class_of(row), self.site)
        risk = sum(rate * times for rate, times in zip(rates, exposed, strict=True))
        return sure * math.exp(-self.frailty.get(bin_id, 1.0) * risk)


def class_of(row: BinRow | None) -> str:
    """Return the name of the bins that are pooled with this one: its zone's of its kind."""
    return f"{row.edge_id}/{row.kind}" if row else ""


def read_rates(conn: Connection, bins: Mapping[str, BinRow]) -> Rates:
    """Return what the newest counts teach; before there are any, the prior.

    Of the tables alone: the same counts always teach the same. Bounded by INTERVALS_READ_MAX.
    """
    found = _NEWEST.all(conn)[::-1]
    classes: dict[str, int] = {}
    pairs: dict[str, int] = {}
    of_class: list[int] = []
    rows = np.empty((len(found), 8))
    off_before: dict[tuple[str, str], int] = {}
    withdrawn = 0
    for number, row in enumerate(found):
        if row.bin_id not in pairs:
            pairs[row.bin_id] = len(pairs)
            of_class.append(classes.setdefault(class_of(bins.get(row.bin_id)), len(classes)))
        off = int(row.off_units)
        evidence = count_evidence(off, PRIOR.miscount) + (ASKED_TWICE if off else 0.0)
        days = max(0.0, (row.counted_ns - row.begun_ns) / NS_PER_DAY)
        rows[number] = (
            pairs[row.bin_id],
            row.sure,
            row.picks,
            row.putaways,
            row.moves,
            days,
            evidence,
            abs(off),
        )
        # A book that was doubted, was not changed and agrees now: the count before was wrong.
        is_unchanged = row.sure < PRIOR.opening
        withdrawn += bool(off_before.get((row.bin_id, row.gtin)) and is_unchanged and not off)
        off_before[row.bin_id, row.gtin] = off
    learned = learn_from(rows, np.array(of_class, dtype=np.int64), len(classes), PRIOR)
    miscounts = MISCOUNT_COUNTS * PRIOR.miscount + withdrawn
    return Rates(
        classes={name: learned.rates[number].tolist() for name, number in classes.items()},
        site=learned.rates.mean(axis=0).tolist(),
        frailty=dict(zip(pairs, learned.frailty.tolist(), strict=True)),
        miscount=miscounts / (MISCOUNT_COUNTS + len(found)), counts=len(found),
    )  # fmt: skip
