"""Maps and problem files of multi-robot planning, as the checker of fleet logs reads them.

Plain Python of its own, on purpose: the product reads the same files with other code. A map is one
of MovingAI (`type octile`), a scenario one of the League of Robot Runners 2024 or 2026 (JSON that
names agents and tasks) or the one-goal protocol (agents.csv beside tasks.csv): the k-th goal of
robot r of n is `tasks[(k*n + r) % len(tasks)]`, and one on which it stands already is skipped.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FREE = frozenset(".ESG")
BLOCKED = frozenset("@TOW")


@dataclass(frozen=True, slots=True)
class GridMap:
    """A map: `free` by cell, and where each heading (0 east, clockwise) leads; -1: nowhere."""

    name: str
    rows: int
    cols: int
    free: tuple[bool, ...]
    ahead: tuple[tuple[int, ...], ...]

    def at(self, cell: int) -> str:
        """Return a cell in words."""
        return f"cell {cell} (row {cell // self.cols}, column {cell % self.cols})"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Where robots start and what there is to do; `window` is 0 in the one-goal protocol."""

    starts: tuple[int, ...]
    tasks: tuple[tuple[int, ...], ...]
    window: int = 0
    ticks_per_action: int = 1
    delays: dict[str, object] = field(default_factory=dict)


def read_map(path: Path) -> GridMap:
    """Return the map of a MovingAI file; ValueError where it is none."""
    lines = path.read_text(encoding="ascii").splitlines()
    head = dict(line.split(None, 1) for line in lines[:3] if " " in line)
    if "height" not in head or "width" not in head or lines[3].strip() != "map":
        raise ValueError(f"{path}: expected type, height, width and map, got {lines[:4]}")
    rows, cols = int(head["height"]), int(head["width"])
    body = lines[4 : 4 + rows]
    if len(body) != rows or any(len(line) != cols for line in body):
        raise ValueError(f"{path}: expected {rows} rows of {cols} characters")
    unknown = set("".join(body)) - FREE - BLOCKED
    if unknown:
        raise ValueError(f"{path}: characters {sorted(unknown)} are neither free nor blocked")
    free = tuple(character in FREE for line in body for character in line)
    return GridMap(path.name, rows, cols, free, _ahead(rows, cols, free))


def _ahead(rows: int, cols: int, free: Sequence[bool]) -> tuple[tuple[int, ...], ...]:
    def leads(step_row: int, step_col: int) -> tuple[int, ...]:
        found = []
        for cell in range(rows * cols):
            row, col = cell // cols + step_row, cell % cols + step_col
            inside = 0 <= row < rows and 0 <= col < cols
            found.append(row * cols + col if inside and free[row * cols + col] else -1)
        return tuple(found)

    return leads(0, 1), leads(1, 0), leads(0, -1), leads(-1, 0)


def read_scenario(path: Path, grid: GridMap) -> Scenario:
    """Return the scenario of a problem file; ValueError where it fits neither form nor map."""
    scenario = _read_robot_runners(path) if path.suffix == ".json" else _read_goals(path, grid)
    for what, cells in (("start", scenario.starts), ("task", sum_up(scenario.tasks))):
        for cell in cells:
            if not 0 <= cell < len(grid.free) or not grid.free[cell]:
                raise ValueError(f"{path}: a {what} on {cell}, which is no free cell of the map")
    return scenario


def sum_up(tasks: Sequence[tuple[int, ...]]) -> list[int]:
    """Return all cells of all tasks."""
    return [cell for task in tasks for cell in task]


def _numbers(path: Path, read: Callable[[str], tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the rows of a file that says first how many there are; `#` begins a remark."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    rows = [read(line) for line in lines[1:]]
    if len(rows) < int(lines[0]):
        raise ValueError(f"{path}: expected {lines[0]} rows, got {len(rows)}")
    return rows[: int(lines[0])]


def _read_robot_runners(path: Path) -> Scenario:
    problem = json.loads(path.read_text())
    team = problem["teamSize"]
    agents = _numbers(path.parent / problem["agentFile"], lambda line: (int(line),))
    tasks = _numbers(
        path.parent / problem["taskFile"], lambda line: tuple(int(c) for c in line.split(","))
    )
    if len(agents) < team:
        raise ValueError(f"{path}: expected {team} agents, got {len(agents)}")
    return Scenario(
        tuple(start for (start,) in agents[:team]),
        tuple(tasks),
        window=int(problem["numTasksReveal"] * team),
        ticks_per_action=problem.get("agentCounter", 1),
        delays=problem.get("delayConfig", {}),
    )


def _read_goals(path: Path, grid: GridMap) -> Scenario:
    """Return agents of `NAME_<n>_agents.csv` and goals of `NAME_tasks.csv` beside it."""
    with path.open(newline="") as file:
        starts = tuple(int(r["row"]) * grid.cols + int(r["col"]) for r in csv.DictReader(file))
    goals = path.with_name(path.name.removesuffix("_agents.csv").rsplit("_", 1)[0] + "_tasks.csv")
    with goals.open(newline="") as file:
        return Scenario(starts, tuple((int(r["targets"]),) for r in csv.DictReader(file)))
