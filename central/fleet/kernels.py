"""What the fleet computes in tight loops: distance fields, planning steps, crowds on ways.

Arrays in, arrays out. Graphs are compressed sparse rows: the neighbours of node `u` are
`indices[indptr[u]:indptr[u + 1]]`. Importing this module loads the compiled code from the cache, or
compiles it once.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Flags = NDArray[np.uint8]

UNDECIDED = 0
IN_CHAIN = 1
DECIDED = 2
TURN_TANGENT_MIN = 0.05
"""Less than this (3 degrees) is no turn."""
LAST_RESORT_M = np.float32(1e6)
"""Longer than any way: such a place comes after staying."""
END, BEFORE, LENGTH, GOAL, ROW, FROZEN, STAYS, WAITS = range(8)
"""Rows of what `pibt_steps` is told of each robot: the last node of its path and the one before it,
how many nodes that has, its goal (-1: none) and the row of that in `fields_m`, whether it gets no
further nodes, whether it is not to be pushed away from its goal, for how long it has waited."""
TRACK_ROWS = 8
NOTHING = -1
LEAVES = -2
"""In place of a row of `fields_m`: the robot wants nothing; it makes room in a dead end."""


@njit("float32[::1](int32[::1], int32[::1], float32[::1], uint8[::1], int64)", cache=True)
def distance_field(
    indptr: Int32, indices: Int32, lengths_m: Float32, closed: Flags, goal: int
) -> Float32:
    """Return each node's way to `goal` in metres, inf where there is none.

    The graph is the REVERSED one: rows list who leads here. `closed` nodes are not driven through;
    the goal itself may be closed. Cost O(E log E): Dijkstra on a binary heap with late deletion.
    """
    nodes = indptr.size - 1
    field = np.full(nodes, np.inf, np.float32)
    heap_key = np.empty(indices.size + 1, np.float32)
    heap_node = np.empty(indices.size + 1, np.int32)
    field[goal] = 0.0
    heap_key[0] = 0.0
    heap_node[0] = goal
    size = 1
    while size > 0:
        here_m = heap_key[0]
        here = heap_node[0]
        size -= 1
        key = heap_key[size]
        node = heap_node[size]
        i = 0
        while True:
            child = 2 * i + 1
            if child >= size:
                break
            if child + 1 < size and heap_key[child + 1] < heap_key[child]:
                child += 1
            if heap_key[child] >= key:
                break
            heap_key[i] = heap_key[child]
            heap_node[i] = heap_node[child]
            i = child
        heap_key[i] = key
        heap_node[i] = node
        if here_m > field[here]:
            continue
        for e in range(indptr[here], indptr[here + 1]):
            there = indices[e]
            there_m = np.float32(here_m + lengths_m[e])
            if closed[there] != 0 or there_m >= field[there]:
                continue
            field[there] = there_m
            i = size
            size += 1
            while i > 0 and heap_key[(i - 1) // 2] > there_m:
                heap_key[i] = heap_key[(i - 1) // 2]
                heap_node[i] = heap_node[(i - 1) // 2]
                i = (i - 1) // 2
            heap_key[i] = there_m
            heap_node[i] = there
    return field


@njit("uint32(uint32, uint32, uint32)", cache=True)
def _mix(a: int, b: int, c: int) -> int:
    """Return well mixed bits of three numbers: breaks ties evenly, the same on every machine."""
    h = np.uint32(a * np.uint32(2654435761)) ^ np.uint32(b * np.uint32(2246822519))
    h = np.uint32(h ^ np.uint32(c * np.uint32(3266489917)))
    h = np.uint32(h ^ (h >> np.uint32(15)))
    h = np.uint32(h * np.uint32(2246822519))
    return int(np.uint32(h ^ (h >> np.uint32(13))))


@njit("boolean(float32[:, ::1], int64, int64, int64)", cache=True)
def _goes_straight(xy_m: Float32, before: int, here: int, there: int) -> bool:
    """Return whether the way from `before` (-1: unknown) over `here` to `there` needs no turn."""
    if before < 0:
        return False
    ax = xy_m[here, 0] - xy_m[before, 0]
    ay = xy_m[here, 1] - xy_m[before, 1]
    bx = xy_m[there, 0] - xy_m[here, 0]
    by = xy_m[there, 1] - xy_m[here, 1]
    along = ax * bx + ay * by
    return bool(along > 0 and abs(ax * by - ay * bx) < TURN_TANGENT_MIN * along)


@njit(
    "int64(int32[::1], int32[::1], float32[:, ::1], float32[:, ::1], int64, int64, int64, int64,"
    " int32[::1], uint8[::1], uint32, int32[::1], float32[::1], int64[::1], int32[::1],"
    " float32[::1], int32[::1])",
    cache=True,
)
def _candidates(
    indptr: Int32,
    indices: Int32,
    xy_m: Float32,
    fields_m: Float32,
    row: int,
    robot: int,
    before: int,
    here: int,
    occupant: Int32,
    closed: Flags,
    salt: int,
    out: Int32,
    out_m: Float32,
    out_tie: Int64,
    pocket: Int32,
    depth: Float32,
    crowd: Int32,
) -> int:
    """Return how many places `robot` may be next, best first in `out`: stay, or a neighbour.

    Best is nearest to the goal, then staying, then empty and straight on, then empty, then by mixed
    bits. A robot without a goal (`row` NOTHING) likes best to stay, one that LEAVES a dead end
    what lies less deep in it. Nobody enters a dead end in which somebody is, and who has nothing
    to do there only where nothing else is left.
    """
    count = 0
    for e in range(indptr[here] - 1, indptr[here + 1]):
        node = here if e < indptr[here] else indices[e]
        if node == here and e >= indptr[here]:
            continue
        end = pocket[node]
        if node != here and (
            closed[node] != 0 or (end >= 0 and end != pocket[here] and crowd[end] > 0)
        ):
            continue
        if row >= 0:
            key_m = fields_m[row, node]
        elif row == LEAVES:
            key_m = depth[node]
        else:
            key_m = np.float32(0.0 if node == here else 1.0)
        if depth[node] > depth[here] and (row < 0 or key_m > fields_m[row, here]):
            key_m += LAST_RESORT_M  # it would only have to come out again
        rank = 0
        if node != here:
            rank = 1 if _goes_straight(xy_m, before, here, node) else 2
            rank = 3 if occupant[node] >= 0 else rank
        tie = np.int64(rank) << 32 | np.int64(_mix(robot, node, salt))
        i = count
        while i > 0 and (out_m[i - 1] > key_m or (out_m[i - 1] == key_m and out_tie[i - 1] > tie)):
            out[i] = out[i - 1]
            out_m[i] = out_m[i - 1]
            out_tie[i] = out_tie[i - 1]
            i -= 1
        out[i] = node
        out_m[i] = key_m
        out_tie[i] = tie
        count += 1
    return count


@njit(
    "int32[::1](int32[::1], int32[::1], float32[:, ::1], float32[:, ::1], int32[::1], int32[::1],"
    " int32[::1], int32[::1], uint8[::1], uint8[::1], uint32, int32[:, ::1], int64, int32[::1],"
    " float32[::1], int32[::1])",
    cache=True,
)
def _step_on(
    indptr: Int32,
    indices: Int32,
    xy_m: Float32,
    fields_m: Float32,
    field_of: Int32,
    before: Int32,
    at: Int32,
    order: Int32,
    frozen: Flags,
    closed: Flags,
    salt: int,
    nobody: Int32,
    degree: int,
    pocket: Int32,
    depth: Float32,
    crowd: Int32,
) -> Int32:
    """Return where each robot is after one step, as `pibt_step` does.

    nobody: (2, nodes) of -1, and that again on return; degree: the most neighbours of a node.
    pocket: each node's dead end, -1: none; depth: how deep in it; crowd: robots in each.
    """
    robots = at.size
    occupant = nobody[0]
    taken = nobody[1]
    status = np.zeros(robots, np.uint8)
    target = at.copy()
    for r in range(robots):
        occupant[at[r]] = r
        if frozen[r] != 0:
            taken[at[r]] = r
            status[r] = DECIDED
    stack = np.empty(robots, np.int32)
    tried = np.empty(robots, np.int32)
    count = np.empty(robots, np.int32)
    choices = np.empty((robots, degree + 1), np.int32)
    keys_m = np.empty(degree + 1, np.float32)
    ties = np.empty(degree + 1, np.int64)

    for root in order:
        if status[root] != UNDECIDED:
            continue
        link = 0
        stack[0] = root
        status[root] = IN_CHAIN
        tried[0] = -1
        while link >= 0:
            r = stack[link]
            if tried[link] < 0:
                tried[link] = 0
                count[link] = _candidates(
                    indptr, indices, xy_m, fields_m, field_of[r], r, before[r], at[r], occupant,
                    closed, salt, choices[link], keys_m, ties, pocket, depth, crowd,
                )  # fmt: skip
            if tried[link] == count[link]:
                # Nothing is left: it stays, and whoever pushed it tries something else.
                target[r] = at[r]
                taken[at[r]] = r
                status[r] = DECIDED
                link -= 1
                continue
            v = choices[link, tried[link]]
            tried[link] += 1
            other = occupant[v] if occupant[v] != r else np.int32(-1)
            if taken[v] >= 0 or (other >= 0 and status[other] == IN_CHAIN):
                continue  # somebody will be there, or the chain would close to a ring
            target[r] = v
            taken[v] = r
            if other >= 0 and status[other] == UNDECIDED:
                link += 1
                stack[link] = other
                status[other] = IN_CHAIN
                tried[link] = -1
                continue
            status[stack[: link + 1]] = DECIDED
            link = -1
    for r in range(robots):
        occupant[at[r]] = taken[at[r]] = taken[target[r]] = -1
    return target


@njit(
    "int32[::1](int32[::1], int32[::1], float32[:, ::1], float32[:, ::1], int32[::1], int32[::1],"
    " int32[::1], int32[::1], uint8[::1], uint8[::1], uint32)",
    cache=True,
)
def pibt_step(
    indptr: Int32,
    indices: Int32,
    xy_m: Float32,
    fields_m: Float32,
    field_of: Int32,
    before: Int32,
    at: Int32,
    order: Int32,
    frozen: Flags,
    closed: Flags,
    salt: int,
) -> Int32:
    """Return where each robot is after one step: where it was, or on a neighbouring node.

    fields_m: (goals, nodes) metres to each goal; field_of: each robot's row, -1 without a goal.
    xy_m: (nodes, 2) where nodes are; before: where each robot came from, -1 where unknown.
    at: each robot's node, all different. order: robots, the most important first.
    frozen: robots that stay whatever happens. closed: nodes that nobody may enter.
    Cost O(robots * degree) but for what pushing costs.

    Priority inheritance with backtracking (Okumura et al., Artificial Intelligence 310, 2022): a
    robot that wants an occupied node pushes its occupant, which goes first and may push in turn.
    Here a chain of pushes must end on a node that is empty, or that a chain decided before leaves:
    real robots cannot turn a full ring. So moves can always be carried out one after the other. No
    two robots end on one node and none swap. The recursion is a stack of robots, each with its
    sorted choices.
    """
    nobody = np.full((2, indptr.size - 1), -1, np.int32)
    degree = np.max(indptr[1:] - indptr[:-1])
    pocket, depth = np.full(indptr.size - 1, -1, np.int32), np.zeros(indptr.size - 1, np.float32)
    return _step_on(
        indptr, indices, xy_m, fields_m, field_of, before, at, order, frozen, closed, salt,
        nobody, degree, pocket, depth, np.zeros(1, np.int32),
    )  # fmt: skip


@njit("boolean(int32[:, ::1], int32[::1], int32[::1], int32[::1], int64, uint8[::1])", cache=True)
def _find_frozen(
    tracks: Int32, who: Int32, at: Int32, goal: Int32, nodes_max: int, frozen: Flags
) -> bool:
    """Set which robots do not go on; return whether any does."""
    anybody = False
    for i in range(who.size):
        r = who[i]
        stays = tracks[STAYS, r] != 0 and goal[i] >= 0 and at[i] == goal[i]
        held = tracks[FROZEN, r] != 0 or stays or tracks[LENGTH, r] > nodes_max
        frozen[i] = 1 if held else 0
        anybody = anybody or not held
    return anybody


@njit(
    "void(int32[::1], float32[::1], int32[::1], int32[::1], int32[::1], int64[::1], int32[::1],"
    " int32[::1], int64[::1])",
    cache=True,
)
def _mind_pockets(
    pocket: Int32,
    depth: Float32,
    at: Int32,
    goal: Int32,
    row: Int32,
    waits: Int64,
    crowd: Int32,
    wish: Int32,
    turn: Int64,
) -> None:
    """Set how many robots are in each dead end, and what each robot wants and when it is its turn.

    In a dead end nobody can pass: only one robot shall be there. Who wants to go where another one
    is waits outside and makes way; who has nothing to do inside leaves as soon as somebody wants
    in, and where several are inside, all but the deepest leave.
    """
    deepest = np.full(crowd.size, -1, np.int32)
    wanted = np.zeros(crowd.size, np.uint8)
    crowd[:] = 0
    for i in range(at.size):
        end = pocket[at[i]]
        if end >= 0:
            crowd[end] += 1
            if deepest[end] < 0 or depth[at[i]] > depth[at[deepest[end]]]:
                deepest[end] = i
        if row[i] >= 0 and pocket[goal[i]] >= 0 and pocket[goal[i]] != end:
            wanted[pocket[goal[i]]] = 1
    for i in range(at.size):
        wish[i] = row[i]
        turn[i] = waits[i]
        end = pocket[at[i]]
        to = pocket[goal[i]] if row[i] >= 0 else np.int32(-1)
        if end < 0:
            if to >= 0 and crowd[to] > 0:
                turn[i] = -1
            continue
        rests = row[i] < 0 or at[i] == goal[i]
        if (rests and wanted[end] != 0) or (crowd[end] > 1 and deepest[end] != i and to == end):
            wish[i] = LEAVES
            turn[i] = waits[i] + 1


@njit(
    "Tuple((int32[:, ::1], int64, int64))(int32[::1], int32[::1], float32[:, ::1],"
    " float32[:, ::1], int32[:, ::1], int32[::1], uint8[::1], int64, int64, int64, int32[::1],"
    " float32[::1])",
    cache=True,
)
def pibt_steps(
    indptr: Int32,
    indices: Int32,
    xy_m: Float32,
    fields_m: Float32,
    tracks: Int32,
    who: Int32,
    closed: Flags,
    salt: int,
    nodes_max: int,
    steps_max: int,
    pocket: Int32,
    depth: Float32,
) -> tuple[Int32, int, int]:
    """Return (moves, steps, salt) of steps of all robots, until nobody can go on.

    tracks: (TRACK_ROWS, robots), a row for each of END ... WAITS; it is changed to what it is after
    the steps. who: the robots that are somewhere, in the order of their numbers.
    pocket: (nodes) each node's dead end, -1: none; depth: how many nodes lie between it and the
    way out. moves: (robot, node) in the order in which they can be carried out; salt: the last one
    used.
    """
    robots = who.size
    at = tracks[END][who]
    before = tracks[BEFORE][who]
    goal = tracks[GOAL][who]
    row = np.full(robots, NOTHING, np.int32)
    waits = np.zeros(robots, np.int64)
    wish = np.empty(robots, np.int32)
    turn = np.empty(robots, np.int64)
    frozen = np.empty(robots, np.uint8)
    moves_max = 0
    for i in range(robots):
        r = who[i]
        if goal[i] >= 0 and closed[goal[i]] != 0 and goal[i] != at[i]:
            goal[i] = -1  # who cannot get there now wants nothing: others may pass
        if goal[i] >= 0:
            row[i] = tracks[ROW, r]
            waits[i] = 0 if goal[i] == at[i] else tracks[WAITS, r] + 1
        moves_max += max(0, nodes_max + 1 - tracks[LENGTH, r])
    moves = np.empty((moves_max, 2), np.int32)
    nobody = np.full((2, indptr.size - 1), -1, np.int32)
    crowd = np.zeros(np.max(pocket) + 2, np.int32)
    degree = np.max(indptr[1:] - indptr[:-1])
    count = 0
    steps = 0
    while steps < steps_max:
        if not _find_frozen(tracks, who, at, goal, nodes_max, frozen):
            break
        _mind_pockets(pocket, depth, at, goal, row, waits, crowd, wish, turn)
        # Who waits longest goes first, who wants nothing last: the others may push it away.
        order = np.argsort(-turn, kind="mergesort").astype(np.int32)
        salt = (salt + 1) & 0xFFFFFFFF
        after = _step_on(
            indptr, indices, xy_m, fields_m, wish, before, at, order, frozen, closed, salt,
            nobody, degree, pocket, depth, crowd,
        )  # fmt: skip
        first = count
        for i in range(robots):
            if after[i] != at[i]:
                moves[count, 0] = who[i]
                moves[count, 1] = after[i]
                count += 1
                before[i] = at[i]
                at[i] = after[i]
                tracks[LENGTH, who[i]] += 1
        if count == first:
            break
        for i in range(robots):
            waits[i] = 0 if goal[i] < 0 or goal[i] == at[i] else waits[i] + 1
        steps += 1
    for i in range(robots):
        r = who[i]
        tracks[END, r] = at[i]
        tracks[BEFORE, r] = before[i]
        tracks[WAITS, r] = waits[i]
    return moves[:count], steps, salt


@njit(
    "float64[::1](int32[::1], int32[::1], float32[::1], int32[::1], int32[::1], int64)", cache=True
)
def crowds_on_ways(
    indptr: Int32, indices: Int32, field_m: Float32, visits: Int32, starts: Int32, nodes_max: int
) -> Float64:
    """Return how many visits are planned on the shortest ways from `starts`, less their own.

    field_m: each node's way to the goal in metres; visits: how many robots are to be on each node.
    Only the first `nodes_max` nodes of a way count. Cost O(starts * nodes_max * degree).
    """
    found = np.zeros(starts.size)
    for i in range(starts.size):
        here = starts[i]
        for _ in range(nodes_max):
            nearest = here
            for e in range(indptr[here], indptr[here + 1]):
                if field_m[indices[e]] < field_m[nearest]:
                    nearest = indices[e]
            if nearest == here:
                break
            here = nearest
            found[i] += visits[here]
    return found
