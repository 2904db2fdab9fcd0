"""Multi-action PIBT: every robot gets an operation that meets no other's, one step after the other.

Source: Yukhnevich and Andreychuk, "Enhancing PIBT via Multi-Action Operations" (2025): operations
in place of single actions, reservations over the operation's window, operations inherited from the
last step and shifted, a bounded number of visits per robot. Here with an explicit stack, with
reservations in a ring of layers (nothing is written again when time moves on), and with candidates
chosen by a scan for the next larger key in place of sorting.

`robots` : (robots, 16) int32, one cache line each, columns below.  `held` : (cells, layers) int32,
who has a cell at a time, layer = time & (layers - 1), -1: nobody.  The layer of now says where
everybody stands; the `depth` next ones what the operations reserve.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from central.fleet.grid.bare import bare
from central.fleet.grid.ground import Flags, Int32, Int64, UInt32

(
    CELL, HEADING, FIRST, GOAL, ROW, OPERATION, PRIORITY, VISITS, STACKED, PRICED, SINCE, COST,
    WEIGHT,
) = range(13)  # fmt: skip
"""Columns of `robots`: cell; heading (0 where robots do not turn); heading * operations, where its
operations begin in the tables; the goal's cell (-1: none) and its row among the fields (-1: none);
the operation; its priority, 0 goes first; how often it was on the stack in this step, and whether
it is now; the step its keys were made in (-1: never); since when it has its goal; unused; what its
cost counts when plans are compared."""
ROBOT_COLUMNS = 16
KEY_NONE = np.int32(0x7FFFFFFF)
COST_ZERO = 64
"""Keys are (COST_ZERO + cost) * 256 + operation; below it: the goal is reached on the way."""
(
    TIME, LAYER_MASK, DEPTH, HEADS, VISITS_MAX, EXPANDED_MAX, RINGS, AGE_WEIGHT, WIDTH, OPERATIONS,
    CHANCE, IMPROVE_MAX, WAIT, PATIENCE,
) = range(14)  # fmt: skip
"""Indices of `settings`: the step, layers - 1, actions per operation, headings (4 or 1), visits of
one robot per step, robots moved aside for one robot, whether rotations in a full ring are allowed,
how much priority a step of age is worth (in 1/16 of cost), the ground's width, operations, the
state of chance (never 0), robots moved aside in one try to improve, the operation that waits, and
from which age on age counts."""
SETTINGS = 14
NEAR_COST_MAX = 14
"""Per action of an operation: who is farther from the goal cannot cross it."""
LATE = 9
PRIORITY_ZERO = 1_000
AGE_PARTS = 16
BACK = 2
FRAME_ROBOT, FRAME_KEY, FRAME_OLD, FRAME_FAILED = range(4)
FRAME_COLUMNS = 4
NOBODY = -1
OPERATION_MASK = 0xFF
WHEN_BITS = 3
WEIGHT_MAX = 1_023
SEVERAL = -2
Tables = tuple[Int32, Int32, Int32, Int32, Int32, Int32, Int32, Int32]
TABLES = (
    "Tuple((int32[::1], int32[:, ::1], int32[:, ::1], int32[::1], int32[::1], int32[:, ::1],"
    " int32[::1], int32[::1]))"
)
"""What the ground and the operations give: number of a cell, and of `Operations` its cells,
headings, moves, kinds, allowed, counts, shifted."""
T_NUMBER, T_CELLS, T_HEADINGS, T_MOVES, T_KINDS, T_ALLOWED, T_COUNTS, T_SHIFTED = range(8)


@njit(inline="always")
def cost_at(word: int, heading: int) -> int:
    """Return a field's cost from a heading."""
    return int(word & 0xFFFF) + int((word >> (16 + 4 * heading)) & 15)


