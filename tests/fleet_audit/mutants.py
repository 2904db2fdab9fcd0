"""Single wrongs done to a right log of `stockhelm route`, each as a person could write it there.

Each takes the rows of a log (they are copied) and gives back the wronged rows with what a checker
has to name: the kinds of finding that fit, the step and a robot. None where the log offers no
place for it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.fleet_audit.scenario import GridMap

Row: TypeAlias = dict[str, Any]
SIDES = "ESWN"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wronged log; a finding of one of `kinds` at `t` or later that names the robot is due."""

    rows: list[Row]
    kinds: tuple[str, ...]
    t: int
    robot: int


Mutate: TypeAlias = Callable[[list[Row], GridMap], Mutant | None]


def swap(rows: list[Row], grid: GridMap) -> Mutant | None:
    """Let two neighbours drive into each other's cell."""
    return _drive(rows, grid, ("swap",), lambda side: (side, SIDES[SIDES.find(side) - 2]))


def shared_cell(rows: list[Row], grid: GridMap) -> Mutant | None:
    """Let a robot drive into a cell in which another stays."""
    return _drive(rows, grid, ("shared cell",), lambda side: (side, "."))


def _drive(
    rows: list[Row], grid: GridMap, kinds: tuple[str, ...], both: Callable[[str], tuple[str, str]]
) -> Mutant | None:
    """Give the first two robots that stand side by side in the middle of a log other actions."""
    if rows[0]["kinematics"] != "no-turn":
        return None
    for index, cells in _before_each_step(rows, grid):
        at = {cell: robot for robot, cell in enumerate(cells)}
        for robot, cell in enumerate(cells):
            for side, ahead in zip(SIDES, grid.ahead, strict=True):
                other = at.get(ahead[cell], -1)
                if other < 0:
                    continue
                wrong = copy.deepcopy(rows)
                actions = list(wrong[index]["a"])
                actions[robot], actions[other] = both(side)
                wrong[index]["a"] = "".join(actions)
                return Mutant(wrong, kinds, rows[index]["t"], robot)
    return None


def _before_each_step(rows: list[Row], grid: GridMap) -> Iterator[tuple[int, list[int]]]:
    """Yield the index of each step of a log without turning, and where the robots stand then."""
    cells = list(rows[0]["starts"])
    for index, row in enumerate(rows):
        if "a" in row:
            yield index, cells
            for robot, action in enumerate(row["a"]):
                if action != ".":
                    cells[robot] = grid.ahead[SIDES.find(action)][cells[robot]]


def skipped_turn(rows: list[Row], _grid: GridMap) -> Mutant | None:
    """Take a turn away from a robot that later ends an errand."""
    if rows[0]["kinematics"] != "turn":
        return None
    for index, row in enumerate(rows):
        for robot, action in enumerate(row.get("a", "")):
            later = (r for r in rows[index:] if r.get("event") == "done" and r["robot"] == robot)
            if action in "RC" and next(later, None):
                wrong = copy.deepcopy(rows)
                actions = row["a"]
                wrong[index]["a"] = actions[:robot] + "W" + actions[robot + 1 :]
                kinds = ("wall", "shared cell", "swap", "wrong cell", "held cell", "errand missing")
                return Mutant(wrong, kinds, row["t"], robot)
    return None


def teleport(rows: list[Row], _grid: GridMap) -> Mutant | None:
    """Let a task end where its robot is not: on the cell where the robot began."""
    return _change_last(
        rows, "done", ("wrong cell",), lambda row: row | {"cell": rows[0]["starts"][0]}
    )


def lost_task(rows: list[Row], _grid: GridMap) -> Mutant | None:
    """Take the end of a task out of the log."""
    return _change_last(rows, "done", ("errand missing", "lost task"), lambda _row: None)


def other_robot(rows: list[Row], _grid: GridMap) -> Mutant | None:
    """Let another robot end a task."""
    robots = rows[0]["robots"]
    return _change_last(
        rows, "done", ("wrong robot",), lambda row: row | {"robot": (row["robot"] + 1) % robots}
    )


def errand_out_of_order(rows: list[Row], _grid: GridMap) -> Mutant | None:
    """Let a task of several errands end with its second errand first."""
    return _change_last(
        rows, "errand", ("errand order",), lambda row: row | {"errand": row["errand"] + 1}
    )


def done_twice(rows: list[Row], _grid: GridMap) -> Mutant | None:
    """Let a task end a second time."""
    index = _last(rows, "done")
    if index is None:
        return None
    wrong = copy.deepcopy(rows)
    wrong.insert(index + 1, dict(rows[index]))
    return Mutant(wrong, ("done twice",), rows[index]["t"], rows[index]["robot"])


def _change_last(
    rows: list[Row], event: str, kinds: tuple[str, ...], change: Callable[[Row], Row | None]
) -> Mutant | None:
    index = _last(rows, event)
    if index is None:
        return None
    wrong = copy.deepcopy(rows)
    changed = change(rows[index])
    wrong[index : index + 1] = [changed] if changed else []
    return Mutant(wrong, kinds, rows[index]["t"], rows[index]["robot"])


def _last(rows: list[Row], event: str) -> int | None:
    """Return where such an event stands last, but not in the last step."""
    steps = [index for index, row in enumerate(rows) if "a" in row]
    found = [i for i, row in enumerate(rows[: steps[-1]]) if row.get("event") == event]
    return found[-1] if found else None


def too_many_done(rows: list[Row], _grid: GridMap) -> Mutant | None:
    """Let the last line tell of one task more."""
    wrong = copy.deepcopy(rows)
    wrong[-1]["tasks_done"] += 1
    return Mutant(wrong, ("end",), 0, -1)


def left_out_step(rows: list[Row], _grid: GridMap) -> Mutant | None:
    """Take a step out of the log."""
    steps = [index for index, row in enumerate(rows) if "a" in row]
    wrong = copy.deepcopy(rows)
    del wrong[steps[len(steps) // 2]]
    return Mutant(wrong, ("step",), 0, -1)


def too_fast(rows: list[Row], _grid: GridMap) -> Mutant | None:
    """Let a robot end an action a tick after its last one."""
    if rows[0].get("ticks_per_action", 1) < 2:
        return None
    steps = [index for index, row in enumerate(rows) if "a" in row]
    for index, following in itertools.pairwise(steps):
        for robot, action in enumerate(rows[index]["a"]):
            if action != ".":
                wrong = copy.deepcopy(rows)
                actions = rows[following]["a"]
                wrong[following]["a"] = actions[:robot] + action + actions[robot + 1 :]
                return Mutant(wrong, ("too fast",), rows[following]["t"], robot)
    return None


MUTATIONS: tuple[Mutate, ...] = (
    swap,
    shared_cell,
    skipped_turn,
    teleport,
    lost_task,
    other_robot,
    errand_out_of_order,
    done_twice,
    too_many_done,
    left_out_step,
    too_fast,
)
