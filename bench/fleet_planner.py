"""The planner of grids: time per step and tasks per step on public problem files, and delays.

The peers' figures are not measured here: they are what the issuer of these goals measured of a
reference planner in C++ (-O3) on a machine of this kind, or what is published of a competition.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from central.fleet.grid.planner import Rules
from central.fleet.grid.problem import Grid, Problem, read_map, read_problem
from central.fleet.grid.route import RouteSettings, Summary, run_route
from runtime.clock import SystemClock
from stockhelm.bench import Bench, Row, at_least, at_most, beside, figure

AISLES: Final = "maps/warehouse-10-20-10-2-1.map"
LARGE: Final = "lorr2024/warehouse_large.map"
PEER: Final = "C++ reference planner, its figure elsewhere"
START_KIT: Final = "LoRR start kit's planner, 1 s per step, its figure elsewhere"
BEST_KNOWN: Final = "best known of LoRR 2024, 32 cores, 1 s per step"
AISLE_ROWS: Final = ((500, 1.1, 2.78, 0.35), (1_000, 2.9, 4.25, 0.9), (2_000, 7.3, 4.26, 3.0))
"""Robots, the peer's ms and tasks per step, and how many ms may be."""
AISLE_STEPS: Final = 500
LARGE_STEPS: Final = 150
POOL_STEPS: Final = 300
POOL_STEPS_FULL: Final = 1_000
BUDGET_MS: Final = 50.0
DELAY_TICKS: Final = 10_000
DELAY_ROBOTS: Final = 500
STUCK_TICKS: Final = 2_000
RUNS: Final = 3
BEST_TASKS: Final = 30.97
BEST_SHARE_MIN: Final = 0.5
START_KIT_TASKS: Final = 5.0
REVEAL: Final = 1.5
DELAYED_SHARE_MIN: Final = 0.8
PEAK_MB_MAX: Final = 2_600.0
"""2 GiB of distances and the program itself."""
LARGE_STARTS: Final = "lifelong/lorr_warehouse_10000_agents.csv"
LATE_MAP: Final = "lorr2026/warehouse_long_corridor_large.map"
LATE_SCENARIO: Final = "lorr2026/fulfill-example_2500.json"


def run(bench: Bench, progress: Progress) -> list[Row]:
    """Return the figures of the planner: one thread, distances and bookkeeping included."""
    told = os.environ.get("STOCKHELM_DATA")
    data = Path(told) if told else Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = data / "mapf"
    if not folder.is_dir():
        bench.console.print(f"planner: no problem files at {folder} (STOCKHELM_DATA): left out")
        return []
    measures = (_aisles, _turning, _straight, _pool, _pool_large, _delays)
    bar = progress.add_task("planner", total=len(measures))
    rows: list[Row] = []
    for measure in measures:
        progress.update(bar, description=f"planner: {measure.__name__.strip('_')}")
        rows += measure(folder, full=bench.full)
        progress.advance(bar)
    return rows


def _load(folder: Path, map_file: str, scenario: str) -> tuple[Grid, Problem]:
    grid = read_map(folder / map_file)
    return grid, read_problem(folder / scenario, grid)


def _run(grid: Grid, problem: Problem, settings: RouteSettings) -> Summary:
    """Return the summary of a run without a log."""
    return run_route(grid, problem, settings, clock=SystemClock(), write=lambda _line: None)


def _aisles(folder: Path, *, full: bool) -> list[Row]:
    """Return the rows of 500, 1 000 and 2 000 robots in aisles one lane wide."""
    del full
    rows = []
    for robots, peer_ms, peer_tasks, ms_max in AISLE_ROWS:
        grid, problem = _load(folder, AISLES, f"lifelong/wh1020_{robots}_agents.csv")
        settings = RouteSettings(steps=AISLE_STEPS, rules=Rules())
        runs = [_run(grid, problem, settings) for _ in range(RUNS)]
        name = f"{robots} robots turning in aisles, depth 3"
        rows += _pair(name, runs, ms_max=ms_max, peer_ms=peer_ms, peer_tasks=peer_tasks)
    return rows


def _pair(
    name: str, runs: list[Summary], *, ms_max: float, peer_ms: float, peer_tasks: float
) -> list[Row]:
    """Return time per step, in the middle and near its worst, and tasks per step."""
    rate = median(run.tasks_done / run.steps for run in runs)
    return [
        at_most(
            f"{name}: whole step, p50", "ms", median(run.ms_per_step_p50 for run in runs),
            goal=ms_max, peer=peer_ms, peer_name=PEER,
        ),
        figure(f"{name}: whole step, p99", "ms", median(run.ms_per_step_p99 for run in runs)),
        beside(f"{name}: done", "tasks/step", rate, peer=peer_tasks, peer_name=PEER, share_min=1.0),
    ]  # fmt: skip


def _turning(folder: Path, *, full: bool) -> list[Row]:
    """Return the rows of 10 000 robots that turn."""
    grid, problem = _load(folder, LARGE, LARGE_STARTS)
    settings = RouteSettings(steps=LARGE_STEPS, rules=Rules())
    runs = [_run(grid, problem, settings) for _ in range(RUNS if full else 1)]
    name = f"10 000 robots turning, {LARGE_STEPS} steps"
    rows = _pair(name, runs, ms_max=50.0, peer_ms=119.0, peer_tasks=14.1)
    peak = median(run.peak_mb for run in runs)
    return [*rows, at_most(f"{name}: memory of the process", "MB", peak, goal=PEAK_MB_MAX)]


