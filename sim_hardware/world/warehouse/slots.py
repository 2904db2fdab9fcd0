"""Slotting and the stock of the first day: fast movers near the handover, reserve above and behind.

Pick faces take the lower levels, nearest to the handover first; the reserve is what lies above and
behind them. An article has one face, a fast mover several; faces are dealt out over the zones one
by one, fastest first, so that all zones are equally busy. Its reserve stands in the zone of its
first face, every fourth lot elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim_hardware.world.warehouse.demand import Catalogue, generator
from sim_hardware.world.warehouse.floor import Places
from sim_hardware.world.warehouse.spec import FACES_SHARE_MAX

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FACES_PER_ARTICLE_MAX: Final = 8
FACE_COVER_D: Final = 6.0
"""A face holds what its article sells in so many days, where that fits."""
RESERVE_CAPACITY_UNITS: Final = 240
RESERVE_FULL_MAX: Final = 0.9
LOTS_BY_CLASS: Final = (3, 2, 1)
LOTS_PER_ARTICLE_MAX: Final = 60
ELSEWHERE_EVERY: Final = 4
SOLD_OUT_EVERY: Final = 100
"""One article of so many (from `SOLD_OUT_FROM` on) is nearly gone: it is bought."""
SOLD_OUT_FROM: Final = 20
LOW_EVERY: Final = 20
"""One face of class A of so many is nearly empty: it is to be refilled."""
LOW_DAYS: Final = 0.05
"""Then so many days of sales are left, and a few units at most."""
LOW_UNITS_MAX: Final = 3
NOISE: Final = 0.15
"""Slots were given some weeks ago and sales have changed since: spread of the logarithm."""
FILLED: Final = (0.7, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """All places of all zones: `place` is the number within the zone's places."""

    zone: Ints
    place: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Slotting:
    """One entry per rack place."""

    is_face: NDArray[np.bool_]
    article: Ints
    """What is slotted there; -1: anything may stand there."""
    capacity_units: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Stock of the first day: one article per place."""

    rack: Ints
    article: Ints
    units: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class _Faces:
    """One entry per pick face, fastest first."""

    article: Ints
    rack: Ints
    capacity_units: Ints
    home: Ints
    """By article: the zone of its first face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lots:
    """One entry per lot of reserve stock."""

    article: Ints
    number: Ints
    zone: Ints
    units: Ints
    rack: Ints

    def take(self, keep: Ints) -> _Lots:
        """Return some of the lots."""
        return _Lots(
            article=self.article[keep], number=self.number[keep], zone=self.zone[keep],
            units=self.units[keep], rack=self.rack[keep],
        )  # fmt: skip


def make_rack(places: Places, zones: int, total: int) -> Rack:
    """Return `total` places, as evenly as they go: some zones have one less than others."""
    full = len(places)
    long_zones = total - zones * (full - 1)
    assert 0 < long_zones <= zones, f"{total} places do not go into {zones} zones of {full}"
    zone = np.repeat(np.arange(zones), full)
    place = np.tile(np.arange(full), zones)
    keep = (zone < long_zones) | (place < full - 1)
    return Rack(zone=zone[keep], place=place[keep])