@njit(inline="always")
def price(
    robot: int, robots: Int32, keys: Int32, fields: UInt32, tables: Tables, settings: Int64
) -> None:
    """Fill the robot's row of `keys`, cost and number of each operation its place allows.

    The cost is what remains after the operation; an operation that crosses the goal costs less than
    any other. Source: section on multi-action operations (evaluation by the final state).
    """
    number, cells, headings = tables[T_NUMBER], tables[T_CELLS], tables[T_HEADINGS]
    moves, allowed = tables[T_MOVES], tables[T_ALLOWED]
    depth = int(settings[DEPTH])
    cell = int(robots[robot, CELL])
    heading = int(robots[robot, HEADING])
    first = int(robots[robot, FIRST])
    row = int(robots[robot, ROW])
    kind = tables[T_KINDS][cell * settings[HEADS] + heading]
    count = int(tables[T_COUNTS][kind])
    goal = int(robots[robot, GOAL])
    robots[robot, PRICED] = settings[TIME]
    if row < 0:
        for i in range(count):
            operation = allowed[kind, i]
            keys[robot, i] = (COST_ZERO + moves[operation]) << 8 | operation
    else:
        near = cost_at(fields[row, number[cell]], heading) <= NEAR_COST_MAX * depth
        for i in range(count):
            operation = int(allowed[kind, i])
            last = number[cell + cells[first + operation, depth - 1]]
            cost = COST_ZERO + cost_at(fields[row, last], headings[first + operation, 1])
            if near:
                for when in range(depth):
                    if cell + cells[first + operation, when] == goal:
                        cost = when * 8
                        break
            keys[robot, i] = cost << 8 | operation
    for i in range(count, keys.shape[1]):
        keys[robot, i] = KEY_NONE


@njit(inline="always")
def next_key(keys: Int32, robot: int, last: int) -> int:
    """Return the smallest key of a robot above `last`, KEY_NONE where there is none."""
    found = KEY_NONE
    for i in range(keys.shape[1]):
        key = keys[robot, i]
        found = min(found, key if key > last else KEY_NONE)
    return int(found)


@njit(inline="always")
def mark(robot: int, owner: int, robots: Int32, held: Int32, cells: Int32, settings: Int64) -> None:
    """Write `owner` (the robot, or nobody) along the robot's operation."""
    cell = robots[robot, CELL]
    row = robots[robot, FIRST] + robots[robot, OPERATION]
    for when in range(settings[DEPTH]):
        layer = (settings[TIME] + when + 1) & settings[LAYER_MASK]
        held[cell + cells[row, when], layer] = owner


@njit(inline="always")
def _closes_ring(
    robot: int, operation: int, robots: Int32, held: Int32, cells: Int32, settings: Int64
) -> bool:
    """Return whether robots would move round in a ring without an empty cell."""
    cell = int(robots[robot, CELL])
    row = robots[robot, FIRST] + operation
    here = cell
    before = settings[TIME] & settings[LAYER_MASK]
    for when in range(settings[DEPTH]):
        there = int(cell + cells[row, when])
        layer = (before + 1) & settings[LAYER_MASK]
        at = there
        while at != here:
            other = held[at, before]
            if other < 0 or other == robot:
                break
            moving = robots[other, FIRST] + robots[other, OPERATION]
            at = int(robots[other, CELL] + cells[moving, when])
            if held[at, layer] != other or held[at, before] == other:
                break
        if there != here and at == here:
            return True
        here = there
        before = layer
    return False


@njit(inline="always")
def _gone_from(cell: int, pusher: int, heading: int, number: Int32, settings: Int64) -> int:
    """Return how many steps a robot standing on `cell` needs to leave it, LATE if it cannot.

    It cannot leave to `pusher`, where the other one comes from. A wall is no way out either.
    """
    soonest = LATE
    width = int(settings[WIDTH])
    for side in range(4):
        direction = (heading + side) & 3
        step = width if direction & 1 else 1
        there = cell + step if direction < BACK else cell - step
        if there != pusher and number[there] >= 0:
            turns = 0 if settings[HEADS] == 1 else BACK if side == BACK else side & 1
            soonest = min(soonest, 1 + turns)
    return soonest


@njit(inline="always")
def in_the_way(
    robot: int,
    operation: int,
    robots: Int32,
    held: Int32,
    cells: Int32,
    number: Int32,
    settings: Int64,
) -> int:
    """Return whose reservation an operation meets and when: NOBODY, robot * 8 + when, or SEVERAL.

    A swap of cells is found in the reservations of cells: who is ahead now and here next. A robot
    that stands in the way and cannot be gone in time, seeing the walls alone, counts as several.
    """
    cell = int(robots[robot, CELL])
    row = robots[robot, FIRST] + operation
    here = cell
    found = NOBODY
    found_when = 0
    before = settings[TIME] & settings[LAYER_MASK]
    for when in range(settings[DEPTH]):
        there = int(cell + cells[row, when])
        layer = (before + 1) & settings[LAYER_MASK]
        for ahead in range(2 if there != here else 1):
            other = int(held[there, layer if ahead == 0 else before])
            if other < 0 or other == found or (ahead == 1 and held[here, layer] != other):
                continue
            if found >= 0:
                return SEVERAL
            found = other
            found_when = when + 1
            if (
                robots[other, CELL] == there
                and _gone_from(there, here, robots[other, HEADING], number, settings) > found_when
            ):
                return SEVERAL
        here = there
        before = layer
    if found >= 0:
        return found * 8 + found_when
    if settings[RINGS] == 0 and _closes_ring(robot, operation, robots, held, cells, settings):
        return SEVERAL
    return NOBODY


