"""How sure the books are now, of the tables alone: planner and desk ask the same function here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from central.belief.core import sure_by
from central.statement import Statement
from central.tables import movement, observation
from runtime.clock import NS_PER_S
from wire.ids import bin_location, bin_of

MOVES_FOR_BELIEF_MAX: Final = 20_000
"""So many of the newest movements are looked at; what is older no longer lowers a probability."""
NS_PER_DAY: Final = 86_400 * NS_PER_S
_NOT_HANDLED: Final = ("opening",)


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


OF_THE_BIN: Final = and_(observation.c.lot == "", observation.c.serial == "")
"""Who counts one lot or one unit with a serial number has not looked at the rest of the bin."""
LAST_SEEN: Final = (
    select(observation.c.bin_id, func.max(observation.c.observed_at_ns).label("at_ns"))
    .where(OF_THE_BIN)
    .group_by(observation.c.bin_id)
)
_SEEN: Final = Statement(LAST_SEEN)
_SEEN_AT: Final = Statement(LAST_SEEN.where(observation.c.bin_id == bindparam("of_bin")))

_MOVES: Final = select(
    movement.c.from_place, movement.c.to_place, movement.c.reason, movement.c.observed_at_ns
).where(
    movement.c.id > select(func.coalesce(func.max(movement.c.id), 0)).scalar_subquery()
    - MOVES_FOR_BELIEF_MAX,
    movement.c.reason.not_in(_NOT_HANDLED),
)  # fmt: skip
_LATEST: Final = Statement(_MOVES)
_LATEST_AT: Final = Statement(
    _MOVES.where(
        or_(
            movement.c.from_place == bindparam("place"), movement.c.to_place == bindparam("place")
        )
    )
)  # fmt: skip


def last_seen(conn: Connection, bin_id: str = "") -> dict[str, int]:
    """Return when somebody last looked at each whole bin, UTC ns; only at `bin_id` if given."""
    rows = _SEEN_AT.tuples(conn, {"of_bin": bin_id}) if bin_id else _SEEN.tuples(conn)
    return {of_bin: int(at_ns) for of_bin, at_ns in rows}


def how_sure(conn: Connection, now_ns: int, bin_id: str = "") -> dict[str, BookSure]:
    """Return how sure the book is of each bin that was looked at, or moved at since.

    Of the ledger alone, so that a restart says the same. `bin_id`: that bin alone, and it is
    always answered.
    """
    seen = last_seen(conn, bin_id)
    picks: Counter[str] = Counter()
    others: Counter[str] = Counter()
    place = {"place": bin_location(bin_id)}
    moves = _LATEST_AT.tuples(conn, place) if bin_id else _LATEST.tuples(conn)
    for from_place, to_place, reason, at_ns in moves:
        for end, is_source in ((from_place, True), (to_place, False)):
            at_bin = bin_of(end)
            if at_bin is not None and at_ns > seen.get(at_bin, 0):
                (picks if is_source and "pick" in reason else others)[at_bin] += 1
    asked = {bin_id} if bin_id else seen.keys() | picks.keys() | others.keys()
    return {at: _sure(now_ns, seen.get(at, 0), picks[at], others[at]) for at in asked}


def _sure(now_ns: int, seen_ns: int, picks: int, others: int) -> BookSure:
    days = max(0.0, (now_ns - seen_ns) / NS_PER_DAY) if seen_ns else 0.0
    return BookSure(
        sure=sure_by(picks, others, days), seen_ns=seen_ns, picks=picks, others=others, days=days
    )