def _straight(folder: Path, *, full: bool) -> list[Row]:
    """Return the rows of 10 000 robots that do not turn."""
    grid, problem = _load(folder, LARGE, LARGE_STARTS)
    settings = RouteSettings(steps=LARGE_STEPS, rules=Rules(turning=False, depth=1))
    runs = [_run(grid, problem, settings) for _ in range(RUNS if full else 1)]
    name = f"10 000 robots without turning, {LARGE_STEPS} steps"
    return _pair(name, runs, ms_max=5.5, peer_ms=16.8, peer_tasks=18.6)


def _pool(folder: Path, *, full: bool) -> list[Row]:
    """Return the rows of LoRR 2024 with 5 000 robots and 50 ms per step."""
    grid, problem = _load(folder, LARGE, "lorr2024/warehouse_large_5000.json")
    name = "LoRR 2024 warehouse, 5 000 robots"
    return _budgeted(name, grid, problem, full=full, peer=START_KIT_TASKS, peer_name=START_KIT)


def _pool_large(folder: Path, *, full: bool) -> list[Row]:
    """Return the rows of the same tasks for 10 000 robots."""
    grid, problem = _load(folder, LARGE, "lorr2024/warehouse_large_5000.json")
    _, many = _load(folder, LARGE, LARGE_STARTS)
    problem = replace(problem, starts=many.starts, revealed=int(REVEAL * many.starts.size))
    return _budgeted(
        "LoRR 2024 tasks, 10 000 robots", grid, problem, full=full, peer=BEST_TASKS,
        peer_name=BEST_KNOWN, share_min=BEST_SHARE_MIN,
    )  # fmt: skip


def _budgeted(
    name: str, grid: Grid, problem: Problem, *, full: bool, peer: float, peer_name: str,
    share_min: float = 1.0,
) -> list[Row]:  # fmt: skip
    """Return tasks per step with a budget of time, and what a step took."""
    steps = POOL_STEPS_FULL if full else POOL_STEPS
    run = _run(grid, problem, RouteSettings(steps=steps, rules=Rules(), budget_ms=BUDGET_MS))
    name = f"{name}, {BUDGET_MS:.0f} ms per step, {steps} steps"
    return [
        beside(
            f"{name}: done", "tasks/step", run.tasks_done / run.steps, peer=peer,
            peer_name=peer_name, share_min=share_min,
        ),
        figure(f"{name}: whole step, p50", "ms", run.ms_per_step_p50),
        figure(f"{name}: whole step, p99", "ms", run.ms_per_step_p99),
    ]  # fmt: skip


def _delays(folder: Path, *, full: bool) -> list[Row]:
    """Return the rows of delayed robots: who met, who stood still, how much was done."""
    rows = []
    _, late = _load(folder, LATE_MAP, LATE_SCENARIO)
    cases = [(f"{DELAY_ROBOTS} robots in aisles", AISLES, "lifelong/wh1020_500_agents.csv")]
    if full:
        cases.append(("LoRR 2026, 2 500 robots", LATE_MAP, LATE_SCENARIO))
    for name, map_file, scenario in cases:
        grid, problem = _load(folder, map_file, scenario)
        problem = replace(problem, ticks_per_action=late.ticks_per_action)
        watch = Watch(problem.starts, grid.free)
        settings = RouteSettings(steps=DELAY_TICKS, rules=Rules(), execute=True)
        delayed = run_route(
            grid, replace(problem, delays=late.delays), settings, clock=SystemClock(),
            write=watch.line,
        )  # fmt: skip
        plain = _run(grid, replace(problem, delays=None), settings)
        what = f"{name}, delays of 2 to 8 ticks, {DELAY_TICKS} ticks"
        rows += [
            at_most(f"{what}: robots on one cell, swaps", "", float(watch.met), goal=0.0),
            at_most(
                f"{what}: robots that stood for the last {STUCK_TICKS} ticks", "",
                float(watch.stood(STUCK_TICKS)), goal=0.0,
            ),
            at_least(
                f"{what}: done, of the same without delays", "share",
                delayed.tasks_done / max(1, plain.tasks_done), goal=DELAYED_SHARE_MIN,
            ),
        ]  # fmt: skip
    return rows


class Watch:
    """Drives robots along a log, line by line, and counts who meets and who stands."""

    def __init__(self, starts: NDArray[np.int64], free: NDArray[np.bool_]) -> None:
        self._cells = starts.copy()
        self._headings = np.zeros(starts.size, np.int64)
        self._free = free.reshape(-1)
        self._ahead = np.array([1, free.shape[1], -1, -free.shape[1]])
        self._moved_at = np.zeros(starts.size, np.int64)
        self._t = 0
        self.met = 0

    def line(self, line: bytes) -> None:
        """Take one line of a log."""
        row = msgspec.json.decode(line)
        if "a" not in row:
            return
        self._t = row["t"]
        letters = np.frombuffer(row["a"].encode(), np.uint8)
        self._headings += (letters == ord("R")).astype(int) + 3 * (letters == ord("C"))
        self._headings %= 4
        before = self._cells.copy()
        forward = letters == ord("F")
        self._cells[forward] += self._ahead[self._headings[forward]]
        self._moved_at[forward] = self._t
        self.met += self._cells.size - np.unique(self._cells).size
        self.met += int(np.count_nonzero(~self._free[self._cells]))
        where = np.full(self._free.size, -1)
        where[before] = np.arange(before.size)
        other = where[self._cells]
        swapped = (other >= 0) & forward & (self._cells[other] == before) & forward[other]
        self.met += int(np.count_nonzero(swapped)) // 2

    def stood(self, ticks: int) -> int:
        """Return how many robots have not moved for so many ticks."""
        return int(np.count_nonzero(self._t - self._moved_at >= ticks))
