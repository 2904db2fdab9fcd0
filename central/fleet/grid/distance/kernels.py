"""Distance fields: what it costs to reach one goal from every (cell, heading), kept for many goals.

A field is one uint32 per free cell: the cost from the best heading in the low 16 bits, and what
each heading costs more in four bits each above (heading 0 lowest). A planner that does not turn
uses heading 0 alone. `UNREACHED` is a cell from which the goal cannot be reached.

A pool has a bounded number of rows; the one least lately needed that nobody needs now makes room.
`rows` : (capacity + 1, 4) int32, of each row its goal's number, how many want it, and its
neighbours in the ring of rows that nobody wants (row `capacity` is the ring's head; older first).
`row_of` : (free cells,) int32, each goal's row or -1.
"""

from __future__ import annotations

from numba import njit

from central.fleet.grid.bare import bare
from central.fleet.grid.ground import Int32, Int64, UInt16, UInt32

UNREACHED = 0xFFFF
COST_MAX = 0xFF00
EDGE_COST_MAX = 63
"""Costs of edges and turns: two turns fit in the four bits of a heading."""
COST_BITS = 6
BUCKETS = 64
ROW_GOAL, ROW_WANTED, ROW_OLDER, ROW_NEWER = range(4)
ROW_COLUMNS = 4
COUNT_MADE, COUNT_REUSED, COUNT_USED = range(3)
"""What a pool counts: fields made, fields found, rows in use."""


@njit(inline="always")
def _offer(node: int, cost: int, best: UInt16, entries: Int32, sizes: Int32) -> None:
    """Put a node into the bucket of its cost where that is less than what is known."""
    if cost < best[node]:
        best[node] = cost
        bucket = cost & (BUCKETS - 1)
        entries[bucket, sizes[bucket]] = node
        sizes[bucket] += 1


@njit(
    "void(int32, int32[:, ::1], int64, uint16[::1], int32[:, ::1], int32[::1])",
    cache=True,
)
def turning_costs(
    goal: int, ways_in: Int32, turn: int, best: UInt16, entries: Int32, sizes: Int32
) -> None:
    """Fill `best` with the cost to reach free cell `goal` from each cell * 4 + heading.

    ways_in : (free, 4) int32, of each cell and heading, number * BUCKETS + cost of the cell from
    which a step in that heading leads here, -1: none; costs are 1 to EDGE_COST_MAX.
    turn : cost of a quarter turn.
    entries, sizes : work space, (BUCKETS, 4 * free) and (BUCKETS,) int32.
    Cost O(4 * free): Dial's buckets, backwards over (cell, heading).
    """
    best, entries, sizes = bare(best), bare(entries), bare(sizes)
    ways_in = bare(ways_in)
    best[:] = UNREACHED
    sizes[:] = 0
    for heading in range(4):
        _offer(goal * 4 + heading, 0, best, entries, sizes)
    level = 0
    quiet = 0
    while quiet < BUCKETS:
        bucket = level & (BUCKETS - 1)
        quiet = quiet + 1 if sizes[bucket] == 0 else 0
        for i in range(sizes[bucket]):
            node = entries[bucket, i]
            if best[node] != level:
                continue
            cell = node >> 2
            heading = node & 3
            way = ways_in[cell, heading]
            if way >= 0:
                behind = (way >> COST_BITS) * 4 + heading
                _offer(behind, level + (way & EDGE_COST_MAX), best, entries, sizes)
            _offer((cell << 2) | ((heading + 1) & 3), level + turn, best, entries, sizes)
            _offer((cell << 2) | ((heading + 3) & 3), level + turn, best, entries, sizes)
        sizes[bucket] = 0
        level += 1


@njit("void(uint16[::1], uint32[::1])", cache=True)
def pack(best: UInt16, field: UInt32) -> None:
    """Fill a field from the costs of each cell * 4 + heading."""
    for cell in range(field.size):
        a, b = int(best[4 * cell]), int(best[4 * cell + 1])
        c, d = int(best[4 * cell + 2]), int(best[4 * cell + 3])
        low = min(a, b, c, d)
        word = low | (a - low) << 16 | (b - low) << 20 | (c - low) << 24 | (d - low) << 28
        field[cell] = UNREACHED if low >= COST_MAX else word


