"""Forecasts by article: what is history, what is today, what is nothing at all."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from central.demand.service import Forecast, forecast_all

DAY = 20_000
GTIN = "04006381333931"


def forecast(
    units: list[int], *, today: int = 0, elapsed_share: float = 0.5, first_day: int | None = None
) -> Forecast:
    start = DAY - len(units)
    rows = [(start + i, sold) for i, sold in enumerate(units) if sold]
    if today:
        rows.append((DAY, today))
    found = forecast_all(
        [GTIN], {GTIN: rows}, first_day=start if first_day is None else first_day, day=DAY,
        elapsed_share=elapsed_share,
    )  # fmt: skip
    return found[GTIN]


def test_todays_part_day_does_not_lower_the_level() -> None:
    assert forecast([10] * 10, today=1).mean_units_per_day == pytest.approx(10)


def test_days_without_a_row_sold_nothing() -> None:
    assert forecast([8], first_day=DAY - 4).mean_units_per_day == pytest.approx(2, rel=0.02)


def test_a_surge_is_seen_before_the_day_is_over() -> None:
    quiet, surge = forecast([10, 9, 11] * 7, today=7), forecast([10, 9, 11] * 7, today=40)
    assert (quiet.surge, surge.surge) == (False, True)
    assert surge.mean_units_per_day == pytest.approx(40 + 5, rel=0.02)
    assert surge.sd_units_per_day == pytest.approx(surge.mean_units_per_day**0.5)


def test_the_first_day_believes_what_is_sold_so_far() -> None:
    first = forecast([], today=9)
    assert (first.mean_units_per_day, first.sd_units_per_day, first.days) == (9.0, 3.0, 0)


def test_an_article_without_history_is_expected_to_sell_nothing() -> None:
    found = forecast_all(
        [GTIN], {}, first_day=DAY - 30, day=DAY, elapsed_share=0.5
    )  # fmt: skip
    assert found[GTIN].method == "none"
    assert found[GTIN].over(10.0) == (0.0, 0.0)


def test_rows_of_a_clock_set_back_count_as_today() -> None:
    found = forecast_all(
        [GTIN], {GTIN: [(DAY - 1, 10), (DAY + 3, 50)]}, first_day=DAY - 1, day=DAY,
        elapsed_share=0.5,
    )  # fmt: skip
    assert found[GTIN].days == 1
    assert found[GTIN].surge


def test_one_horizon_sums_days_and_their_variance() -> None:
    mean, variance = forecast([10] * 10, elapsed_share=0.0).over(3.0)
    assert mean == pytest.approx(30)
    assert variance == pytest.approx(3 * forecast([10] * 10).sd_units_per_day ** 2)


def test_a_years_grocery_sales_are_forecast_better_than_by_the_week_before(
    data_dir: Path,
) -> None:
    """Mean absolute scaled error over the coming week, rolling origin, all 40 articles."""
    sales = read_sales(data_dir / "demand" / "cj_A_orders_top40.csv")
    ours, naive = [], []
    for origin in range(120, 357, 14):
        rows = {
            sku: [(day, int(units)) for day, units in enumerate(series[:origin]) if units]
            for sku, series in sales.items()
        }
        found = forecast_all(sales, rows, first_day=0, day=origin, elapsed_share=0.0)
        for sku, series in sales.items():
            known, truth = series[:origin], series[origin : origin + 7]
            scale = np.abs(known[7:] - known[:-7]).mean()
            factors = np.roll(found[sku].weekday_factors, -(origin % 7))
            ours.append(np.abs(truth - found[sku].mean_units_per_day * factors).mean() / scale)
            naive.append(np.abs(truth - known[-7:]).mean() / scale)
    assert np.mean(ours) < 0.85 * np.mean(naive)


def read_sales(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        pytest.skip(f"no real sales at {path}")
    sales: dict[str, np.ndarray] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            series = sales.setdefault(row["sku"], np.zeros(365))
            day = (date.fromisoformat(row["date"]) - date(2017, 1, 1)).days
            series[day] += float(row["quantity"])
    return sales
