"""What a generated site sells: articles with GTINs, and how much of each is wanted per day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runtime.seeds import Random
from wire.ids import Gtin14, gs1_check_digit, parse_gtin
from wire.site import ArticleRow, SupplierRow

DEMO_PREFIX: Final = "952"
"""GS1 keeps prefix 952 for demonstrations and examples of the GS1 system: no product on sale bears
such a number. The restricted prefixes (02, 04, 2xx) may mean something else in each shop."""
COMPANY: Final = "1321"
ARTICLES_DEFAULT: Final = 40
HISTORY_DAYS: Final = 56
WEEKDAY_FACTOR: Final = (0.9, 0.85, 0.9, 1.0, 1.25, 1.3, 0.8)
LINES_WEIGHTS: Final = (0.5, 0.3, 0.2)
UNITS_WEIGHTS: Final = (0.4, 0.3, 0.18, 0.12)
CASE_UNITS: Final = (6, 12, 12, 24)
_KINDS: Final = (
    "Oat biscuits", "Black tea", "Rain cape", "Umbrella", "Apple juice", "Olive soap",
    "Rye bread mix", "Tomato sauce", "Paper towels", "Dish brush",
)  # fmt: skip
_SORTS: Final = ("small", "family size", "organic", "travel")
SUPPLIERS: Final = (
    SupplierRow(supplier_id="S1", name="Northgate Wholesale", lead_time_d=0.25),
    SupplierRow(supplier_id="S2", name="Harbour Goods", lead_time_d=0.35),
    SupplierRow(supplier_id="S3", name="Millbrook Supply", lead_time_d=0.5),
)


@dataclass(frozen=True, slots=True)
class Demand:
    """How much of one article is wanted."""

    gtin: str
    mean_units_per_day: float


History = list[tuple[int, str, int]]
"""(day, GTIN-14, units): day -1 is the last one before the site opens."""


def demo_gtin(number: int) -> Gtin14:
    """Return the GTIN of article `number` of a company that does not exist."""
    digits = f"{DEMO_PREFIX}{COMPANY}{number:05}"
    return parse_gtin(digits + str(gs1_check_digit(digits)))


def make_articles(rng: Random, skus: Sequence[str]) -> list[ArticleRow]:
    """Return one article per SKU."""
    rows = []
    for number, sku in enumerate(skus):
        name = f"{_KINDS[number % len(_KINDS)]}, {_SORTS[number // len(_KINDS) % len(_SORTS)]}"
        rows.append(
            ArticleRow(
                gtin=demo_gtin(number + 1),
                sku=sku,
                name=name,
                case_units=rng.choice(CASE_UNITS),
                price_cents=rng.randrange(80, 1_500),
                supplier_id=rng.choice(SUPPLIERS).supplier_id,
            )
        )
    return rows


def generated_history(
    rng: Random, articles: Sequence[ArticleRow], orders_per_day: float
) -> History:
    """Return eight weeks of sales as retail looks: few fast movers, a busy weekend."""
    units_per_day = orders_per_day * _mean(LINES_WEIGHTS) * _mean(UNITS_WEIGHTS)
    ranks = list(range(len(articles)))
    rng.shuffle(ranks)
    weights = [1.0 / (rank + 1) for rank in ranks]
    rows = []
    for day in range(-HISTORY_DAYS, 0):
        factor = WEEKDAY_FACTOR[day % len(WEEKDAY_FACTOR)]
        for article, weight in zip(articles, weights, strict=True):
            mean = units_per_day * factor * weight / sum(weights)
            units = poisson(rng, mean * rng.gammavariate(4.0, 0.25))
            if units:
                rows.append((day, article.gtin, units))
    return rows


def given_history(articles: Sequence[ArticleRow], sales: Sequence[tuple[int, str, int]]) -> History:
    """Return `sales` (day, SKU, units) by GTIN; several rows of one day are one."""
    gtins = {article.sku: article.gtin for article in articles}
    sums: dict[tuple[int, str], int] = {}
    for day, sku, units in sales:
        if sku not in gtins:
            raise ValueError(f"history: SKU {sku!r} is none of the {len(gtins)} articles")
        if day >= 0:
            raise ValueError(f"history: day {day}, expected days before the first one: -1, -2, ...")
        sums[day, gtins[sku]] = sums.get((day, gtins[sku]), 0) + units
    return sorted((day, gtin, units) for (day, gtin), units in sums.items())


def demand_of(articles: Sequence[ArticleRow], history: History) -> list[Demand]:
    """Return the mean demand of each article, most wanted first."""
    days = max((-day for day, _, _ in history), default=1)
    sums = {article.gtin: 0 for article in articles}
    for _, gtin, units in history:
        sums[gtin] += units
    demands = [Demand(gtin, units / days) for gtin, units in sums.items()]
    return sorted(demands, key=lambda d: (-d.mean_units_per_day, d.gtin))


def poisson(rng: Random, mean: float) -> int:
    """Return a Poisson number; above 50 the normal distribution is near enough."""
    if mean > 50.0:  # noqa: PLR2004 - stated above
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _mean(weights: Sequence[float]) -> float:
    """Return the mean of 1, 2, 3, ... drawn with these weights."""
    return sum(value * weight for value, weight in enumerate(weights, start=1)) / sum(weights)