@njit(inline="always")
def _enter(
    robot: int, depth: int, robots: Int32, keys: Int32, frames: Int64, fields: UInt32,
    tables: Tables, settings: Int64,
) -> None:  # fmt: skip
    """Put a robot without reservation on the stack."""
    if robots[robot, PRICED] != settings[TIME]:
        price(robot, robots, keys, fields, tables, settings)
        robots[robot, VISITS] = 0
    robots[robot, VISITS] += 1
    robots[robot, STACKED] = 1
    frames[depth, FRAME_ROBOT] = robot
    frames[depth, FRAME_KEY] = -1
    frames[depth, FRAME_OLD] = robots[robot, OPERATION]
    frames[depth, FRAME_FAILED] = NOBODY


PLAN = (
    f"int32[:, ::1], int32[:, ::1], int32[:, ::1], int64[:, ::1], uint32[:, ::1], {TABLES},"
    " int64[::1])"
)
"""The arguments robots, held, keys, frames, fields, tables, settings."""


@njit(inline="always")
def _cost_of(robot: int, operation: int, keys: Int32) -> int:
    """Return the key of one of the operations that the robot's place allows: less is sooner too."""
    cost = 0
    for i in range(keys.shape[1]):
        if keys[robot, i] & OPERATION_MASK == operation:
            cost = int(keys[robot, i])
    return cost


@njit(inline="always")
def _gain(depth: int, frames: Int64, robots: Int32, keys: Int32) -> int:
    """Return how much less the weighted costs of all on the stack are than they were."""
    gain = 0
    for i in range(depth + 1):
        robot = int(frames[i, FRAME_ROBOT])
        before = _cost_of(robot, int(frames[i, FRAME_OLD]), keys)
        now = _cost_of(robot, int(robots[robot, OPERATION]), keys)
        gain += int(robots[robot, WEIGHT]) * (before - now)
    return gain


@njit(inline="always")
def _take_back(
    depth: int, frames: Int64, robots: Int32, held: Int32, cells: Int32, settings: Int64
) -> None:
    """Give everybody on the stack the operation they had."""
    for i in range(depth + 1):
        mark(int(frames[i, FRAME_ROBOT]), NOBODY, robots, held, cells, settings)
    for i in range(depth + 1):
        robot = int(frames[i, FRAME_ROBOT])
        robots[robot, OPERATION] = frames[i, FRAME_OLD]
        mark(robot, robot, robots, held, cells, settings)


@njit(inline="always")
def _may_push(
    other: int, floor: int, moved: int, robots: Int32, settings: Int64, limit: int
) -> bool:
    """Return whether a robot may be moved aside by one with priority `floor`, -1: by anybody."""
    if robots[other, STACKED] != 0 or moved >= limit:
        return False
    if floor < 0:
        return True
    is_worn = (
        robots[other, PRICED] == settings[TIME] and robots[other, VISITS] >= settings[VISITS_MAX]
    )
    return not is_worn and robots[other, PRIORITY] > floor


