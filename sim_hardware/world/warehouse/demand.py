"""What a warehouse of any size sells: a catalogue by category, and eight weeks of sales.

How fast articles sell is lognormal: with a spread of 1.68 the fastest fifth makes 80 % of the units
(the share of the fastest p is Phi(spread - z(1 - p))). The quantiles are taken evenly rather than
drawn, so that a site of 40 articles has the same shape as one of 200 000.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from runtime.seeds import stream
from sim_hardware.world.catalogue import COMPANY, DEMO_PREFIX, WEEKDAY_FACTOR

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

VELOCITY_SPREAD: Final = 1.68
SHARE_A: Final = 0.8
SHARE_B: Final = 0.95
"""Class A: the fastest articles up to this share of all units; B: up to that; C: the others."""
CLASSES: Final = "ABC"
HISTORY_DAYS: Final = 56
DISPERSION: Final = 4.0
"""Gamma shape of a regular article's daily rate: variance is mean + mean^2 / this."""
SLOW_DAYS_SHARE: Final = 0.35
"""An article of class C sells on this share of days at most, then several units at once."""
SLOW_SALE_UNITS: Final = 1.5
TREND: Final = (-0.2, 0.25)
"""Change of an article's rate over the eight weeks, drawn evenly."""
PROMOTION_WEEKS_SHARE: Final = 0.03
PROMOTION_FACTOR: Final = (1.5, 4.0)
CODE_BASE: Final = int(f"{DEMO_PREFIX}{COMPANY}00000")
"""Numbers go up from here: all begin with the prefix that GS1 keeps for examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A kind of goods: how it is packed, priced, and how much fits into a pick face."""

    share: float
    """Of all articles."""
    price_cents: int
    """Median."""
    price_spread: float
    """Of the logarithm."""
    case_units: tuple[int, ...]
    face_units: int
    """What fits into one pick face."""
    nouns: tuple[str, ...]
    sorts: tuple[str, ...]


