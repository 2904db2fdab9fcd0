"""The planning lane: reads one moment of the books, has the plan made, passes it on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, and_, bindparam, func, or_, select

from central.belief.books import LAST_SEEN, OF_THE_BIN, how_sure, last_seen
from central.config import CentralConfig
from central.eyes import read_eyes
from central.history import UNITS_PER_DAY_MAX
from central.ledger.core import PlaceGtin
from central.ledger.reservations import OPEN_STATUSES
from central.orders import DEMAND_DAYS_BACK_MAX, demand_day_of
from central.replenish.planner import plan
from central.replenish.types import Plan, PlanningSnapshot
from central.statement import Statement
from central.store import reading
from central.tables import (
    balance,
    customer_order,
    demand_day,
    movement,
    observation,
    order_line,
    proposal,
    purchase_order,
    reservation,
    task,
)
from central.tasking.floor import Floor
from runtime.clock import NS_PER_S, Clock
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.runtime import Runtime

log = structlog.get_logger()

FIRST_PLAN_S: Final = 1.0
OPENING_WAIT_S_MAX: Final = 60.0
"""How long the first plan waits for the opening stock to arrive from the edges."""
CAUSES_PER_GTIN_MAX: Final = 5
CAUSES_READ_MAX: Final = 2_000
_NS_PER_MS: Final = 1e6


class Planning:
    """Makes a plan every `review_s` on a lane of its own."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: CentralConfig,
        *,
        floor: Floor,
        engine: Engine,
        lane: Lane,
        on_plan: Callable[[Plan], None],
    ) -> None:
        self._clock: Clock = runtime.clock
        self._metrics = metrics
        self._config = config
        self._floor = floor
        self._engine = engine
        self._lane = lane
        self._on_plan = on_plan
        self._begun_ns = 0
        self._stopped = False

    def start(self) -> None:
        """Plan soon, then in the rhythm of the configuration."""
        self._begun_ns = self._clock.monotonic_ns()
        review_s = self._config.planning.review_s
        self._lane.call_later(min(FIRST_PLAN_S, review_s), self._review)
        self._lane.call_every(review_s, self._review)

    def stop(self) -> None:
        """Plan no more."""
        self._stopped = True

    def _review(self) -> None:
        if self._stopped:
            return
        begun_ns = self._clock.monotonic_ns()
        waited_s = (begun_ns - self._begun_ns) / NS_PER_S
        with reading(self._engine) as conn:
            if waited_s < OPENING_WAIT_S_MAX and not _opening_is_here(conn, self._floor):
                return
            snapshot = read_snapshot(
                conn, floor=self._floor, config=self._config, now_ns=self._clock.now_ns()
            )
        try:
            made = plan(snapshot)
        except (ValueError, ArithmeticError, LookupError) as error:
            self._metrics.count("plans_failed")
            log.exception("plan failed; the next review tries again", error=repr(error))
            return
        self._metrics.count("plans_made")
        self._metrics.latency("plan_ms", (self._clock.monotonic_ns() - begun_ns) / _NS_PER_MS)
        for note in made.notes:
            log.debug("plan", gtin=note.gtin, place=note.place, note=note.text)
        self._on_plan(made)


def _opening_is_here(conn: Connection, floor: Floor) -> bool:
    """Return whether every edge with opening stock has told of all of it.

    Before that the books are empty and the plan would buy the whole warehouse.
    """
    if not floor.site.opening:
        return True
    wanted = Counter(floor.site.bins[row.bin_id].edge_id for row in floor.site.opening)
    rows = conn.execute(
        select(movement.c.edge_id, func.count().label("rows"))
        .where(movement.c.from_place == "opening:")
        .group_by(movement.c.edge_id)
    ).all()
    here: dict[str, int] = {row.edge_id: row.rows for row in rows}
    return all(here.get(edge_id, 0) >= count for edge_id, count in wanted.items())


_BALANCES: Final = Statement(
    select(balance.c.place, balance.c.gtin, balance.c.units).where(balance.c.units != 0)
)
_RESERVED: Final = Statement(
    select(reservation.c.place, reservation.c.gtin, func.sum(reservation.c.units)).group_by(
        reservation.c.place, reservation.c.gtin
    )
)
_LAST_COUNT_ROUND: Final = Statement(
    select(func.coalesce(func.max(proposal.c.created_at_ns), 0)).where(proposal.c.kind == "count")
)
_REFUSED: Final = Statement(
    select(proposal.c.kind, proposal.c.gtin, proposal.c.to_place).where(
        proposal.c.status == "rejected", proposal.c.expires_at_ns > bindparam("now_ns")
    )
)


def _waiting_moves(place: Any) -> Any:
    """Return what asks for (place, article, units) of the moves that wait for a decision."""
    return (
        select(place, proposal.c.gtin, func.sum(proposal.c.units))
        .where(proposal.c.status == "waiting", proposal.c.kind.in_(("refill", "transfer")))
        .group_by(place, proposal.c.gtin)
    )


_LEAVING: Final = Statement(_waiting_moves(proposal.c.from_place))
_ARRIVING: Final = Statement(_waiting_moves(proposal.c.to_place))


