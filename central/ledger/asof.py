"""The stock at any past time: by when it was observed, and by what was known at which time.

A movement counts from the time it was observed, however late it arrives. So that nobody adds up
the whole ledger, all stock is kept as it was at some times (`stock_mark`, `stock_at`); from the
last of them on, movements are added up. One that comes late corrects every later mark in the
transaction that takes it in, or ends those marks where that would be too much for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    delete,
    func,
    insert,
    literal,
    not_,
    select,
    text,
    union_all,
    update,
)

from central.ledger.core import PlaceGtin, balance_changes
from central.statement import Statement
from central.store import add_values
from central.tables import ODD, ODD_NS, balance, movement, stock_at, stock_mark
from wire.messages import Movement

SPACING_MIN: Final = 100_000
"""A mark is made after so many movements at least: this is what a question adds up at most in a
small ledger."""
SPACINGS_OF_ALL: Final = 64
"""In a large one the spacing is this part of all its movements, so that marks stay few."""
CORRECTED_ROWS_MAX: Final = 100_000
"""More rows than this are not corrected in one transaction: the marks are let go in their place,
and a question about that time adds up more. `stockhelm ledger rebuild` makes them again."""
UNKEPT: Final = "customer:"
"""Marks do not keep what customers have: that only grows, and is seldom asked for. A question about
it adds up all deliveries."""
_NS_MAX: Final = 2**63 - 1
_ROW: Final = ("at_ns", "place", "gtin", "units")
m = movement.c


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for; None: everything."""

    place: str | None = None
    gtin: str | None = None
    bins_only: bool = False
    kept: bool | None = None
    """True: only places that marks keep. False: only the others. None: all."""

    def where(self, place: ColumnElement[str], gtin: ColumnElement[str]) -> list[Any]:
        """Return the conditions on these columns."""
        found: list[Any] = [] if self.place is None else [place == self.place]
        if self.gtin is not None:
            found.append(gtin == self.gtin)
        if self.bins_only:
            found.append(place.startswith("bin:"))
        if self.kept is not None:
            gone = place.startswith(UNKEPT)
            found.append(not_(gone) if self.kept else gone)
        return found


_KEPT: Final = _Wanted(kept=True)


def stock_as_of(
    conn: Connection,
    at_ns: int,
    known_at_ns: int | None = None,
    place: str | None = None,
    gtin: str | None = None,
    *,
    bins_only: bool = False,
) -> dict[PlaceGtin, int]:
    """Return the units of each (place, article) at `at_ns`; what was zero is left out.

    `at_ns` is the time at which movements were observed. With `known_at_ns` only those count that
    had been committed by then: the answer that this question would have got at that time.
    """
    wanted = _Wanted(place, gtin, bins_only)
    base_ns = at_ns if known_at_ns is None else min(at_ns, known_at_ns)
    stock: dict[PlaceGtin, int] = {}
    if place is None or not place.startswith(UNKEPT):
        _add_from_mark(conn, stock, replace(wanted, kept=True), base_ns)
    if (place is None and not bins_only) or (place is not None and place.startswith(UNKEPT)):
        _add(conn, stock, replace(wanted, kept=False), [m.observed_at_ns <= base_ns])
    if known_at_ns is not None:
        _correct_to_known(conn, stock, wanted, at_ns=at_ns, known_at_ns=known_at_ns)
    return {key: units for key, units in stock.items() if units}


def _add_from_mark(
    conn: Connection, stock: dict[PlaceGtin, int], wanted: _Wanted, at_ns: int
) -> None:
    """Add what the last mark up to `at_ns` kept, and the movements since."""
    last = select(func.max(stock_mark.c.at_ns)).where(stock_mark.c.at_ns <= at_ns)
    mark_ns = conn.execute(last).scalar()
    since: list[Any] = []
    if mark_ns is not None:
        since = [m.observed_at_ns > mark_ns]
        kept = select(stock_at.c.place, stock_at.c.gtin, stock_at.c.units).where(
            stock_at.c.at_ns == mark_ns, *wanted.where(stock_at.c.place, stock_at.c.gtin)
        )
        stock.update({(row[0], row[1]): int(row[2]) for row in conn.execute(kept)})
    _add(conn, stock, wanted, [*since, m.observed_at_ns <= at_ns])


