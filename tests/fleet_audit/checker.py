"""The checker of fleet logs: drives every robot along the log and tells what cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.fleet_audit.report import Limits, Report
from tests.fleet_audit.scenario import GridMap, Scenario
from tests.fleet_audit.tasks import Tasks


def check_log(
    lines: Iterable[str], grid: GridMap, scenario: Scenario, limits: Limits | None = None
) -> Report:
    """Return what is wrong with these lines of a log."""
    report = Report()
    run: _Run | None = None
    ended = False
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            report.add("line", run.t if run else 0, (), (), f"line {number} is no JSON: {error}")
            return report
        if ended:
            report.add("end", run.t if run else 0, (), (), f"line {number} follows the last line")
            break
        if run is None:
            if not check_header(row, grid, scenario, report):
                return report
            run = _Run(row, grid, scenario, limits or Limits(), report)
        elif "a" in row:
            run.step(row)
        elif "event" in row:
            run.tasks.event(row)
        elif "steps" in row:
            run.end(row)
            ended = True
        else:
            report.add("line", run.t, (), (), f"line {number} is no step, event or end: {row}")
    if not ended:
        report.add("end", run.t if run else 0, (), (), "the last line, with the counts, is missing")
    return report


def check_header(row: dict[str, Any], grid: GridMap, scenario: Scenario, report: Report) -> bool:
    """Return whether the log can be followed with this first line; tells what is wrong with it."""
    before = len(report.findings)

    def tell(text: str) -> None:
        report.add("header", 0, (), (), text)

    keys = ("map", "rows", "cols", "robots", "kinematics", "starts", "headings", "seed")
    missing = [key for key in keys if key not in row]
    if missing:
        tell(f"lacks {', '.join(missing)}")
        return False
    if Path(str(row["map"])).name != grid.name:
        tell(f"map {row['map']!r}, expected {grid.name!r}")
    if (row["rows"], row["cols"]) != (grid.rows, grid.cols):
        tell(f"{row['rows']} x {row['cols']}, the map has {grid.rows} x {grid.cols}")
    if row["kinematics"] not in {"turn", "no-turn"}:
        tell(f"kinematics {row['kinematics']!r}, expected 'turn' or 'no-turn'")
    if not isinstance(row["seed"], int):
        tell(f"seed {row['seed']!r}, expected a whole number")
    starts, headings = row["starts"], row["headings"]
    if row["robots"] != len(starts) or row["robots"] != len(headings):
        tell(f"{row['robots']} robots, but {len(starts)} starts and {len(headings)} headings")
    if tuple(starts) != scenario.starts[: len(starts)] or not starts:
        wrong = [r for r, (s, o) in enumerate(zip(starts, scenario.starts, strict=False)) if s != o]
        report.add("header", 0, wrong[:3], (), "starts are not those of the scenario")
    if any(heading not in range(4) for heading in headings):
        tell("headings, expected numbers 0 to 3")
    for cell in {cell for cell in starts if starts.count(cell) > 1} if _repeats(starts) else ():
        both = [robot for robot, start in enumerate(starts) if start == cell]
        report.add("shared cell", 0, both, (cell,), f"{grid.at(cell)}: several robots start there")
    ticks = row.get("ticks_per_action", 1)
    if not isinstance(ticks, int) or ticks < 1:
        tell(f"ticks_per_action {ticks!r}, expected a whole number from 1")
    return len(report.findings) == before


def _repeats(cells: list[int]) -> bool:
    return len(set(cells)) != len(cells)


class _Run:
    """Every robot's cell and heading, driven along the log."""

    def __init__(
        self,
        header: dict[str, Any],
        grid: GridMap,
        scenario: Scenario,
        limits: Limits,
        report: Report,
    ) -> None:
        self.t = 0
        self._grid, self._limits, self._report = grid, limits, report
        self._turns = header["kinematics"] == "turn"
        self._ticks: int = header.get("ticks_per_action", 1)
        self._has_ticks = "ticks_per_action" in header
        self._headings: list[int] = list(header["headings"])
        self.cells: list[int] = list(header["starts"])
        self._robot_at = [-1] * len(grid.free)
        for robot, cell in enumerate(self.cells):
            self._robot_at[cell] = robot
        self._steps = 0
        self._ended_at = [0] * len(self.cells)
        """Per robot: how many ticks had passed when its last action ended."""
        self._left_at = [0] * len(grid.free)
        """Per cell: how many ticks had passed when its last visitor had left it."""
        self._left_by = [-1] * len(grid.free)
        self.tasks = Tasks(scenario, self.cells, grid, report, limits)

    def step(self, row: dict[str, Any]) -> None:
        """Drive all robots along one line."""
        t, actions = row.get("t"), row["a"]
        first = self._steps == 0
        if not isinstance(t, int) or (first and t not in {0, 1}) or (not first and t != self.t + 1):
            expected = "0 or 1" if first else str(self.t + 1)
            self._tell("step", (), (), f"a step numbered {t!r}, expected {expected}")
        self.tasks.before_step(self.t)
        self.t = t if isinstance(t, int) else self.t + 1
        self._steps += 1
        if len(actions) != len(self.cells):
            robots = len(self.cells)
            self._tell("action", (), (), f"{len(actions)} actions for {robots} robots")
            actions = actions[:robots].ljust(robots, ".")
        moves = self._moves(actions)
        if moves:
            self._move(moves)
        self.tasks.after_step(self.t, moves)

    def _moves(self, actions: str) -> list[tuple[int, int, int]]:
        """Return (robot, from, to) of all that move, and turn those that turn."""
        if self._has_ticks:
            self._check_ticks(actions)
        moves = self._turning(actions) if self._turns else self._sliding(actions)
        if all(to >= 0 for _, _, to in moves):
            return moves
        for robot, cell, to in moves:
            if to < 0:
                text = f"from {self._grid.at(cell)} into a wall or over the border"
                self._tell("wall", (robot,), (cell,), text)
        return [move for move in moves if move[2] >= 0]

    def _turning(self, actions: str) -> list[tuple[int, int, int]]:
        """Return the moves of robots that drive where they look."""
        moves: list[tuple[int, int, int]] = []
        cells, headings, ahead = self.cells, self._headings, self._grid.ahead
        still = "W." if self._has_ticks else "W"
        for robot, action in enumerate(actions):
            if action == "F":
                cell = cells[robot]
                moves.append((robot, cell, ahead[headings[robot]][cell]))
            elif action == "R":
                headings[robot] = (headings[robot] + 1) & 3
            elif action == "C":
                headings[robot] = (headings[robot] - 1) & 3
            elif action not in still:
                self._no_action(robot, action, "F, R, C or " + " or ".join(still))
        return moves

    def _sliding(self, actions: str) -> list[tuple[int, int, int]]:
        """Return the moves of robots that drive to any side."""
        moves: list[tuple[int, int, int]] = []
        for robot, action in enumerate(actions):
            if action == ".":
                continue
            heading = "ESWN".find(action)
            if heading < 0:
                self._no_action(robot, action, "E, S, W, N or .")
                continue
            cell = self.cells[robot]
            moves.append((robot, cell, self._grid.ahead[heading][cell]))
        return moves

    def _check_ticks(self, actions: str) -> None:
        ended, now, ticks = self._ended_at, self._steps, self._ticks
        for robot, action in enumerate(actions):
            if action == ".":
                continue
            if now - ended[robot] < ticks:
                text = f"{action} took {now - ended[robot]} ticks, expected {ticks} or more"
                self._tell("too fast", (robot,), (self.cells[robot],), text)
            ended[robot] = now

    def _move(self, moves: list[tuple[int, int, int]]) -> None:
        """Move robots at once; tell of cells shared or held, of swaps and of rings."""
        cells, robot_at = self.cells, self._robot_at
        before = {to: robot_at[to] for _, _, to in moves}
        for robot, cell, to in moves:
            cells[robot] = to
            robot_at[cell] = -1
        for robot, cell, to in moves:
            other = robot_at[to]
            if other >= 0:
                text = f"{self._grid.at(to)}: {robot} comes from {cell}, {other} is there"
                self._tell("shared cell", (robot, other), (to,), text)
            robot_at[to] = robot
            other = before[to]
            if other > robot and cells[other] == cell:
                text = f"{robot} goes from {cell} to {to}, {other} from {to} to {cell}"
                self._tell("swap", (robot, other), (cell, to), text)
        if self._has_ticks:
            self._check_held(moves)
        elif not self._limits.rings:
            self._check_rings(before)

    def _check_held(self, moves: list[tuple[int, int, int]]) -> None:
        """Tell who drove into a cell while another was still leaving it."""
        now, left_at, left_by = self._steps, self._left_at, self._left_by
        for robot, cell, _ in moves:
            left_at[cell], left_by[cell] = now, robot
        began = now - self._ticks
        for robot, _, to in moves:
            if left_at[to] > began and left_by[to] not in {robot, -1}:
                text = (
                    f"{self._grid.at(to)}: {robot} began to drive into it {self._ticks} ticks ago"
                    f" or earlier, {left_by[to]} had left it {now - left_at[to]} ticks ago"
                )
                self._tell("held cell", (robot, left_by[to]), (to,), text)

    def _check_rings(self, before: dict[int, int]) -> None:
        """Tell of three and more robots that each enter the cell that the next one leaves."""
        follows = {self._robot_at[to]: other for to, other in before.items() if other >= 0}
        seen: set[int] = set()
        for first in follows:
            ring: list[int] = []
            robot = first
            while robot in follows and robot not in seen:
                seen.add(robot)
                ring.append(robot)
                robot = follows[robot]
            if len(ring) > 2 and robot == first:
                text = "they turn in a ring without an empty cell"
                self._tell("ring", ring, [self.cells[r] for r in ring], text)

    def end(self, row: dict[str, Any]) -> None:
        """Compare the last line with what was read."""
        self.tasks.before_step(self.t)
        counts = {"steps": self._steps, "tasks_done": self.tasks.done_count}
        for key, counted in counts.items():
            if row.get(key) != counted:
                self._tell("end", (), (), f"{key} {row.get(key)!r}, the log holds {counted}")
        figures = [row.get(key) for key in ("ms_per_step_p50", "ms_per_step_p99", "peak_mb")]
        numbers = [figure for figure in figures if isinstance(figure, (int, float)) and figure >= 0]
        if len(numbers) < len(figures):
            self._tell("end", (), (), f"ms_per_step_p50, ms_per_step_p99 and peak_mb are {figures}")
        elif numbers[0] > numbers[1]:
            self._tell("end", (), (), f"the median of a step, {numbers[0]} ms, is over its p99")
        self._report.figures |= {**counts, **self.tasks.end(self.t)}

    def _no_action(self, robot: int, action: str, expected: str) -> None:
        text = f"action {action!r}, expected {expected}"
        self._tell("action", (robot,), (self.cells[robot],), text)

    def _tell(self, kind: str, robots: Iterable[int], cells: Iterable[int], text: str) -> None:
        self._report.add(kind, self.t, robots, cells, text)
