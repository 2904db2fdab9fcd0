"""A small site and its snapshot for tests of the planner; a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from central.config import PlanningConfig
from central.replenish.counting import Eye
from central.replenish.types import PlanningSnapshot
from runtime.clock import NS_PER_S
from wire.site import ArticleRow, BinRow, Site, SupplierRow

PEN = "04006381333931"
CUP = "04012345678901"
DAY = 20_000
DAY_S = 86_400.0
NOON_NS = round((DAY + 0.5) * DAY_S * NS_PER_S)


def bin_row(bin_id: str, kind: str, gtin: str = "", capacity_units: int = 1_000) -> BinRow:
    """Return a bin; the first letter of its name is its zone, the digits say where it stands."""
    number = float("".join(c for c in bin_id if c.isdigit()) or 0)
    return BinRow(
        bin_id=bin_id, edge_id=bin_id[0], kind=kind, x_m=number, y_m=float(ord(bin_id[0])),
        z_m=0.0, node_id="n1", gtin=gtin, capacity_units=capacity_units,
    )  # fmt: skip


BINS = (
    bin_row("A-DOCK", "dock"),
    bin_row("A-01", "reserve"),
    bin_row("A-02", "reserve"),
    bin_row("A-03", "reserve"),
    bin_row("B-01", "reserve", capacity_units=120),
    bin_row("B-02", "reserve", capacity_units=120),
    bin_row("B-11", "pick", PEN, 48),
    bin_row("B-12", "pick", CUP, 48),
    bin_row("B-PACK", "pack"),
)


def site(bins: tuple[BinRow, ...] = BINS, case_units: int = 6) -> Site:
    """Return the site: zone A with dock and bulk stock, zone B with faces and forward stock."""
    articles = {
        gtin: ArticleRow(
            gtin=gtin,
            sku=name,
            name=name,
            case_units=case_units,
            price_cents=150,
            supplier_id="S1",
        )
        for gtin, name in ((PEN, "PEN"), (CUP, "CUP"))
    }
    supplier = SupplierRow(supplier_id="S1", name="Supplier", lead_time_d=2)
    return Site(
        bins={row.bin_id: row for row in bins}, articles=articles, nodes={}, edges=(), robots=(),
        people={}, opening=(), suppliers={"S1": supplier},
    )  # fmt: skip


def steady(units: int, days: int = 30) -> tuple[tuple[int, int], ...]:
    """Return a history that sells so much every day."""
    return tuple((DAY - back, units) for back in range(1, days + 1))


def at(units: Mapping[str, int], gtin: str = PEN) -> dict[tuple[str, str], int]:
    """Return {("bin:...", gtin): units} for bins by their names."""
    return {(f"bin:{bin_id}", gtin): count for bin_id, count in units.items()}


RESERVES = ("A-01", "A-02", "A-03", "B-01", "B-02")


def drone(*bins: str, busy: bool = False) -> Eye:
    """Return a drone that sees these bins, or all reserve bins."""
    seen = frozenset(bins or RESERVES)
    return Eye(kind="drone", name="drone-1", edge_id="A", bins=seen, busy=busy)


def snapshot(**changes: Any) -> PlanningSnapshot:
    """Return a snapshot: pens sell 10 a day, no count is due, nothing is anywhere."""
    values: dict[str, Any] = {
        "site": site(),
        "config": PlanningConfig(refill_lead_time_d=0.1, forward_cover_d=3.0),
        "now_ns": NOON_NS,
        "day": DAY,
        "first_day": DAY - 30,
        "history": {PEN: steady(10)},
        "balances": {},
        "last_count_round_ns": NOON_NS,
        "eyes": (drone(),),
    }
    return PlanningSnapshot(**(values | changes))
