"""The planner of a grid: where everybody stands, what everybody wants, and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from central.fleet.grid.branches import find_branches
from central.fleet.grid.distance import kernels as distance
from central.fleet.grid.ground import Flags, Ground, Int32
from central.fleet.grid.guidance import TURN_COST, lane_costs, ways_in
from central.fleet.grid.operations import Operations, make_operations
from central.fleet.grid.planning import kernels as pibt

FIELD_BYTES_MAX: Final = 2 << 30
"""What all distance fields may take; the least lately needed go first."""
WARM_BYTES_MAX: Final = 192 << 20
"""Where the fields of all cells take no more than this, they are made before the first step."""
VISITS_MAX: Final = 200
"""So often one robot is asked to give way in a step. With few, long queues in narrow aisles wear
out before the way of moving all of them is found, and in the end everybody stands for ever."""
EXPANDED_MAX: Final = 2_000
IMPROVE_MAX: Final = 24
FRAMES_MAX: Final = 4_096
PRIORITIES: Final = 16_384
LAYERS_MIN: Final = 2
KEYS_AT_ONCE: Final = 8
"""Rows of keys are filled up to a multiple of what the machine compares at once."""


class PlanError(Exception):
    """A plan cannot be made from what was given; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the planner works."""

    turning: bool = True
    depth: int = 3
    """Actions per operation."""
    against_cost: int | None = None
    """What a step against its lane costs; None: as fits the map."""
    age_weight: int = 16
    """How much a step of age is worth in priority, in sixteenths of a step of distance."""
    patience: int = 200
    """Steps with one goal after which age counts."""
    rings: bool = True
    """Whether robots may all move on in a ring without an empty cell; real ones cannot."""
    visits_max: int = VISITS_MAX
    seed: int = 0
    """Decides where improvement begins."""
    field_bytes_max: int = FIELD_BYTES_MAX


class Planner:
    """Robots on a grid. Cells here are bordered cells of the ground, see `Ground.inside`."""

    def __init__(
        self, ground: Ground, starts: Int32, headings: Sequence[int] | None, rules: Rules
    ) -> None:
        self.ground = ground
        self.rules = rules
        self.operations: Operations = make_operations(
            ground, depth=rules.depth, turning=rules.turning
        )
        self.heads = 4 if rules.turning else 1
        self.robots = self._robots(starts, headings)
        layers = LAYERS_MIN
        while layers < rules.depth + 1:
            layers *= 2
        self.held = np.full((ground.number.size, layers), pibt.NOBODY, np.int32)
        self.held[starts, : rules.depth + 1] = np.arange(starts.size, dtype=np.int32)[:, None]
        if np.any(self.held[starts, 0] != np.arange(starts.size)):
            raise PlanError("two robots start on one cell: every robot needs a cell of its own")
        width = -(-self.operations.allowed.shape[1] // KEYS_AT_ONCE) * KEYS_AT_ONCE
        self._keys = np.zeros((starts.size, width), np.int32)
        self._frames = np.zeros((FRAMES_MAX, pibt.FRAME_COLUMNS), np.int64)
        self._order = np.zeros(starts.size, np.int32)
        self._tally = np.zeros(PRIORITIES, np.int32)
        self._arrived = np.zeros(starts.size, np.int32)
        self.settings = np.zeros(pibt.SETTINGS, np.int64)
        self.settings[pibt.LAYER_MASK] = layers - 1
        self.settings[pibt.DEPTH] = rules.depth
        self.settings[pibt.HEADS] = self.heads
        self.settings[pibt.VISITS_MAX] = rules.visits_max
        self.settings[pibt.EXPANDED_MAX] = EXPANDED_MAX
        self.settings[pibt.RINGS] = rules.rings
        self.settings[pibt.AGE_WEIGHT] = rules.age_weight
        self.settings[pibt.WIDTH] = ground.width
        self.settings[pibt.OPERATIONS] = self.operations.count
        self.settings[pibt.IMPROVE_MAX] = IMPROVE_MAX
        self.settings[pibt.PATIENCE] = rules.patience
        self.settings[pibt.WAIT] = self.operations.wait
        self.settings[pibt.CHANCE] = rules.seed * 2 + 0x9E3779B97F4A7C1
        known = self.operations
        self._tables = (
            ground.number, known.cells, known.headings, known.moves, known.kinds, known.allowed,
            known.counts, known.shifted,
        )  # fmt: skip
        self.letters = np.frombuffer(known.letters.encode(), np.uint8)
        self._branches = find_branches(ground)
        self._make_pool(lane_costs(ground, rules.against_cost))

    def _robots(self, starts: Int32, headings: Sequence[int] | None) -> Int32:
        robots = np.zeros((starts.size, pibt.ROBOT_COLUMNS), np.int32)
        robots[:, pibt.CELL] = starts
        if headings is not None and self.heads > 1:
            robots[:, pibt.HEADING] = headings
        robots[:, pibt.FIRST] = robots[:, pibt.HEADING] * self.operations.count
        robots[:, pibt.GOAL] = -1
        robots[:, pibt.ROW] = -1
        robots[:, pibt.OPERATION] = self.operations.wait
        robots[:, pibt.PRICED] = -1
        return robots

    def _make_pool(self, costs: Flags) -> None:
        free = self.ground.free
        capacity = min(free, self.rules.field_bytes_max // (4 * free))
        if capacity < 1:
            raise PlanError(
                f"a distance field takes {4 * free} bytes, the limit for all is"
                f" {self.rules.field_bytes_max}: raise it"
            )
        self.fields = np.empty((capacity, free), np.uint32)
        self.rows = np.zeros((capacity + 1, distance.ROW_COLUMNS), np.int32)
        distance.clear_rows(self.rows)
        self._row_of = np.full(free, -1, np.int32)
        self._ways_in = ways_in(self.ground, costs)
        self._turn = TURN_COST if self.rules.turning else 0
        self._best = np.empty(4 * free, np.uint16)
        self._entries = np.empty((distance.BUCKETS, 4 * free), np.int32)
        self._sizes = np.empty(distance.BUCKETS, np.int32)
        self.counts = np.zeros(3, np.int64)
        self._unknown: dict[int, int] = {}
        """Goals to which no way is known yet, by robot, in the order in which they came."""
        self._made_before = 0
        self.fields_max = 0
        """How many fields may be made per step, 0: as many as are needed."""

    @property
    def warm_goals(self) -> Int32:
        """Return the cells whose fields are best made before the first step: all, or none."""
        capacity, free = self.fields.shape
        small = capacity == free and self.fields.nbytes <= WARM_BYTES_MAX
        return self.ground.cells if small else self.ground.cells[:0]

    def warm(self, goals: Int32) -> None:
        """Make the fields of these cells."""
        for goal in goals:
            distance.release(self.rows, self._want(int(goal)))

    def _want(self, goal: int) -> int:
        row = distance.want(
            int(self.ground.number[goal]), self.fields, self.rows, self._row_of, self._ways_in,
            self._turn, self._best, self._entries, self._sizes, self.counts,
        )  # fmt: skip
        if row < 0:
            raise PlanError(
                f"more than {self.fields.shape[0]} different goals at once need more than"
                f" {self.rules.field_bytes_max >> 20} MiB of distances: raise the limit"
            )
        return row

    @property
    def fields_free(self) -> int:
        """Return how many more fields there is room for."""
        return int(self.fields.shape[0] - self.counts[distance.COUNT_USED])

    @property
    def fields_made(self) -> int:
        """Return how many distance fields were made so far."""
        return int(self.counts[distance.COUNT_MADE])

    def set_goal(self, robot: int, goal: int) -> None:
        """Send a robot to a cell; -1: nowhere, it stays and gives way.

        Where `fields_max` fields were made since the last step, the way to a goal that needs
        another one is known from the next step on; until then the robot gives way too.
        """
        line = self.robots[robot]
        old = int(line[pibt.ROW])
        line[pibt.ROW] = -1
        line[pibt.GOAL] = goal
        line[pibt.SINCE] = self.settings[pibt.TIME]
        self._unknown.pop(robot, None)
        if goal >= 0:
            self._unknown[robot] = goal
            self._find_ways()
        if old >= 0:
            distance.release(self.rows, old)

    def _find_ways(self) -> None:
        """Give robots the fields of their goals, as many as may be made."""
        while self._unknown:
            robot, goal = next(iter(self._unknown.items()))
            is_known = self._row_of[self.ground.number[goal]] >= 0
            made = int(self.counts[distance.COUNT_MADE]) - self._made_before
            if self.fields_max and not is_known and made >= self.fields_max:
                return
            self.robots[robot, pibt.ROW] = self._want(goal)
            del self._unknown[robot]

    def hold(self, late: Flags) -> None:
        """Before `step`: let those stay who have not done their last action yet."""
        pibt.hold(late, self._arrived, self.robots, self.held, self._tables, self.settings)

    def step(self) -> None:
        """Choose everybody's operation for this step; `actions` tells the first actions."""
        self._made_before = int(self.counts[distance.COUNT_MADE])
        self._find_ways()
        pibt.put_in_order(
            self._order,
            self.robots,
            self.fields,
            self._tables,
            self.settings,
            self._tally,
            self._branches,
        )
        self._plan(0)

    def improve(self, tries: int) -> int:
        """Try to better this step's plan from so many robots on; return how often that was kept."""
        return self._plan(tries) if tries > 0 else 0

    def _plan(self, tries: int) -> int:
        return pibt.plan_all(
            self._order, tries, self.robots, self.held, self._keys, self._frames, self.fields,
            self._tables, self.settings,
        )  # fmt: skip

    def actions(self) -> bytes:
        """Return one letter per robot: what each does in this step."""
        return self.letters[self.robots[:, pibt.OPERATION]].tobytes()

    def advance(self) -> Int32:
        """Let everybody act; return the robots that stand on their goals now."""
        pibt.advance(self.robots, self.held, self._tables, self.settings)
        count = pibt.arrived(self.robots, self._arrived)
        return self._arrived[:count]

    @property
    def cells(self) -> Int32:
        """Return where everybody stands."""
        return self.robots[:, pibt.CELL]

    @property
    def goals(self) -> Int32:
        """Return where everybody is sent, -1: nowhere."""
        return self.robots[:, pibt.GOAL]

    @property
    def headings(self) -> Int32:
        """Return everybody's heading, 0 where robots do not turn."""
        return self.robots[:, pibt.HEADING]
