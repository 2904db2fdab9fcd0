"""Sales history in, one forecast per article out: arrays for kernels, names for everybody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from central.demand.kernels import (
    METHODS,
    Floats,
    fit_all,
    horizon_mean,
    horizon_means,
    raise_for_today,
)

HISTORY_DAYS_MAX: Final = 730
SURGE_P: Final = 0.999
"""A quiet day exceeds its own limit once in a thousand days."""
_SURGE_Z: Final = NormalDist().inv_cdf(SURGE_P)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one article is expected to sell from now on."""

    gtin: str
    mean_units_per_day: float
    """Level without the weekday's factor; raised where today is a surge."""
    sd_units_per_day: float
    """Root mean square of the one-step errors."""
    days: int
    """Whole days of history behind it."""
    method: str
    """ses, sba, tsb, or none (nothing sold yet)."""
    alpha: float
    """Smoothing constant with the least one-step error."""
    weekday_factors: tuple[float, ...]
    """Seven factors of mean 1 by day index mod 7."""
    surge: bool
    """Today sold more than the forecast's distribution allows."""
    day: int
    """Index of the running day."""
    elapsed_share: float
    """How much of the running day is over, 0 to 1."""

    def over(self, length_d: float) -> tuple[float, float]:
        """Return (mean, variance) of the demand of the next `length_d` days, units, units^2."""
        factors = np.array(self.weekday_factors)
        mean = horizon_mean(
            self.mean_units_per_day, factors, self.day, self.elapsed_share, length_d
        )
        return mean, self.sd_units_per_day**2 * length_d


def means_over(forecasts: Sequence[Forecast], lengths_d: Floats) -> Floats:
    """Return the mean demand of each forecast's next days, units; `Forecast.over` for many.

    lengths_d : (n,), days. The forecasts are of one day and hour.
    """
    means = np.zeros(len(forecasts))
    if forecasts:
        levels = np.array([forecast.mean_units_per_day for forecast in forecasts])
        factors = np.array([forecast.weekday_factors for forecast in forecasts])
        first = forecasts[0]
        horizon_means(levels, factors, first.day, first.elapsed_share, lengths_d, means)
    return means


def forecast_all(
    gtins: Iterable[str],
    history: Mapping[str, Iterable[tuple[int, int]]],
    *,
    first_day: int,
    day: int,
    elapsed_share: float,
) -> dict[str, Forecast]:
    """Return a forecast for each of `gtins` from its (day, units) rows.

    Days from `first_day` on without a row sold nothing. Rows of `day` (or later: a clock was set
    back) are today's part day: they never enter the fit, they only show a surge.
    """
    names = list(gtins)
    start = max(min(first_day, day), day - HISTORY_DAYS_MAX)
    days = day - start
    values = np.zeros((len(names), days))
    today = np.zeros(len(names))
    for i, gtin in enumerate(names):
        for at, units in history.get(gtin, ()):
            if at >= day:
                today[i] += units
            elif at >= start:
                values[i, at - start] += units
    count = len(names)
    methods = np.zeros(count, dtype=np.int64)
    levels, sds, alphas = np.zeros(count), np.zeros(count), np.zeros(count)
    factors = np.ones((count, 7))
    fit_all(
        values.reshape(-1),
        np.arange(count + 1, dtype=np.int64) * days,
        np.full(count, start, dtype=np.int64),
        methods, levels, sds, alphas, factors,
    )  # fmt: skip
    found = {}
    for i, gtin in enumerate(names):
        level, sd, surge = _with_today(
            levels[i], sds[i], factors[i], day, elapsed_share, today[i], days
        )
        found[gtin] = Forecast(
            gtin=gtin,
            mean_units_per_day=level,
            sd_units_per_day=sd,
            days=days,
            method=METHODS[methods[i]],
            alpha=float(alphas[i]),
            weekday_factors=tuple(float(f) for f in factors[i]),
            surge=surge,
            day=day,
            elapsed_share=elapsed_share,
        )
    return found


def _with_today(
    level: float,
    sd: float,
    factors: Floats,
    day: int,
    elapsed_share: float,
    sold_today: float,
    days: int,
) -> tuple[float, float, bool]:
    """Return (level, sd, surge) with today's part day looked at.

    On the very first day there is nothing to compare with: what is sold so far is the level. A
    raised level carries at least Poisson's spread.
    """
    if days == 0:
        return float(sold_today), float(sold_today) ** 0.5, False
    raised, surge = raise_for_today(
        level, sd, factors[day % 7], elapsed_share, sold_today, SURGE_P, _SURGE_Z
    )
    return float(raised), max(float(sd), float(raised) ** 0.5) if surge else float(sd), bool(surge)
