"""Matchings of least sum: nothing is cheaper, prices prove it, changes lead to the same."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from central.fleet.assignment import Matcher, MatchError, Matching, match
from central.fleet.assignment_forms import LISTED_MAX

Costs = NDArray[np.float64]
INF = np.inf


def brute_force(cost: Costs) -> tuple[int, float]:
    """Return (most pairs, least sum of so many) by trying everything."""
    if cost.shape[0] > cost.shape[1]:
        cost = cost.T
    rows, columns = cost.shape
    best = (0, 0.0)
    for chosen in permutations(range(columns), rows):
        there = [cost[i, c] for i, c in enumerate(chosen) if cost[i, c] < INF]
        best = min(best, (-len(there), float(sum(there))))
    return -best[0], best[1]


def check(cost: Costs, found: Matching) -> None:
    """A matching is one: no column twice, nothing forbidden, the total is that of its pairs."""
    paired = np.flatnonzero(found.columns >= 0)
    columns = found.columns[paired]
    assert len(set(columns.tolist())) == columns.size == found.pairs
    assert np.isfinite(cost[paired, columns]).all()
    assert found.total == pytest.approx(cost[paired, columns].sum(), rel=1e-12, abs=1e-12)


@st.composite
def small_tables(draw: st.DrawFn) -> Costs:
    """Return small tables with many equal costs, some of them forbidden."""
    rows, columns = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    costs = st.sampled_from([0.0, 1.0, 2.0, 3.0, -4.0, 7.5, INF])
    table = draw(st.lists(costs, min_size=rows * columns, max_size=rows * columns))
    return np.array(table, np.float64).reshape(rows, columns)


@settings(max_examples=300, deadline=None)
@given(small_tables())
def test_no_matching_has_more_pairs_or_costs_less(cost: Costs) -> None:
    found = match(cost.copy())
    check(cost, found)
    assert (found.pairs, found.total) == pytest.approx(brute_force(cost), abs=1e-9)


def draw_table(rng: np.random.Generator, rows: int, columns: int, kind: str) -> Costs:
    if kind == "spread":
        return rng.random((rows, columns))
    if kind == "forbidden":
        cost = rng.random((rows, columns)) * 100
        return np.where(rng.random((rows, columns)) < 0.9, INF, cost)
    if kind == "grid":
        a = rng.integers(0, 12, (rows, 2)).astype(np.float64)
        b = rng.integers(0, 12, (columns, 2)).astype(np.float64)
    else:
        towns = rng.random((3, 2)) * 1_000
        a = towns[rng.integers(0, 3, rows)] + rng.normal(0, 10, (rows, 2))
        b = towns[rng.integers(0, 3, columns)] + rng.normal(0, 10, (columns, 2))
    ways: Costs = np.abs(a[:, None] - b[None]).sum(axis=2)
    return ways


KINDS = ("spread", "grid", "towns", "forbidden")
SHAPES = ((1, 1), (40, 40), (60, 150), (150, 60), (130, 131), (3, 400))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_prices_prove_that_nothing_is_cheaper(kind: str, rows: int, columns: int) -> None:
    rng = np.random.default_rng(rows * 1_000 + columns)
    cost = draw_table(rng, rows, columns, kind)
    matcher = Matcher(cost.copy())
    found = matcher.solve()
    check(cost, found)
    assert found.total == pytest.approx(matcher.prove(), rel=1e-7, abs=1e-7)
    assert found.pairs == min(rows, columns) or kind == "forbidden"


def test_scipy_finds_nothing_cheaper() -> None:
    peer = pytest.importorskip("scipy.optimize").linear_sum_assignment
    for kind, (rows, columns) in product(KINDS, [(90, 90), (60, 150), (150, 60)]):
        cost = draw_table(np.random.default_rng(5), rows, columns, kind)
        reachable = np.where(np.isfinite(cost), cost, 1e7)
        found = match(cost)
        total = found.total + 1e7 * (min(rows, columns) - found.pairs)
        assert total == pytest.approx(reachable[peer(reachable)].sum(), rel=1e-9), kind


@pytest.mark.parametrize("kind", ["spread", "grid", "towns"])
@pytest.mark.parametrize(("rows", "columns"), [(200, 200), (150, 300)])
def test_a_gap_that_is_allowed_is_kept_and_proven(kind: str, rows: int, columns: int) -> None:
    cost = draw_table(np.random.default_rng(8), rows, columns, kind)
    matcher = Matcher(cost.copy())
    matcher.path_work_max = 0  # bids alone
    found = matcher.solve(0.02)
    exact = match(cost)
    check(cost, found)
    assert found.pairs == rows
    assert found.bound <= exact.total * (1 + 1e-9) <= found.total * (1 + 2e-9)
    assert found.total <= exact.total * 1.02
    assert found.bound <= matcher.prove() + 1e-6 * exact.total


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "columns"), [(80, 80), (60, 150), (150, 60)])
def test_after_changes_the_answer_is_as_good_as_from_the_start(
    kind: str, rows: int, columns: int
) -> None:
    rng = np.random.default_rng(columns)
    cost = draw_table(rng, rows, columns, kind)
    matcher = Matcher(cost.copy())
    matcher.solve()
    for step in range(9):
        other = draw_table(rng, rows, columns, kind)
        i = rng.choice(rows, 5, replace=False)
        c = rng.choice(columns, 5, replace=False)
        if step % 3 == 0:
            cost[i] = other[i]
            found = matcher.change_rows(i, other[i])
        elif step % 3 == 1:
            cost[:, c] = other[:, c]
            found = matcher.change_columns(c, other[:, c])
        else:
            cost[i, c] = other[i, c]
            found = matcher.change_costs(i, c, other[i, c])
        check(cost, found)
        again = match(cost.copy())
        assert (found.pairs, found.total) == pytest.approx((again.pairs, again.total), rel=1e-9)
        assert found.total == pytest.approx(matcher.prove(), rel=1e-7, abs=1e-7)


def test_equal_tables_are_matched_equally() -> None:
    cost = draw_table(np.random.default_rng(1), 90, 120, "grid")
    assert (match(cost.copy()).columns == match(cost.copy()).columns).all()


def test_more_equal_costs_than_a_list_holds_are_no_trouble() -> None:
    cost = np.full((LISTED_MAX + 9, 4 * LISTED_MAX), 2.0)
    cost[:, -1] = 1.0
    found = match(cost)
    assert (found.pairs, found.total) == (LISTED_MAX + 9, 2.0 * (LISTED_MAX + 9) - 1.0)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_an_empty_table_has_no_pairs(shape: tuple[int, int]) -> None:
    found = match(np.zeros(shape))
    assert (found.pairs, found.total, found.gap) == (0, 0.0, 0.0)
    assert found.columns.tolist() == [-1] * shape[0]


@pytest.mark.parametrize("wrong", [np.nan, -INF])
def test_what_is_no_cost_is_refused(wrong: float) -> None:
    with pytest.raises(MatchError, match="NaN or -inf"):
        match(np.array([[1.0, wrong]]))


def test_rounding_never_makes_prices_false() -> None:
    """In crowds almost all ways are equal but for rounding, and paths meet the same columns."""
    rng = np.random.default_rng(1)
    cost, other = (draw_table(rng, 400, 2_000, "towns") for _ in range(2))
    matcher = Matcher(cost)
    matcher.solve()
    for _ in range(6):
        columns = rng.choice(2_000, 40, replace=False)
        found = matcher.change_columns(columns, other[:, columns])
        assert found.total == pytest.approx(matcher.prove(), rel=1e-9)