@njit(inline="always")
def plan_robot(
    first: int, floor: int, limit: int, robots: Int32, held: Int32, keys: Int32, frames: Int64,
    fields: UInt32, tables: Tables, settings: Int64,
) -> bool:  # fmt: skip
    """Return whether the robot got an operation by a search; all reservations fit either way.

    The robot takes the first operation that is free, or that only one robot of lower priority is in
    the way of which then finds another one itself, by the same rule. Source: the algorithm's
    recursive part, with an explicit stack: each frame is a robot without reservation, the key it
    tried last, and the operation it goes back to.
    floor : its priority; -1: anybody may be moved aside, and the result is kept only if the
    weighted costs of all who moved do not grow (large-neighbourhood search).
    limit : how many may be moved aside on the way.
    """
    cells, number = tables[T_CELLS], tables[T_NUMBER]
    mark(first, NOBODY, robots, held, cells, settings)
    depth = 0
    moved = 0
    _enter(first, 0, robots, keys, frames, fields, tables, settings)
    while True:
        robot = int(frames[depth, FRAME_ROBOT])
        key = next_key(keys, robot, int(frames[depth, FRAME_KEY]))
        frames[depth, FRAME_KEY] = key
        if key == KEY_NONE:
            robots[robot, STACKED] = 0
            robots[robot, OPERATION] = frames[depth, FRAME_OLD]
            if depth > 0:
                mark(int(frames[depth - 1, FRAME_ROBOT]), NOBODY, robots, held, cells, settings)
            mark(robot, robot, robots, held, cells, settings)
            if depth == 0:
                return False
            depth -= 1
            continue
        operation = int(key & OPERATION_MASK)
        found = in_the_way(robot, operation, robots, held, cells, number, settings)
        if found == SEVERAL:
            continue
        if found == NOBODY:
            robots[robot, OPERATION] = operation
            mark(robot, robot, robots, held, cells, settings)
            for i in range(depth + 1):
                robots[frames[i, FRAME_ROBOT], STACKED] = 0
            if floor < 0 and _gain(depth, frames, robots, keys) <= 0:
                _take_back(depth, frames, robots, held, cells, settings)
                return False
            return True
        there = int(robots[robot, CELL] + cells[robots[robot, FIRST] + operation, (found & 7) - 1])
        memo = found << 24 | there
        if memo == frames[depth, FRAME_FAILED] or depth + 1 >= frames.shape[0]:
            continue
        frames[depth, FRAME_FAILED] = memo
        other = found >> WHEN_BITS
        if not _may_push(other, floor, moved, robots, settings, limit):
            continue
        mark(other, NOBODY, robots, held, cells, settings)
        if settings[RINGS] == 0 and _closes_ring(robot, operation, robots, held, cells, settings):
            mark(other, other, robots, held, cells, settings)
            continue
        moved += 1
        robots[robot, OPERATION] = operation
        mark(robot, robot, robots, held, cells, settings)
        depth += 1
        _enter(other, depth, robots, keys, frames, fields, tables, settings)


@njit(inline="always")
def _draw(size: int, settings: Int64) -> int:
    """Return a number below `size`, and move on. Source: Marsaglia, Xorshift RNGs (2003)."""
    state = settings[CHANCE]
    state ^= state << 13
    state ^= (state >> 7) & 0x01FFFFFFFFFFFFFF
    state ^= state << 17
    settings[CHANCE] = state
    return int(((state >> 20) & 0x7FFFFFFF) % size)


@njit(inline="always")
def bare_tables(tables: Tables) -> Tables:
    """Return the tables uncounted."""
    return (
        bare(tables[0]), bare(tables[1]), bare(tables[2]), bare(tables[3]), bare(tables[4]),
        bare(tables[5]), bare(tables[6]), bare(tables[7]),
    )  # fmt: skip


@njit(f"int64(int32[::1], int64, {PLAN}", cache=True)
def plan_all(
    order: Int32, tries: int, robots: Int32, held: Int32, keys: Int32, frames: Int64,
    fields: UInt32, tables: Tables, settings: Int64,
) -> int:  # fmt: skip
    """Let every robot choose, in `order`, or improve the plan by a number of tries; see below.

    tries = 0: who was moved aside before its turn has chosen already.
    tries > 0: large-neighbourhood search from random robots on; the plan is valid at any moment.
    Returns how many robots found something. Source: sections on EPIBT and on EPIBT+LNS.
    """
    robots, held, keys, frames = bare(robots), bare(held), bare(keys), bare(frames)
    fields, settings, tables = bare(fields), bare(settings), bare_tables(tables)
    found = 0
    for i in range(order.size if tries == 0 else tries):
        if tries > 0:
            robot = _draw(robots.shape[0], settings)
            if robots[robot, STACKED] != 0:
                continue
            floor = -1
            limit = settings[IMPROVE_MAX]
        else:
            robot = int(order[i])
            floor = int(robots[robot, PRIORITY])
            limit = settings[EXPANDED_MAX]
            if robots[robot, PRICED] == settings[TIME]:
                continue
        if plan_robot(robot, floor, limit, robots, held, keys, frames, fields, tables, settings):
            found += 1
    return found