def read_snapshot(
    conn: Connection, *, floor: Floor, config: CentralConfig, now_ns: int
) -> PlanningSnapshot:
    """Return everything the planner looks at, as it stands in the tables now."""
    day = demand_day_of(now_ns, config.planning.day_s)
    history = _history(conn, floor, day)
    first = min((d for rows in history.values() for d, _ in rows), default=day)
    allocated, backordered = _orders(conn)
    seen, books = last_seen(conn), how_sure(conn, now_ns, floor.site.bins)
    return PlanningSnapshot(
        site=floor.site,
        config=config.planning,
        now_ns=now_ns,
        day=day,
        first_day=first,
        history={gtin: tuple(rows) for gtin, rows in history.items()},
        balances=_by_place(conn, _BALANCES),
        reserved=_by_place(conn, _RESERVED),
        promised=_by_place(conn, _LEAVING),
        inbound=_inbound(conn),
        on_order=_on_order(conn),
        allocated=allocated,
        backordered=backordered,
        last_seen_ns=seen,
        sure={bin_id: book.sure for bin_id, book in books.items()},
        doubtful_bins=_doubtful_bins(conn),
        changed_bins=frozenset(
            at for at, book in books.items() if book.picks or book.others or book.failed
        ),
        eyes=read_eyes(conn, floor, seen),
        last_count_round_ns=int(_LAST_COUNT_ROUND.scalar(conn)),
        refused=frozenset(_REFUSED.tuples(conn, {"now_ns": now_ns})),
        causes=_causes(conn),
    )


_DEMAND: Final = Statement(
    select(demand_day.c.gtin, demand_day.c.day, demand_day.c.units).where(
        demand_day.c.day >= bindparam("first_day")
    )
)


def _history(conn: Connection, floor: Floor, day: int) -> dict[str, list[tuple[int, int]]]:
    """Return (day, units) rows per article; a row that cannot be true is named and left out."""
    history: dict[str, list[tuple[int, int]]] = defaultdict(list)
    articles = floor.site.articles
    for gtin, of_day, units in _DEMAND.tuples(conn, {"first_day": day - DEMAND_DAYS_BACK_MAX}):
        if gtin not in articles:
            continue  # no longer sold here
        if of_day > day or not 0 <= units <= UNITS_PER_DAY_MAX:
            log.warning(
                "demand left out of the plan: expected a day up to today and units from 0 up",
                gtin=gtin, day=of_day, today=day, units=units,
            )  # fmt: skip
            continue
        history[gtin].append((of_day, units))
    return history


def _by_place(conn: Connection, query: Statement) -> dict[PlaceGtin, int]:
    return {(place, gtin): int(units) for place, gtin, units in query.tuples(conn)}


_COMING: Final = Statement(
    select(task.c.to_place, task.c.gtin, func.sum(task.c.units - task.c.moved_units))
    .where(
        task.c.status.in_(OPEN_STATUSES),
        task.c.kind.in_(("refill", "transfer", "putaway")),
    )
    .group_by(task.c.to_place, task.c.gtin)
)


def _inbound(conn: Connection) -> dict[PlaceGtin, int]:
    units: Counter[PlaceGtin] = Counter(_by_place(conn, _ARRIVING))
    units.update(_by_place(conn, _COMING))
    return dict(units)


_UNRECEIVED: Final = Statement(select(purchase_order).where(purchase_order.c.status != "received"))
_TO_BUY: Final = Statement(
    select(proposal.c.gtin, proposal.c.units).where(
        proposal.c.status == "waiting", proposal.c.kind == "buy"
    )
)


def _on_order(conn: Connection) -> dict[str, int]:
    units: Counter[str] = Counter()
    for row in _UNRECEIVED.all(conn):
        units[row.gtin] += (row.arrived_units or row.units) - row.received_units
    for gtin, waiting in _TO_BUY.tuples(conn):
        units[gtin] += waiting
    return dict(units)


_OPEN_UNITS: Final = Statement(
    select(
        order_line.c.gtin,
        func.sum(order_line.c.allocated_units - order_line.c.picked_units),
        func.sum(order_line.c.units - order_line.c.allocated_units),
    )
    .join(customer_order, customer_order.c.order_id == order_line.c.order_id)
    .where(customer_order.c.status.in_(("accepted", "allocated")))
    .group_by(order_line.c.gtin)
)


def _orders(conn: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Return units (allocated and not yet picked, not allocated) of open orders per article."""
    rows = _OPEN_UNITS.tuples(conn)
    return {row[0]: int(row[1]) for row in rows}, {row[0]: int(row[2]) for row in rows}


_NEWEST: Final = LAST_SEEN.subquery()
_MISCOUNTED: Final = and_(
    observation.c.kind == "counted", observation.c.seen_units != observation.c.book_units
)
_STRANGER: Final = and_(
    observation.c.kind == "sighted", observation.c.gtin != "", observation.c.book_units <= 0
)
_DOUBTFUL: Final = Statement(
    select(observation.c.bin_id)
    .join(
        _NEWEST,
        and_(
            _NEWEST.c.bin_id == observation.c.bin_id,
            _NEWEST.c.at_ns == observation.c.observed_at_ns,
        ),
    )
    .where(OF_THE_BIN, or_(_MISCOUNTED, _STRANGER))
)


def _doubtful_bins(conn: Connection) -> frozenset[str]:
    """Return the bins whose newest observation is at odds with what the book said then.

    A count differs where its units do; a sighting where it shows an article the book does not have
    there (how many labels are in view says nothing of the units behind them).
    """
    return frozenset(_DOUBTFUL.scalars(conn))


_CAUSES: Final = Statement(
    select(order_line.c.gtin, order_line.c.order_id)
    .join(customer_order, customer_order.c.order_id == order_line.c.order_id)
    .order_by(customer_order.c.ordered_at_ns.desc(), order_line.c.order_id)
    .limit(CAUSES_READ_MAX)
)


def _causes(conn: Connection) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    rows = _CAUSES.tuples(conn)
    for gtin, order_id in rows:
        if len(found[gtin]) < CAUSES_PER_GTIN_MAX and order_id not in found[gtin]:
            found[gtin].append(order_id)
    return {gtin: tuple(ids) for gtin, ids in found.items()}
