"""From order lines to picks, from picked orders to deliveries: first come, first served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, or_, select, update

from central.ledger.reservations import OPEN_STATUSES
from central.orders import set_status
from central.statement import Row, Statement, parts_of
from central.tables import balance, customer_order, order_line, reservation, task
from central.tasking.news import Narrowed
from central.tasking.robots import submit
from central.tasking.round import NEVER_NS, Round, add_task, end_task
from wire.ids import bin_location, location
from wire.site import BinRow

LINES_PER_ROUND_MAX: Final = 1_000
WAITING_STATUSES: Final = ("accepted", "allocated")
DELIVER_PAUSE_S: Final = 30.0
"""A tote is not tried again sooner after a delivery failed: its cause needs time to go away."""
_RANK: Final = {"accepted": 0, "allocated": 1, "picked": 2}


_COUNTS: Final = case((task.c.status.in_(OPEN_STATUSES), task.c.units), else_=task.c.moved_units)
_ALLOCATED: Final = func.coalesce(func.sum(_COUNTS), 0)
_PICKED_OF_LINE: Final = func.coalesce(func.sum(task.c.moved_units), 0)


def _line_sums(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Return what asks for the lines of open orders that are not as their tasks say."""
    return (
        select(
            order_line.c.order_id,
            order_line.c.line,
            order_line.c.units,
            _ALLOCATED.label("allocated"),
            _PICKED_OF_LINE.label("picked"),
        )
        .join(customer_order, customer_order.c.order_id == order_line.c.order_id)
        .outerjoin(
            task,
            and_(
                task.c.order_id == order_line.c.order_id,
                task.c.line == order_line.c.line,
                task.c.kind == "pick",
            ),
        )
        .where(customer_order.c.status.in_(WAITING_STATUSES), *conditions)
        .group_by(
            order_line.c.order_id,
            order_line.c.line,
            order_line.c.units,
            order_line.c.allocated_units,
            order_line.c.picked_units,
        )
        .having(
            or_(
                order_line.c.allocated_units != _ALLOCATED,
                order_line.c.picked_units != _PICKED_OF_LINE,
            )
        )
        .order_by(order_line.c.order_id, order_line.c.line)
    )


_LINE_SUMS: Final = Narrowed(_line_sums, order_line.c.order_id)


def update_lines(work: Round) -> None:
    """Write how much of each open order's line is allocated and picked, from its tasks.

    An open task counts in full; a closed one with what it moved, so that what a failed or undone
    pick leaves over waits for a new task. Where a scan for a closed task comes late, what was asked
    for anew in the meantime is one too many: that is taken back.
    """
    for row in _LINE_SUMS.all(work.conn, work.news.orders_with_tasks(work.conn)):
        if row.allocated > row.units:
            _drop_surplus(work, row)
        units = {"allocated_units": int(row.allocated), "picked_units": int(row.picked)}
        _set_line(work, row.order_id, row.line, **units)


_UNBEGUN: Final = Statement(
    select(task)
    .where(
        task.c.order_id == bindparam("of_order"),
        task.c.line == bindparam("at_line"),
        task.c.kind == "pick",
        task.c.status.in_(OPEN_STATUSES),
        task.c.moved_units == 0,
    )
    .order_by(task.c.created_at_ns.desc(), task.c.task_id.desc())
)


def _drop_surplus(work: Round, line: Row) -> None:
    """Cancel picks of a line that nobody began until no more is asked for than was ordered.

    The newest go first. Where that is too much, the rest is allocated anew.
    """
    surplus = line.allocated - line.units
    of_line = {"of_order": line.order_id, "at_line": line.line}
    for row in _UNBEGUN.all(work.conn, of_line):
        if surplus <= 0:
            break
        end_task(work, row, "cancelled", "an earlier pick of this line was scanned late")
        surplus -= row.units


_SET_LINE: Final = Statement(
    update(order_line).where(
        order_line.c.order_id == bindparam("of_order"), order_line.c.line == bindparam("at_line")
    )
)


