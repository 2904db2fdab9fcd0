"""What robots do with a plan when actions take ticks and robots are delayed.

Each cell has a visiting order, the plan's: a robot drives into a cell when all earlier visitors of
it have left, and has both cells while it drives. What it does not drive or turn in the plan it does
not do at all: waiting only kept the plan in step. A robot may be given `GIVEN_MAX` actions ahead of
what it has done; with more it is late, and planned as standing where the last one ends. Who waits,
waits for a visit that was planned earlier (the plan has no full rings), so that nobody waits in a
circle. Source: temporal plan graphs, Hoenig et al., "Multi-Agent Path Finding with Kinematic
Constraints" (2016), section on plan execution.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from central.fleet.grid.ground import Flags, Int32, Int64
from central.fleet.grid.problem import Delays

GIVEN_MAX: Final = 1
"""Actions a robot is given ahead: 2 or 4 did less, since the plan is farther from what happens."""
NO_LETTER: Final = ord(".")
WAITS: Final = (ord("W"), ord("."))


class Execution:
    """Everybody's given actions: their letters, where they lead, how far the first one is."""

    def __init__(
        self, cells: Int32, size: int, *, ticks_per_action: int, turning: bool,
        delays: Delays | None,
    ) -> None:  # fmt: skip
        robots = cells.size
        self.cells: Int32 = cells.copy()
        """Where everybody stands; until an action is done that is where it began."""
        self._ticks = ticks_per_action
        self._wait = WAITS[0] if turning else WAITS[1]
        self._delays = delays
        self._chance = np.random.default_rng(delays.seed if delays else 0)
        self._given: Int64 = np.zeros(robots, np.int64)
        self._letters: Flags = np.zeros((robots, GIVEN_MAX), np.uint8)
        self._to: Int32 = np.zeros((robots, GIVEN_MAX), np.int32)
        self._tickets: Int64 = np.zeros((robots, GIVEN_MAX), np.int64)
        self._planned_to: Int32 = cells.copy()
        self._visits: Int64 = np.zeros(size, np.int64)
        """Of each cell, how many visits are planned; a visit's ticket is its number."""
        self._over: Int64 = np.zeros(size, np.int64)
        """Of each cell, how many visits have ended: whose ticket that is may come."""
        self._visits[cells] = 1
        self._left: Int64 = np.zeros(robots, np.int64)
        """Ticks left of an action that has begun, 0: none has."""
        self._delayed: Int64 = np.zeros(robots, np.int64)
        self.delays_drawn = 0

    @property
    def late(self) -> Flags:
        """Return who can be given no more actions now."""
        return (self._given >= GIVEN_MAX).astype(np.uint8)

    def give(self, letters: NDArray[np.uint8], cells: Int32) -> None:
        """Give everybody the action of a plan's step, which ends on `cells`.

        Who is late waits in it: the planner was told so.
        """
        acts = np.flatnonzero(letters != self._wait)
        at = self._given[acts]
        assert np.all(at < GIVEN_MAX), "a robot that is late was given an action"
        self._letters[acts, at] = letters[acts]
        self._to[acts, at] = cells[acts]
        drives = cells[acts] != self._planned_to[acts]
        there = cells[acts][drives]
        self._tickets[acts[drives], at[drives]] = self._visits[there]
        self._tickets[acts[~drives], at[~drives]] = -1
        self._visits[there] += 1
        self._planned_to[acts] = cells[acts]
        self._given[acts] += 1

    def tick(self) -> bytes:
        """Let a tick pass; return one letter per robot: the action that was done in it, or `.`."""
        self._draw_delays()
        can = np.flatnonzero((self._left == 0) & (self._given > 0) & (self._delayed == 0))
        ticket = self._tickets[can, 0]
        can = can[(ticket < 0) | (ticket == self._over[self._to[can, 0]])]
        self._left[can] = self._ticks
        goes_on = (self._left > 0) & (self._delayed == 0)
        self._delayed[self._delayed > 0] -= 1
        self._left[goes_on] -= 1
        done = np.flatnonzero(goes_on & (self._left == 0))
        shown = np.full(self._left.size, NO_LETTER, np.uint8)
        shown[done] = self._letters[done, 0]
        moved = done[self._tickets[done, 0] >= 0]
        self._over[self.cells[moved]] += 1
        self.cells[moved] = self._to[moved, 0]
        for column in range(1, GIVEN_MAX):
            for table in (self._letters, self._to, self._tickets):
                table[done, column - 1] = table[done, column]
        self._given[done] -= 1
        return shown.tobytes()

    def _draw_delays(self) -> None:
        """Delay some who are not delayed, each with the same chance per tick."""
        told = self._delays
        if told is None or told.p_delay <= 0.0:
            return
        hit = np.flatnonzero(
            (self._chance.random(self._left.size) < told.p_delay) & (self._delayed == 0)
        )
        span = told.max_delay - told.min_delay
        if told.duration_model == "gaussian":
            mean = told.min_delay + told.gauss_mean_ratio * span
            drawn = self._chance.normal(mean, told.gauss_std_ratio * span, hit.size)
        else:
            drawn = self._chance.uniform(told.min_delay - 0.5, told.max_delay + 0.5, hit.size)
        self._delayed[hit] = np.clip(np.rint(drawn), told.min_delay, told.max_delay).astype(int)
        self.delays_drawn += int(hit.size)
