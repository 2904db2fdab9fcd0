"""`stockhelm route`: the planner alone on a map and a problem file, its log for any checker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console

from runtime.clock import SystemClock
from stockhelm.ending import FAILED, USAGE, os_error_text
from stockhelm.sim_progress import shown_progress

if TYPE_CHECKING:
    from central.fleet.grid.route import RouteSettings, Write


def route_command(
    map_path: Path, scenario_path: Path, log_path: Path | None, settings: RouteSettings,
    console: Console, *, as_json: bool,
) -> int:  # fmt: skip
    """Run the planner and write its log; return 0, 1 where it failed, 2 for wrong files."""
    from central.fleet.grid.planner import PlanError
    from central.fleet.grid.problem import ProblemError, read_map, read_problem
    from central.fleet.grid.route import run_route

    try:
        grid = read_map(map_path)
        problem = read_problem(scenario_path, grid)
    except ProblemError as error:
        _refuse(str(error))
        return USAGE
    try:
        with _written(log_path) as write, shown_progress(console, "reading") as shown:
            summary = run_route(
                grid, problem, settings, clock=SystemClock(), write=write,
                show=shown.show,
            )  # fmt: skip
    except PlanError as error:
        _refuse(str(error))
        return FAILED
    except OSError as error:
        _refuse(os_error_text(error))
        return FAILED
    if as_json:
        console.out(msgspec.json.encode(summary).decode(), highlight=False)
        return 0
    console.print(
        f"{summary.steps} steps of {problem.starts.size} robots, {summary.tasks_done} tasks done,"
        f" {summary.tasks_done / max(1, summary.steps):.2f} per step; a step took"
        f" {summary.ms_per_step_p50:.2f} ms (p50), {summary.ms_per_step_p99:.2f} ms (p99);"
        f" {summary.peak_mb:.0f} MB",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if log_path is not None:
        console.print(f"log: {log_path}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _refuse(text: str) -> None:
    """Say on stderr why nothing came of it."""
    console = Console(stderr=True, highlight=False)
    console.print(f"route: {text}", markup=False, soft_wrap=True)


@contextlib.contextmanager
def _written(path: Path | None) -> Iterator[Write]:
    """Yield what writes lines into the log, or nowhere."""
    if path is None:
        yield lambda _line: None
        return
    with path.open("wb", buffering=1 << 20) as file:

        def write(line: bytes) -> None:
            file.write(line)

        yield write