CATEGORIES: Final = (
    Category(
        share=0.26, price_cents=289, price_spread=0.5, case_units=(6, 12, 12, 24), face_units=120,
        nouns=("Oat biscuits", "Black tea", "Tomato sauce", "Rye bread mix", "Rice", "Pepper"),
        sorts=("small", "family size", "organic", "mild", "strong"),
    ),
    Category(
        share=0.10, price_cents=159, price_spread=0.4, case_units=(6, 6, 12, 24), face_units=72,
        nouns=("Apple juice", "Mineral water", "Ginger lemonade", "Iced tea", "Oat drink"),
        sorts=("0.5 l", "1 l", "1.5 l", "six pack"),
    ),
    Category(
        share=0.16, price_cents=449, price_spread=0.6, case_units=(6, 12, 24), face_units=96,
        nouns=("Olive soap", "Shampoo", "Toothbrush", "Hand cream", "Sun lotion"),
        sorts=("plain", "lavender", "for children", "refill", "travel"),
    ),
    Category(
        share=0.16, price_cents=799, price_spread=0.7, case_units=(4, 6, 12), face_units=48,
        nouns=("Dish brush", "Paper towels", "Storage box", "Light bulb", "Frying pan", "Candle"),
        sorts=("small", "medium", "large", "set of two"),
    ),
    Category(
        share=0.16, price_cents=2_499, price_spread=0.6, case_units=(2, 4, 6, 12), face_units=36,
        nouns=("Rain cape", "Umbrella", "T-shirt", "Wool socks", "Cap", "Work gloves"),
        sorts=("S", "M", "L", "XL", "navy", "red"),
    ),
    Category(
        share=0.08, price_cents=3_999, price_spread=0.9, case_units=(1, 2, 5, 10), face_units=36,
        nouns=("Headphones", "Charging cable", "Desk lamp", "Keyboard", "Torch"),
        sorts=("black", "white", "basic", "long"),
    ),
    Category(
        share=0.08, price_cents=1_799, price_spread=0.7, case_units=(2, 4, 6), face_units=30,
        nouns=("Board game", "Puzzle", "Wooden train", "Kite", "Ball", "Paint box"),
        sorts=("from 3 years", "from 6 years", "for two", "large"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """One entry per article, in the order of their GTINs."""

    gtin: Ints
    category: Ints
    noun: Ints
    sort: Ints
    case_units: Ints
    price_cents: Ints
    supplier: Ints
    face_units: Ints
    units_per_day: Floats
    """What is wanted of it on a usual day."""
    velocity_class: Ints
    """0, 1, 2: A, B, C."""

    def __len__(self) -> int:
        return len(self.gtin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sales:
    """Units by day (-1 is the last one before the site opens) and article, sorted."""

    day: Ints
    article: Ints
    units: Ints

    def per_day(self, articles: int) -> Floats:
        """Return each article's mean units per day."""
        return np.bincount(self.article, self.units, articles) / HISTORY_DAYS


def generator(seed: int, name: str) -> np.random.Generator:
    """Return numpy's random numbers of the stream `name` under `seed`."""
    return np.random.Generator(np.random.PCG64(stream(seed, name).getrandbits(128)))


def make_catalogue(seed: int, *, articles: int, suppliers: int, units_per_day: float) -> Catalogue:
    """Return articles that together are wanted `units_per_day`."""
    rng = generator(seed, "warehouse/articles")
    velocity = _velocities(rng, articles) * units_per_day
    category = rng.choice(len(CATEGORIES), articles, p=[c.share for c in CATEGORIES])
    median = np.array([c.price_cents for c in CATEGORIES])[category]
    spread = np.array([c.price_spread for c in CATEGORIES])[category]
    price = median * np.exp(spread * rng.standard_normal(articles))
    # Prices end in 9, as shops like them.
    price_cents = np.maximum(19, np.rint(price / 10).astype(np.int64) * 10 - 1)
    return Catalogue(
        gtin=_gtins(articles),
        category=category,
        noun=_draw(rng, category, [len(c.nouns) for c in CATEGORIES]),
        sort=_draw(rng, category, [len(c.sorts) for c in CATEGORIES]),
        case_units=_cases(rng, category),
        price_cents=price_cents,
        supplier=_suppliers(rng, category, suppliers),
        face_units=np.array([c.face_units for c in CATEGORIES])[category],
        units_per_day=velocity,
        velocity_class=velocity_classes(velocity),
    )


def velocity_classes(units: Floats) -> Ints:
    """Return 0, 1, 2 for classes A, B, C: the fastest to 80 % of the units, to 95 %, the others.

    The article that crosses a border still belongs to the faster class.
    """
    order = np.argsort(-units, kind="stable")
    before = np.cumsum(units[order]) - units[order]
    total = max(float(units.sum()), 1e-9)
    found = np.empty(len(units), np.int64)
    found[order] = (before >= SHARE_A * total).astype(np.int64) + (before >= SHARE_B * total)
    return found


def make_sales(seed: int, catalogue: Catalogue) -> Sales:
    """Return eight weeks of sales: weekdays, trends, promotions, slow movers with many zeros."""
    rng = generator(seed, "warehouse/history")
    articles = len(catalogue)
    trend = rng.uniform(*TREND, articles)
    is_slow = catalogue.velocity_class == CLASSES.index("C")
    sale_units = np.maximum(SLOW_SALE_UNITS, catalogue.units_per_day / SLOW_DAYS_SHARE)
    rows: list[tuple[Ints, Ints, Ints]] = []
    lift = np.ones(articles)
    for day in range(-HISTORY_DAYS, 0):
        if day % len(WEEKDAY_FACTOR) == 0:
            promoted = rng.random(articles) < PROMOTION_WEEKS_SHARE
            lift = np.where(promoted, rng.uniform(*PROMOTION_FACTOR, articles), 1.0)
        # The trend reaches the usual rate on the last day before the site opens.
        rate = catalogue.units_per_day * (1.0 + trend * (day + 1) / HISTORY_DAYS) * lift
        rate *= WEEKDAY_FACTOR[day % len(WEEKDAY_FACTOR)]
        units = np.where(
            is_slow, _slow(rng, rate, sale_units), _regular(rng, np.where(is_slow, 0.0, rate))
        )
        (sold,) = np.nonzero(units)
        rows.append((np.full(len(sold), day), sold, units[sold]))
    day_column, article, units = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Sales(day=day_column, article=article, units=units)


def _regular(rng: np.random.Generator, rate: Floats) -> Ints:
    """Return units of articles that sell on most days."""
    return rng.poisson(rate * rng.gamma(DISPERSION, 1.0 / DISPERSION, len(rate)))


def _slow(rng: np.random.Generator, rate: Floats, sale_units: Floats) -> Ints:
    """Return units of articles that sell on few days, then `sale_units` in the mean."""
    sells = rng.random(len(rate)) * sale_units < rate
    return np.where(sells, 1 + rng.poisson(sale_units - 1.0), 0)


def _velocities(rng: np.random.Generator, articles: int) -> Floats:
    """Return shares of all units that add up to one, in random order."""
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((i + 0.5) / articles) for i in range(articles)])
    weights = np.exp(VELOCITY_SPREAD * quantiles)
    rng.shuffle(weights)
    shares: Floats = weights / weights.sum()
    return shares


def _gtins(articles: int) -> Ints:
    """Return GTIN-13 numbers of a company that does not exist, with their check digits."""
    codes = CODE_BASE + np.arange(1, articles + 1)
    digits = codes[:, None] // 10 ** np.arange(12)[None, :] % 10
    total = (digits * np.where(np.arange(12) % 2 == 0, 3, 1)).sum(axis=1)
    found: Ints = codes * 10 + (10 - total % 10) % 10
    return found


def _draw(rng: np.random.Generator, category: Ints, counts: list[int]) -> Ints:
    """Return a number below the count of each one's category."""
    below: Ints = np.array(counts)[category]
    found: Ints = (rng.random(len(category)) * below).astype(np.int64)
    return found


def _cases(rng: np.random.Generator, category: Ints) -> Ints:
    most = max(len(c.case_units) for c in CATEGORIES)
    table = np.array([[*c.case_units, *(0,) * (most - len(c.case_units))] for c in CATEGORIES])
    found: Ints = table[category, _draw(rng, category, [len(c.case_units) for c in CATEGORIES])]
    return found


def _suppliers(rng: np.random.Generator, category: Ints, suppliers: int) -> Ints:
    """Return who sells each article: every supplier sells one category, a few of them much."""
    mine = np.array([len(range(c, suppliers, len(CATEGORIES))) for c in range(len(CATEGORIES))])
    number: Ints = (mine[category] * rng.random(len(category)) ** 2).astype(np.int64)
    found: Ints = np.where(
        mine[category] > 0, category + len(CATEGORIES) * number, category % suppliers
    )
    return found