def _correct_to_known(
    conn: Connection, stock: dict[PlaceGtin, int], wanted: _Wanted, *, at_ns: int, known_at_ns: int
) -> None:
    """Take out what was not known yet, add what was known before it was observed.

    Either is near to its time of observation, and found by that, or odd, and found among the few.
    """
    unknown, known = m.committed_at_ns > known_at_ns, m.committed_at_ns <= known_at_ns
    base_ns = min(at_ns, known_at_ns)
    old_ns = known_at_ns - ODD_NS
    near = [m.observed_at_ns > old_ns, m.observed_at_ns <= base_ns, unknown]
    odd = [text(ODD), m.observed_at_ns <= min(base_ns, old_ns), unknown]
    for conditions in (near, odd):
        _add(conn, stock, wanted, conditions, sign=-1)
    if at_ns <= known_at_ns:
        return
    new_ns = min(known_at_ns + ODD_NS, _NS_MAX)
    near = [m.observed_at_ns > known_at_ns, m.observed_at_ns <= min(at_ns, new_ns), known]
    odd = [text(ODD), m.observed_at_ns > new_ns, m.observed_at_ns <= at_ns, known]
    for conditions in (near, odd):
        _add(conn, stock, wanted, conditions)


def _add(
    conn: Connection,
    stock: dict[PlaceGtin, int],
    wanted: _Wanted,
    conditions: list[Any],
    sign: int = 1,
) -> None:
    """Add the movements that meet the conditions to `stock`."""
    sides = union_all(
        select(m.to_place.label("place"), m.gtin, m.units).where(
            *conditions, *wanted.where(m.to_place, m.gtin)
        ),
        select(m.from_place, m.gtin, -m.units).where(
            *conditions, *wanted.where(m.from_place, m.gtin)
        ),
    ).subquery()
    key = (sides.c.place, sides.c.gtin)
    for place, gtin, units in conn.execute(select(*key, func.sum(sides.c.units)).group_by(*key)):
        stock[place, gtin] = stock.get((place, gtin), 0) + sign * int(units)


# --- marks ------------------------------------------------------------------------------------


_NEWEST: Final = Statement(
    select(stock_mark.c.at_ns, stock_mark.c.last_id, stock_mark.c.rows)
    .order_by(stock_mark.c.at_ns.desc())
    .limit(1)
)
_LAST_ID: Final = Statement(select(func.coalesce(func.max(m.id), 0)))
_FROM: Final = Statement(
    select(stock_mark.c.at_ns)
    .where(stock_mark.c.at_ns >= bindparam("from_ns"))
    .order_by(stock_mark.c.at_ns)
)


def follow_moves(conn: Connection, moves: Sequence[Movement], now_ns: int) -> None:
    """Correct the marks by these movements, which came in just now; make one where it is time."""
    if not moves:
        return
    newest = _NEWEST.first(conn)
    if newest is not None:
        late = [move for move in moves if move.observed_at_ns <= newest.at_ns]
        if late and not _correct(conn, late):
            newest = _NEWEST.first(conn)
    last_id = int(_LAST_ID.scalar(conn))
    if newest is None:
        is_due = last_id >= SPACING_MIN
    else:
        is_due = last_id - newest.last_id >= _spacing(last_id, newest.rows)
    if is_due:
        _make_mark(conn, now_ns, last_id)


