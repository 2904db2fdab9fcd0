"""Daily demand of many articles: level, spread, weekday factors, and quantiles of what is sold.

Series are ragged: `values` holds all series end to end, `offsets[i]:offsets[i + 1]` is series i.
No kernel calls one of another file: numba's cache would not see that the other file changed.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

METHODS: Final = ("none", "ses", "sba", "tsb")
NONE: Final = 0
SES: Final = 1
SBA: Final = 2
TSB: Final = 3

ALPHAS: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
ADI_CUT: Final = 1.32  # Syntetos, Boylan & Croston, J. Oper. Res. Soc. 56 (2005), p. 500
CV2_CUT: Final = 0.49
WARM_DAYS: Final = 14
SEASON_DAYS_MIN: Final = 21
FACTOR_MIN: Final = 0.05
EXACT_MEAN_MAX: Final = 500.0
EXACT_STEPS_MAX: Final = 1_000_000


@njit("UniTuple(float64, 2)(float64[::1])", cache=True)
def intermittence(values: Floats) -> tuple[float, float]:
    """Return (ADI, CV2): mean days between demands, squared variation of the demand sizes.

    values : (n,) units per day. Without any demand ADI is n + 1. One pass, O(n).
    Source: Syntetos, Boylan & Croston, J. Oper. Res. Soc. 56 (2005) 495-503.
    """
    count = 0
    total = 0.0
    squares = 0.0
    for value in values:
        if value > 0.0:
            count += 1
            total += value
            squares += value * value
    if count == 0:
        return len(values) + 1.0, 0.0
    mean = total / count
    return len(values) / count, max(0.0, squares / count / (mean * mean) - 1.0)


@njit("float64[::1](float64[::1], int64)", cache=True)
def weekday_factors(values: Floats, first_day: int) -> Floats:
    """Return seven factors of mean 1 by day index mod 7, shrunk towards none.

    values : (n,) units per day; the first belongs to day index `first_day`. O(n).
    factor_k = 1 + w (mean_k / mean - 1), w = max(0, 1 - within / between), the mean squares of a
    one-way analysis of variance: w is 0 where weekdays differ no more than noise would make them.
    Under three weeks, or without any demand, all are 1.
    Source: shrinkage as in Efron & Morris, J. Am. Stat. Assoc. 68 (1973) 117-130.
    """
    factors = np.ones(7)
    n = len(values)
    if n < SEASON_DAYS_MIN:
        return factors
    sums = np.zeros(7)
    counts = np.zeros(7)
    squares = 0.0
    for i in range(n):
        day = (first_day + i) % 7
        sums[day] += values[i]
        counts[day] += 1.0
        squares += values[i] * values[i]
    mean = sums.sum() / n
    if mean <= 0.0:
        return factors
    by_day = 0.0
    for day in range(7):
        by_day += sums[day] * sums[day] / counts[day]
    between = (by_day - n * mean * mean) / 6.0
    within = (squares - by_day) / (n - 7.0)
    if between <= within:
        return factors
    share = 1.0 - max(0.0, within) / between
    for day in range(7):
        shrunk = 1.0 + share * (sums[day] / counts[day] / mean - 1.0)
        factors[day] = max(FACTOR_MIN, shrunk)
    mean_one: Floats = factors / factors.mean()
    return mean_one


@njit("void(float64[::1], int64, float64[::1], float64, float64[::1])", cache=True)
def ses(values: Floats, first_day: int, factors: Floats, alpha: float, path: Floats) -> None:
    """Fill `path` with the levels of simple exponential smoothing, units per day.

    values : (n,).  factors : (7,) weekday factors, taken out before smoothing.  path : (n + 1,);
    path[t] is the level known at the start of day t, path[n] the forecast. O(n).
    The gain is max(alpha, 1 / (t + 1)): a plain mean until alpha takes over, so that no start value
    has to be guessed.
    Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., section 8.1.
    """
    level = 0.0
    for t in range(len(values)):
        path[t] = level
        factor = factors[(first_day + t) % 7]
        level += max(alpha, 1.0 / (t + 1)) * (values[t] / factor - level)
    path[len(values)] = level


@njit("void(float64[::1], int64, float64[::1], float64, float64[::1])", cache=True)
def sba(values: Floats, first_day: int, factors: Floats, alpha: float, path: Floats) -> None:
    """Fill `path` with the levels of Croston's method with the Syntetos-Boylan correction.

    level = (1 - alpha / 2) * size / interval, both smoothed when a demand comes. Shapes and gain as
    in `ses`. Source: Syntetos & Boylan, Int. J. of Forecasting 21 (2005) 303-314.
    """
    size = 0.0
    interval = 1.0
    waited = 1.0
    demands = 0
    level = 0.0
    for t in range(len(values)):
        path[t] = level
        if values[t] > 0.0:
            demands += 1
            gain = max(alpha, 1.0 / demands)
            size += gain * (values[t] / factors[(first_day + t) % 7] - size)
            interval += gain * (waited - interval)
            level = (1.0 - alpha / 2.0) * size / interval
            waited = 1.0
        else:
            waited += 1.0
    path[len(values)] = level


@njit("void(float64[::1], int64, float64[::1], float64, float64[::1])", cache=True)
def tsb(values: Floats, first_day: int, factors: Floats, alpha: float, path: Floats) -> None:
    """Fill `path` with the levels of Teunter-Syntetos-Babai smoothing.

    level = probability * size; the probability falls on every day without demand, so that an
    article that dies is seen to die. Shapes and gain as in `ses`.
    Source: Teunter, Syntetos & Babai, Eur. J. Oper. Res. 214 (2011) 606-615.
    """
    size = 0.0
    probability = 0.0
    demands = 0
    for t in range(len(values)):
        path[t] = probability * size
        sold = 1.0 if values[t] > 0.0 else 0.0
        probability += max(alpha, 1.0 / (t + 1)) * (sold - probability)
        if sold > 0.0:
            demands += 1
            gain = max(alpha, 1.0 / demands)
            size += gain * (values[t] / factors[(first_day + t) % 7] - size)
    path[len(values)] = probability * size


@njit("float64(float64[::1], int64, float64[::1], float64[::1], int64, int64)", cache=True)
def squared_error(
    values: Floats, first_day: int, factors: Floats, path: Floats, warm: int, window: int
) -> float:
    """Return the mean squared error of the forecasts for the next `window` days' sum, units^2.

    Origins run from day `warm` on while `window` days follow; 0 where there is none. Shapes as in
    `ses`. O(n): sums are slid, not made anew.
    """
    n = len(values)
    if n - warm < window:
        return 0.0
    sold = 0.0
    weight = 0.0
    for t in range(warm, warm + window):
        sold += values[t]
        weight += factors[(first_day + t) % 7]
    squares = 0.0
    for t in range(warm, n - window + 1):
        error = sold - path[t] * weight
        squares += error * error
        if t + window < n:
            sold += values[t + window] - values[t]
            weight += factors[(first_day + t + window) % 7] - factors[(first_day + t) % 7]
    return squares / (n - window + 1 - warm)


@njit("Tuple((int64, float64, float64, float64))(float64[::1], int64, float64[::1])", cache=True)
def fit_one(values: Floats, first_day: int, factors: Floats) -> tuple[int, float, float, float]:
    """Return (method, level, sd, alpha) of one series.

    Smooth and erratic series (ADI < 1.32) take SES. Among the others, intermittent ones
    (CV2 < 0.49) take SBA; lumpy ones SBA or TSB; so does an intermittent one that has been silent
    for three times its usual interval. Between candidates and over the grid of constants the least
    squared error of the coming week's sum wins: plans are made for sums of days, and the error of
    the next day alone picks constants that are too nervous for them. sd is that of the next day's
    errors; with fewer than 14 of them the missing ones count as Poisson's, `level` each.
    """
    n = len(values)
    adi, cv2 = intermittence(values)
    if adi > n:
        return NONE, 0.0, 0.0, 0.0
    silent = 0
    while values[n - 1 - silent] <= 0.0:
        silent += 1
    may_die = cv2 >= CV2_CUT or silent > 3.0 * adi
    warm = max(1, min(WARM_DAYS, n // 3))
    window = max(1, min(7, (n - warm) // 2))
    path = np.empty(n + 1)
    method, level, least, alpha, variance = NONE, 0.0, math.inf, 0.0, 0.0
    for candidate in ALPHAS:
        for kind in (SES, SBA, TSB):
            if (kind == SES) != (adi < ADI_CUT) or (kind == TSB and not may_die):
                continue
            if kind == SES:
                ses(values, first_day, factors, candidate, path)
            elif kind == SBA:
                sba(values, first_day, factors, candidate, path)
            else:
                tsb(values, first_day, factors, candidate, path)
            error = squared_error(values, first_day, factors, path, warm, window)
            if error < least:
                method, level, least, alpha = kind, path[n], error, candidate
                variance = squared_error(values, first_day, factors, path, warm, 1)
    errors = n - warm
    missing = max(0, WARM_DAYS - errors)
    variance = (variance * errors + level * missing) / (errors + missing)
    return method, level, math.sqrt(variance), alpha


@njit(
    "void(float64[::1], int64[::1], int64[::1],"
    " int64[::1], float64[::1], float64[::1], float64[::1], float64[:, ::1])",
    cache=True,
)
def fit_all(
    values: Floats,
    offsets: Ints,
    first_days: Ints,
    methods: Ints,
    levels: Floats,
    sds: Floats,
    alphas: Floats,
    factors: Floats,
) -> None:
    """Fill the last five arrays with the fit of every series.

    values : (total,) units per day.  offsets : (s + 1,).  first_days : (s,) day index of each
    series' first value.  methods, levels (units/day), sds (units/day), alphas : (s,).
    factors : (s, 7).  O(total) times the grid.
    """
    for i in range(len(first_days)):
        series = values[offsets[i] : offsets[i + 1]]
        factors[i] = weekday_factors(series, first_days[i])
        methods[i], levels[i], sds[i], alphas[i] = fit_one(series, first_days[i], factors[i])


@njit("float64(float64, float64, float64)", cache=True)
def normal_level(mean: float, variance: float, z: float) -> float:
    """Return mean + z * sqrt(variance), units: the level a normal demand stays under.

    Source: Silver, Pyke & Thomas, Inventory and Production Management, 4th ed., chapter 6.
    """
    return mean + z * math.sqrt(max(0.0, variance))


@njit("float64(float64, float64, float64, float64)", cache=True)
def demand_quantile(mean: float, variance: float, p: float, z: float) -> float:
    """Return the least whole demand that is not exceeded with probability `p`, units.

    mean, variance : of the demand in the period, units and units^2.  z : the normal quantile of p.
    More spread than Poisson (variance > mean): negative binomial, summed term by term up to a mean
    of 500, beyond it the gamma of the same two moments by Wilson & Hilferty (1931). Otherwise
    normal. Worked: mean 4, variance 8 (r = 4, 1/2): P(D <= 9) = 0.9539 >= 0.95 > P(D <= 8): 9.
    Source: Johnson, Kemp & Kotz, Univariate Discrete Distributions, 3rd ed., chapter 5.
    """
    if mean <= 0.0:
        return 0.0
    if variance <= mean:
        return float(max(0.0, math.ceil(normal_level(mean, variance, z) - 1e-9)))
    if mean > EXACT_MEAN_MAX:
        shape = mean * mean / variance
        root = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * math.sqrt(shape))
        return float(math.ceil(mean * max(0.0, root) ** 3))
    share = (variance - mean) / variance
    size = mean * mean / (variance - mean)
    term = math.exp(size * math.log1p(-share))
    total = term
    k = 0
    while total < p and k < EXACT_STEPS_MAX:
        term *= (k + size) / (k + 1.0) * share
        total += term
        k += 1
    return float(k)


@njit("void(float64[::1], float64[::1], float64, float64, int64[::1])", cache=True)
def demand_quantiles(means: Floats, variances: Floats, p: float, z: float, quantiles: Ints) -> None:
    """Fill `quantiles` with `demand_quantile` of each row. All arrays (n,), units and units^2."""
    for i in range(len(means)):
        quantiles[i] = int(demand_quantile(means[i], variances[i], p, z))


@njit("float64(float64, float64[::1], int64, float64, float64)", cache=True)
def horizon_mean(
    level: float, factors: Floats, day: int, elapsed_share: float, length_d: float
) -> float:
    """Return the demand expected in the next `length_d` days, units, by weekday factors.

    level : units per day.  factors : (7,).  day : index of today, of which `elapsed_share` (0..1)
    is over.  O(length_d).  Worked: level 10, factor 2 today and 0.8 tomorrow, half of today over,
    1 day ahead: 10 * (2 * 0.5 + 0.8 * 0.5) = 14.
    """
    total = 0.0
    left_d = length_d
    today_d = 1.0 - elapsed_share
    while left_d > 0.0:
        step_d = min(left_d, today_d)
        total += level * factors[day % 7] * step_d
        left_d -= step_d
        today_d = 1.0
        day += 1
    return total


@njit("void(float64[::1], float64[:, ::1], int64, float64, float64[::1], float64[::1])", cache=True)
def horizon_means(
    levels: Floats, factors: Floats, day: int, elapsed_share: float, lengths_d: Floats,
    means: Floats,
) -> None:  # fmt: skip
    """Fill `means` with `horizon_mean` of each row.

    levels, lengths_d, means : (n,), units per day, days, units.  factors : (n, 7).
    """
    for i in range(levels.size):
        means[i] = horizon_mean(levels[i], factors[i], day, elapsed_share, lengths_d[i])


@njit("Tuple((float64, boolean))(float64, float64, float64, float64, float64, float64, float64)",
      cache=True)  # fmt: skip
def raise_for_today(
    level: float,
    sd: float,
    factor_today: float,
    elapsed_share: float,
    sold_today: float,
    p: float,
    z: float,
) -> tuple[float, bool]:
    """Return (level, surge): the level, raised where today sells more than it allows.

    A surge: units sold so far exceed the quantile `p` of the demand of the day so far (mean and
    variance of a day times `elapsed_share`). The level then becomes what today will have sold if
    the rest of the day goes as expected, sold + (1 - elapsed) * mean, divided by today's factor:
    the excess is believed in full, and not extrapolated.
    Worked: level 10, sd 4, half the day over, 20 sold: 20 > 17 (p .999), so 20 + 5 = 25.
    """
    mean = level * factor_today
    allowed = demand_quantile(mean * elapsed_share, sd * sd * elapsed_share, p, z)
    if sold_today <= max(1.0, allowed):
        return level, False
    return max(level, (sold_today + (1.0 - elapsed_share) * mean) / factor_today), True