def _set_line(work: Round, order_id: str, line: int, **columns: int) -> None:
    assert all(name in order_line.c for name in columns), (
        f"not all are columns of an order line: {sorted(columns)}"
    )
    _SET_LINE.run(work.conn, {"of_order": order_id, "at_line": line} | columns)


_WAITING_LINES: Final = Statement(
    select(order_line, customer_order.c.hand_bin)
    .join(customer_order, customer_order.c.order_id == order_line.c.order_id)
    .where(
        customer_order.c.status == "accepted",
        order_line.c.allocated_units < order_line.c.units,
    )
    .order_by(customer_order.c.ordered_at_ns, order_line.c.order_id, order_line.c.line)
    .limit(LINES_PER_ROUND_MAX)
)


def allocate_lines(work: Round) -> None:
    """Give waiting lines what stands free at their pick faces; the rest goes on waiting."""
    waiting = _WAITING_LINES.all(work.conn)
    if not waiting:
        return
    free = _free_at_faces(work, {row.gtin for row in waiting})
    hands = _HandBins(work)
    for row in waiting:
        _allocate(work, row, free, hands)


_HELD: Final = Statement(
    select(balance).where(balance.c.place.in_(bindparam("places")), balance.c.units > 0)
)
_PROMISED: Final = Statement(
    select(reservation.c.place, reservation.c.gtin, func.sum(reservation.c.units))
    .where(reservation.c.place.in_(bindparam("places")))
    .group_by(reservation.c.place, reservation.c.gtin)
)


def _free_at_faces(work: Round, gtins: Iterable[str]) -> dict[tuple[str, str], int]:
    places = sorted({place for gtin in gtins for place in work.floor.faces.get(gtin, ())})
    free: Counter[tuple[str, str]] = Counter()
    for part in parts_of(places):
        for place, gtin, units in _HELD.all(work.conn, {"places": part}):
            free[place, gtin] += int(units)
        for place, gtin, units in _PROMISED.all(work.conn, {"places": part}):
            free[place, gtin] -= int(units)
    return free


def _allocate(work: Round, row: Row, free: dict[tuple[str, str], int], hands: _HandBins) -> None:
    left = row.units - row.allocated_units
    places = work.floor.faces.get(row.gtin, ())
    for place in sorted(places, key=lambda p: -free.get((p, row.gtin), 0)):
        part = min(left, free.get((place, row.gtin), 0))
        if part <= 0:
            break
        made = add_task(
            work,
            "pick",
            "person",
            units=part,
            from_place=place,
            to_place=location("tote", row.order_id),
            reserved=True,
            gtin=row.gtin,
            order_id=row.order_id,
            line=row.line,
        )
        if made is None:
            continue
        hands.choose(work, row.order_id)
        free[place, row.gtin] -= part
        left -= part
    if left < row.units - row.allocated_units:
        _set_line(work, row.order_id, row.line, allocated_units=row.units - left)


_TOTES: Final = Statement(
    select(customer_order.c.order_id, customer_order.c.hand_bin).where(
        customer_order.c.hand_bin != "", customer_order.c.status.in_((*WAITING_STATUSES, "picked"))
    )
)
_SET_HAND_BIN: Final = Statement(
    update(customer_order)
    .where(customer_order.c.order_id == bindparam("of_order"))
    .values(hand_bin=bindparam("bin_id"))
)


class _HandBins:
    """Which handover bin each tote gets: the one with the fewest totes."""

    def __init__(self, work: Round) -> None:
        rows = _TOTES.all(work.conn)
        self._bins = {row.order_id: row.hand_bin for row in rows}
        self._totes = Counter(self._bins.values())

    def choose(self, work: Round, order_id: str) -> None:
        """Give the order's tote a handover bin if it has none."""
        if order_id in self._bins:
            return
        row = _least_used(work.floor.hands, self._totes)
        self._bins[order_id] = row.bin_id
        self._totes[row.bin_id] += 1
        _SET_HAND_BIN.run(work.conn, {"of_order": order_id, "bin_id": row.bin_id})


def _least_used(bins: tuple[BinRow, ...], used: Counter[str]) -> BinRow:
    assert bins, "checked when central was built: a site has handover and packing bins"
    return min(bins, key=lambda row: (used[row.bin_id], row.bin_id))