def _spacing(movements: int, rows: int) -> int:
    """Return after how many movements the next mark is made, in a ledger of so many."""
    return max(SPACING_MIN, movements // SPACINGS_OF_ALL, rows)


def _correct(conn: Connection, late: Sequence[Movement]) -> bool:
    """Add movements to all marks after them; False where those marks were ended in place of it."""
    first_ns = min(move.observed_at_ns for move in late)
    marks = _FROM.scalars(conn, {"from_ns": first_ns})
    rows: list[tuple[int, str, str, int]] = []
    for at_ns in marks:
        changes = balance_changes(move for move in late if move.observed_at_ns <= at_ns)
        rows += [(at_ns, *k, changes[k]) for k in sorted(changes) if not k[0].startswith(UNKEPT)]
        if len(rows) > CORRECTED_ROWS_MAX:
            _end_marks(conn, first_ns)
            return False
    add_values(conn, stock_at, _ROW, rows, "units")
    return True


def _end_marks(conn: Connection, from_ns: int) -> None:
    for table in (stock_at, stock_mark):
        conn.execute(delete(table).where(table.c.at_ns >= from_ns))


def _make_mark(conn: Connection, now_ns: int, last_id: int) -> None:
    """Keep the stock at the latest time that something was observed, but for clocks that are ahead.

    That is what is there now, without what those clocks saw.
    """
    at_ns = conn.execute(
        select(func.max(m.observed_at_ns)).where(m.observed_at_ns <= now_ns)
    ).scalar()
    newest_ns = conn.execute(select(func.max(stock_mark.c.at_ns))).scalar()
    if at_ns is None or (newest_ns is not None and at_ns <= newest_ns):
        # Nothing newer was seen: the last mark, which was corrected all the time, will do.
        conn.execute(
            update(stock_mark).where(stock_mark.c.at_ns == newest_ns).values(last_id=last_id)
        )
        return
    now = select(
        literal(at_ns, BigInteger), balance.c.place, balance.c.gtin, balance.c.units
    ).where(balance.c.units != 0, *_KEPT.where(balance.c.place, balance.c.gtin))
    conn.execute(insert(stock_at).from_select(_ROW, now))
    ahead: dict[PlaceGtin, int] = {}
    _add(conn, ahead, _KEPT, [m.observed_at_ns > at_ns], sign=-1)
    add_values(conn, stock_at, _ROW, [(at_ns, *key, ahead[key]) for key in sorted(ahead)], "units")
    _write_mark(conn, at_ns, last_id)


def _write_mark(conn: Connection, at_ns: int, last_id: int) -> None:
    rows = select(func.count()).select_from(stock_at).where(stock_at.c.at_ns == at_ns)
    count = conn.execute(rows).scalar_one()
    conn.execute(insert(stock_mark), {"at_ns": at_ns, "last_id": last_id, "rows": count})


def rebuild_marks(conn: Connection) -> int:
    """Make all marks again from the movements, evenly; return how many there are."""
    _end_marks(conn, 0)
    last_id = int(_LAST_ID.scalar(conn))
    kept = _KEPT.where(balance.c.place, balance.c.gtin)
    places = conn.execute(select(func.count()).select_from(balance).where(*kept)).scalar_one()
    spacing = _spacing(last_id, places)
    count = 0
    for at_ns, stock in _folded(conn, _times(conn, spacing)):
        rows = [(at_ns, *key, stock[key]) for key in sorted(stock) if stock[key]]
        add_values(conn, stock_at, _ROW, rows, "units")
        _write_mark(conn, at_ns, last_id)
        count += 1
    return count


def _times(conn: Connection, spacing: int) -> Iterator[int]:
    """Yield every so-manieth time at which something was observed."""
    at_ns: int | None = -1
    while True:
        query = select(m.observed_at_ns).where(m.observed_at_ns > at_ns)
        at_ns = conn.execute(query.order_by(m.observed_at_ns).offset(spacing - 1).limit(1)).scalar()
        if at_ns is None:
            return
        yield at_ns


def _folded(conn: Connection, times: Iterator[int]) -> Iterator[tuple[int, dict[PlaceGtin, int]]]:
    """Yield (time, stock at that time); one and the same mapping goes on growing."""
    stock: dict[PlaceGtin, int] = {}
    for before_ns, at_ns in pairwise(_with_start(times)):
        _add(conn, stock, _KEPT, [m.observed_at_ns > before_ns, m.observed_at_ns <= at_ns])
        yield at_ns, stock


def _with_start(times: Iterator[int]) -> Iterator[int]:
    yield -1
    yield from times


def wrong_marks(conn: Connection, differences_max: int) -> list[tuple[int, PlaceGtin, int, int]]:
    """Return (time, place and article, units kept, sum of the movements) where the two differ."""
    times = conn.execute(select(stock_mark.c.at_ns).order_by(stock_mark.c.at_ns)).scalars().all()
    found: list[tuple[int, PlaceGtin, int, int]] = []
    for at_ns, stock in _folded(conn, iter(times)):
        rows = conn.execute(select(stock_at).where(stock_at.c.at_ns == at_ns))
        kept = {(row.place, row.gtin): int(row.units) for row in rows}
        found += [
            (at_ns, key, kept.get(key, 0), stock.get(key, 0))
            for key in sorted(kept.keys() | stock.keys())
            if kept.get(key, 0) != stock.get(key, 0)
        ]
        if len(found) >= differences_max:
            return found[:differences_max]
    return found