class Slotter:
    """Gives places to articles, and stock to places."""

    def __init__(
        self, seed: int, catalogue: Catalogue, places: Places, rack: Rack, *, pick_levels: int
    ) -> None:
        self._rng = generator(seed, "warehouse/slots")
        self._catalogue = catalogue
        self._places = places
        self._rack = rack
        self._pick_levels = pick_levels
        self._zones = int(rack.zone[-1]) + 1
        noise = np.exp(NOISE * self._rng.standard_normal(len(catalogue)))
        self._seen: Floats = catalogue.units_per_day * noise

    def slot(self, cover_d: float) -> tuple[Slotting, Opening]:
        """Return what is slotted where, and what stands there; the reserve covers `cover_d`."""
        faces = self._deal_faces()
        total = len(self._rack.zone)
        is_face = np.zeros(total, np.bool_)
        is_face[faces.rack] = True
        sold_out = self._draw_sold_out()
        lots = self._place_lots(self._make_lots(faces, sold_out, cover_d), is_face)
        article = np.full(total, -1)
        article[faces.rack] = faces.article
        forward = (self._catalogue.velocity_class[lots.article] == 0) & (lots.number == 0)
        article[lots.rack[forward]] = lots.article[forward]
        capacity = np.full(total, RESERVE_CAPACITY_UNITS)
        capacity[faces.rack] = faces.capacity_units
        rack = np.concatenate([faces.rack, lots.rack])
        order = np.argsort(rack, kind="stable")
        return (
            Slotting(is_face=is_face, article=article, capacity_units=capacity),
            Opening(
                rack=rack[order],
                article=np.concatenate([faces.article, lots.article])[order],
                units=np.concatenate([self._face_units(faces, sold_out), lots.units])[order],
            ),
        )

    def _deal_faces(self) -> _Faces:
        """Return all pick faces: the fastest one of all in the nearest place of zone 1, ..."""
        catalogue, places, rack = self._catalogue, self._places, self._rack
        counts = self._faces_per_article()
        article = np.repeat(np.arange(len(catalogue)), counts)
        # Noise again, so that the faces of one article are not neighbours: two people can pick it.
        noise = np.exp(NOISE * self._rng.standard_normal(len(article)))
        article = article[np.argsort(-(self._seen / counts)[article] * noise, kind="stable")]
        best = np.lexsort(
            (
                places.position, places.aisle, places.level, places.walk_m,
                places.level > self._pick_levels,
            )
        )  # fmt: skip
        rank = np.empty(len(places), np.int64)
        rank[best] = np.arange(len(best))
        by_zone = np.lexsort((rank[rack.place], rack.zone))
        turn = np.arange(len(article))
        starts = np.searchsorted(rack.zone, np.arange(self._zones))
        zone = turn % self._zones
        home = np.full(len(catalogue), -1)
        home[article[::-1]] = zone[::-1]  # an article's first face is written last
        return _Faces(
            article=article,
            rack=by_zone[starts[zone] + turn // self._zones],
            capacity_units=self._face_capacity(counts)[article],
            home=home,
        )

    def _faces_per_article(self) -> Ints:
        """Return how many faces each article gets: all one, then the fastest ones more."""
        catalogue = self._catalogue
        wanted = np.ceil(catalogue.units_per_day * FACE_COVER_D / catalogue.face_units)
        wanted = np.where(catalogue.velocity_class == 0, np.maximum(wanted, 2), wanted)
        counts = np.ones(len(catalogue), np.int64)
        left = int(FACES_SHARE_MAX * len(self._rack.zone)) - len(catalogue)
        assert left >= 0, "more articles than pick faces"
        by_speed = np.argsort(-self._seen, kind="stable")
        for turn in range(1, FACES_PER_ARTICLE_MAX):
            more = by_speed[wanted[by_speed] > turn][:left]
            counts[more] += 1
            left -= len(more)
        return counts

    def _face_capacity(self, counts: Ints) -> Ints:
        """Return by article how much a face holds: whole cases for some days, where that fits."""
        catalogue, case = self._catalogue, self._catalogue.case_units
        cover = catalogue.units_per_day * FACE_COVER_D / counts
        cases = np.ceil(cover / case).astype(np.int64)
        fits: Ints = np.clip(cases * case, 2 * case, np.maximum(catalogue.face_units, 2 * case))
        return fits

    def _draw_sold_out(self) -> NDArray[np.bool_]:
        """Return by article whether hardly anything is left of it."""
        articles = len(self._catalogue)
        found = np.zeros(articles, np.bool_)
        if articles >= SOLD_OUT_FROM:
            count = -(-articles // SOLD_OUT_EVERY)
            found[self._rng.choice(articles, count, replace=False)] = True
        return found

    def _make_lots(self, faces: _Faces, sold_out: NDArray[np.bool_], cover_d: float) -> _Lots:
        """Return the reserve stock as it was delivered, without places as yet."""
        catalogue, case = self._catalogue, self._catalogue.case_units
        total = np.maximum(catalogue.units_per_day * cover_d, 2 * case)
        fewest = np.array(LOTS_BY_CLASS)[catalogue.velocity_class]
        counts = np.maximum(fewest, np.ceil(total / RESERVE_CAPACITY_UNITS).astype(np.int64))
        counts = np.where(sold_out, 0, np.minimum(counts, LOTS_PER_ARTICLE_MAX))
        article = np.repeat(np.arange(len(catalogue)), counts)
        ends = np.cumsum(counts)
        number = np.arange(len(article)) - (ends - counts)[article]
        part = (total / np.maximum(counts, 1))[article]
        part *= self._rng.uniform(*FILLED, len(article))
        cases = np.rint(part / case[article]).astype(np.int64)
        cases = np.clip(cases, 1, RESERVE_CAPACITY_UNITS // case[article])
        away = 1 + self._rng.integers(0, max(1, self._zones - 1), len(article))
        is_away = number % ELSEWHERE_EVERY == ELSEWHERE_EVERY - 1
        zone = (faces.home[article] + np.where(is_away, away, 0)) % self._zones
        return _Lots(
            article=article, number=number, zone=zone, units=cases * case[article],
            rack=np.full(len(article), -1),
        )  # fmt: skip

    def _place_lots(self, lots: _Lots, is_face: NDArray[np.bool_]) -> _Lots:
        """Return the lots with their places: the faster, the nearer; free places in between.

        What is too much for a zone is left out, last lots of slow articles first.
        """
        places, rack = self._places, self._rack
        free = np.flatnonzero(~is_face)
        place = rack.place[free]
        free = free[
            np.lexsort((places.position[place], places.level[place], places.walk_m[place],
                        rack.zone[free]))
        ]  # fmt: skip
        rooms = np.bincount(rack.zone[free], minlength=self._zones)
        lots = lots.take(np.lexsort((-self._seen[lots.article], lots.number, lots.zone)))
        _, at = _within(lots.zone, self._zones)
        lots = lots.take(
            np.flatnonzero(at < (RESERVE_FULL_MAX * rooms).astype(np.int64)[lots.zone])
        )
        lots = lots.take(np.lexsort((lots.number, -self._seen[lots.article], lots.zone)))
        counts, at = _within(lots.zone, self._zones)
        starts = np.cumsum(rooms) - rooms
        chosen = starts[lots.zone] + at * rooms[lots.zone] // counts[lots.zone]
        lots.rack[:] = free[chosen]
        return lots

    def _face_units(self, faces: _Faces, sold_out: NDArray[np.bool_]) -> Ints:
        """Return what stands in each face: mostly full, some nearly empty."""
        share = self._rng.uniform(*FILLED, len(faces.article))
        is_low = sold_out[faces.article]
        fast = np.flatnonzero(self._catalogue.velocity_class[faces.article] == 0)
        is_low[self._rng.choice(fast, -(-len(fast) // LOW_EVERY), replace=False)] = True
        low = self._catalogue.units_per_day[faces.article] * LOW_DAYS
        units = np.where(is_low, np.minimum(low, LOW_UNITS_MAX), faces.capacity_units * share)
        return np.maximum(1, np.rint(units).astype(np.int64))


def _within(zone: Ints, zones: int) -> tuple[Ints, Ints]:
    """Return how many entries each zone has, and each one's number within its zone (sorted)."""
    counts = np.bincount(zone, minlength=zones)
    return counts, np.arange(len(zone)) - (np.cumsum(counts) - counts)[zone]
