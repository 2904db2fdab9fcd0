"""Purchases: orders to suppliers, what arrives at the dock, and from there into reserve bins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import bindparam, func, insert, or_, select, update

from central.ledger.reservations import OPEN_STATUSES, available_units
from central.statement import Row, Statement, parts_of
from central.tables import balance, purchase_order, task, task_short
from central.tasking.round import NEVER_NS, Round, add_task, log
from runtime.clock import NS_PER_S
from wire.ids import bin_location, location
from wire.messages import OrderLine, PurchaseOrder, SupplierNotice
from wire.site import BinRow
from wire.topics import PURCHASE_ORDER

RESEND_S_MIN: Final = 2.0
RESEND_S_MAX: Final = 30.0
LATE_LEAD_TIMES: Final = 2.0
LATE_S: Final = 60.0
"""A confirmed order that is late by lead times and this is asked for again."""
PO_UNITS_MAX: Final = 1_000_000


_ADD: Final = Statement(insert(purchase_order))


def start_buy(work: Round, row: Row, units: int) -> bool:
    """Write the purchase order of an approved proposal; it is sent until the supplier confirms.

    False where the site no longer has the article.
    """
    article = work.floor.site.articles.get(row.gtin)
    if article is None:
        return False
    po = {
        "po_id": work.new_id("po"),
        "proposal_id": row.proposal_id,
        "supplier_id": article.supplier_id,
        "gtin": row.gtin,
        "units": min(units, PO_UNITS_MAX),
        "status": "sent",
        "ordered_at_ns": work.now_ns,
        "changed_at_ns": work.now_ns,
    }
    _ADD.run(work.conn, po)
    work.count("purchase_orders")
    return True


_UNDELIVERED: Final = Statement(
    select(purchase_order)
    .where(purchase_order.c.status.in_(("sent", "confirmed")))
    .order_by(purchase_order.c.ordered_at_ns)
)


class PurchaseSender:
    """When each purchase order is sent again. Only in memory: a start sends all at once."""

    def __init__(self) -> None:
        self._next: dict[str, tuple[int, float]] = {}
        self._late_at_ns = NEVER_NS

    def next_at_ns(self, _work: Round) -> int:
        """Return when the next order is sent, or asked for."""
        return min((self._late_at_ns, *(at_ns for at_ns, _ in self._next.values())))

    def forget_times(self) -> None:
        """Send all at once, as after a start: the times were those of a clock that was wrong."""
        self._next = {}

    def send(self, work: Round) -> None:
        """Send the orders that are not confirmed, and ask for those that are late."""
        waiting: dict[str, tuple[int, float]] = {}
        self._late_at_ns = NEVER_NS
        for row in _UNDELIVERED.all(work.conn):
            late_at_ns = _late_at_ns(work, row) if row.status == "confirmed" else 0
            if work.now_ns < late_at_ns:
                self._late_at_ns = min(self._late_at_ns, late_at_ns)
                continue
            at_ns, pause_s = self._next.get(row.po_id, (0, RESEND_S_MIN))
            if at_ns <= work.now_ns:
                _publish_order(work, row)
                at_ns, pause_s = work.later_ns(pause_s), min(pause_s * 2, RESEND_S_MAX)
            waiting[row.po_id] = (at_ns, pause_s)
        self._next = waiting


def _late_at_ns(work: Round, row: Row) -> int:
    supplier = work.floor.site.suppliers.get(row.supplier_id)
    lead_s = (supplier.lead_time_d if supplier else 1.0) * work.config.planning.day_s
    return int(row.ordered_at_ns + round((LATE_LEAD_TIMES * lead_s + LATE_S) * NS_PER_S))


def _publish_order(work: Round, row: Row) -> None:
    message = PurchaseOrder(
        po_id=row.po_id,
        supplier_id=row.supplier_id,
        lines=(OrderLine(gtin=row.gtin, units=row.units),),
        ordered_at_ns=row.ordered_at_ns,
    )
    work.publish(PURCHASE_ORDER, message, supplier=row.supplier_id)


def take_notice(work: Round, notice: SupplierNotice) -> None:
    """Write down what the supplier says of an order; what is older than what we know is ignored."""
    row = work.conn.execute(
        select(purchase_order).where(purchase_order.c.po_id == notice.po_id)
    ).one_or_none()
    if row is None or row.supplier_id != notice.supplier_id:
        work.count("notices_refused", "unknown order")
        log.warning("notice on no order of ours", po=notice.po_id, supplier=notice.supplier_id)
        return
    if notice.status == "confirmed" and row.status == "sent":
        _set_status(work, row.po_id, "confirmed")
    elif notice.status == "arrived" and row.status in ("sent", "confirmed"):
        _set_status(work, row.po_id, "arrived", arrived_units=_told_units(notice, row) or row.units)
    elif notice.status == "arrived" and _told_units(notice, row) > row.arrived_units:
        # Another lorry of the same order: the notice says what has come so far.
        _set_status(work, row.po_id, "arrived", arrived_units=_told_units(notice, row))
    elif notice.status not in ("confirmed", "arrived"):
        work.count("notices_refused", "unknown status")
        log.warning("notice of unknown status", po=notice.po_id, status=notice.status)


def _told_units(notice: SupplierNotice, row: Row) -> int:
    return sum(line.units for line in notice.lines if line.gtin == row.gtin)


_CHANGE: Final = Statement(
    update(purchase_order).where(purchase_order.c.po_id == bindparam("of_po"))
)


def _set_status(work: Round, po_id: str, status: str, **columns: Any) -> None:
    values = {"of_po": po_id, "status": status, "changed_at_ns": work.now_ns}
    _CHANGE.run(work.conn, values | columns)


_ARRIVED: Final = Statement(select(purchase_order).where(purchase_order.c.status == "arrived"))
_RECEIVES: Final = Statement(
    select(task.c.status, task.c.units, task.c.moved_units).where(
        task.c.po_id == bindparam("po_id"), task.c.kind == "receive"
    )
)


_SHORT: Final = Statement(
    select(func.coalesce(func.sum(task_short.c.short_units), 0))
    .join(task, task.c.task_id == task_short.c.task_id)
    .where(task.c.po_id == bindparam("po_id"))
)


_TOO_EARLY: Final = Statement(
    select(purchase_order.c.po_id)
    .join(task, task.c.po_id == purchase_order.c.po_id)
    .where(
        task.c.kind == "receive",
        task.c.status.in_(OPEN_STATUSES),
        purchase_order.c.status == "received",
    )
    .distinct()
)
"""Purchases that seemed to be all here until somebody took back that no more comes."""


def receive_arrivals(work: Round) -> None:
    """Ask somebody to receive what arrived; a purchase whose units are all here is received.

    What people said did not come is not waited for, whatever the supplier says of it.
    """
    for po_id in _TOO_EARLY.scalars(work.conn):
        _set_status(work, po_id, "arrived")
    for row in _ARRIVED.all(work.conn):
        tasks = _RECEIVES.all(work.conn, {"po_id": row.po_id})
        received = sum(t.moved_units for t in tasks)
        expected = row.arrived_units - int(_SHORT.scalar(work.conn, {"po_id": row.po_id}))
        if received != row.received_units:
            _set_status(work, row.po_id, "arrived", received_units=received)
        if received >= expected:
            _set_status(work, row.po_id, "received")
        elif not any(t.status in OPEN_STATUSES for t in tasks):
            _add_receive(work, row, expected - received)


def _add_receive(work: Round, row: Row, units: int) -> None:
    docks = work.floor.docks
    if not docks:
        return
    busy = Counter(_open_targets(work, "receive"))
    dock = min(docks, key=lambda d: (busy[bin_location(d.bin_id)], d.bin_id))
    add_task(
        work,
        "receive",
        "person",
        units=units,
        from_place=location("supplier", row.supplier_id),
        to_place=bin_location(dock.bin_id),
        gtin=row.gtin,
        proposal_id=row.proposal_id,
        po_id=row.po_id,
    )


_OPEN_TARGETS: Final = Statement(
    select(task.c.to_place).where(
        task.c.kind == bindparam("kind"), task.c.status.in_(OPEN_STATUSES)
    )
)


def _open_targets(work: Round, kind: str) -> list[str]:
    return _OPEN_TARGETS.scalars(work.conn, {"kind": kind})


_RECEIVING: Final = select(task.c.task_id).where(
    task.c.kind == "receive",
    task.c.status.in_(OPEN_STATUSES),
    task.c.to_place == balance.c.place,
    task.c.gtin == balance.c.gtin,
)
_WAITING: Final = select(task.c.task_id).where(
    task.c.kind == "putaway",
    task.c.status == "open",
    task.c.from_place == balance.c.place,
    task.c.gtin == balance.c.gtin,
)
_STANDS: Final = Statement(
    select(balance)
    .where(
        balance.c.place.in_(bindparam("docks")),
        balance.c.units > 0,
        ~_RECEIVING.exists(),
        ~_WAITING.exists(),
    )
    .order_by(balance.c.place, balance.c.gtin)
)


def put_away(work: Round) -> None:
    """Send what stands at the docks, and is received whole, into reserve bins with room.

    While a putaway of an article waits for somebody to do it, what comes in meanwhile waits too,
    and goes along with the next one: one walk for many units.
    """
    docks = [bin_location(dock.bin_id) for dock in work.floor.docks]
    rows = [row for part in parts_of(docks) for row in _STANDS.all(work.conn, {"docks": part})]
    loose = [(row, available_units(work.conn, row.place, row.gtin)) for row in rows]
    if not any(units > 0 for _, units in loose):
        return
    rooms = _Rooms(work)
    for row, units in loose:
        if units > 0:
            _put_away_from(work, row.place, row.gtin, units=units, rooms=rooms)


_SOURCE: Final = Statement(
    select(task.c.proposal_id, task.c.po_id)
    .where(
        task.c.kind == "receive",
        task.c.to_place == bindparam("place"),
        task.c.gtin == bindparam("gtin"),
    )
    .order_by(task.c.created_at_ns.desc())
    .limit(1)
)


def _put_away_from(work: Round, place: str, gtin: str, *, units: int, rooms: _Rooms) -> None:
    source = _SOURCE.first(work.conn, {"place": place, "gtin": gtin})
    for target, room in rooms.for_article(gtin, work.floor.edge_of(place)):
        part = min(units, room)
        made = add_task(
            work,
            "putaway",
            "person",
            units=part,
            from_place=place,
            to_place=bin_location(target.bin_id),
            reserved=True,
            gtin=gtin,
            proposal_id=source.proposal_id if source else "",
            po_id=source.po_id if source else "",
        )
        if made is None:
            return
        rooms.take(target, gtin, part)
        units -= part
        if units <= 0:
            return


_HELD: Final = Statement(
    select(balance).where(balance.c.place.in_(bindparam("places")), balance.c.units > 0)
)
_COMING: Final = Statement(
    select(task.c.to_place, task.c.gtin, func.sum(task.c.units - task.c.moved_units))
    .where(
        task.c.status.in_(OPEN_STATUSES),
        or_(task.c.kind == "putaway", task.c.kind == "transfer"),
    )
    .group_by(task.c.to_place, task.c.gtin)
)


class _Rooms:
    """How much room is left in reserve bins, counting what is on its way to them."""

    def __init__(self, work: Round) -> None:
        self._reserves = work.floor.reserves
        places = [bin_location(row.bin_id) for row in self._reserves]
        held = [row for part in parts_of(places) for row in _HELD.all(work.conn, {"places": part})]
        coming = _COMING.all(work.conn)
        self._units: dict[str, Counter[str]] = {place: Counter() for place in places}
        for place, gtin, units in [*held, *coming]:
            if place in self._units:
                self._units[place][gtin] += int(units)

    def for_article(self, gtin: str, edge_id: str) -> Iterator[tuple[BinRow, int]]:
        """Yield (bin, room) of this edge: bins with the article first, then empty, then mixed ones.

        The edge that owns the dock writes both sides of a putaway, so its bins are the ones asked.
        """
        ranked = []
        for row in self._reserves:
            if row.edge_id != edge_id or row.gtin not in ("", gtin):
                continue
            units = +self._units[bin_location(row.bin_id)]
            room = row.capacity_units - units.total()
            rank = 0 if units[gtin] else 2 if units else 1
            if room > 0:
                ranked.append((rank, row.bin_id, row, room))
        for _, _, row, room in sorted(ranked, key=lambda item: item[:2]):
            yield row, room

    def take(self, row: BinRow, gtin: str, units: int) -> None:
        """Count `units` as on their way to this bin."""
        self._units[bin_location(row.bin_id)][gtin] += units
