"""How sure the books are now, of the tables alone: planner and desk ask the same function here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from central.belief.core import (
    MOVE,
    NOTHING_SEEN,
    PICK,
    PUTAWAY,
    STRANGER_SEEN,
    WORK_FAILED,
    shifted,
)
from central.belief.intervals import (
    NS_PER_DAY,
    OPENING,
    PRIOR,
    Rates,
    cause_of,
    is_correction,
    read_rates,
    sure_after,
)
from central.statement import Statement
from central.tables import movement, observation, task, task_short
from wire.ids import bin_location, bin_of
from wire.messages import LOT_SAID
from wire.site import BinRow

MOVES_FOR_BELIEF_MAX: Final = 20_000
"""So many of the newest movements are looked at; what is older no longer lowers a probability."""
FAILURES_MAX: Final = 500
"""So many of the newest short picks, and robots' failures, are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSure:
    """How sure the book of a bin is, and what that rests on."""

    sure: float
    """Probability that it is right."""
    seen_ns: int
    """When somebody last looked at the whole bin, UTC; 0: nobody did yet."""
    picks: int
    """Booked there since."""
    others: int
    """Putaways and other moves, booked there since."""
    days: float
    """Since the last look; 0 where there was none."""
    failed: bool
    """Whether a person found too few there since, or a robot failed."""
    counts: int
    """So many counts on the site taught how often what goes wrong."""


OF_THE_BIN: Final = and_(observation.c.lot == "", observation.c.serial == "")
"""Who counts one lot or one unit with a serial number has not looked at the rest of the bin."""
LAST_SEEN: Final = (
    select(observation.c.bin_id, func.max(observation.c.observed_at_ns).label("at_ns"))
    .where(OF_THE_BIN)
    .group_by(observation.c.bin_id)
)
_SEEN: Final = Statement(LAST_SEEN)
_NEWEST: Final = LAST_SEEN.subquery()
_LOOKS: Final = (
    select(
        observation.c.bin_id, observation.c.observed_at_ns, observation.c.kind,
        observation.c.gtin, observation.c.seen_units, observation.c.book_units,
    )
    .join(
        _NEWEST,
        and_(
            _NEWEST.c.bin_id == observation.c.bin_id,
            _NEWEST.c.at_ns == observation.c.observed_at_ns,
        ),
    )
    .where(OF_THE_BIN)
)  # fmt: skip
_LOOKED: Final = Statement(_LOOKS)
_LOOKED_AT: Final = Statement(
    _LOOKS.where(
        observation.c.bin_id == bindparam("of_bin"), _NEWEST.c.bin_id == bindparam("of_bin")
    )
)

_MOVES: Final = select(
    movement.c.event_id, movement.c.from_place, movement.c.to_place, movement.c.reason,
    movement.c.observed_at_ns,
).where(
    movement.c.id > select(func.coalesce(func.max(movement.c.id), 0)).scalar_subquery()
    - MOVES_FOR_BELIEF_MAX,
    movement.c.reason.not_in((OPENING, LOT_SAID)),
)  # fmt: skip
_LATEST: Final = Statement(_MOVES)
_LATEST_AT: Final = Statement(
    _MOVES.where(
        or_(
            movement.c.from_place == bindparam("place"), movement.c.to_place == bindparam("place")
        )
    )
)  # fmt: skip

_SHORT: Final = func.sum(task_short.c.short_units)
_SHORTS: Final = Statement(
    select(task.c.from_place, func.max(task_short.c.observed_at_ns).label("at_ns"))
    .join(task_short, task_short.c.task_id == task.c.task_id)
    .group_by(task.c.task_id, task.c.from_place)
    .having(_SHORT > 0)
    .order_by(func.max(task_short.c.observed_at_ns).desc())
    .limit(FAILURES_MAX)
)
_FAILED: Final = Statement(
    select(task.c.from_place, task.c.to_place, task.c.stops_done, task.c.done_at_ns)
    .where(
        task.c.status == "failed", task.c.worker_kind == "robot", task.c.kind != "deliver",
        task.c.done_at_ns > 0,
    )
    .order_by(task.c.done_at_ns.desc())
    .limit(FAILURES_MAX)
)  # fmt: skip


