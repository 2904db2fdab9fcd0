"""Who does which task: the one-goal protocol, and a pool of tasks that robots choose from.

A task is a list of cells to be visited in order; each visit is an errand. What happens is told as
`Event`s, in the order in which it happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import numpy as np

from central.fleet.grid.ground import Ground, Int32, Int64
from central.fleet.grid.problem import Problem

LENGTH_WEIGHT: Final = 0.0
"""How much a task's own way counts against it when one is chosen, of its cells."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a task: after step `t` it was assigned, an errand was done, or all."""

    t: int
    task: int
    robot: int
    event: str
    errand: int
    cell: int
    """row * columns + column of the errand."""


class Drive(Protocol):
    """What the bookkeeping needs of a planner."""

    @property
    def cells(self) -> Int32:
        """Return where everybody stands."""

    def set_goal(self, robot: int, goal: int) -> None:
        """Send a robot to a cell; -1: nowhere."""


@dataclass(slots=True)
class _Held:
    task: int
    errand: int


class Errands:
    """The tasks of a problem: who has which, what is next; `tasks_max` ends the run."""

    def __init__(self, problem: Problem, ground: Ground, tasks_max: int | None = None) -> None:
        self._problem = problem
        self._ground = ground
        self._tasks = problem.tasks
        self._team = int(problem.starts.size)
        self._limit = tasks_max
        self._held: list[_Held | None] = [None] * self._team
        self._turns = [0] * self._team
        self.done = 0
        self._open = _Open(problem, ground.columns) if problem.revealed is not None else None
        if self._open is not None:
            self._reveal(problem.revealed or 0)

    def begin(self, drive: Drive) -> list[Event]:
        """Give everybody a first task; return who got which."""
        return self._give(1, range(self._team), drive, drive.cells)

    def arrived(
        self, t: int, robots: Int32, drive: Drive, *, cells: Int32 | None = None
    ) -> list[Event]:
        """Return what the robots standing on their goals after step `t` did and got next.

        cells : where everybody stands, if that is not where the plan sees them.
        """
        events: list[Event] = []
        free = []
        for robot in robots.tolist():
            held = self._held[robot]
            assert held is not None, f"robot {robot} stands on a goal and has no task"
            task = self._tasks[held.task % len(self._tasks)]
            is_last = held.errand + 1 == len(task)
            events.append(
                Event(
                    t=t, task=held.task, robot=robot, event="done" if is_last else "errand",
                    errand=held.errand, cell=task[held.errand],
                )
            )  # fmt: skip
            if is_last:
                self.done += 1
                self._held[robot] = None
                free.append(robot)
            else:
                held.errand += 1
                drive.set_goal(robot, self._inside(task[held.errand]))
        if self._open is not None:
            self._reveal((self._problem.revealed or 0) + self.done)
        if free:
            events += self._give(t + 1, free, drive, drive.cells if cells is None else cells)
        return events

    def later_goals(self) -> Int32:
        """Return the cells of all errands of assigned tasks that come after the next one."""
        places = {
            cell
            for held in self._held
            if held is not None
            for cell in self._tasks[held.task % len(self._tasks)][held.errand + 1 :]
        }
        return self._ground.inside(np.array(sorted(places), np.int64))

    @property
    def is_finished(self) -> bool:
        """Return whether all tasks of a run with an end are done."""
        return self._limit is not None and self.done >= self._limit

    @property
    def held_errands(self) -> list[tuple[int, int] | None]:
        """Return each robot's task and the number of its next errand."""
        return [(held.task, held.errand) if held else None for held in self._held]

    def _inside(self, cell: int) -> int:
        row, column = divmod(cell, self._ground.columns)
        return self._ground.cell(row, column)

    def _outside(self, cell: int) -> int:
        row, column = self._ground.place(cell)
        return row * self._ground.columns + column

    def _reveal(self, until: int) -> None:
        assert self._open is not None, "only a pool reveals tasks"
        self._open.reveal(until if self._limit is None else min(until, self._limit))

    def _give(self, t: int, robots: Iterable[int], drive: Drive, cells: Int32) -> list[Event]:
        events = []
        for robot in robots:
            here = self._outside(int(cells[robot]))
            task = self._open.choose(here) if self._open is not None else self._next_of(robot, here)
            if task is None:
                drive.set_goal(robot, -1)
                continue
            self._held[robot] = _Held(task, 0)
            cell = self._tasks[task % len(self._tasks)][0]
            drive.set_goal(robot, self._inside(cell))
            events.append(Event(t=t, task=task, robot=robot, event="assigned", errand=0, cell=cell))
        return events

    def _next_of(self, robot: int, here: int) -> int | None:
        """Return the number of the robot's next goal, but for those on which it stands."""
        for _ in range(len(self._tasks)):
            number = self._turns[robot] * self._team + robot
            if self._limit is not None and number >= self._limit:
                return None
            self._turns[robot] += 1
            if self._tasks[number % len(self._tasks)][0] != here:
                return number
        return None


class _Open:
    """Revealed tasks that nobody has, in arrays, so that the nearest is found in one pass."""

    def __init__(self, problem: Problem, columns: int) -> None:
        self._columns = columns
        widest = max(len(task) for task in problem.tasks)
        cells = np.array([task + (task[-1],) * (widest - len(task)) for task in problem.tasks])
        rows, places = cells // columns, cells % columns
        self._rows, self._places = rows[:, 0], places[:, 0]
        self._lengths = (
            np.abs(np.diff(rows, axis=1)).sum(axis=1) + np.abs(np.diff(places, axis=1)).sum(axis=1)
        ).astype(np.float64)
        self._numbers: Int64 = np.zeros(1024, np.int64)
        self._count = 0
        self._revealed = 0

    def reveal(self, until: int) -> None:
        """Put the tasks up to number `until` among those that can be chosen."""
        for number in range(self._revealed, until):
            if self._count == self._numbers.size:
                self._numbers = np.concatenate([self._numbers, self._numbers])
            self._numbers[self._count] = number
            self._count += 1
        self._revealed = max(self._revealed, until)

    def choose(self, cell: int) -> int | None:
        """Return and take out the task that begins nearest to a cell; None where there is none."""
        if self._count == 0:
            return None
        row, place = divmod(cell, self._columns)
        numbers = self._numbers[: self._count]
        at = numbers % self._rows.size
        ways = np.abs(self._rows[at] - row) + np.abs(self._places[at] - place)
        best = int(np.argmin(ways + LENGTH_WEIGHT * self._lengths[at]))
        chosen = int(numbers[best])
        self._count -= 1
        self._numbers[best] = self._numbers[self._count]
        return chosen
