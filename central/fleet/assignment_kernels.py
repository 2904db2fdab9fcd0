"""What assigning many rows to many columns does in tight loops: short lists, bids, and bounds.

Rows want columns; each costs something, inf is forbidden. A column has a price, a row looks for the
least of cost + price. The tables of costs are large (gigabytes per second are what limits), so each
row keeps a LIST of columns that are cheap for it, and its REACH: whatever is not listed costs at
least that, price included. Prices only rise, so a list stays true until its best is beyond reach.

Sources: D. P. Bertsekas, The auction algorithm, Annals of Operations Research 14, 1988 (bids,
epsilon scaling); the same and D. A. Castanon, Computational Optimization and Applications 1, 1992
(fewer rows than columns); R. Jonker and A. Volgenant, Computing 38, 1987 (column reduction,
augmenting row reduction).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Lists = tuple[Int32, Float64, Int64, Float64]
"""Of each row: listed columns, what they cost, how many there are, the reach."""
Pairs = tuple[Int32, Int32, Float64, Float64]
"""Row of each column (FREE), column of each row (FREE, SKIPPED), what that costs, prices."""

LISTED_MAX: Final = 48
KEPT: Final = 32
"""A full list is cut to so many."""
BLOCK: Final = 32
FREE: Final = -1
SKIPPED: Final = -2
"""The row has no column: leaving it without one is cheaper, or nothing else is left."""
LISTS: Final = "Tuple((int32[:, ::1], float64[:, ::1], int64[::1], float64[::1]))"
PAIRS: Final = "Tuple((int32[::1], int32[::1], float64[::1], float64[::1]))"


# Without this llvm does not take the least of several numbers at once; it says that none is a NaN
# (those are refused before) and that -0 is 0.
@njit("void(float64[::1], float64[::1], float64[::1])", cache=True, fastmath={"nnan", "nsz"})
def block_minima(row: Float64, price: Float64, minima: Float64) -> None:
    """Set the least of row + price in each block of BLOCK columns; one pass at memory speed."""
    whole = row.size // BLOCK
    rows = row[: whole * BLOCK].reshape(whole, BLOCK)
    prices = price[: whole * BLOCK].reshape(whole, BLOCK)
    for b in range(whole):
        least = np.inf
        for k in range(BLOCK):
            value = rows[b, k] + prices[b, k]
            least = min(least, value)
        minima[b] = least
    if whole * BLOCK < row.size:
        least = np.inf
        for k in range(whole * BLOCK, row.size):
            value = row[k] + price[k]
            least = min(least, value)
        minima[whole] = least


@njit("void(int32[::1], float64[::1], float64[::1], int64)", cache=True)
def _sort(columns: Int32, costs: Float64, values: Float64, size: int) -> None:
    """Sort a list by value, equals as they stand."""
    for a in range(1, size):
        value = values[a]
        column = columns[a]
        cost = costs[a]
        b = a - 1
        while b >= 0 and values[b] > value:
            values[b + 1] = values[b]
            columns[b + 1] = columns[b]
            costs[b + 1] = costs[b]
            b -= 1
        values[b + 1] = value
        columns[b + 1] = column
        costs[b + 1] = cost


@njit("float64(float64[::1], int64, float64[::1])", cache=True)
def _least_of_many(minima: Float64, blocks: int, values: Float64) -> float:
    """Return the KEPT-th smallest of the minima, inf where there are fewer."""
    size = 0
    for b in range(blocks):
        value = minima[b]
        if size == KEPT and value >= values[KEPT - 1]:
            continue
        a = size if size < KEPT else KEPT - 1
        size = min(size + 1, KEPT)
        while a > 0 and values[a - 1] > value:
            values[a] = values[a - 1]
            a -= 1
        values[a] = value
    return values[KEPT - 1] if size == KEPT else np.inf


@njit(
    f"void(float64[:, ::1], float64[::1], int64, {LISTS}, float64[::1], float64[::1])", cache=True
)
def list_row(
    cost: Float64, price: Float64, i: int, lists: Lists, minima: Float64, values: Float64
) -> None:
    """List the columns that are cheapest for row `i` now. `minima`, `values`: room to work in."""
    row = cost[i]
    columns = lists[0][i]
    costs = lists[1][i]
    blocks = (row.size + BLOCK - 1) // BLOCK
    block_minima(row, price, minima)
    reach = _least_of_many(minima, blocks, values)
    size = 0
    cut = False  # then what costs exactly the reach is not listed any more
    for b in range(blocks):
        if minima[b] > reach or (cut and minima[b] >= reach):
            continue
        for c in range(b * BLOCK, min(row.size, b * BLOCK + BLOCK)):
            value = row[c] + price[c]
            if value > reach or (cut and value >= reach) or value == np.inf:
                continue
            if size == LISTED_MAX:
                _sort(columns, costs, values, size)
                reach = values[KEPT]
                size = KEPT
                cut = True
                if value >= reach:
                    continue
            columns[size] = c
            costs[size] = row[c]
            values[size] = value
            size += 1
    lists[2][i] = size
    lists[3][i] = reach


@njit(f"void(float64[:, ::1], float64[::1], int64[::1], {LISTS})", cache=True)
def list_rows(cost: Float64, price: Float64, rows: Int64, lists: Lists) -> None:
    """List anew what is cheapest for these rows. Cost: one pass over them, at memory speed."""
    minima = np.empty(cost.shape[1] // BLOCK + 1)
    values = np.empty(LISTED_MAX)
    for i in rows:
        list_row(cost, price, i, lists, minima, values)


@njit("void(float64[:, ::1], float64[::1])", cache=True)
def reduce_columns(cost: Float64, price: Float64) -> None:
    """Set prices so that the least of each column, price included, is 0. For square tables only.

    Where fewer rows than columns are, who stays free must have the price 0 in the end.
    """
    price[:] = cost[0]
    for i in range(1, cost.shape[0]):
        for c in range(cost.shape[1]):
            price[c] = min(price[c], cost[i, c])
    for c in range(price.size):
        price[c] = -price[c]


@njit("Tuple((float64, float64, boolean))(float64[:, ::1])", cache=True)
def extent(cost: Float64) -> tuple[float, float, bool]:
    """Return the least and the greatest finite cost, and whether there is a NaN or -inf."""
    least = np.inf
    greatest = -np.inf
    wrong = False
    for i in range(cost.shape[0]):
        for c in range(cost.shape[1]):
            value = cost[i, c]
            wrong = wrong or not value > -np.inf
            least = min(least, value)
            greatest = max(greatest, value if value < np.inf else greatest)
    return least, greatest, wrong


@njit(
    f"Tuple((int64, int64, float64, float64, float64, float64))(int64, {LISTS}, float64[::1])",
    cache=True,
)
def two_best(i: int, lists: Lists, price: Float64) -> tuple[int, int, float, float, float, float]:
    """Return row i's best and second best listed columns, with values, then with costs."""
    columns, costs, count, _ = lists
    first = second = FREE
    value_1 = value_2 = cost_1 = cost_2 = np.inf
    for k in range(count[i]):
        value = costs[i, k] + price[columns[i, k]]
        if value < value_1:
            second, value_2, cost_2 = first, value_1, cost_1
            first, value_1, cost_1 = columns[i, k], value, costs[i, k]
        elif value < value_2:
            second, value_2, cost_2 = columns[i, k], value, costs[i, k]
    return first, second, value_1, value_2, cost_1, cost_2


