"""What customers feel like buying: weekdays, the year, a trend, promotions, weather and surges.

By default every day is like every other, and articles are wanted as they always were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from sim_hardware.config import SimOrders, SimPromotion
from sim_hardware.world.schedule import WorldTime
from sim_hardware.world.weather import Weather
from wire.site import ArticleRow

DAYS_PER_WEEK: Final = 7
DAYS_PER_YEAR: Final = 365.25
EVERYTHING: Final = "all"
SURGES_MAX: Final = 1_000


def articles_of(what: str, articles: Mapping[str, ArticleRow]) -> frozenset[str]:
    """Return the GTIN-14s that a GTIN, a SKU, a word of a name, or `all` means.

    Raises ValueError where that is none.
    """
    if what == EVERYTHING:
        return frozenset(articles)
    if what in articles:
        return frozenset((what,))
    low = what.lower()
    found = frozenset(row.gtin for row in articles.values() if row.sku == what) or frozenset(
        row.gtin for row in articles.values() if low and low in row.name.lower()
    )
    if not found:
        names = {name for row in articles.values() for name in (row.sku, _kind(row))}
        near = get_close_matches(what, sorted(names), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{what!r} is no GTIN, SKU or part of an article's name here{hint}")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Surge:
    """Some articles are wanted so many times as much."""

    gtins: Collection[str]
    factor: float


class Appetite:
    """How much more or less than usual is wanted now, of everything and of each article."""

    def __init__(
        self,
        config: SimOrders,
        time: WorldTime,
        weather: Weather,
        articles: Mapping[str, ArticleRow],
    ) -> None:
        if len(config.weekday_factors) not in {0, DAYS_PER_WEEK}:
            raise ValueError(
                f"orders: weekday_factors has {len(config.weekday_factors)} numbers,"
                f" expected {DAYS_PER_WEEK} or none"
            )
        self._config = config
        self._time = time
        self._weather = weather
        self._articles = articles
        self._known: list[Surge] = []
        self._on: list[Surge] = []
        self._on_change: list[Callable[[], None]] = []
        weather.on_change(self._tell)

    def start(self) -> None:
        """Begin to tell when what is wanted changes."""
        config = self._config
        if config.weekday_factors or config.yearly_swing or config.trend_per_day:
            self._next_day()

    def on_change(self, call: Callable[[], None]) -> None:
        """Call this whenever something is wanted more or less than before."""
        self._on_change.append(call)

    @property
    def day(self) -> float:
        """Return how many sales days have passed."""
        return self._time.now_s / (self._time.speed * self._config.day_s)

    def surge(
        self, what: str, factor: float, duration_s: float = math.inf, *, after_s: float = 0.0
    ) -> Callable[[], None]:
        """Let something be wanted so many times as much for some seconds; return what ends it.

        Seconds are of the product's clock. Raises ValueError for what is no article, for a factor
        below 0 and where there are too many at once.
        """
        if factor < 0.0:
            raise ValueError(f"factor {factor}: expected 0 or more")
        if len(self._known) >= SURGES_MAX:
            raise ValueError(f"{SURGES_MAX} surges and promotions are on already")
        surge = Surge(articles_of(what, self._articles), factor)
        self._known.append(surge)
        if after_s > 0.0:
            self._time.after_real(after_s, lambda: self._begin(surge))
        else:
            self._begin(surge)
        if duration_s < math.inf:
            self._time.after_real(after_s + duration_s, lambda: self._end(surge))
        return lambda: self._end(surge)

    def promote(self, row: SimPromotion) -> Callable[[], None]:
        """Let a promotion be, in sales days since the opening; return what ends it early."""
        day_s, now = self._config.day_s, self.day
        begin = max(row.from_day - now, 0.0) * day_s
        duration_s = max(row.to_day - max(row.from_day, now), 0.0) * day_s
        return self.surge(row.what, row.factor, duration_s, after_s=begin)

    def common(self) -> float:
        """Return how many times as much as usual is wanted today, of everything."""
        config, day = self._config, math.floor(self.day)
        factor = config.weekday_factors[day % DAYS_PER_WEEK] if config.weekday_factors else 1.0
        if config.yearly_swing:
            turn = math.tau * (day - config.yearly_best_day) / DAYS_PER_YEAR
            factor *= 1.0 + config.yearly_swing * math.cos(turn)
        return factor * max(0.0, 1.0 + config.trend_per_day * day)

    def of(self, gtin: str) -> float:
        """Return how many times as much of one article is wanted, beside the common factor."""
        factor = self._weather.factor(self._articles[gtin].name)
        for surge in self._on:
            if gtin in surge.gtins:
                factor *= surge.factor
        return factor

    def is_usual(self) -> bool:
        """Return whether no article is wanted otherwise than another."""
        return not self._on and self._weather.rain_mm_h == 0.0

    def _begin(self, surge: Surge) -> None:
        if surge in self._known:
            self._on.append(surge)
            self._tell()

    def _end(self, surge: Surge) -> None:
        if surge in self._known:
            self._known.remove(surge)
        if surge in self._on:
            self._on.remove(surge)
            self._tell()

    def _next_day(self) -> None:
        self._time.after_real(self._config.day_s, self._next_day)
        self._tell()

    def _tell(self) -> None:
        for call in self._on_change:
            call()


def _kind(row: ArticleRow) -> str:
    return row.name.partition(",")[0]
