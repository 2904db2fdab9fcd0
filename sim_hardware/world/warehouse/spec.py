"""What a generated warehouse shall be, checked; what is not said follows from the bins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeVar

from sim_hardware.world.catalogue import LINES_WEIGHTS, UNITS_WEIGHTS
from sim_hardware.world.warehouse.floor import Sizes

BINS_MIN: Final = 50
BINS_MAX: Final = 1_000_000
ROBOTS_MAX: Final = 10_000
BINS_PER_ROBOT_MIN: Final = 4
BINS_PER_ROBOT: Final = 100
ZONES_MAX: Final = 26 * 26
BINS_PER_ZONE: Final = 10_000
BINS_PER_ZONE_MIN: Final = 40
ONE_ZONE_BINS: Final = 150
BINS_PER_ARTICLE: Final = 5
FACES_SHARE_MAX: Final = 0.6
"""Of all places in racks, extra faces of fast movers included; the others are reserve."""
ARTICLES_SHARE_MAX: Final = 0.5
"""Of all places in racks: each article needs a pick face, and some reserve."""
ORDERS_PER_BIN: Final = 0.15
ORDERS_MAX: Final = 5_000_000.0
COVER_D: Final = 20.0
COVER_D_MAX: Final = 365.0
LINES_PER_PERSON: Final = 300
"""What one person picks on a day, with robots that bring and take."""
PEOPLE_MAX: Final = 50_000
ALL_CHARGE: Final = 12
"""Up to so many robots, each one has a charger; past it, one of three."""
ROBOTS_PER_CHARGER: Final = 3
BINS_PER_DOCK: Final = 6_000
BINS_PER_HAND: Final = 500
STATIONS_MAX: Final = 6
"""Handover places of one zone, and as many packing stations."""
RACKS: Final = ((1_000, 2, 1, 1), (20_000, 3, 1, 1), (200_000, 4, 1, 2), (BINS_MAX, 4, 2, 2))
"""Up to so many bins: levels, bins side by side at a node, levels picked from first."""
T = TypeVar("T", int, float)


class WarehouseError(ValueError):
    """No such warehouse can be built; the text says which number is wrong and what is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for; None: as fits the bins."""

    bins: int
    robots: int | None = None
    skus: int | None = None
    people: int | None = None
    zones: int | None = None
    orders_per_day: float | None = None
    cover_d: float = COVER_D
    """For how many days of demand the reserve lasts."""
    seed: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A warehouse that can be built."""

    bins: int
    robots: int
    skus: int
    people: int
    zones: int
    orders_per_day: float
    cover_d: float
    seed: int
    suppliers: int
    pick_levels: int
    """Levels that are picked from first."""
    rack_bins: int
    """All bins but docks, handover places and packing stations."""
    sizes: Sizes


def make_spec(wish: Wish) -> Spec:
    """Return what is to be built. Raises WarehouseError at the first number that cannot be."""
    bins = _check("bins", wish.bins, BINS_MIN, BINS_MAX)
    zones = _check("zones", _or(wish.zones, _zones(bins)), 1, min(
        ZONES_MAX, max(1, bins // BINS_PER_ZONE_MIN)))  # fmt: skip
    robots = _check("robots", _or(wish.robots, max(2, bins // BINS_PER_ROBOT)), 0, min(
        ROBOTS_MAX, bins // BINS_PER_ROBOT_MIN))  # fmt: skip
    orders_per_day = _or(wish.orders_per_day, round(ORDERS_PER_BIN * bins, 1))
    _check("orders_per_day", orders_per_day, 1, ORDERS_MAX)
    _check("cover_d", wish.cover_d, 0, COVER_D_MAX)
    docks = max(1, bins // BINS_PER_DOCK)
    stations = min(max(1, bins // zones // BINS_PER_HAND), STATIONS_MAX)
    rack_bins = bins - docks - 2 * stations * zones
    skus = _check("skus", _or(wish.skus, max(1, bins // BINS_PER_ARTICLE)), 1,
                  int(ARTICLES_SHARE_MAX * rack_bins))  # fmt: skip
    lines = orders_per_day * mean_of(LINES_WEIGHTS)
    people = max(2 * zones + 1, round(lines / LINES_PER_PERSON))
    levels, across, pick_levels = next(row[1:] for row in RACKS if bins <= row[0])
    chargers = robots if robots <= ALL_CHARGE else math.ceil(robots / ROBOTS_PER_CHARGER)
    return Spec(
        bins=bins,
        robots=robots,
        skus=skus,
        people=_check("people", _or(wish.people, min(people, PEOPLE_MAX)), 1, PEOPLE_MAX),
        zones=zones,
        orders_per_day=orders_per_day,
        cover_d=wish.cover_d,
        seed=wish.seed,
        suppliers=min(max(3, skus // 100), 600),
        pick_levels=pick_levels,
        rack_bins=rack_bins,
        sizes=Sizes(
            zones=zones, places=math.ceil(rack_bins / zones), levels=levels, across=across,
            hands=stations, packs=stations, docks=docks, bays=math.ceil(robots / zones),
            chargers=math.ceil(chargers / zones),
        ),
    )  # fmt: skip


def mean_of(weights: tuple[float, ...]) -> float:
    """Return the mean of 1, 2, 3, ... drawn with these weights."""
    return sum(value * weight for value, weight in enumerate(weights, start=1)) / sum(weights)


def units_per_day(spec: Spec) -> float:
    """Return how many units the customers want on a usual day."""
    return spec.orders_per_day * mean_of(LINES_WEIGHTS) * mean_of(UNITS_WEIGHTS)


def _zones(bins: int) -> int:
    return max(1 if bins < ONE_ZONE_BINS else 2, round(bins / BINS_PER_ZONE))


def _or(wished: T | None, usual: T) -> T:
    return usual if wished is None else wished


def _check(name: str, value: T, least: int, most: float) -> T:
    if not least <= value <= most:
        raise WarehouseError(f"{name} {value:.10g}: expected {least} to {most:.10g}")
    return value
