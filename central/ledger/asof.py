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
    ColumnElement,
    Connection,
    Integer,
    bindparam,
    delete,
    func,
    insert,
    not_,
    select,
    text,
    tuple_,
    union_all,
    update,
)

from central.ledger.core import PlaceGtin, balance_changes
from central.statement import Row, Statement
from central.store import add_values
from central.tables import (
    MARK_ENDED,
    MARK_GROWS,
    MARK_READY,
    ODD,
    ODD_NS,
    balance,
    movement,
    stock_at,
    stock_mark,
)
from wire.messages import Movement

SPACING_MIN: Final = 100_000
"""A mark is made after so many movements at least: this is what a question adds up at most in a
small ledger."""
SPACINGS_OF_ALL: Final = 64
"""In a large one the spacing is this part of all its movements, so that marks stay few."""
STEP_ROWS_PER_MOVE: Final = 2
STEP_ROWS_MIN: Final = 200
STEP_ROWS_MAX: Final = 2_000
"""A mark is not made at once, which would hold up all that comes for seconds where there are a
million bins: each transaction copies as many balances as go beside its movements (2 each), from
200 to 2 000, in some 10 ms. Marks that are let go are deleted likewise."""
CORRECTED_ROWS_MAX: Final = 10_000
"""More rows than this are not corrected in one transaction: the marks are let go in their place,
and a question about that time adds up more. `stockhelm ledger rebuild` makes them again."""
AHEAD_MAX: Final = 10_000
"""Where clocks that are ahead saw more movements than this, the next mark waits."""
UNKEPT: Final = "customer:"
_AFTER_UNKEPT: Final = "customer;"
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
    last = select(func.max(stock_mark.c.at_ns)).where(
        stock_mark.c.at_ns <= at_ns, stock_mark.c.state == MARK_READY
    )
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
    .where(stock_mark.c.state == MARK_READY)
    .order_by(stock_mark.c.at_ns.desc())
    .limit(1)
)
_UNREADY: Final = Statement(
    select(stock_mark).where(stock_mark.c.state != MARK_READY).order_by(stock_mark.c.at_ns)
)
_LAST_ID: Final = Statement(select(func.coalesce(func.max(m.id), 0)))
_FROM: Final = Statement(
    select(stock_mark.c.at_ns)
    .where(stock_mark.c.at_ns >= bindparam("from_ns"), stock_mark.c.state == MARK_READY)
    .order_by(stock_mark.c.at_ns)
)


def follow_moves(conn: Connection, moves: Sequence[Movement], now_ns: int) -> None:
    """Correct the marks by these movements, which came in just now; go on with making one.

    What is copied or deleted in one call is bounded by `_step_rows`, however large the ledger is.
    """
    if not moves:
        return
    newest = _NEWEST.first(conn)
    if newest is not None:
        late = [move for move in moves if move.observed_at_ns <= newest.at_ns]
        if late and not _correct(conn, late):
            newest = _NEWEST.first(conn)
    unready = _UNREADY.all(conn)
    for mark in unready:
        if mark.state == MARK_GROWS:
            _follow_growing(conn, mark, moves)
    if unready:
        _step(conn, unready, _step_rows(len(moves)))
        return
    last_id = int(_LAST_ID.scalar(conn))
    if newest is None:
        is_due = last_id >= SPACING_MIN
    else:
        is_due = last_id - newest.last_id >= _spacing(last_id, newest.rows)
    if is_due:
        _begin_mark(conn, now_ns, last_id)


