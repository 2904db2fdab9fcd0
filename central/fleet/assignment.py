"""Who gets what at the least sum of costs: exact, or within a proven gap, and anew after changes.

A `Matcher` keeps its prices: a second answer after a few changes is found by a few paths. Prices
are the proof as well: they give a sum that no matching can be below (duality of linear programs),
which is told beside the sum of the matching that was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from central.fleet.assignment_changes import change_columns, cool
from central.fleet.assignment_forms import FREE, LISTED_MAX, Float64, Int64, Lists, Pairs
from central.fleet.assignment_kernels import (
    IMPOSSIBLE,
    TOO_MUCH,
    augment,
    bid,
    bounds,
    dense_bound,
    extent,
    list_rows,
    lower_prices,
    part,
    reduce_columns,
)

COSTS_MAX: Final = 400_000_000
"""So many costs (3 GB) are taken at most."""
EXACT: Final = 1e-10
"""What is called exact is proven to be no more than so large a part above the least sum."""
FIRST_BIDS: Final = 4
"""So many bids per row come before paths are searched for."""
PATH_WORK_SHARE: Final = 0.5
"""Paths may look at so large a part of the table before bidding goes on in steps."""
PATH_WORK_MIN: Final = 1_000_000
STEPS_FACTOR: Final = 4.0
GAP_SHARE: Final = 0.8
"""Bids aim at this part of the gap that is allowed."""
BIDS_PER_ROW_MAX: Final = 200
NO_LIMIT: Final = 2**62
AXES: Final = 2


class MatchError(ValueError):
    """A table of costs cannot be matched; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Who has what, and how good that is."""

    columns: Int64
    """The column of each row, -1 where it has none."""
    total: float
    """What that costs."""
    bound: float
    """No matching of as many pairs costs less."""
    pairs: int

    @property
    def gap(self) -> float:
        """Return how far the total may be above the least, as a part of that."""
        over = self.total - self.bound
        return max(0.0, over) / abs(self.bound) if self.bound else max(0.0, over)


class Matcher:
    """A table of costs, and the matching of its rows and columns with the least sum.

    As many pairs are made as can be; inf forbids one. Equal answers are told apart by the order of
    rows and columns, the same on every machine. The table is kept, not copied, where it has no
    more rows than columns: change it by the methods only.
    """

    def __init__(self, cost: Float64) -> None:
        if cost.ndim != AXES or cost.size > COSTS_MAX:
            raise MatchError(f"costs: expected 2-D and at most {COSTS_MAX}, got shape {cost.shape}")
        table = np.asarray(cost, np.float64)
        if table.size and not table.min() > -np.inf:
            raise MatchError("costs: expected numbers or inf, got a NaN or -inf")
        self._turned = table.shape[0] > table.shape[1]
        self._cost = np.ascontiguousarray(table.T if self._turned else table)
        rows, columns = self._cost.shape
        self._lists: Lists = (
            np.empty((rows, LISTED_MAX), np.int32), np.empty((rows, LISTED_MAX)),
            np.zeros(rows, np.int64), np.empty(rows),
        )  # fmt: skip
        self._pairs: Pairs = (
            np.full(columns, FREE, np.int32), np.full(rows, FREE, np.int32),
            np.zeros(rows), np.zeros(columns),
        )  # fmt: skip
        self._skip_cost = np.inf
        self._is_square = False
        """Every column has a row in the end, and prices may have any sign."""
        self._is_solved = False
        self.path_work_max = max(PATH_WORK_MIN, round(PATH_WORK_SHARE * self._cost.size))
        """So many costs are looked at by paths before rows bid in steps."""

    # --- solving ----------------------------------------------------------------------------------

    def solve(self, gap: float = 0.0) -> Matching:
        """Return the matching with the least sum, or one at most so large a part above it.

        Cost: about two passes over the table where costs are spread, more where they are alike.
        """
        if self._cost.size == 0:
            return self._matching(0.0)
        self._begin()
        bid(
            self._cost, self._lists, self._pairs, 0.0, self._skip_cost,
            FIRST_BIDS * self._cost.shape[0],
        )  # fmt: skip
        work_max = self.path_work_max
        answer = augment(self._cost, self._lists, self._pairs, self._skip_cost, work_max)
        if answer == IMPOSSIBLE:
            self._begin_with_skips()
            answer = augment(self._cost, self._lists, self._pairs, self._skip_cost, work_max)
        if answer == TOO_MUCH:
            self._bid_in_steps(gap)
        return self._finish()

    def prove(self) -> float:
        """Return the bound of the last matching from the whole table, not from the lists."""
        bound = float(dense_bound(self._cost, self._pairs[3], self._skip_cost))
        return bound - self._skipped_cost()

    def _begin(self) -> None:
        rows, columns = self._cost.shape
        price = self._pairs[3]
        price[:] = 0.0
        self._is_square = rows == columns and self._skip_cost == np.inf
        if self._is_square:
            reduce_columns(self._cost, price)
            if not np.isfinite(price).all():
                self._is_square = False
                price[:] = 0.0
        self._pairs[0][:] = FREE
        self._pairs[1][:] = FREE
        list_rows(self._cost, price, np.arange(rows), self._lists)

    def _begin_with_skips(self) -> None:
        """Begin anew where some row cannot have a column: staying without costs more than all."""
        least, greatest, _ = extent(self._cost)
        spread = greatest - least if greatest >= least else 0.0
        self._skip_cost = (spread + 1.0) * (self._cost.shape[0] + 1) + max(greatest, 0.0)
        self._begin()

    def _bid_in_steps(self, gap: float) -> None:
        """Let rows bid with smaller and smaller steps, until the gap is proven small enough."""
        rows = self._cost.shape[0]
        bound = bounds(self._lists, self._pairs, self._skip_cost)[1]
        epsilon = abs(bound) / rows or 1.0
        allowed = max(gap * GAP_SHARE, EXACT)
        while True:
            bid(
                self._cost, self._lists, self._pairs, epsilon, self._skip_cost,
                BIDS_PER_ROW_MAX * rows,
            )  # fmt: skip
            paid, bound, free = bounds(self._lists, self._pairs, self._skip_cost)
            if free or paid - bound <= allowed * abs(bound) or epsilon <= EXACT * abs(bound) / rows:
                break
            if not self._is_square:
                lower_prices(self._lists, self._pairs, epsilon)
            epsilon /= STEPS_FACTOR
            part(self._lists, self._pairs, epsilon, self._skip_cost)

    def _finish(self) -> Matching:
        """Give what is free still a column by paths, and take back what was bid too much."""
        if augment(self._cost, self._lists, self._pairs, self._skip_cost, NO_LIMIT) == IMPOSSIBLE:
            self._begin_with_skips()
            augment(self._cost, self._lists, self._pairs, self._skip_cost, NO_LIMIT)
        if not self._is_square:
            cool(self._cost, self._lists, self._pairs)
        self._is_solved = True
        return self._matching(bounds(self._lists, self._pairs, self._skip_cost)[1])

    # --- changes ----------------------------------------------------------------------------------

    def change_rows(self, rows: Int64, costs: Float64) -> Matching:
        """Return the matching after these rows' costs became others: (rows, all columns)."""
        return (
            self._change_columns(rows, costs.T) if self._turned else self._change_rows(rows, costs)
        )

    def change_columns(self, columns: Int64, costs: Float64) -> Matching:
        """Return the matching after these columns' costs became others: (all rows, columns)."""
        if self._turned:
            return self._change_rows(columns, costs.T)
        return self._change_columns(columns, costs)

    def change_costs(self, rows: Int64, columns: Int64, costs: Float64) -> Matching:
        """Return the matching after single costs became others."""
        inner, outer = (columns, rows) if self._turned else (rows, columns)
        self._cost[inner, outer] = costs
        return self._resolve(np.unique(inner))

    def _change_rows(self, rows: Int64, costs: Float64) -> Matching:
        self._cost[rows] = costs
        return self._resolve(rows)

    def _change_columns(self, columns: Int64, costs: Float64) -> Matching:
        new = np.ascontiguousarray(costs, np.float64)
        if self._is_solved and columns.size:
            changed = np.ascontiguousarray(columns, np.int64)
            change_columns(self._cost, changed, new, self._lists, self._pairs)
        else:
            self._cost[:, columns] = new
        return self._resolve(np.empty(0, np.int64))

    def _resolve(self, rows: Int64) -> Matching:
        """Let go of the pairs of these rows, and make the matching good again by paths."""
        if not self._is_solved or self._skip_cost < np.inf:
            self._skip_cost = np.inf
            return self.solve()
        row_of, column_of, _, price = self._pairs
        list_rows(self._cost, price, rows, self._lists)
        held = column_of[rows]
        row_of[held[held >= 0]] = FREE
        column_of[rows] = FREE
        return self._finish()

    # --- telling ----------------------------------------------------------------------------------

    def _skipped_cost(self) -> float:
        skipped = int((self._pairs[1] < 0).sum())
        return skipped * self._skip_cost if skipped else 0.0

    def _matching(self, bound: float) -> Matching:
        column_of = self._pairs[1]
        paired = column_of >= 0
        total = float(self._pairs[2][paired].sum())
        columns = np.where(paired, column_of, FREE).astype(np.int64)
        if self._turned:
            turned = np.full(self._cost.shape[1], FREE, np.int64)
            turned[columns[paired]] = np.flatnonzero(paired)
            columns = turned
        return Matching(columns, total, bound - self._skipped_cost(), int(paired.sum()))


def match(cost: NDArray[np.float64], gap: float = 0.0) -> Matching:
    """Return the matching of a table of costs with the least sum, or with one near it."""
    return Matcher(cost).solve(gap)