@njit(
    f"void(int32[::1], int32[:, ::1], uint32[:, ::1], {TABLES}, int64[::1], int32[::1],"
    " int32[:, ::1])",
    cache=True,
)
def put_in_order(
    order: Int32, robots: Int32, fields: UInt32, tables: Tables, settings: Int64, tally: Int32,
    branches: Int32,
) -> None:  # fmt: skip
    """Set each robot's priority and fill `order`, nearest to its goal first, less a term of age.

    Before all others go those who are in a dead end (`branches`) and do not want deeper into it.
    tally : work space; its size is the number of priorities kept apart. Counting sort, O(robots).
    """
    tally[:] = 0
    top = tally.size - 2
    for robot in range(robots.shape[0]):
        row = robots[robot, ROW]
        priority = top
        if row >= 0:
            word = fields[row, tables[T_NUMBER][robots[robot, CELL]]]
            age = max(0, int(settings[TIME] - robots[robot, SINCE] - settings[PATIENCE]))
            priority = cost_at(word, int(robots[robot, HEADING]))
            if age > 0:
                age = _draw(age * int(settings[AGE_WEIGHT]) // AGE_PARTS + 1, settings)
            priority += PRIORITY_ZERO - age
            priority = min(max(priority, 1), top - 1)
            first, end = branches[robots[robot, CELL]]
            if end > 0 and not first <= branches[robots[robot, GOAL], 0] < end:
                priority = 0
        robots[robot, PRIORITY] = priority
        tally[priority + 1] += 1
    for i in range(1, tally.size):
        tally[i] += tally[i - 1]
    for robot in range(robots.shape[0]):
        priority = robots[robot, PRIORITY]
        at = tally[priority]
        tally[priority] = at + 1
        order[at] = robot
        robots[robot, PRIORITY] = at
        share = 1.0 - at / robots.shape[0]
        robots[robot, WEIGHT] = int(share * share * WEIGHT_MAX) if robots[robot, ROW] >= 0 else 0


@njit(f"void(int32[:, ::1], int32[:, ::1], {TABLES}, int64[::1])", cache=True)
def advance(robots: Int32, held: Int32, tables: Tables, settings: Int64) -> None:
    """Do everybody's first action: operations are shifted, with waits at their ends."""
    cells, headings, shifted = tables[T_CELLS], tables[T_HEADINGS], tables[T_SHIFTED]
    depth = int(settings[DEPTH])
    layer = settings[TIME] & settings[LAYER_MASK]
    for robot in range(robots.shape[0]):
        held[robots[robot, CELL], layer] = NOBODY
    layer = (settings[TIME] + 1 + depth) & settings[LAYER_MASK]
    for robot in range(robots.shape[0]):
        cell = robots[robot, CELL]
        operation = robots[robot, OPERATION]
        row = robots[robot, FIRST] + operation
        held[cell + cells[row, depth - 1], layer] = robot
        robots[robot, CELL] = cell + cells[row, 0]
        robots[robot, HEADING] = headings[row, 0]
        robots[robot, FIRST] = headings[row, 0] * settings[OPERATIONS]
        robots[robot, OPERATION] = shifted[operation]
    settings[TIME] += 1


@njit("int64(int32[:, ::1], int32[::1])", cache=True)
def arrived(robots: Int32, found: Int32) -> int:
    """Return how many robots stand on their goals; the first ones of `found` are they."""
    count = 0
    for robot in range(robots.shape[0]):
        if robots[robot, CELL] == robots[robot, GOAL]:
            found[count] = robot
            count += 1
    return count


@njit(
    f"void(uint8[::1], int32[::1], int32[:, ::1], int32[:, ::1], {TABLES}, int64[::1])", cache=True
)
def hold(
    late: Flags, waiting: Int32, robots: Int32, held: Int32, tables: Tables, settings: Int64
) -> None:
    """Let late robots stay this step whatever they had in mind, and all whom that stops.

    late : (robots,) uint8, who has not done its last action yet.  waiting : work space, (robots,).
    That everybody stays is always possible, so this ends: each robot is stopped once at most.
    """
    robots, held, settings = bare(robots), bare(held), bare(settings)
    tables = bare_tables(tables)
    cells = tables[T_CELLS]
    count = 0
    for robot in range(robots.shape[0]):
        robots[robot, STACKED] = late[robot]
        if late[robot] != 0:
            robots[robot, PRICED] = settings[TIME]
            waiting[count] = robot
            count += 1
            mark(robot, NOBODY, robots, held, cells, settings)
            robots[robot, OPERATION] = settings[WAIT]
    while count > 0:
        count -= 1
        robot = int(waiting[count])
        for when in range(settings[DEPTH]):
            layer = (settings[TIME] + when + 1) & settings[LAYER_MASK]
            other = int(held[robots[robot, CELL], layer])
            if other >= 0 and other != robot:
                mark(other, NOBODY, robots, held, cells, settings)
                robots[other, OPERATION] = settings[WAIT]
                waiting[count] = other
                count += 1
            held[robots[robot, CELL], layer] = robot