@njit(
    "void(uint32[::1], int32, int32[:, ::1], uint16[::1], int32[:, ::1], int32[::1])",
    cache=True,
)
def straight_field(
    field: UInt32, goal: int, ways_in: Int32, best: UInt16, entries: Int32, sizes: Int32
) -> None:
    """Fill `field` with the costs to reach free cell `goal` without turning; see above."""
    best, entries, sizes = bare(best), bare(entries), bare(sizes)
    ways_in = bare(ways_in)
    best[: field.size] = UNREACHED
    sizes[:] = 0
    _offer(goal, 0, best, entries, sizes)
    level = 0
    quiet = 0
    while quiet < BUCKETS:
        bucket = level & (BUCKETS - 1)
        quiet = quiet + 1 if sizes[bucket] == 0 else 0
        for i in range(sizes[bucket]):
            cell = entries[bucket, i]
            if best[cell] != level:
                continue
            for heading in range(4):
                way = ways_in[cell, heading]
                if way >= 0:
                    _offer(way >> COST_BITS, level + (way & EDGE_COST_MAX), best, entries, sizes)
        sizes[bucket] = 0
        level += 1
    for cell in range(field.size):
        field[cell] = best[cell]


@njit("void(int32[:, ::1])", cache=True)
def clear_rows(rows: Int32) -> None:
    """Make every row of a pool free: nobody's, in the ring, the first rows oldest."""
    capacity = rows.shape[0] - 1
    for row in range(capacity + 1):
        rows[row, ROW_GOAL] = -1
        rows[row, ROW_WANTED] = 0
        rows[row, ROW_OLDER] = row - 1 if row > 0 else capacity
        rows[row, ROW_NEWER] = row + 1 if row < capacity else 0


@njit("void(int32[:, ::1], int64)", cache=True)
def release(rows: Int32, row: int) -> None:
    """Want a row once less; one that nobody wants becomes the newest of the ring."""
    rows[row, ROW_WANTED] -= 1
    if rows[row, ROW_WANTED] == 0:
        head = rows.shape[0] - 1
        newest = rows[head, ROW_OLDER]
        rows[row, ROW_OLDER] = newest
        rows[row, ROW_NEWER] = head
        rows[newest, ROW_NEWER] = row
        rows[head, ROW_OLDER] = row


@njit(
    "int64(int32, uint32[:, ::1], int32[:, ::1], int32[::1], int32[:, ::1], int64,"
    " uint16[::1], int32[:, ::1], int32[::1], int64[::1])",
    cache=True,
)
def want(
    goal: int, fields: UInt32, rows: Int32, row_of: Int32, ways_in: Int32, turn: int,
    best: UInt16, entries: Int32, sizes: Int32, counts: Int64,
) -> int:  # fmt: skip
    """Return the row of `goal`'s field, made now if it is not there; -1 if every row is wanted.

    turn : cost of a quarter turn, or 0 where robots do not turn.
    """
    row = row_of[goal]
    head = rows.shape[0] - 1
    if row < 0:
        row = rows[head, ROW_NEWER]
        if row == head:
            return -1
        gone = rows[row, ROW_GOAL]
        if gone >= 0:
            row_of[gone] = -1
        else:
            counts[COUNT_USED] += 1
        rows[row, ROW_GOAL] = goal
        row_of[goal] = row
        if turn > 0:
            turning_costs(goal, ways_in, turn, best, entries, sizes)
            pack(best, fields[row])
        else:
            straight_field(fields[row], goal, ways_in, best, entries, sizes)
        counts[COUNT_MADE] += 1
    else:
        counts[COUNT_REUSED] += 1
    if rows[row, ROW_WANTED] == 0:
        older, newer = rows[row, ROW_OLDER], rows[row, ROW_NEWER]
        rows[older, ROW_NEWER] = newer
        rows[newer, ROW_OLDER] = older
    rows[row, ROW_WANTED] += 1
    return int(row)
