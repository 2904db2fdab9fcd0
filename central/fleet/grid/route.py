"""A run of the planner alone on a problem file, told as lines of JSON that any checker can read.

First line `{"map","rows","cols","robots","kinematics","starts","headings","seed"}`, then per step
`{"t","a"}` with one letter per robot, task events between, last
`{"steps","tasks_done","ms_per_step_p50","ms_per_step_p99","peak_mb"}`.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

import msgspec
import numpy as np

from central.fleet.grid.errands import Errands, Event
from central.fleet.grid.execution import Execution
from central.fleet.grid.ground import Int32, make_ground
from central.fleet.grid.planner import Planner, Rules
from central.fleet.grid.problem import Grid, Problem

NS_PER_MS: Final = 1e6
STEPS_MAX: Final = 10_000_000
KIB_PER_MB: Final = 1024
WARM_AT_ONCE: Final = 256
TRIES_AT_ONCE: Final = 64
ROBOTS_PER_TRY: Final = 8
FIELDS_SHARE: Final = 0.4
"""Of a step's budget, what distance fields may take; the others are made in later steps."""
TAIL_KEPT: Final = 0.95
FIELD_LEARNED: Final = 0.1
FIELDS_MIN: Final = 2
TRIES_PER_ROBOT_MAX: Final = 20
"""More than that in one step finds nothing more."""
Write = Callable[[bytes], None]
Show = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and of how much."""


class Stopwatch(Protocol):
    """What measures planning."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """What a run is asked for."""

    steps: int
    rules: Rules
    budget_ms: float | None = None
    """Planning time per step; what the first plan leaves of it goes into improving it."""
    tries: int | None = None
    """Without a budget: tries to improve each step's plan, the same in every run; None: one for
    every eighth robot."""
    execute: bool = False
    """Whether actions take ticks and robots are delayed, as the problem says."""
    tasks_max: int | None = None
    """Only so many tasks: the run ends when they are done."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The last line: what was done, and what a step took."""

    steps: int
    tasks_done: int
    ms_per_step_p50: float
    ms_per_step_p99: float
    peak_mb: float


def run_route(
    grid: Grid, problem: Problem, settings: RouteSettings, *, clock: Stopwatch, write: Write,
    show: Show = lambda _text, _done, _total: None,
) -> Summary:  # fmt: skip
    """Return the summary of a run whose log went line by line to `write`."""
    ground = make_ground(grid.free)
    rules = settings.rules
    if settings.execute:
        rules = replace(rules, rings=False)
    planner = Planner(ground, ground.inside(problem.starts), None, rules)
    _line(write, _header(grid, problem, settings))
    _warm(planner, planner.warm_goals, show)
    errands = Errands(problem, ground, settings.tasks_max)
    show("first goals", 0, 1)
    run = _Run(planner, errands, settings, clock, write, show)
    run.begin()
    drive = run.ticks(problem, ground.number.size) if settings.execute else run.steps()
    steps = 0
    for steps in drive:
        show("ticks" if settings.execute else "steps", steps, settings.steps)
        if errands.is_finished:
            break
    summary = Summary(
        steps=steps, tasks_done=errands.done, ms_per_step_p50=_part(run.took_ms, 50),
        ms_per_step_p99=_part(run.took_ms, 99),
        peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB, 1),
    )  # fmt: skip
    _line(write, summary)
    return summary