@njit(f"int64(float64[:, ::1], {LISTS}, {PAIRS}, float64, float64, int64)", cache=True)
def bid(
    cost: Float64, lists: Lists, pairs: Pairs, epsilon: float, skip_cost: float, bids_max: int
) -> int:
    """Let free rows take what is best for them, raising its price; return how many bids that were.

    A bid raises the price until the second best is better by `epsilon`: all pairs made are within
    that of the best. 0: augmenting row reduction, which stops where rows would fight for ever; what
    stays free then, and after `bids_max`, is for `augment`.
    """
    row_of, column_of, pair_cost, price = pairs
    reach = lists[3]
    rows = column_of.size
    minima = np.empty(cost.shape[1] // BLOCK + 1)
    values = np.empty(LISTED_MAX)
    queue = np.flatnonzero(column_of == FREE)
    size = queue.size
    queue = np.concatenate((queue, np.zeros(rows - size, np.int64)))
    head = 0
    bids = 0
    row = FREE
    while bids < bids_max and (size > 0 or row >= 0):
        if row < 0:
            row = queue[head]
            head = (head + 1) % rows
            size -= 1
        i = row
        row = FREE
        bids += 1
        c, second, value, other, c_cost, second_cost = two_best(i, lists, price)
        if min(other, skip_cost) > reach[i]:
            list_row(cost, price, i, lists, minima, values)
            c, second, value, other, c_cost, second_cost = two_best(i, lists, price)
        if value >= skip_cost and skip_cost < np.inf:
            column_of[i] = SKIPPED
            pair_cost[i] = skip_cost
            continue
        other = min(other, skip_cost)
        if c < 0 or other == np.inf:
            continue
        ties = epsilon == 0.0 and value == other and second >= 0
        if ties and row_of[c] >= 0 and row_of[second] < 0:
            c, c_cost = second, second_cost
        rise = other - value + epsilon
        before = row_of[c]
        price[c] += rise
        row_of[c], column_of[i], pair_cost[i] = i, c, c_cost
        if before >= 0:
            column_of[before] = FREE
            if rise > 0.0:
                row = before
            else:
                queue[(head + size) % rows] = before
                size += 1
    return bids


@njit(f"int64({LISTS}, {PAIRS}, float64, float64)", cache=True)
def part(lists: Lists, pairs: Pairs, tolerance: float, skip_cost: float) -> int:
    """Part pairs that are worse than the row's best by more than `tolerance`; return how many."""
    row_of, column_of, pair_cost, price = pairs
    parted = 0
    for i in range(column_of.size):
        c = column_of[i]
        if c == FREE:
            continue
        least = min(two_best(i, lists, price)[2], lists[3][i], skip_cost)
        paid = pair_cost[i] + (price[c] if c >= 0 else 0.0)
        if paid > least + tolerance:
            column_of[i] = FREE
            if c >= 0:
                row_of[c] = FREE
            parted += 1
    return parted


@njit(f"void({LISTS}, {PAIRS}, float64)", cache=True)
def lower_prices(lists: Lists, pairs: Pairs, by: float) -> None:
    """Lower all prices above 0 by as much, but not below 0; what is out of reach stays so."""
    price = pairs[3]
    for c in range(price.size):
        price[c] = max(0.0, price[c] - by)
    for i in range(lists[3].size):
        lists[3][i] -= by


@njit(f"Tuple((float64, float64, int64))({LISTS}, {PAIRS}, float64)", cache=True)
def bounds(lists: Lists, pairs: Pairs, skip_cost: float) -> tuple[float, float, int]:
    """Return (what the pairs cost, a sum that no matching can be below, free rows).

    The second is the dual one: each row's least of cost + price, less all prices. No price is
    below 0 where a column may stay free.
    """
    _, column_of, pair_cost, price = pairs
    paid = 0.0
    bound = 0.0
    free = 0
    for i in range(column_of.size):
        if column_of[i] == FREE:
            free += 1
        else:
            paid += pair_cost[i]
        bound += min(two_best(i, lists, price)[2], lists[3][i], skip_cost)
    for c in range(price.size):
        bound -= price[c]
    return paid, bound, free


@njit("float64(float64[:, ::1], float64[::1], float64)", cache=True, fastmath={"nnan", "nsz"})
def dense_bound(cost: Float64, price: Float64, skip_cost: float) -> float:
    """Return the sum that no matching can be below, from the whole table: the proof by duals."""
    bound = 0.0
    for i in range(cost.shape[0]):
        least = skip_cost
        row = cost[i]
        for c in range(row.size):
            value = row[c] + price[c]
            least = min(least, value)
        bound += least
    for c in range(price.size):
        bound -= price[c]
    return bound