_SHORT: Final = func.sum(case((order_line.c.allocated_units < order_line.c.units, 1), else_=0))
_UNPICKED: Final = func.sum(case((order_line.c.picked_units < order_line.c.units, 1), else_=0))


def _waiting_orders(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Return what asks for the orders that wait and do not stand as their lines say."""
    return (
        select(
            customer_order.c.order_id,
            customer_order.c.status,
            _SHORT.label("short"),
            _UNPICKED.label("unpicked"),
        )
        .join(order_line, order_line.c.order_id == customer_order.c.order_id)
        .where(customer_order.c.status.in_(WAITING_STATUSES), *conditions)
        .group_by(customer_order.c.order_id, customer_order.c.status)
        .having(
            customer_order.c.status
            != case((_SHORT > 0, "accepted"), (_UNPICKED > 0, "allocated"), else_="picked")
        )
        .order_by(customer_order.c.order_id)
    )


_WAITING_ORDERS: Final = Narrowed(_waiting_orders, customer_order.c.order_id)
_MOVE_BACK: Final = Statement(
    update(customer_order)
    .where(customer_order.c.order_id == bindparam("of_order"))
    .values(status=bindparam("to_status"))
)


def advance_orders(work: Round) -> None:
    """Move orders on whose lines are all allocated, or all picked; what is lost moves them back."""
    for row in _WAITING_ORDERS.all(work.conn, work.news.orders()):
        status = "accepted" if row.short else "allocated" if row.unpicked else "picked"
        if _RANK[status] > _RANK[row.status]:
            set_status(work, row.order_id, status)
        else:
            _MOVE_BACK.run(work.conn, {"of_order": row.order_id, "to_status": status})


_UNDER_WAY: Final = select(task.c.task_id).where(
    task.c.order_id == customer_order.c.order_id,
    task.c.kind == "deliver",
    or_(
        task.c.status.in_((*OPEN_STATUSES, "done")),
        task.c.done_at_ns > bindparam("failed_after_ns"),
    ),
)
_PICKED: Final = Statement(
    select(customer_order)
    .where(customer_order.c.status == "picked", ~_UNDER_WAY.exists())
    .order_by(customer_order.c.ordered_at_ns, customer_order.c.order_id)
)
_GOING: Final = Statement(
    select(task.c.to_place).where(task.c.kind == "deliver", task.c.status.in_(OPEN_STATUSES))
)
_PICKED_UNITS: Final = Statement(
    select(func.sum(order_line.c.picked_units)).where(
        order_line.c.order_id == bindparam("order_id")
    )
)


_ON_ITS_WAY: Final = select(task.c.task_id).where(
    task.c.order_id == customer_order.c.order_id,
    task.c.kind == "deliver",
    task.c.status.in_((*OPEN_STATUSES, "done")),
)
_TO_TRY: Final = Statement(
    select(customer_order.c.order_id)
    .where(customer_order.c.status == "picked", ~_ON_ITS_WAY.exists())
    .limit(1)
)


def next_try_at_ns(work: Round) -> int:
    """Return when a delivery may be tried again: at any time, while one waits for that."""
    return NEVER_NS if _TO_TRY.first(work.conn) is None else 0


def deliver_picked(work: Round) -> None:
    """Have a robot bring each picked tote from its handover bin to a packing bin."""
    failed_after_ns = work.later_ns(-DELIVER_PAUSE_S)
    rows = _PICKED.all(work.conn, {"failed_after_ns": failed_after_ns})
    if not rows:
        return
    going = _GOING.scalars(work.conn)
    used = Counter(place.removeprefix("bin:") for place in going)
    for row in rows:
        pack = _least_used(work.floor.packs, used)
        used[pack.bin_id] += 1
        units = _PICKED_UNITS.scalar(work.conn, {"order_id": row.order_id})
        task_id = add_task(
            work,
            "deliver",
            "robot",
            units=int(units),
            from_place=bin_location(row.hand_bin),
            to_place=bin_location(pack.bin_id),
            order_id=row.order_id,
        )
        assert task_id is not None, "a delivery needs no reservation"
        submit(work, task_id)