class _Run:
    """One run: the planner, the tasks, and what planning took."""

    def __init__(
        self, planner: Planner, errands: Errands, settings: RouteSettings, clock: Stopwatch,
        write: Write, show: Show,
    ) -> None:  # fmt: skip
        self._planner = planner
        self._errands = errands
        self._settings = settings
        self._clock = clock
        self._write = write
        self._show = show
        self._tail_ns = 0.0
        """What steps take after their plans: goals and their distances; the worst fades."""
        self._field_ns = 0.0
        """What a distance field takes."""
        self.took_ms: list[float] = []

    def begin(self) -> None:
        """Give the first tasks; what a distance field takes says how many fit in a budget."""
        made, begun_ns = self._planner.fields_made, self._clock.monotonic_ns()
        _events(self._write, self._errands.begin(self._planner))
        self._note_tail(self._planner.fields_made - made, self._clock.monotonic_ns() - begun_ns)
        self._tail_ns = 0.0
        goals = self._errands.later_goals()[: self._planner.fields_free]
        _warm(self._planner, goals, self._show)

    def _note_tail(self, made: int, took_ns: int) -> None:
        """Learn from what came after a plan what that takes: goals, and the fields they need."""
        self._tail_ns = max(float(took_ns), TAIL_KEPT * self._tail_ns)
        if self._settings.budget_ms is None or made == 0:
            return
        old, new = self._field_ns, took_ns / made
        self._field_ns = new if old == 0.0 else old + (new - old) * FIELD_LEARNED
        share_ns = FIELDS_SHARE * self._settings.budget_ms * NS_PER_MS
        self._planner.fields_max = max(FIELDS_MIN, int(share_ns / max(1.0, self._field_ns)))

    def steps(self) -> Iterator[int]:
        """Yield the number of each step after it was driven: one action of everybody."""
        planner, clock = self._planner, self._clock
        for t in range(1, self._settings.steps + 1):
            begun_ns = clock.monotonic_ns()
            planner.step()
            self._improve(begun_ns)
            made = planner.fields_made
            actions = planner.actions()
            planned_ns = clock.monotonic_ns()
            events = self._errands.arrived(t, planner.advance(), planner)
            ended_ns = clock.monotonic_ns()
            self._note_tail(planner.fields_made - made, ended_ns - planned_ns)
            self.took_ms.append((ended_ns - begun_ns) / NS_PER_MS)
            self._write(b'{"t":%d,"a":"%s"}\n' % (t, actions))
            _events(self._write, events)
            yield t

    def ticks(self, problem: Problem, size: int) -> Iterator[int]:
        """Yield the number of each tick after it has passed, actions taking some of them."""
        planner, clock = self._planner, self._clock
        execution = Execution(
            planner.cells, size, ticks_per_action=problem.ticks_per_action,
            turning=self._settings.rules.turning, delays=problem.delays,
        )  # fmt: skip
        for t in range(1, self._settings.steps + 1):
            begun_ns = clock.monotonic_ns()
            if (t - 1) % problem.ticks_per_action == 0:
                planner.hold(execution.late)
                planner.step()
                self._improve(begun_ns)
                actions = np.frombuffer(planner.actions(), np.uint8)
                planner.advance()
                execution.give(actions, planner.cells)
            shown = execution.tick()
            arrived = np.flatnonzero(execution.cells == planner.goals).astype(np.int32)
            events = self._errands.arrived(t, arrived, planner, cells=execution.cells)
            if (t - 1) % problem.ticks_per_action == 0:
                self.took_ms.append((clock.monotonic_ns() - begun_ns) / NS_PER_MS)
            self._write(b'{"t":%d,"a":"%s"}\n' % (t, shown))
            _events(self._write, events)
            yield t

    def _improve(self, begun_ns: int) -> None:
        """Better the plan until the budget of this step is used up, or by a number of tries."""
        tries = self._settings.tries
        robots = self._planner.robots.shape[0]
        if self._settings.budget_ms is None:
            self._planner.improve(robots // ROBOTS_PER_TRY if tries is None else tries)
            return
        until_ns = begun_ns + self._settings.budget_ms * NS_PER_MS - self._tail_ns
        most = TRIES_PER_ROBOT_MAX * robots
        tried = 0
        while tried < most and self._clock.monotonic_ns() < until_ns:
            self._planner.improve(TRIES_AT_ONCE)
            tried += TRIES_AT_ONCE


def _part(took_ms: list[float], percent: float) -> float:
    return round(float(np.percentile(took_ms, percent)), 4) if took_ms else 0.0


def _header(grid: Grid, problem: Problem, settings: RouteSettings) -> dict[str, object]:
    """Return the first line of a log."""
    more: dict[str, object] = {}
    if settings.execute:
        more = {"ticks_per_action": problem.ticks_per_action}
        if problem.delays is not None:
            more["delays"] = msgspec.to_builtins(problem.delays)
    return {
        "map": grid.name,
        "rows": int(grid.free.shape[0]),
        "cols": grid.columns,
        "robots": int(problem.starts.size),
        "kinematics": "turn" if settings.rules.turning else "no-turn",
        "starts": problem.starts.tolist(),
        "headings": [0] * int(problem.starts.size),
        "seed": settings.rules.seed,
    } | more


def _warm(planner: Planner, goals: Int32, show: Show) -> None:
    """Make distance fields before they are needed."""
    for begin in range(0, goals.size, WARM_AT_ONCE):
        show("distances", begin, int(goals.size))
        planner.warm(goals[begin : begin + WARM_AT_ONCE])


def _line(write: Write, told: object) -> None:
    write(msgspec.json.encode(told) + b"\n")


def _events(write: Write, events: list[Event]) -> None:
    for event in events:
        _line(write, event)
