"""Matchings that change: prices that fall again, and columns whose costs became others.

Words as in `assignment_kernels`. A column that is free and whose price is above 0 is HOT: where
fewer rows than columns are, none may be left in the end, for no price may be paid for what nobody
has. `cool` lowers the prices of hot columns to 0, or gives them away.

Source: the reverse auction of D. P. Bertsekas and D. A. Castanon, Computational Optimization and
Applications 1, 1992, done with exact shortest paths.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from central.fleet.assignment_forms import (
    FREE,
    LISTED_MAX,
    LISTS,
    PAIRS,
    SKIPPED,
    Float64,
    Int64,
    Lists,
    Pairs,
)


@njit(f"void({PAIRS}, float64[:, ::1], int64[::1], int64, int64, int64)", cache=True)
def _take_back(pairs: Pairs, cost: Float64, via: Int64, end: int, nearest: int, first: int) -> None:
    """Let rows along the path take the column before theirs, from `end` back to `first`."""
    row_of, column_of, pair_cost, _ = pairs
    if end == first:
        return
    i = nearest
    if end >= 0:
        row_of[end] = FREE
    while True:
        c = via[i]
        other = row_of[c]
        row_of[c], column_of[i], pair_cost[i] = i, c, cost[i, c]
        if c == first:
            return
        i = other


@njit(f"Tuple((int64[::1], int64[::1]))({LISTS}, int64)", cache=True)
def _rows_by_column(lists: Lists, columns: int) -> tuple[Int64, Int64]:
    """Return (first, rows): column c is listed by `rows[first[c]:first[c + 1]]`."""
    listed, _, count, _ = lists
    first = np.zeros(columns + 2, np.int64)
    for i in range(count.size):
        for k in range(count[i]):
            first[listed[i, k] + 2] += 1
    for c in range(2, columns + 2):
        first[c] += first[c - 1]
    rows = np.empty(first[columns + 1], np.int64)
    for i in range(count.size):
        for k in range(count[i]):
            c = listed[i, k] + 1
            rows[first[c]] = i
            first[c] += 1
    return first, rows


BACK: Final = (
    "Tuple((float64[::1], float64[::1], int64[::1], int64[::1], int64[::1], float64[::1],"
    " int64[::1], int64[::1], int64[::1]))"
)
Back = tuple[Float64, Float64, Int64, Int64, Int64, Float64, Int64, Int64, Int64]
"""Of each row the distance, what it pays and the column before it; rows touched; columns of the
tree with distances; (first, rows) by column; rows whose lists are too short."""


@njit(f"int64(float64[:, ::1], {PAIRS}, {BACK}, int64, int64, float64, int64)", cache=True)
def _expand_back(
    cost: Float64, pairs: Pairs, back: Back, touched: int, c: int, at: float, short: int
) -> int:
    """Go on from column `c` to the rows that would rather have it; return how many are touched."""
    distance, pays, via, rows_touched, _, _, first, by_column, short_rows = back
    ahead = at + pairs[3][c]
    listed = first[c + 1] - first[c]
    for q in range(listed + short):
        i = by_column[first[c] + q] if q < listed else short_rows[q - listed]
        there = max(at, ahead + cost[i, c] - pays[i])
        if there < distance[i]:
            if distance[i] == np.inf:
                rows_touched[touched] = i
                touched += 1
            distance[i] = there
            via[i] = c
    return touched


@njit(
    f"Tuple((float64, int64, int64, int64))(float64[:, ::1], {PAIRS}, {BACK}, int64, int64)",
    cache=True,
)
def _search_back(
    cost: Float64, pairs: Pairs, back: Back, hot: int, short: int
) -> tuple[float, int, int, int]:
    """Return the shortest way to cool column `hot`: (distance, end, row before it, tree's size).

    It ends at a column whose price gets 0 first, or at a row that has none (SKIPPED).
    """
    distance, pays, _, rows_touched, tree, tree_at, _, _, _ = back
    column_of, price = pairs[1], pairs[3]
    c, at, size, touched, end, end_row = hot, 0.0, 0, 0, hot, FREE
    best = price[hot]
    while True:
        tree[size], tree_at[size] = c, at
        size += 1
        touched = _expand_back(cost, pairs, back, touched, c, at, short)
        at = best
        nearest = FREE
        for q in range(touched):
            i = rows_touched[q]
            if distance[i] < at and pays[i] > -np.inf:
                at, nearest = distance[i], i
        if nearest < 0:
            break
        c = column_of[nearest]
        if c == SKIPPED:
            best, end, end_row = at, SKIPPED, nearest
            break
        pays[nearest] = -np.inf  # done
        if at + price[c] < best:
            best, end, end_row = at + price[c], c, nearest
    for q in range(touched):
        distance[rows_touched[q]] = np.inf
    return best, end, end_row, size


@njit(f"int64(float64[:, ::1], {LISTS}, {PAIRS})", cache=True)
def cool(cost: Float64, lists: Lists, pairs: Pairs) -> int:
    """Lower the prices of hot columns to 0, or give them to rows; return how many were hot.

    A row that can then have a hot column cheaper takes it, and leaves its own, and so on along the
    shortest path. Who lists a column is looked at, and rows whose reach is near what they pay.
    """
    row_of, column_of, pair_cost, price = pairs
    reach = lists[3]
    rows, columns = cost.shape
    first, by_column = _rows_by_column(lists, columns)
    back = (
        np.full(rows, np.inf), np.empty(rows), np.empty(rows, np.int64), np.empty(rows, np.int64),
        np.empty(rows + 1, np.int64), np.empty(rows + 1), first, by_column,
        np.empty(rows, np.int64),
    )  # fmt: skip
    _, pays, via, _, tree, tree_at, _, _, short_rows = back
    fallen = np.zeros(columns)
    fallen_most = 0.0
    count = 0
    for hot in range(columns):
        if row_of[hot] >= 0 or price[hot] <= 0.0:
            continue
        count += 1
        short = 0
        for i in range(rows):
            own = column_of[i]
            pays[i] = pair_cost[i] + (price[own] if own >= 0 else 0.0)
            if reach[i] - fallen_most - pays[i] < price[hot]:
                short_rows[short] = i
                short += 1
        best, end, end_row, size = _search_back(cost, pairs, back, hot, short)
        _take_back(pairs, cost, via, end, end_row, hot)
        for q in range(size):
            c = tree[q]
            lower = max(0.0, price[c] - (best - tree_at[q]))
            fallen[c] += price[c] - lower
            price[c] = lower
            fallen_most = max(fallen_most, fallen[c])
    for i in range(rows):  # nothing is better for a row than what it has: so nothing unlisted is
        own = column_of[i]
        pays[i] = pair_cost[i] + (price[own] if own >= 0 else 0.0)
        reach[i] = max(reach[i] - fallen_most, min(reach[i], pays[i]))
    return count


@njit(f"void(float64[:, ::1], int64[::1], float64[:, ::1], {LISTS}, {PAIRS})", cache=True)
def change_columns(cost: Float64, changed: Int64, new: Float64, lists: Lists, pairs: Pairs) -> None:
    """Write the new costs of some columns: they are free then, and no pair is worse for it.

    new: (rows, changed). Prices become the least with which no row would rather have one of these
    columns than what it has. The table is walked once, row by row: its columns are far apart.
    """
    row_of, column_of, pair_cost, price = pairs
    columns, costs, count, reach = lists
    is_changed = np.zeros(price.size, np.uint8)
    least = np.zeros(changed.size)
    for c in changed:
        is_changed[c] = 1
        if row_of[c] >= 0:
            column_of[row_of[c]] = FREE
            row_of[c] = FREE
    for i in range(column_of.size):
        own = column_of[i]
        pays = -np.inf
        if own != FREE:
            pays = pair_cost[i] + (price[own] if own >= 0 else 0.0)
        for q in range(changed.size):
            cost[i, changed[q]] = new[i, q]
            least[q] = max(least[q], pays - new[i, q])
    for q in range(changed.size):
        price[changed[q]] = least[q]
    for i in range(column_of.size):
        size = 0
        for k in range(count[i]):
            if is_changed[columns[i, k]] == 0:
                columns[i, size], costs[i, size] = columns[i, k], costs[i, k]
                size += 1
        for q in range(changed.size):
            value = new[i, q] + least[q]
            if value < reach[i] and size < LISTED_MAX:
                columns[i, size], costs[i, size] = changed[q], new[i, q]
                size += 1
            else:
                reach[i] = min(reach[i], value)
        count[i] = size
