"""Demand kernels: numbers worked by hand, and the compiled code against the same code in Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from central.demand import kernels

NONE = np.ones(7)
Z95 = NormalDist().inv_cdf(0.95)


def path_of(method: str, values: list[float], alpha: float) -> list[float]:
    path = np.empty(len(values) + 1)
    getattr(kernels, method)(np.array(values, dtype=float), 0, NONE, alpha, path)
    return [round(level, 6) for level in path]


def test_intermittence_of_two_demands_in_six_days() -> None:
    adi, cv2 = kernels.intermittence(np.array([0.0, 2, 0, 0, 4, 0]))
    assert adi == 3.0
    assert cv2 == pytest.approx(1 / 9)  # sizes 2 and 4: mean 3, variance 1


def test_ses_is_a_mean_until_its_constant_takes_over() -> None:
    # Gains 1, 1/2, max(.4, 1/3) = .4: 10, then 15, then 15 + .4 * (25 - 15).
    assert path_of("ses", [10, 20, 25], 0.4) == [0, 10, 15, 19]


def test_sba_divides_the_size_by_the_interval() -> None:
    # Demands of 6 on days 2 and 4: size 6; intervals 2, 2; (1 - .1 / 2) * 6 / 2 = 2.85.
    assert path_of("sba", [0, 6, 0, 6], 0.1) == [0, 0, 2.85, 2.85, 2.85]


def test_tsb_falls_while_nothing_sells() -> None:
    # Probability 1, then 1/2, then 1/2 * (1 - .5); size 8.
    assert path_of("tsb", [8, 0, 0], 0.5) == [0, 8, 4, 2]


def test_the_error_of_a_window_is_that_of_its_sum() -> None:
    values, path = np.array([1.0, 2, 3, 4]), np.array([0.0, 1, 1, 1, 1])
    # Sums 5 and 7 from days 1 and 2, forecast 2 each: (9 + 25) / 2.
    assert kernels.squared_error(values, 0, NONE, path, 1, 2) == pytest.approx(17)
    assert kernels.squared_error(values, 0, NONE, path, 1, 4) == 0.0


def test_weekdays_that_differ_are_found() -> None:
    week = [0.0, 10, 10, 10, 10, 10, 20]
    factors = kernels.weekday_factors(np.array(week * 8), 0)
    assert factors == pytest.approx([0.05 / 7.05 * 7, *[7 / 7.05] * 5, 14 / 7.05])


def test_weekdays_that_only_differ_by_chance_stay_even() -> None:
    values = np.random.default_rng(5).poisson(4.0, size=(40, 140)).astype(float)
    factors = np.array([kernels.weekday_factors(series, 0) for series in values])
    raw = values.reshape(40, 20, 7).mean(axis=1) / 4.0
    assert np.abs(factors - 1).mean() < 0.4 * np.abs(raw - 1).mean()


def test_under_three_weeks_no_weekday_is_believed() -> None:
    assert list(kernels.weekday_factors(np.array([0.0, 10] * 10), 0)) == [1.0] * 7


@pytest.mark.parametrize(
    ("values", "method"),
    [
        ([0.0] * 30, kernels.NONE),
        ([5.0, 6, 4, 5] * 10, kernels.SES),
        ([0.0, 0, 5, 0, 0, 6] * 10, kernels.SBA),
        ([0.0, 0, 5, 0, 0, 6] * 6 + [0.0] * 60, kernels.TSB),
    ],
    ids=["never sold", "smooth", "intermittent", "died"],
)
def test_the_method_follows_the_kind_of_demand(values: list[float], method: int) -> None:
    assert kernels.fit_one(np.array(values), 0, NONE)[0] == method


def test_a_level_that_stepped_up_is_followed() -> None:
    noise = np.random.default_rng(2).poisson(3.0, size=80).astype(float)
    noise[40:] += 20
    _, level, _, _ = kernels.fit_one(noise, 0, NONE)
    assert 20 < level < 26


def test_one_day_of_history_spreads_like_poisson() -> None:
    method, level, sd, _ = kernels.fit_one(np.array([9.0]), 0, NONE)
    assert (method, level, sd) == (kernels.SES, 9.0, 3.0)


@pytest.mark.parametrize(
    ("mean", "variance", "p", "units"),
    [
        (0.0, 0.0, 0.95, 0),
        (4.0, 8.0, 0.95, 9),  # negative binomial r 4, 1/2: P(<= 8) .927, P(<= 9) .954
        (5.0, 5.0 + 1e-9, 0.95, 9),  # Poisson: P(<= 8) .932, P(<= 9) .968
        (10.0, 9.0, 0.95, 15),  # normal: 10 + 1.645 * 3 = 14.93
        (10.0, 0.0, 0.95, 10),
        (0.2, 0.2 + 1e-9, 0.95, 1),  # P(0) .819, P(<= 1) .982
    ],
)
def test_the_quantile_of_demand(mean: float, variance: float, p: float, units: int) -> None:
    assert kernels.demand_quantile(mean, variance, p, NormalDist().inv_cdf(p)) == units


@pytest.mark.parametrize(("mean", "variance"), [(480.0, 900.0), (499.9, 20_000.0)])
def test_beyond_the_exact_sum_the_quantile_goes_on_smoothly(mean: float, variance: float) -> None:
    exact = kernels.demand_quantile(mean, variance, 0.95, Z95)
    scale = 500.1 / mean
    beyond = kernels.demand_quantile(mean * scale, variance * scale * scale, 0.95, Z95)
    assert beyond / scale == pytest.approx(exact, rel=0.01)


def test_the_mean_of_a_horizon_begins_with_the_rest_of_today() -> None:
    factors = np.array([2.0, 0.8, 1, 1, 1, 0.6, 0.6])
    assert kernels.horizon_mean(10.0, factors, 7, 0.5, 1.0) == pytest.approx(14)
    assert kernels.horizon_mean(10.0, factors, 7, 0.0, 7.0) == pytest.approx(70)


def test_a_surge_raises_the_level_to_what_today_will_have_sold() -> None:
    z = NormalDist().inv_cdf(0.999)
    assert kernels.raise_for_today(10.0, 4.0, 1.0, 0.5, 20.0, 0.999, z) == (25.0, True)
    assert kernels.raise_for_today(10.0, 4.0, 1.0, 0.5, 17.0, 0.999, z) == (10.0, False)
    assert kernels.raise_for_today(0.0, 0.0, 1.0, 0.5, 1.0, 0.999, z) == (0.0, False)


@pytest.fixture(scope="module")
def series() -> list[np.ndarray]:
    rng = np.random.default_rng(11)
    kinds = [rng.poisson(mean, size=days) for mean in (0.1, 0.9, 6.0) for days in (1, 9, 60)]
    return [kind.astype(float) for kind in kinds]


def test_compiled_fits_equal_python(series: list[np.ndarray]) -> None:
    for values in series:
        factors = kernels.weekday_factors(values, 3)
        assert factors == pytest.approx(kernels.weekday_factors.py_func(values, 3))
        assert kernels.intermittence(values) == pytest.approx(kernels.intermittence.py_func(values))
        assert kernels.fit_one(values, 3, factors) == pytest.approx(
            kernels.fit_one.py_func(values, 3, factors)
        )


def test_compiled_paths_and_errors_equal_python(series: list[np.ndarray]) -> None:
    for values in series:
        for kernel in (kernels.ses, kernels.sba, kernels.tsb):
            compiled, python = np.empty(len(values) + 1), np.empty(len(values) + 1)
            kernel(values, 3, NONE, 0.2, compiled)
            kernel.py_func(values, 3, NONE, 0.2, python)
            assert compiled == pytest.approx(python)
            arguments = (values, 3, NONE, compiled, 1, 2)
            assert kernels.squared_error(*arguments) == pytest.approx(
                kernels.squared_error.py_func(*arguments)
            )


def test_a_ragged_array_fits_like_its_series_one_by_one(series: list[np.ndarray]) -> None:
    count = len(series)
    offsets = np.cumsum([0, *map(len, series)]).astype(np.int64)
    for fit_all in (kernels.fit_all, kernels.fit_all.py_func):
        methods = np.zeros(count, dtype=np.int64)
        levels, sds, alphas = np.zeros(count), np.zeros(count), np.zeros(count)
        factors = np.zeros((count, 7))
        fit_all(
            np.concatenate(series), offsets, np.full(count, 3, dtype=np.int64),
            methods, levels, sds, alphas, factors,
        )  # fmt: skip
        for i, values in enumerate(series):
            alone = kernels.fit_one(values, 3, kernels.weekday_factors(values, 3))
            assert (methods[i], levels[i], sds[i], alphas[i]) == pytest.approx(alone)


@pytest.mark.parametrize("mean", [0.0, 0.3, 7.0, 300.0, 900.0])
@pytest.mark.parametrize("spread", [0.0, 0.8, 1.5, 40.0])
def test_compiled_quantiles_equal_python(mean: float, spread: float) -> None:
    arguments = (mean, mean * spread, 0.95, Z95)
    compiled = kernels.demand_quantile(*arguments)
    assert compiled == kernels.demand_quantile.py_func(*arguments)
    assert compiled >= 0
    assert compiled == math.floor(compiled)


@pytest.mark.parametrize(
    "kernel",
    [kernels.demand_quantiles, kernels.demand_quantiles.py_func],
    ids=["compiled", "python"],
)
def test_quantiles_of_many_articles_at_once(kernel: Callable[..., None]) -> None:
    quantiles = np.zeros(3, dtype=np.int64)
    kernel(np.array([4.0, 10.0, 0.0]), np.array([8.0, 9.0, 0.0]), 0.95, Z95, quantiles)
    assert quantiles.tolist() == [9, 15, 0]


def test_compiled_horizon_and_surge_equal_python() -> None:
    factors = np.array([2.0, 0.8, 1, 1, 1, 0.6, 0.6])
    horizon = (3.0, factors, 12, 0.3, 9.4)
    assert kernels.horizon_mean(*horizon) == pytest.approx(kernels.horizon_mean.py_func(*horizon))
    surge = (10.0, 4.0, 1.2, 0.5, 30.0, 0.999, 3.09)
    assert kernels.raise_for_today(*surge) == pytest.approx(kernels.raise_for_today.py_func(*surge))
    assert kernels.normal_level(40.0, 136.0, 1.645) == pytest.approx(
        kernels.normal_level.py_func(40.0, 136.0, 1.645)
    )
