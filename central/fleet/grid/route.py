"""A run of the planner alone on a problem file, told as lines of JSON that any checker can read.

First line `{"map","rows","cols","robots","kinematics","starts","headings","seed"}`, then per step
`{"t","a"}` with one letter per robot, task events between, last
`{"steps","tasks_done","ms_per_step_p50","ms_per_step_p99","peak_mb"}`.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import numpy as np

from central.fleet.grid.errands import Errands, Event
from central.fleet.grid.ground import make_ground
from central.fleet.grid.planner import Planner, Rules
from central.fleet.grid.problem import Grid, Problem

NS_PER_MS: Final = 1e6
STEPS_MAX: Final = 10_000_000
KIB_PER_MB: Final = 1024
WARM_AT_ONCE: Final = 256
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
    seed: int = 0
    budget_ms: float | None = None
    """Planning time per step; what the first plan leaves of it goes into improving it."""
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
    planner = Planner(ground, ground.inside(problem.starts), None, settings.rules)
    _line(write, _header(grid, problem, settings))
    _warm(planner, show)
    errands = Errands(problem, ground, settings.tasks_max)
    show("first goals", 0, 1)
    _events(write, errands.begin(planner))
    took_ms = []
    steps = 0
    for t in range(1, settings.steps + 1):
        begun_ns = clock.monotonic_ns()
        planner.step()
        actions = planner.actions()
        events = errands.arrived(t, planner.advance(), planner)
        took_ms.append((clock.monotonic_ns() - begun_ns) / NS_PER_MS)
        write(b'{"t":%d,"a":"%s"}\n' % (t, actions.encode("ascii")))
        _events(write, events)
        show("steps", t, settings.steps)
        steps = t
        if errands.is_finished:
            break
    summary = Summary(
        steps=steps, tasks_done=errands.done,
        ms_per_step_p50=round(float(np.percentile(took_ms, 50)) if took_ms else 0.0, 4),
        ms_per_step_p99=round(float(np.percentile(took_ms, 99)) if took_ms else 0.0, 4),
        peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB, 1),
    )  # fmt: skip
    _line(write, summary)
    return summary


def _header(grid: Grid, problem: Problem, settings: RouteSettings) -> dict[str, object]:
    """Return the first line of a log."""
    return {
        "map": grid.name,
        "rows": int(grid.free.shape[0]),
        "cols": grid.columns,
        "robots": int(problem.starts.size),
        "kinematics": "turn" if settings.rules.turning else "no-turn",
        "starts": problem.starts.tolist(),
        "headings": [0] * int(problem.starts.size),
        "seed": settings.seed,
    }


def _warm(planner: Planner, show: Show) -> None:
    goals = planner.warm_goals
    for begin in range(0, goals.size, WARM_AT_ONCE):
        show("distances", begin, int(goals.size))
        planner.warm(goals[begin : begin + WARM_AT_ONCE])


def _line(write: Write, told: object) -> None:
    write(msgspec.json.encode(told) + b"\n")


def _events(write: Write, events: list[Event]) -> None:
    for event in events:
        _line(write, event)