def _spacing(movements: int, rows: int) -> int:
    """Return after how many movements the next mark is made, in a ledger of so many."""
    return max(SPACING_MIN, movements // SPACINGS_OF_ALL, rows)


def _step_rows(moves: int) -> int:
    """Return how many balances are copied, or rows deleted, beside so many movements."""
    return min(max(STEP_ROWS_MIN, moves * STEP_ROWS_PER_MOVE), STEP_ROWS_MAX)


def _correct(conn: Connection, late: Sequence[Movement]) -> bool:
    """Add movements to all marks after them; False where those marks were ended in place of it."""
    first_ns = min(move.observed_at_ns for move in late)
    marks = _FROM.scalars(conn, {"from_ns": first_ns})
    rows: list[tuple[int, str, str, int]] = []
    for at_ns in marks:
        changes = balance_changes(move for move in late if move.observed_at_ns <= at_ns)
        rows += [(at_ns, *k, changes[k]) for k in sorted(changes) if not k[0].startswith(UNKEPT)]
        if len(rows) > CORRECTED_ROWS_MAX:
            ready = (stock_mark.c.at_ns >= first_ns, stock_mark.c.state == MARK_READY)
            conn.execute(update(stock_mark).where(*ready).values(state=MARK_ENDED))
            return False
    add_values(conn, stock_at, _ROW, rows, "units")
    return True


_IS_AHEAD: Final = Statement(
    select(func.count()).select_from(
        select(m.id)
        .where(m.observed_at_ns > bindparam("at_ns"))
        .limit(bindparam("most", type_=Integer))
        .subquery()
    )
)


def _begin_mark(conn: Connection, now_ns: int, last_id: int) -> None:
    """Begin to keep the stock at the latest time that something was observed.

    Clocks that are ahead of ours do not count. Where they saw very much, it waits.
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
    if _IS_AHEAD.scalar(conn, {"at_ns": at_ns, "most": AHEAD_MAX}) == AHEAD_MAX:
        return
    ahead: dict[PlaceGtin, int] = {}
    _add(conn, ahead, _KEPT, [m.observed_at_ns > at_ns], sign=-1)
    add_values(conn, stock_at, _ROW, [(at_ns, *key, ahead[key]) for key in sorted(ahead)], "units")
    row = {"at_ns": at_ns, "last_id": last_id, "rows": 0, "state": MARK_GROWS}
    conn.execute(insert(stock_mark), row)
    _step(conn, _UNREADY.all(conn), STEP_ROWS_MIN)


def _follow_growing(conn: Connection, mark: Row, moves: Sequence[Movement]) -> None:
    """Keep a growing mark right.

    What is not copied yet has what was observed after the mark taken off in advance: its balance,
    which has that too, comes on top when it is copied. To what is copied, what was observed before
    is added, as to any mark.
    """
    done = (mark.done_place, mark.done_gtin)
    after = balance_changes(move for move in moves if move.observed_at_ns > mark.at_ns)
    until = balance_changes(move for move in moves if move.observed_at_ns <= mark.at_ns)
    changes = {key: -units for key, units in after.items() if key > done}
    changes |= {key: units for key, units in until.items() if key <= done}
    rows = [(mark.at_ns, *k, changes[k]) for k in sorted(changes) if not k[0].startswith(UNKEPT)]
    add_values(conn, stock_at, _ROW, rows, "units")


def _step(conn: Connection, unready: Sequence[Row], rows: int) -> None:
    """Look at up to so many rows: delete those of ended marks, or copy on for the growing one."""
    mark = next((mark for mark in unready if mark.state == MARK_ENDED), unready[0])
    if mark.state == MARK_ENDED:
        _delete_some(conn, mark.at_ns, rows)
    else:
        _copy_some(conn, mark, rows)


_LAST: Final = "\U0010ffff"
"""After every place."""


_NEXT: Final = Statement(
    select(balance.c.place, balance.c.gtin, balance.c.units)
    .where(
        tuple_(balance.c.place, balance.c.gtin)
        > tuple_(bindparam("done_place"), bindparam("done_gtin")),
        balance.c.place < bindparam("until"),
    )
    .order_by(balance.c.place, balance.c.gtin)
    .limit(bindparam("most", type_=Integer))
)


_GROW: Final = Statement(
    update(stock_mark)
    .where(stock_mark.c.at_ns == bindparam("of_mark"))
    .values(
        done_place=bindparam("to_place"),
        done_gtin=bindparam("to_gtin"),
        rows=stock_mark.c.rows + bindparam("more"),
        state=bindparam("to_state"),
    )
)


def _copy_some(conn: Connection, mark: Row, rows: int) -> None:
    """Copy the next balances into a growing mark; it is ready where none are left."""
    done: PlaceGtin = (mark.done_place, mark.done_gtin)
    state, looked = MARK_GROWS, 0
    kept: list[tuple[int, str, str, int]] = []
    while state == MARK_GROWS and looked < rows:
        is_before = done[0] < UNKEPT
        values = {
            "done_place": done[0],
            "done_gtin": done[1],
            "until": UNKEPT if is_before else _LAST,
            "most": rows - looked,
        }
        found = _NEXT.all(conn, values)
        kept += [(mark.at_ns, row.place, row.gtin, int(row.units)) for row in found if row.units]
        if len(found) == rows - looked:
            done = (found[-1].place, found[-1].gtin)
        elif is_before:
            done = (_AFTER_UNKEPT, "")  # what customers have is jumped over, however much that is
        else:
            done, state = (_LAST, ""), MARK_READY
        looked += len(found)
    add_values(conn, stock_at, _ROW, kept, "units")
    grown = {"to_place": done[0], "to_gtin": done[1], "more": looked, "to_state": state}
    _GROW.run(conn, grown | {"of_mark": mark.at_ns})


_KEPT_ROWS: Final = Statement(
    select(stock_at.c.place, stock_at.c.gtin)
    .where(stock_at.c.at_ns == bindparam("of_mark"))
    .order_by(stock_at.c.place, stock_at.c.gtin)
    .limit(bindparam("most", type_=Integer))
)
_FORGET: Final = Statement(
    delete(stock_at).where(
        stock_at.c.at_ns == bindparam("of_mark"),
        tuple_(stock_at.c.place, stock_at.c.gtin)
        <= tuple_(bindparam("to_place"), bindparam("to_gtin")),
    )
)


def _delete_some(conn: Connection, at_ns: int, rows: int) -> None:
    """Delete the next rows of an ended mark, and the mark with the last of them."""
    found = _KEPT_ROWS.all(conn, {"of_mark": at_ns, "most": rows})
    if found:
        to = {"to_place": found[-1].place, "to_gtin": found[-1].gtin}
        _FORGET.run(conn, to | {"of_mark": at_ns})
    if len(found) < rows:
        conn.execute(delete(stock_mark).where(stock_mark.c.at_ns == at_ns))


def rebuild_marks(conn: Connection) -> int:
    """Make all marks again from the movements, evenly; return how many there are."""
    for table in (stock_at, stock_mark):
        conn.execute(delete(table))
    last_id = int(_LAST_ID.scalar(conn))
    kept = _KEPT.where(balance.c.place, balance.c.gtin)
    places = conn.execute(select(func.count()).select_from(balance).where(*kept)).scalar_one()
    spacing = _spacing(last_id, places)
    count = 0
    for at_ns, stock in _folded(conn, _times(conn, spacing)):
        rows = [(at_ns, *key, stock[key]) for key in sorted(stock) if stock[key]]
        add_values(conn, stock_at, _ROW, rows, "units")
        row = {"at_ns": at_ns, "last_id": last_id, "rows": len(rows), "state": MARK_READY}
        conn.execute(insert(stock_mark), row)
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
    times = _FROM.scalars(conn, {"from_ns": 0})
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