def last_seen(conn: Connection) -> dict[str, int]:
    """Return when somebody last looked at each whole bin, UTC ns."""
    return {of_bin: int(at_ns) for of_bin, at_ns in _SEEN.tuples(conn)}


@dataclass(slots=True)
class _Since:
    """A bin since its book was last looked at."""

    seen_ns: int = 0
    sure: float = PRIOR.opening
    evidence: float = 0.0
    done: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    is_failed: bool = False


def how_sure(
    conn: Connection, now_ns: int, bins: Mapping[str, BinRow], bin_id: str = ""
) -> dict[str, BookSure]:
    """Return how sure the book is of each bin that was looked at, or worked at since.

    Of the tables alone, so that a restart says the same. `bins`: the site's. `bin_id`: that bin
    alone, and it is always answered.
    """
    rates = read_rates(conn, bins)
    found: defaultdict[str, _Since] = defaultdict(_Since)
    _take_looks(
        found, _LOOKED_AT.tuples(conn, {"of_bin": bin_id}) if bin_id else _LOOKED.tuples(conn)
    )
    place = {"place": bin_location(bin_id)}
    _take_moves(found, _LATEST_AT.tuples(conn, place) if bin_id else _LATEST.tuples(conn))
    for at_bin, at_ns in _failures(conn):
        since = found[at_bin] if not bin_id or at_bin == bin_id else _Since()
        since.is_failed |= at_ns > since.seen_ns
    asked = {bin_id} if bin_id else found.keys()
    return {at: _sure(at, found[at], now_ns, rates, bins.get(at)) for at in sorted(asked)}


def _take_looks(found: defaultdict[str, _Since], looks: Iterable[tuple[Any, ...]]) -> None:
    """Note when each bin was last looked at, and what that said of its book."""
    for at_bin, at_ns, kind, gtin, seen, book in looks:
        since = found[at_bin]
        since.seen_ns = int(at_ns)
        if kind == "counted":
            first = since.sure == PRIOR.opening
            after = sure_after(int(seen) - int(book))
            since.sure = after if first else min(after, since.sure)
        elif gtin:
            since.evidence = min(since.evidence, STRANGER_SEEN if book <= 0 else 0.0)
        elif book > 0:
            since.evidence = min(since.evidence, NOTHING_SEEN)


def _take_moves(found: defaultdict[str, _Since], moves: Iterable[tuple[Any, ...]]) -> None:
    """Note what was booked at each bin since; what makes a book agree with a count ends doubt."""
    for event_id, from_place, to_place, reason, at_ns in moves:
        for end, is_source in ((from_place, True), (to_place, False)):
            at_bin = bin_of(end)
            if at_bin is None or (at_bin in found and at_ns <= found[at_bin].seen_ns):
                continue
            since = found[at_bin]
            if is_correction(event_id):
                since.sure, since.evidence = max(since.sure, PRIOR.adjusted), 0.0
            else:
                since.done[cause_of(reason, is_source=is_source)] += 1.0


def _failures(conn: Connection) -> Iterable[tuple[str, int]]:
    """Yield the bins where a person found too few, or a robot failed, and when."""
    for place, at_ns in _SHORTS.tuples(conn):
        if at_bin := bin_of(place):
            yield at_bin, int(at_ns)
    for from_place, to_place, stops_done, at_ns in _FAILED.tuples(conn):
        if at_bin := bin_of(to_place if stops_done else from_place):
            yield at_bin, int(at_ns)


def _sure(bin_id: str, since: _Since, now_ns: int, rates: Rates, row: BinRow | None) -> BookSure:
    days = max(0.0, (now_ns - since.seen_ns) / NS_PER_DAY) if since.seen_ns else 0.0
    expected = rates.expected(row, bin_id, since.sure, (*since.done, days))
    evidence = min(since.evidence, WORK_FAILED) if since.is_failed else since.evidence
    return BookSure(
        sure=shifted(expected, evidence) if evidence else expected, seen_ns=since.seen_ns,
        picks=round(since.done[PICK]), others=round(since.done[PUTAWAY] + since.done[MOVE]),
        days=days, failed=since.is_failed, counts=rates.counts,
    )  # fmt: skip
