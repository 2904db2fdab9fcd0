"""Customers: they order, and order again until the shop has taken the order."""

from __future__ import annotations

import functools
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from runtime.bus import Bus, Incoming
from runtime.clock import NS_PER_S, Clock
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.seeds import Random
from sim_hardware.config import SimOrders
from sim_hardware.world.catalogue import LINES_WEIGHTS, UNITS_WEIGHTS, Demand
from sim_hardware.world.order_file import Line, group_orders, read_order_file
from sim_hardware.world.world import World
from wire import topics
from wire.codec import WireError, decode, encode
from wire.messages import CustomerOrder, OrderLine, OrderStatus

REPEAT_S: Final = 3.0
REPEATS_MAX: Final = 20
OPEN_ORDERS_MAX: Final = 2_000
"""Orders said and not answered; past this the customers wait before they order more."""
log = structlog.get_logger()


@dataclass(slots=True)
class _Said:
    """An order that was published and that nobody has answered yet."""

    payload: bytes
    repeats: int = 0


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
        rng: Random,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.orders_created = 0
        self.units_ordered = 0
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

    # --- drawn orders -----------------------------------------------------------------------------

    def _wait_for_next(self) -> None:
        gap_s = self._rng.expovariate(self._config.orders_per_day / self._config.day_s)
        self._world.time.after_real(gap_s, self._order_something)

    def _order_something(self) -> None:
        self._order(self._draw_lines())
        self._wait_for_next()

    def _draw_lines(self) -> list[Line]:
        """Return 1 to 3 lines of 1 to 4 units, as the articles sell; slow movers by the piece."""
        lines_wanted = _draw(self._rng, LINES_WEIGHTS)
        weights = [demand.mean_units_per_day for demand in self._demands]
        lines: dict[str, int] = {}
        for demand in self._rng.choices(self._demands, weights, k=lines_wanted):
            units_max = max(1, round(demand.mean_units_per_day))
            lines[demand.gtin] = min(_draw(self._rng, UNITS_WEIGHTS), units_max)
        return list(lines.items())

    # --- orders from a file -----------------------------------------------------------------------

    def _begin_day(self) -> None:
        """Spread the sales of the next date over one day."""
        if not self._days:
            log.info("the file of sales has ended: nobody orders any more")
            return
        for lines in group_orders(self._rng, self._days.popleft()):
            at_s = self._rng.uniform(0.0, self._config.day_s)
            self._world.time.after_real(at_s, functools.partial(self._order, lines))
        self._world.time.after_real(self._config.day_s, self._begin_day)

    # --- on the wire ------------------------------------------------------------------------------

    def _order(self, lines: list[Line]) -> None:
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
        self._said[order_id] = _Said(encode(order))
        self._bus.publish(self._topic, self._said[order_id].payload)

    def _repeat(self) -> None:
        """Say again what was said some time ago and not answered."""
        for order_id, said in list(self._said.items()):
            said.repeats += 1
            if said.repeats > REPEATS_MAX:
                del self._said[order_id]
                self._metrics.count("orders_given_up")
                log.warning("the shop never answered an order", order=order_id)
            elif said.repeats > 1:  # the first round may come at once after the order
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


def _draw(rng: Random, weights: tuple[float, ...]) -> int:
    """Return 1, 2, 3, ... with these weights."""
    return rng.choices(range(1, len(weights) + 1), weights)[0]
