"""Suppliers: they confirm what is bought, and after their lead time a lorry stands at the dock."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import structlog

from runtime.bus import Bus, Incoming
from runtime.clock import Clock
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.seeds import Random
from sim_hardware.world.world import World
from wire import topics
from wire.codec import WireError, decode, encode
from wire.messages import PurchaseOrder, SupplierNotice

LEAD_SPREAD: Final = 0.2
"""A lorry comes up to this share of the lead time early or late."""
NOTICES_MAX: Final = 5
NOTICE_S: Final = 4.0
ORDERS_KEPT_MAX: Final = 10_000
CONFIRMED: Final = "confirmed"
ARRIVED: Final = "arrived"
log = structlog.get_logger()


@dataclass(slots=True)
class _Purchase:
    """A purchase order and how far it is."""

    order: PurchaseOrder
    status: str = CONFIRMED
    notices: int = 0


class Suppliers:
    """All suppliers of this site. An order repeated is answered again and delivered once."""

    def __init__(
        self,
        world: World,
        bus: Bus,
        lane: Lane,
        *,
        site_id: str,
        day_s: float,
        rng: Random,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.deliveries = 0
        self._world = world
        self._bus = bus
        self._site_id = site_id
        self._day_s = day_s
        self._rng = rng
        self._clock = clock
        self._metrics = metrics
        self._purchases: dict[str, _Purchase] = {}
        bus.subscribe(topics.PURCHASE_ORDER.any(site=site_id), lane, self._handle_orders)

    def _handle_orders(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            try:
                order = decode(incoming.payload, PurchaseOrder)
                self._check(order, incoming.topic)
            except (WireError, ValueError) as error:
                self._metrics.count("wire_refused", "PurchaseOrder")
                log.warning("purchase order refused", topic=incoming.topic, error=str(error))
                continue
            known = self._purchases.get(order.po_id)
            if known is not None:
                self._notify(known)
                continue
            purchase = self._purchases[order.po_id] = _Purchase(order)
            self._notify(purchase)
            lead_d = self._world.site.suppliers[order.supplier_id].lead_time_d
            lead_d *= self._rng.uniform(1.0 - LEAD_SPREAD, 1.0 + LEAD_SPREAD)
            self._world.time.after_real(
                lead_d * self._day_s, functools.partial(self._arrive, purchase)
            )

    def _check(self, order: PurchaseOrder, topic: str) -> None:
        """Raise ValueError where this order is not for us or cannot be delivered."""
        parts = topics.PURCHASE_ORDER.parts(topic) or {}
        if order.supplier_id != parts.get("supplier"):
            raise ValueError(f"supplier {order.supplier_id!r} in a message to {topic}")
        if order.supplier_id not in self._world.site.suppliers:
            raise ValueError(f"supplier {order.supplier_id!r} is not in suppliers.csv")
        unknown = [line.gtin for line in order.lines if line.gtin not in self._world.articles]
        if unknown:
            raise ValueError(f"article {unknown[0]} is not in articles.csv")
        if len(self._purchases) >= ORDERS_KEPT_MAX and order.po_id not in self._purchases:
            raise ValueError(f"over {ORDERS_KEPT_MAX} purchase orders in one run")

    def _arrive(self, purchase: _Purchase) -> None:
        """Let the lorry stand at the dock, with all its goods on it."""
        for line in purchase.order.lines:
            place = f"supplier:{purchase.order.supplier_id}"
            self._world.stock.arrive(place, line.gtin, line.units)
        purchase.status = ARRIVED
        self.deliveries += 1
        self._tell_arrival(purchase)

    def _tell_arrival(self, purchase: _Purchase) -> None:
        """Say that the lorry is here, a few times: nobody acknowledges this notice."""
        self._notify(purchase)
        purchase.notices += 1
        if purchase.notices < NOTICES_MAX:
            self._world.time.after_real(NOTICE_S, functools.partial(self._tell_arrival, purchase))

    def _notify(self, purchase: _Purchase) -> None:
        order = purchase.order
        notice = SupplierNotice(
            po_id=order.po_id,
            supplier_id=order.supplier_id,
            status=purchase.status,
            lines=order.lines,
            at_ns=self._clock.now_ns(),
        )
        topic = topics.SUPPLIER_NOTICE.of(site=self._site_id, supplier=order.supplier_id)
        self._bus.publish(topic, encode(notice))
