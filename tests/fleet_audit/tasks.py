"""What the checker of fleet logs holds against assignments and errands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.fleet_audit.report import Limits, Report
from tests.fleet_audit.scenario import GridMap, Scenario

EVENTS = ("assigned", "errand", "done")
NOBODY = -1


@dataclass(slots=True)
class Task:
    """A task that somebody has or had: its errands, how many are done, and who has it."""

    number: int
    errands: tuple[int, ...]
    robot: int
    at: int
    errands_done: int = 0
    done_at: int = -1

    @property
    def next_cell(self) -> int:
        """Return where it goes on; -1 at its end."""
        return self.errands[self.errands_done] if self.errands_done < len(self.errands) else -1


class Tasks:
    """Who has which task, and where each robot is expected to say that it has got somewhere."""

    def __init__(
        self,
        scenario: Scenario,
        cells: list[int],
        grid: GridMap,
        report: Report,
        limits: Limits,
    ) -> None:
        self._scenario, self._cells, self._grid = scenario, cells, grid
        self._report, self._limits = report, limits
        self.done_count = 0
        self._t = 0
        self._event_shift: int | None = None
        self._known: dict[int, Task] = {}
        self._of: list[Task | None] = [None] * len(cells)
        self._goal = [-1] * len(cells)
        """Per robot: the cell of its next errand."""
        self._fresh: set[int] = set()
        """Robots whose goal is new since the last step."""
        self._due: set[int] = set()
        """Robots that stand on their goal and have not said so yet."""
        self._next_turn = [0] * len(cells)
        """One-goal protocol: per robot, its next goal's turn."""
        self._revealed_at: list[int] = [0] * scenario.window
        """By task: when it could be assigned first."""
        self._last_errand_t = 0
        self._is_quiet = False
        self._since = [0] * len(cells)
        """Per robot: when it got its task or ended its last errand."""
        self._told_late: set[int] = set()

    # --- steps ----------------------------------------------------------------------------------

    def before_step(self, t: int) -> None:
        """Tell of robots that stood on their goal at the end of step `t` and said nothing."""
        for robot in sorted(self._due):
            task = self._of[robot]
            if task is not None:
                text = (
                    f"stands where errand {task.errands_done} of task {task.number} is,"
                    " and the log has no event of it"
                )
                self._report.add("errand missing", t, (robot,), (self._cells[robot],), text)
        self._due.clear()

    def after_step(self, t: int, moves: list[tuple[int, int, int]]) -> None:
        """Note who stands on their goal now, and who has been busy for too long."""
        self._t = t
        goal, cells = self._goal, self._cells
        self._due.update(robot for robot, _, to in moves if goal[robot] == to)
        if self._fresh:
            self._due.update(robot for robot in self._fresh if goal[robot] == cells[robot])
            self._fresh.clear()
        limit = self._limits.quiet_steps_max
        if limit and t - self._last_errand_t > limit and not self._is_quiet:
            self._is_quiet = True
            text = f"no robot has ended an errand for more than {limit} steps"
            self._report.add("no progress", t, (), (), text)
        limit = self._limits.robot_steps_max
        if limit and t % 16 == 0:
            self._tell_late_robots(t, limit)

    def _tell_late_robots(self, t: int, limit: int) -> None:
        for robot, since in enumerate(self._since):
            task = self._of[robot]
            if t - since > limit and task is not None and robot not in self._told_late:
                self._told_late.add(robot)
                text = f"with task {task.number} for more than {limit} steps without an errand"
                self._report.add("starved", t, (robot,), (self._cells[robot],), text)

    # --- events ---------------------------------------------------------------------------------

    def event(self, row: dict[str, Any]) -> None:
        """Take one event of the log; tell why it cannot be."""
        numbers = [row.get(key) for key in ("t", "task", "robot", "errand", "cell")]
        if row["event"] not in EVENTS or not all(isinstance(n, int) for n in numbers):
            text = f"expected t, task, robot, event ({', '.join(EVENTS)}), errand, cell: {row}"
            self._report.add("event", self._t, (), (), text)
            return
        t, number, robot, errand, cell = (int(n or 0) for n in numbers)
        if not 0 <= robot < len(self._cells):
            text = f"there are {len(self._cells)} robots, this is of robot {robot}"
            self._report.add("event", t, (), (), text)
            return
        if t not in {self._t, self._t + 1}:
            self._tell(robot, cell, "event time", f"an event of {t} after step {self._t}")
        if row["event"] == "assigned":
            self._assign(number, robot, errand, cell)
        else:
            self._errand(number, robot, errand, cell, is_done=row["event"] == "done")

    def _assign(self, number: int, robot: int, errand: int, cell: int) -> None:
        errands = self._errands_of(number, robot)
        if errands is None:
            return
        task = self._known.get(number)
        if task is not None and task.done_at >= 0:
            text = f"task {number} was done at {task.done_at} by robot {task.robot}"
            self._tell(robot, cell, "assigned after its end", text)
            return
        if task is not None and task.errands_done and task.robot != robot:
            text = f"task {number} was begun by robot {task.robot}, and goes to robot {robot}"
            self._report.add("handed on", self._t, (task.robot, robot), (cell,), text)
        held = self._of[robot]
        if held is not None and held.number != number:
            if held.errands_done or not self._scenario.window:
                text = f"gets task {number} before its task {held.number} is done"
                self._tell(robot, self._cells[robot], "lost task", text)
            held.robot = NOBODY
        if task is None:
            task = self._known[number] = Task(number, errands, robot, self._t)
        elif task.robot not in {robot, NOBODY}:
            self._of[task.robot], self._goal[task.robot] = None, -1
        if errand != task.errands_done:
            text = f"task {number} goes on with errand {task.errands_done}, not {errand}"
            self._tell(robot, cell, "errand order", text)
        if cell not in {task.next_cell, self._cells[robot]}:
            text = f"errand {errand} of task {number} is on cell {task.next_cell}"
            self._tell(robot, cell, "wrong cell", text)
        task.robot = robot
        self._of[robot] = task
        self._want(robot, task)

    def _errand(self, number: int, robot: int, errand: int, cell: int, *, is_done: bool) -> None:
        task = self._known.get(number)
        if task is None:
            self._tell(robot, cell, "never assigned", f"task {number} was assigned to nobody")
            return
        if task.done_at >= 0:
            text = f"task {number} was done at {task.done_at} by robot {task.robot} already"
            self._tell(robot, cell, "done twice", text)
            return
        if task.robot != robot:
            text = f"task {number} is robot {task.robot}'s, not robot {robot}'s"
            self._report.add("wrong robot", self._t, (robot, task.robot), (cell,), text)
            return
        last = len(task.errands) - 1
        if is_done and task.errands_done > last:  # its last errand was told by itself
            self._done(task)
            return
        if errand != task.errands_done:
            text = f"errand {errand} of task {number}, expected errand {task.errands_done}"
            self._tell(robot, cell, "errand order", text)
        here, there = self._cells[robot], task.next_cell
        if not here == there == cell:
            text = (
                f"errand {errand} of task {number} is on {self._grid.at(there)}, the robot stands"
                f" on {self._grid.at(here)}, the log says {cell}"
            )
            self._report.add("wrong cell", self._t, (robot,), (here, there, cell), text)
        self._due.discard(robot)
        task.errands_done += 1
        self._last_errand_t, self._is_quiet = self._t, False
        if is_done and task.errands_done <= last:
            left = len(task.errands) - task.errands_done
            self._tell(
                robot, cell, "errand order", f"task {number} is done, {left} errands are not"
            )
        if is_done:
            self._done(task)
        else:
            self._want(robot, task)

    def _want(self, robot: int, task: Task) -> None:
        self._goal[robot] = task.next_cell
        self._since[robot] = self._t
        self._fresh.add(robot)

    def _done(self, task: Task) -> None:
        task.done_at = self._t
        self.done_count += 1
        self._of[task.robot], self._goal[task.robot] = None, -1
        self._told_late.discard(task.robot)
        if self._scenario.window:
            self._revealed_at.append(self._t)

    # --- who may have what ----------------------------------------------------------------------

    def _errands_of(self, number: int, robot: int) -> tuple[int, ...] | None:
        """Return the errands of a task; None, and a finding, where it cannot be this robot's."""
        here, tasks = self._cells[robot], self._scenario.tasks
        if number < 0 or not tasks:
            self._tell(robot, here, "unknown task", f"there is no task {number}")
            return None
        limit = self._limits.drain_tasks
        if limit and number >= limit:
            self._tell(robot, here, "unknown task", f"task {number}; there are {limit}")
            return None
        if self._scenario.window:
            revealed = len(self._revealed_at)
            if number >= revealed:
                text = (
                    f"task {number} is not revealed: {self.done_count} are done, so {revealed} are"
                )
                self._tell(robot, here, "not revealed", text)
        elif not self._is_own_turn(number, robot):
            return None
        return tasks[number % len(tasks)]

    def _is_own_turn(self, number: int, robot: int) -> bool:
        """Return whether this goal is the robot's next, but for those on which it stands."""
        team, here, tasks = len(self._cells), self._cells[robot], self._scenario.tasks
        turn, whose = divmod(number, team)
        if whose != robot:
            text = f"goal {number} is robot {whose}'s"
            self._report.add("wrong robot", self._t, (robot, whose), (here,), text)
            return False
        for skipped in range(self._next_turn[robot], turn):
            (goal,) = tasks[(skipped * team + robot) % len(tasks)]
            if goal != here:
                text = f"goal {skipped * team + robot} on {self._grid.at(goal)} is left out"
                self._report.add("lost task", self._t, (robot,), (here, goal), text)
        if turn < self._next_turn[robot]:
            self._tell(robot, here, "assigned after its end", f"goal {number} comes again")
            return False
        if tasks[number % len(tasks)][0] == here:
            text = f"goal {number} is where the robot stands: it is to be skipped"
            self._tell(robot, here, "goal here", text)
        self._next_turn[robot] = turn + 1
        return True

    # --- the end --------------------------------------------------------------------------------

    def end(self, t: int) -> dict[str, float]:
        """Return the figures of tasks; tell what is left of a drain run, and of late tasks."""
        for number in range(self._limits.drain_tasks):
            task = self._known.get(number)
            if task is None or task.done_at < 0:
                robots = () if task is None or task.robot < 0 else (task.robot,)
                cells = tuple(self._cells[robot] for robot in robots)
                self._report.add("not done", t, robots, cells, f"task {number} is not done")
        ages = sorted(self._ages(t))
        figures = {
            "tasks_per_step": self.done_count / max(1, t),
            "age_p50_steps": _part(ages, 0.5),
            "age_p99_steps": _part(ages, 0.99),
            "age_max_steps": _part(ages, 1.0),
        }
        limit = self._limits.age_p99_steps_max
        if limit and figures["age_p99_steps"] > limit:
            text = f"1 of 100 tasks is older than {figures['age_p99_steps']} steps, limit {limit}"
            self._report.add("late tasks", t, (), (), text)
        return figures

    def _ages(self, t: int) -> list[int]:
        """Return how long each task was there until it was done, or is there."""
        ages = []
        for task in self._known.values():
            window = self._scenario.window
            begun = (
                self._revealed_at[task.number]
                if window and task.number < len(self._revealed_at)
                else task.at
            )
            ages.append((task.done_at if task.done_at >= 0 else t) - begun)
        if self._scenario.window:
            total = self._limits.drain_tasks or len(self._revealed_at)
            ages += [
                t - begun
                for number, begun in enumerate(self._revealed_at[:total])
                if number not in self._known
            ]
        return ages

    def _tell(self, robot: int, cell: int, kind: str, text: str) -> None:
        self._report.add(kind, self._t, (robot,), (cell,), text)


def _part(ages: list[int], share: float) -> float:
    return float(ages[min(len(ages) - 1, int(share * len(ages)))]) if ages else 0.0
