"""What assigning many rows to many columns does in tight loops: short lists, bids, and paths.

Rows want columns; each costs something, inf is forbidden. A column has a price, a row looks for the
least of cost + price. The tables of costs are large (the speed of memory is what limits), so each
row keeps a LIST of columns that are cheap for it, and its REACH: whatever is not listed costs at
least that, price included. Prices only rise, so a list stays true until its best is beyond reach.

Sources: D. P. Bertsekas, The auction algorithm, Annals of Operations Research 14, 1988 (bids,
epsilon scaling); R. Jonker and A. Volgenant, Computing 38, 1987 (column reduction, augmenting row
reduction, shortest augmenting paths).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from central.fleet.assignment_forms import (
    BLOCK,
    FREE,
    KEPT,
    LISTED_MAX,
    LISTS,
    PAIRS,
    SKIPPED,
    Float64,
    Int32,
    Int64,
    Lists,
    Pairs,
)

Search = tuple[Float64, Int32, Int32, Int32, Float64, Int64, Int64, Float64, Float64, Float64]
"""Of each column the distance and the row before it; columns touched and done; a heap (keys, codes:
a column, or columns + a row whose reach comes into play); sizes (TOUCHED, DONE, HEAP, END, WORK);
the distance of the best end, and how far all is settled (rounding must not lead back behind that,
what is done would be done twice); two rooms to work in."""
SEARCH: Final = (
    "Tuple((float64[::1], int32[::1], int32[::1], int32[::1], float64[::1], int64[::1], int64[::1],"
    " float64[::1], float64[::1], float64[::1]))"
)
TOUCHED, DONE, HEAP, END, END_ROW, WORK = range(6)
TOO_MUCH: Final = 1
IMPOSSIBLE: Final = 2


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
            there = max(best[1], ahead + costs[i, k] + price[c])
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
            there = max(best[1], ahead + row[c] + price[c])
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
    best[0], best[1] = np.inf, 0.0
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
        best[1] = max(best[1], at)
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
        np.zeros(6, np.int64), np.empty(2), np.empty(columns // BLOCK + 1), np.empty(LISTED_MAX),
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
