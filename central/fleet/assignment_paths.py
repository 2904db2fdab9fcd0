"""Shortest augmenting paths on short lists: what makes a matching exact, and changes one.

Words as in `assignment_kernels`. A column that is free and whose price is above 0 is HOT: where
fewer rows than columns are, none may be left in the end, for no price may be paid for what nobody
has. `cool` lowers the prices of hot columns to 0, or gives them away.

Sources: R. Jonker and A. Volgenant, Computing 38, 1987; the search backwards is the reverse auction
of D. P. Bertsekas and D. A. Castanon, 1992, done with exact paths.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from central.fleet.assignment_kernels import (
    BLOCK,
    FREE,
    LISTED_MAX,
    LISTS,
    PAIRS,
    SKIPPED,
    Float64,
    Int32,
    Int64,
    Lists,
    Pairs,
    block_minima,
    list_row,
    two_best,
)

Search = tuple[Float64, Int32, Int32, Int32, Float64, Int64, Int64, Float64, Float64, Float64]
"""Of each column the distance and the row before it; columns touched and done; a heap (keys, codes:
a column, or columns + a row whose reach comes into play); sizes (TOUCHED, DONE, HEAP, END, WORK);
the distance of the best end; two rooms to work in."""
SEARCH: Final = (
    "Tuple((float64[::1], int32[::1], int32[::1], int32[::1], float64[::1], int64[::1], int64[::1],"
    " float64[::1], float64[::1], float64[::1]))"
)
TOUCHED, DONE, HEAP, END, END_ROW, WORK = range(6)
TOO_MUCH: Final = 1
IMPOSSIBLE: Final = 2


@njit("int64(float64[::1], int64[::1], int64, float64, int64)", cache=True)
def _push(keys: Float64, codes: Int64, size: int, key: float, code: int) -> int:
    i = size
    while i > 0 and keys[(i - 1) >> 1] > key:
        keys[i] = keys[(i - 1) >> 1]
        codes[i] = codes[(i - 1) >> 1]
        i = (i - 1) >> 1
    keys[i] = key
    codes[i] = code
    return size + 1


@njit("int64(float64[::1], int64[::1], int64)", cache=True)
def _pop(keys: Float64, codes: Int64, size: int) -> int:
    """Take the least off the heap; return the size then."""
    size -= 1
    key = keys[size]
    code = codes[size]
    i = 0
    while 2 * i + 1 < size:
        child = 2 * i + 1
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[i] = keys[child]
        codes[i] = codes[child]
        i = child
    keys[i] = key
    codes[i] = code
    return size


@njit(f"void({SEARCH}, int64)", cache=True)
def _make_room(search: Search, wanted: int) -> None:
    """Drop what is out of date from the heap where `wanted` more might not fit."""
    distance, _, _, _, keys, codes, sizes, _, _, _ = search
    size = sizes[HEAP]
    if size + wanted <= keys.size:
        return
    kept = 0
    for q in range(size):
        key, code = keys[q], codes[q]
        if code >= distance.size or key <= distance[code]:
            kept = _push(keys, codes, kept, key, code)
    sizes[HEAP] = kept


@njit(f"void({PAIRS}, {SEARCH}, int64, int64, float64)", cache=True)
def _reach_column(pairs: Pairs, search: Search, i: int, c: int, at: float) -> None:
    """Note that column `c` can be reached from row `i` at the distance `at`."""
    distance, via, touched, _, keys, codes, sizes, best, _, _ = search
    if distance[c] == np.inf:
        touched[sizes[TOUCHED]] = c
        sizes[TOUCHED] += 1
    distance[c] = at
    via[c] = i
    if pairs[0][c] < 0:
        best[0] = at
        sizes[END] = c
    else:
        sizes[HEAP] = _push(keys, codes, sizes[HEAP], at, c)


@njit(
    f"void(float64[:, ::1], {LISTS}, {PAIRS}, {SEARCH}, int64, float64, float64, int64)",
    cache=True,
)
def _expand(
    cost: Float64, lists: Lists, pairs: Pairs, search: Search, i: int, at: float, paid: float,
    whole: int,
) -> None:  # fmt: skip
    """Go on from row `i`, `at` so far, which pays `paid`, by its list or (1) the whole row."""
    distance, _, _, _, keys, codes, sizes, best, minima, _ = search
    price = pairs[3]
    ahead = at - paid
    if whole == 0:
        columns, costs, count, reach = lists
        _make_room(search, LISTED_MAX + 1)
        for k in range(count[i]):
            c = columns[i, k]
            there = max(at, ahead + costs[i, k] + price[c])  # rounding must not lead backwards
            if there < distance[c] and there < best[0]:
                _reach_column(pairs, search, i, c, there)
        if ahead + reach[i] < best[0]:
            sizes[HEAP] = _push(keys, codes, sizes[HEAP], ahead + reach[i], distance.size + i)
        sizes[WORK] += LISTED_MAX
        return
    row = cost[i]
    _make_room(search, row.size)
    block_minima(row, price, minima)
    for b in range((row.size + BLOCK - 1) // BLOCK):
        if ahead + minima[b] >= best[0]:
            continue
        for c in range(b * BLOCK, min(row.size, b * BLOCK + BLOCK)):
            there = max(at, ahead + row[c] + price[c])
            if there < distance[c] and there < best[0]:
                _reach_column(pairs, search, i, c, there)
    sizes[WORK] += row.size


@njit(f"void(float64[:, ::1], {LISTS}, {PAIRS}, {SEARCH}, int64, float64)", cache=True)
def _search_from(
    cost: Float64, lists: Lists, pairs: Pairs, search: Search, start: int, skip_cost: float
) -> None:
    """Find the cheapest way to give row `start` a column: by way of rows that take others.

    Dijkstra on cost + price less what the row pays; ends at a free column or a row that is skipped.
    """
    distance, _, _, done, keys, codes, sizes, best, minima, values = search
    row_of, column_of, pair_cost, price = pairs
    reach = lists[3]
    columns = distance.size
    sizes[TOUCHED] = sizes[DONE] = sizes[HEAP] = 0
    sizes[END] = sizes[END_ROW] = FREE
    best[0] = np.inf
    start_pays = two_best(start, lists, price)[2]
    if start_pays > reach[start]:
        list_row(cost, price, start, lists, minima, values)
        sizes[WORK] += columns
        start_pays = min(two_best(start, lists, price)[2], reach[start])
    i, at, paid, whole = start, 0.0, start_pays, 0
    if start_pays == np.inf:
        best[0], sizes[END_ROW] = skip_cost, start
        return
    while True:
        _expand(cost, lists, pairs, search, i, at, paid, whole)
        if at - paid + skip_cost < best[0]:
            best[0] = at - paid + skip_cost
            sizes[END], sizes[END_ROW] = FREE, i
        c = FREE
        while sizes[HEAP] > 0 and keys[0] < best[0]:
            c, at = codes[0], keys[0]
            sizes[HEAP] = _pop(keys, codes, sizes[HEAP])
            if c >= columns or at <= distance[c]:
                break
            c = FREE
        if c < 0:
            return
        whole = 0
        if c < columns:
            done[sizes[DONE]] = c
            sizes[DONE] += 1
            i = row_of[c]
        else:
            i = c - columns
            reach_before = reach[i]
            list_row(cost, price, i, lists, minima, values)
            sizes[WORK] += columns
            whole = 1 if reach[i] <= reach_before else 0
        at = 0.0 if i == start else distance[column_of[i]]
        paid = start_pays if i == start else pair_cost[i] + price[column_of[i]]


@njit(f"int64(float64[:, ::1], {LISTS}, {PAIRS}, float64, int64)", cache=True)
def augment(cost: Float64, lists: Lists, pairs: Pairs, skip_cost: float, work_max: int) -> int:
    """Give each free row a column, so that the sum of costs is the least; return what happened.

    0: all have one; TOO_MUCH: of work, some are free still; IMPOSSIBLE: some row cannot have one.
    Pairs must be the row's best each (`part` with 0). Work is counted in costs looked at.
    """
    row_of, column_of, pair_cost, price = pairs
    rows, columns = cost.shape
    room = 3 * (rows + columns) + 2 * LISTED_MAX
    search = (
        np.full(columns, np.inf), np.empty(columns, np.int32), np.empty(columns, np.int32),
        np.empty(columns, np.int32), np.empty(room), np.empty(room, np.int64),
        np.zeros(6, np.int64), np.empty(1), np.empty(columns // BLOCK + 1), np.empty(LISTED_MAX),
    )  # fmt: skip
    distance, via, touched, done, _, _, sizes, best, _, _ = search
    answer = 0
    for start in range(rows):
        if column_of[start] != FREE:
            continue
        if sizes[WORK] > work_max:
            return TOO_MUCH
        _search_from(cost, lists, pairs, search, start, skip_cost)
        if best[0] == np.inf:
            answer = IMPOSSIBLE
        else:
            for q in range(sizes[DONE]):
                price[done[q]] += best[0] - distance[done[q]]
            c = sizes[END]
            if c < 0:  # that row gives up its column, or never gets one
                i = sizes[END_ROW]
                c = column_of[i]
                column_of[i] = SKIPPED
                pair_cost[i] = skip_cost
            else:
                i = FREE
            while i != start:
                i = via[c]
                before = column_of[i]
                row_of[c], column_of[i], pair_cost[i] = i, c, cost[i, c]
                c = before
        for q in range(sizes[TOUCHED]):
            distance[touched[q]] = np.inf
    return answer


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


@njit(f"void(float64[:, ::1], int64[::1], {LISTS}, {PAIRS})", cache=True)
def change_columns(cost: Float64, changed: Int64, lists: Lists, pairs: Pairs) -> None:
    """Take in that all costs of some columns changed: they are free, and no pair is worse for it.

    Their prices become the least with which no row would rather have them than what it has.
    """
    row_of, column_of, pair_cost, price = pairs
    columns, costs, count, reach = lists
    is_changed = np.zeros(price.size, np.uint8)
    for c in changed:
        is_changed[c] = 1
        if row_of[c] >= 0:
            column_of[row_of[c]] = FREE
            row_of[c] = FREE
        price[c] = 0.0
    for i in range(column_of.size):
        own = column_of[i]
        if own != FREE:
            pays = pair_cost[i] + (price[own] if own >= 0 else 0.0)
            for c in changed:
                price[c] = max(price[c], pays - cost[i, c])
    for i in range(column_of.size):
        size = 0
        for k in range(count[i]):
            if is_changed[columns[i, k]] == 0:
                columns[i, size], costs[i, size] = columns[i, k], costs[i, k]
                size += 1
        for c in changed:
            value = cost[i, c] + price[c]
            if value < reach[i] and size < LISTED_MAX:
                columns[i, size], costs[i, size] = c, cost[i, c]
                size += 1
            else:
                reach[i] = min(reach[i], value)
        count[i] = size
