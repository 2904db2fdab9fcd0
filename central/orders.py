"""Customer orders: taken once each, remembered until filled, counted as demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update

from central.statement import Row, Statement, parts_of
from central.store import upsert
from central.tables import customer_order, demand_day, order_line
from central.tasking.round import Round
from runtime.clock import NS_PER_S
from wire.messages import CustomerOrder, OrderStatus
from wire.topics import ORDER_STATUS

_KNOWN: Final = Statement(
    select(customer_order).where(customer_order.c.order_id.in_(bindparam("order_ids")))
)
_ADD_ORDER: Final = Statement(insert(customer_order))
_ADD_LINE: Final = Statement(insert(order_line))
_SET: Final = Statement(
    update(customer_order).where(customer_order.c.order_id == bindparam("of_order"))
)
DEMAND_DAYS_BACK_MAX: Final = 730
"""An order older than this, or from the future, is demand of today: its clock was wrong."""


def take_orders(work: Round, orders: Sequence[CustomerOrder]) -> None:
    """Take in new orders; each, new or repeated, is answered with its status."""
    known = {
        row.order_id: row
        for part in parts_of([order.order_id for order in orders])
        for row in _KNOWN.all(work.conn, {"order_ids": part})
    }
    told: set[str] = set()
    for order in orders:
        if order.order_id in known:
            tell_status(work, known[order.order_id])
        elif order.order_id not in told:
            told.add(order.order_id)
            _take_order(work, order)


def _take_order(work: Round, order: CustomerOrder) -> None:
    unknown = sorted({ln.gtin for ln in order.lines} - work.floor.site.articles.keys())
    detail = f"unknown article {', '.join(unknown)}"[:400] if unknown else ""
    row = {
        "order_id": order.order_id,
        "status": "refused" if unknown else "accepted",
        "ordered_at_ns": order.ordered_at_ns,
        "detail": detail,
    }
    _ADD_ORDER.run(work.conn, row)
    publish_status(work, order.order_id, str(row["status"]), detail)
    work.count("orders", str(row["status"]))
    if unknown:
        return
    _ADD_LINE.many(
        work.conn,
        [
            {"order_id": order.order_id, "line": number, "gtin": line.gtin, "units": line.units}
            for number, line in enumerate(order.lines, start=1)
        ],
    )
    _add_demand(work, order)


def _add_demand(work: Round, order: CustomerOrder) -> None:
    day = demand_day_of(order.ordered_at_ns, work.config.planning.day_s)
    today = demand_day_of(work.now_ns, work.config.planning.day_s)
    if not today - DEMAND_DAYS_BACK_MAX <= day <= today:
        day = today
    units: Counter[str] = Counter()
    for line in order.lines:
        units[line.gtin] += line.units
    rows = [{"gtin": gtin, "day": day, "units": count} for gtin, count in units.items()]
    upsert(work.conn, demand_day, rows, add=("units",))


def demand_day_of(at_ns: int, day_s: float) -> int:
    """Return the index of the demand day that `at_ns` lies in."""
    return at_ns // round(day_s * NS_PER_S)


def set_status(work: Round, order_id: str, status: str, **columns: Any) -> None:
    """Write an order's new status and tell the shop."""
    _SET.run(work.conn, {"of_order": order_id, "status": status} | columns)
    publish_status(work, order_id, status, "")
    work.count("orders", status)


def tell_status(work: Round, row: Row) -> None:
    """Tell the shop again where an order stands."""
    publish_status(work, row.order_id, row.status, row.detail)


def publish_status(work: Round, order_id: str, status: str, text: str) -> None:
    """Tell the shop where an order stands, once that is committed."""
    message = OrderStatus(order_id=order_id, status=status, text=text, changed_at_ns=work.now_ns)
    work.publish(ORDER_STATUS, message)
