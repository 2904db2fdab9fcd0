"""Customers: they order, and order again until the shop has taken the order."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from runtime.bus import Bus, Incoming
from runtime.clock import NS_PER_S, Clock
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.seeds import Random
from sim_hardware.config import SimOrders, SimPromotion
from sim_hardware.world.appetite import Appetite
from sim_hardware.world.catalogue import LINES_WEIGHTS, UNITS_WEIGHTS, Demand
from sim_hardware.world.order_file import Line, group_orders, read_order_file
from sim_hardware.world.schedule import WorldCall
from sim_hardware.world.world import World
from wire import topics
from wire.codec import WireError, decode, encode
from wire.messages import CustomerOrder, OrderLine, OrderStatus

REPEAT_S: Final = 3.0
"""An order that nobody answers is said again after so long, then after twice that, and so on."""
REPEAT_S_MAX: Final = 30.0
GIVE_UP_S: Final = 24 * 3_600.0
"""An order that nobody answers for so long is given up: something must be wrong with it."""
OPEN_ORDERS_MAX: Final = 2_000
"""Orders said and not answered; past this the customers wait before they order more."""
log = structlog.get_logger()


@dataclass(slots=True)
class _Said:
    """An order that was published and that nobody has answered yet."""

    payload: bytes
    since_ns: int
    repeat_at_ns: int
    wait_s: float = REPEAT_S
    on_wire: bool = True
    """False: made while the feed was down."""


class Customers:
    """Everybody who buys at this site."""

    def __init__(
        self,
        world: World,
        bus: Bus,
        lane: Lane,
        *,
        site_id: str,
        config: SimOrders,
        demands: list[Demand],
        appetite: Appetite,
        rng: Random,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.orders_created = 0
        self.units_ordered = 0
        self.orders_withdrawn = 0
        self.appetite = appetite
        self._world = world
        self._bus = bus
        self._lane = lane
        self._config = config
        self._demands = demands
        self._rng = rng
        self._clock = clock
        self._metrics = metrics
        self._topic = topics.CUSTOMER_ORDER.of(site=site_id)
        self._prefix = f"O{clock.now_ns() // NS_PER_S:x}"
        self._said: dict[str, _Said] = {}
        self._feed_down = 0
        self._next: WorldCall | None = None
        self._days: deque[list[Line]] = deque()
        if config.kind == "file":
            gtins = {row.sku: row.gtin for row in world.articles.values()}
            path = Path(config.path)
            self._days.extend(read_order_file(path, gtins, first_date=config.first_date))
        bus.subscribe(topics.ORDER_STATUS.of(site=site_id), lane, self._handle_status)

    def start(self) -> None:
        """Begin to order."""
        self._lane.call_every(REPEAT_S, self._repeat)
        if self._config.kind == "file":
            self._begin_day()
        elif self._config.orders_per_day > 0 and self._demands:
            self._wait_for_next()
            self.appetite.on_change(self._wait_anew)
        self.appetite.start()

    # --- what may be asked of them ----------------------------------------------------------------

    def surge(self, what: str, factor: float, duration_s: float = math.inf) -> Callable[[], None]:
        """Let something be ordered so many times as much for so many seconds; return what ends it.

        `what` is a GTIN, a SKU, a word of the articles' names, or `all`. Raises ValueError.
        """
        return self.appetite.surge(what, factor, duration_s)

    def promote(
        self, what: str, factor: float, from_day: float, to_day: float
    ) -> Callable[[], None]:
        """Let a promotion of something be, from one sales day to another; return what ends it."""
        return self.appetite.promote(
            SimPromotion(what=what, factor=factor, from_day=from_day, to_day=to_day)
        )

    def order(self, lines: list[Line]) -> None:
        """Let somebody order exactly this now: (GTIN-14, units), each article once."""
        self._make(lines)

    @property
    def unanswered(self) -> int:
        """How many orders were made that nobody has answered yet. Any thread may ask."""
        return len(self._said)

    def pause_feed(self) -> None:
        """Let orders wait in the shop: none reaches the warehouse. Paused twice, resume twice."""
        self._feed_down += 1

    def resume_feed(self) -> None:
        """Hand over everything that has waited, then go on as usual."""
        assert self._feed_down > 0, "the feed was resumed more often than paused"
        self._feed_down -= 1
        if self._feed_down:
            return
        for said in self._said.values():
            if not said.on_wire:
                said.on_wire = True
                self._bus.publish(self._topic, said.payload)

    def withdraw_waiting(self, count: int) -> int:
        """Let up to so many customers cancel what still waits in the shop; return how many did.

        What was handed over cannot be taken back: no message says so.
        """
        waiting = [order_id for order_id, said in self._said.items() if not said.on_wire][:count]
        for order_id in waiting:
            del self._said[order_id]
        self.orders_withdrawn += len(waiting)
        return len(waiting)

    # --- drawn orders -----------------------------------------------------------------------------

    def _wait_for_next(self) -> None:
        self._next = None
        rate = self._config.orders_per_day / self._config.day_s * self._times_as_many()
        if rate > 0.0:
            gap_s = self._rng.expovariate(rate)
            self._next = self._world.time.after_real(gap_s, self._order_something)

    def _wait_anew(self) -> None:
        """Draw the next order's time again, since orders come at another rate now."""
        if self._next is not None:
            self._next.cancel()
        self._wait_for_next()

    def _times_as_many(self) -> float:
        """Return how many times as many orders come as on a usual day."""
        if self.appetite.is_usual():
            return self.appetite.common()
        usual = sum(demand.mean_units_per_day for demand in self._demands)
        return self.appetite.common() * sum(self._weights()) / usual if usual else 1.0

    def _weights(self) -> list[float]:
        """Return how much each article is wanted now."""
        if self.appetite.is_usual():
            return [demand.mean_units_per_day for demand in self._demands]
        return [d.mean_units_per_day * self.appetite.of(d.gtin) for d in self._demands]

    def _order_something(self) -> None:
        self._make(self._draw_lines())
        self._wait_for_next()

    def _draw_lines(self) -> list[Line]:
        """Return 1 to 3 lines of 1 to 4 units, as the articles sell; slow movers by the piece."""
        config = self._config
        lines_wanted = _draw(self._rng, config.lines_weights or LINES_WEIGHTS)
        weights = self._weights()
        units_max = {
            demand.gtin: max(1, round(weight))
            for demand, weight in zip(self._demands, weights, strict=True)
        }
        lines: dict[str, int] = {}
        for demand in self._rng.choices(self._demands, weights, k=lines_wanted):
            drawn = _draw(self._rng, config.units_weights or UNITS_WEIGHTS)
            lines[demand.gtin] = min(drawn, units_max[demand.gtin])
        return list(lines.items())

    # --- orders from a file -----------------------------------------------------------------------

    def _begin_day(self) -> None:
        """Spread the sales of the next date over one day."""
        if not self._days:
            log.info("the file of sales has ended: nobody orders any more")
            return
        for lines in group_orders(self._rng, self._days.popleft()):
            at_s = self._rng.uniform(0.0, self._config.day_s)
            self._world.time.after_real(at_s, functools.partial(self._make, lines))
        self._world.time.after_real(self._config.day_s, self._begin_day)

    # --- on the wire ------------------------------------------------------------------------------

    def _make(self, lines: list[Line]) -> None:
        """Order this unless the shop takes no more."""
        if len(self._said) >= OPEN_ORDERS_MAX:
            self._metrics.count("orders_not_made", "shop does not answer")
            return
        self.orders_created += 1
        self.units_ordered += sum(units for _, units in lines)
        order_id = f"{self._prefix}-{self.orders_created}"
        order = CustomerOrder(
            order_id=order_id,
            lines=tuple(OrderLine(gtin=gtin, units=units) for gtin, units in lines),
            ordered_at_ns=self._clock.now_ns(),
        )
        now_ns = self._clock.monotonic_ns()
        self._said[order_id] = _Said(
            encode(order), now_ns, now_ns + _ns(REPEAT_S), on_wire=not self._feed_down
        )
        if not self._feed_down:
            self._bus.publish(self._topic, self._said[order_id].payload)

    def _repeat(self) -> None:
        """Say again what was said some time ago and not answered.

        What is published while the broker is away waits for it: more of the same would not help.
        """
        if self._feed_down or not self._bus.connected:
            return
        now_ns = self._clock.monotonic_ns()
        for order_id, said in list(self._said.items()):
            if now_ns - said.since_ns > _ns(GIVE_UP_S):
                del self._said[order_id]
                self._metrics.count("orders_given_up")
                log.warning("the shop never answered an order", order=order_id)
            elif now_ns >= said.repeat_at_ns:
                said.wait_s = min(2 * said.wait_s, REPEAT_S_MAX)
                said.repeat_at_ns = now_ns + _ns(said.wait_s)
                self._metrics.count("orders_repeated")
                self._bus.publish(self._topic, said.payload)

    def _handle_status(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            try:
                status = decode(incoming.payload, OrderStatus)
            except WireError as error:
                self._metrics.count("wire_refused", "OrderStatus")
                log.warning("order status refused", error=str(error))
                continue
            if self._said.pop(status.order_id, None) is not None:
                self._metrics.count("orders_answered", status.status)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def _draw(rng: Random, weights: tuple[float, ...]) -> int:
    """Return 1, 2, 3, ... with these weights."""
    return rng.choices(range(1, len(weights) + 1), weights)[0]
