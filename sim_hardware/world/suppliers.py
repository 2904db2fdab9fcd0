"""Suppliers: they confirm what is bought, and after their lead time lorries stand at the dock.

A notice says what has come so far by the paper. The paper knows when less or more was loaded; it
does not know of a wrong pallet, or of what broke on the way.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from runtime.bus import Bus, Incoming
from runtime.clock import Clock
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.seeds import Random
from sim_hardware.config import SimSuppliers
from sim_hardware.world.world import World
from wire import topics
from wire.codec import WireError, decode, encode
from wire.messages import OrderLine, PurchaseOrder, SupplierNotice

NOTICES_MAX: Final = 5
NOTICE_S: Final = 4.0
ORDERS_KEPT_MAX: Final = 10_000
CONFIRMED: Final = "confirmed"
OFF: Final = ("short", "over", "damaged")
"""How a delivery can differ from what was ordered."""
ARRIVED: Final = "arrived"
Line = tuple[str, int]
log = structlog.get_logger()


@dataclass(slots=True)
class _Purchase:
    """A purchase order and how far it is."""

    order: PurchaseOrder
    status: str = CONFIRMED
    came: Counter[str] = field(default_factory=Counter)
    """What has come so far, by the papers."""


@dataclass(slots=True)
class _Lorry:
    """A part of a purchase order on the road."""

    purchase: _Purchase
    lines: tuple[Line, ...]
    delayed_d: float = 0.0
    notices: int = 0


@dataclass(slots=True)
class _Trouble:
    """What is wrong with one supplier for the time being."""

    delay_d: float = 0.0
    short: float = 0.0
    over: float = 0.0
    damaged: float = 0.0
    wrong: dict[str, str] = field(default_factory=dict)
    """GTIN-14 ordered to GTIN-14 that stands on the pallet."""


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
        habits: Sequence[SimSuppliers],
        rng: Random,
        habits_rng: Random,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.deliveries = 0
        self.units_off: Counter[tuple[str, str]] = Counter()
        """By supplier and one of OFF: units that did not come as they were ordered."""
        self._world = world
        self._bus = bus
        self._site_id = site_id
        self._day_s = day_s
        self._rng = rng
        self._habits_rng = habits_rng
        self._habits = {name: _habit_of(habits, name) for name in world.site.suppliers}
        self._trouble = {name: _Trouble() for name in world.site.suppliers}
        self._clock = clock
        self._metrics = metrics
        self._purchases: dict[str, _Purchase] = {}
        bus.subscribe(topics.PURCHASE_ORDER.any(site=site_id), lane, self._handle_orders)

    # --- what may be asked of them ----------------------------------------------------------------

    def delay(self, supplier_id: str, days: float) -> None:
        """Let everything of a supplier that is not here yet come so many days later; 0: no more.

        This and what follows raise ValueError for a supplier or article that there is not.
        """
        self._of(supplier_id).delay_d = days

    def short(self, supplier_id: str, share: float) -> None:
        """Let lorries bring so much less than was ordered, from now on; 0: as ordered again."""
        self._of(supplier_id).short = share

    def over(self, supplier_id: str, share: float) -> None:
        """Let lorries bring so much more than was ordered, from now on; 0: as ordered again."""
        self._of(supplier_id).over = share

    def damage(self, supplier_id: str, share: float) -> None:
        """Let so much of what lorries bring be broken, from now on; 0: none."""
        self._of(supplier_id).damaged = share

    def wrong_pallet(self, supplier_id: str, gtin: str, instead: str) -> None:
        """Let the next pallet of an article be of another one, which its paper does not say."""
        for name in (gtin, instead):
            if name not in self._world.articles:
                raise ValueError(f"article {name!r} is not in articles.csv")
        self._of(supplier_id).wrong[gtin] = instead

    def right_pallet(self, supplier_id: str, gtin: str) -> None:
        """Let pallets of an article be right again, where the wrong one has not come yet."""
        self._of(supplier_id).wrong.pop(gtin, None)

    def _of(self, supplier_id: str) -> _Trouble:
        if supplier_id not in self._trouble:
            known = ", ".join(sorted(self._trouble)) or "none"
            raise ValueError(f"supplier {supplier_id!r} is not in suppliers.csv; there is {known}")
        return self._trouble[supplier_id]

    # --- orders -----------------------------------------------------------------------------------

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
            lead_d = self._draw_lead_d(order.supplier_id)
            for after_d, lines in self._load(order):
                lorry = _Lorry(purchase, lines)
                self._world.time.after_real(
                    (lead_d + after_d) * self._day_s, functools.partial(self._arrive, lorry)
                )

    def _draw_lead_d(self, supplier_id: str) -> float:
        """Return how long it takes until the first lorry of an order is here."""
        habit = self._habits[supplier_id]
        spread = habit.lead_spread
        lead_d = self._world.site.suppliers[supplier_id].lead_time_d
        if habit.lead == "uniform":
            lead_d *= self._rng.uniform(1.0 - spread, 1.0 + spread)
        elif spread > 0.0 and habit.lead == "gamma":
            lead_d *= self._rng.gammavariate(spread**-2, spread**2)
        elif spread > 0.0:
            sigma = math.sqrt(math.log(1.0 + spread**2))
            lead_d *= self._rng.lognormvariate(-(sigma**2) / 2.0, sigma)
        if self._happens(habit.late_share):
            lead_d += self._habits_rng.expovariate(1.0 / habit.late_d) if habit.late_d else 0.0
        return max(lead_d, 0.0)

    def _load(self, order: PurchaseOrder) -> list[tuple[float, tuple[Line, ...]]]:
        """Return the lorries of an order: (days after the first one, what is on it)."""
        habit = self._habits[order.supplier_id]
        lines = tuple((line.gtin, line.units) for line in order.lines)
        parts = self._habits_rng.randint(1, habit.parts_max) if habit.parts_max > 1 else 1
        if parts == 1:
            return [(0.0, lines)]
        lorries, after_d = [], 0.0
        for number in range(parts):
            part = tuple(
                (gtin, units * (number + 1) // parts - units * number // parts)
                for gtin, units in lines
            )
            loaded = tuple(line for line in part if line[1])
            if loaded:
                lorries.append((after_d, loaded))
            gap_d = habit.part_gap_d
            after_d += self._habits_rng.expovariate(1.0 / gap_d) if gap_d else 0.0
        return lorries

    def _happens(self, share: float) -> bool:
        return share > 0.0 and self._habits_rng.random() < share

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

    def _arrive(self, lorry: _Lorry) -> None:
        """Let the lorry stand at the dock, with its goods on it, unless it is still late."""
        purchase = lorry.purchase
        supplier_id = purchase.order.supplier_id
        owed_d = self._trouble[supplier_id].delay_d - lorry.delayed_d
        if owed_d > 0.0:
            lorry.delayed_d += owed_d
            self._world.time.after_real(
                owed_d * self._day_s, functools.partial(self._arrive, lorry)
            )
            return
        for gtin, units in lorry.lines:
            loaded = self._loaded_units(supplier_id, units)
            if loaded:
                purchase.came[gtin] += loaded
                self._unload(supplier_id, self._really(supplier_id, gtin), loaded)
        if not purchase.came:
            log.info("a lorry came empty", po=purchase.order.po_id)
            return
        purchase.status = ARRIVED
        self.deliveries += 1
        self._tell_arrival(lorry)

    def _loaded_units(self, supplier_id: str, units: int) -> int:
        """Return how many units are loaded where so many were ordered; the paper says so."""
        habit, trouble = self._habits[supplier_id], self._trouble[supplier_id]
        less, more = trouble.short, trouble.over
        if self._happens(habit.short_share):
            less += self._habits_rng.uniform(0.0, habit.off_by)
        elif self._happens(habit.over_share):
            more += self._habits_rng.uniform(0.0, habit.off_by)
        loaded = max(0, units + math.ceil(units * more) - math.ceil(units * less))
        self.units_off[supplier_id, "short" if loaded < units else "over"] += abs(loaded - units)
        return loaded

    def _really(self, supplier_id: str, gtin: str) -> str:
        """Return which article stands on the pallet that the paper calls `gtin`."""
        instead = self._trouble[supplier_id].wrong.pop(gtin, "")
        if not instead and self._happens(self._habits[supplier_id].wrong_share):
            others = [
                row.gtin for row in self._world.articles.values()
                if row.supplier_id == supplier_id and row.gtin != gtin
            ]  # fmt: skip
            instead = self._habits_rng.choice(others) if others else ""
        if instead:
            log.info("a wrong pallet", supplier=supplier_id, paper=gtin, really=instead)
        return instead or gtin

    def _unload(self, supplier_id: str, gtin: str, units: int) -> None:
        """Put units before the dock; what is broken nobody receives."""
        share = self._trouble[supplier_id].damaged + self._habits[supplier_id].damaged_share
        broken = 0
        if share > 0.0:
            broken = sum(self._habits_rng.random() < share for _ in range(units))
        mark = self._world.lots.next_of(gtin)
        if units > broken:
            self._world.stock.arrive(f"supplier:{supplier_id}", gtin, units - broken, mark)
        if broken:
            self.units_off[supplier_id, "damaged"] += broken
            self._world.stock.arrive(f"damaged:{supplier_id}", gtin, broken, mark)

    def _tell_arrival(self, lorry: _Lorry) -> None:
        """Say that the lorry is here, a few times: nobody acknowledges this notice."""
        self._notify(lorry.purchase)
        lorry.notices += 1
        if lorry.notices < NOTICES_MAX:
            self._world.time.after_real(NOTICE_S, functools.partial(self._tell_arrival, lorry))

    def _notify(self, purchase: _Purchase) -> None:
        order = purchase.order
        notice = SupplierNotice(
            po_id=order.po_id,
            supplier_id=order.supplier_id,
            status=purchase.status,
            lines=_paper(purchase),
            at_ns=self._clock.now_ns(),
        )
        topic = topics.SUPPLIER_NOTICE.of(site=self._site_id, supplier=order.supplier_id)
        self._bus.publish(topic, encode(notice))


def _paper(purchase: _Purchase) -> tuple[OrderLine, ...]:
    """Return what was ordered, or once lorries came what has come so far."""
    if purchase.status != ARRIVED:
        return purchase.order.lines
    return tuple(OrderLine(gtin=gtin, units=units) for gtin, units in purchase.came.items())


def _habit_of(rows: Sequence[SimSuppliers], supplier_id: str) -> SimSuppliers:
    own = next((row for row in rows if supplier_id in row.supplier_ids), None)
    return own or next((row for row in rows if not row.supplier_ids), SimSuppliers())
