"""Maps and problem files: MovingAI maps, League of Robot Runners 2024 and 2026, one-goal lists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from central.fleet.grid.ground import Int64

FREE_CHARACTERS: Final = ".GSE"
BLOCKED_CHARACTERS: Final = "@OTW"
CELLS_MAX: Final = 4_000_000
ROBOTS_MAX: Final = 100_000
TASKS_MAX: Final = 10_000_000
ERRANDS_MAX: Final = 64
FILE_BYTES_MAX: Final = 256 << 20
HEADER_LINES: Final = 4
DIGITS_MAX: Final = 9
"""No count and no cell has more; what has could be more than a machine's number holds."""


class ProblemError(Exception):
    """A file is not what was expected; the text says where, what came and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A map as its file says: free[row, column]."""

    name: str
    free: NDArray[np.bool_]

    @property
    def columns(self) -> int:
        """Return how many columns there are."""
        return int(self.free.shape[1])


class Delays(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How robots are delayed while they act (LoRR 2026): chance per tick, and how many ticks."""

    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    min_delay: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 2
    max_delay: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 8
    event_model: str = "poisson"
    p_delay: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.003
    duration_model: str = "gaussian"
    gauss_mean_ratio: Annotated[float, msgspec.Meta(ge=-1_000.0, le=1_000.0)] = 0.5
    gauss_std_ratio: Annotated[float, msgspec.Meta(ge=0.0, le=1_000.0)] = 0.22


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Where robots start and what is to be done. Cells are row * columns + column."""

    name: str
    starts: Int64
    tasks: list[tuple[int, ...]]
    revealed: int | None
    """How many tasks can be chosen from at once; None: the one-goal protocol, each robot has its
    own order."""
    ticks_per_action: int = 1
    delays: Delays | None = None


class _Json(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A League of Robot Runners problem, 2024 or 2026."""

    map_file: str
    agent_file: str
    team_size: Annotated[int, msgspec.Meta(ge=1, le=ROBOTS_MAX)]
    task_file: str
    num_tasks_reveal: Annotated[float, msgspec.Meta(gt=0.0, le=1_000.0)] = 1.0
    version: str = ""
    agent_counter: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    delay_config: Delays | None = None


def read_map(path: Path) -> Grid:
    """Return the grid of a MovingAI map file. Raises ProblemError for anything else."""
    lines = _lines(path)
    sizes = {}
    for number, (line, word) in enumerate(zip(lines, ("type", "height", "width"), strict=False), 1):
        found, _, value = line.partition(" ")
        if found != word or (word != "type" and not _is_number(value.strip())):
            shape = "type octile" if word == "type" else f"{word} N"
            raise ProblemError(
                f"{path}, line {number}: expected {shape!r}, got {line[:60]!r}: is this a MovingAI"
                " map?"
            )
        sizes[word] = int(value) if word != "type" else 0
    if len(lines) < HEADER_LINES or lines[HEADER_LINES - 1].strip() != "map":
        raise ProblemError(f"{path}, line 4: expected 'map' after type, height and width")
    rows, columns = sizes["height"], sizes["width"]
    if not 0 < rows * columns <= CELLS_MAX:
        raise ProblemError(f"{path}: {rows} x {columns} cells: expected 1 to {CELLS_MAX}")
    body = lines[HEADER_LINES:]
    while body and not body[-1].strip():
        body.pop()
    if len(body) != rows:
        raise ProblemError(f"{path}: height says {rows} rows, got {len(body)}")
    free = np.zeros((rows, columns), np.bool_)
    for row, line in enumerate(body):
        _read_row(path, row, line, free)
    if not free.any():
        raise ProblemError(f"{path}: no cell is free: expected at least one of {FREE_CHARACTERS}")
    return Grid(name=path.name, free=free)


def _read_row(path: Path, row: int, line: str, free: NDArray[np.bool_]) -> None:
    number = row + HEADER_LINES + 1
    if len(line) != free.shape[1]:
        raise ProblemError(
            f"{path}, line {number}: width says {free.shape[1]} characters, got {len(line)}"
        )
    for column, character in enumerate(line):
        if character in FREE_CHARACTERS:
            free[row, column] = True
        elif character not in BLOCKED_CHARACTERS:
            raise ProblemError(
                f"{path}, line {number}, character {column + 1}: {character!r}: expected"
                f" {FREE_CHARACTERS} (free) or {BLOCKED_CHARACTERS} (blocked)"
            )


def read_problem(path: Path, grid: Grid) -> Problem:
    """Return the problem of a .json file (LoRR 2024, 2026) or of NAME_agents.csv (one goal each).

    Raises ProblemError where a file is missing or not as expected, or does not fit the map.
    """
    if path.suffix == ".json":
        problem = _read_json(path)
    elif path.name.endswith("_agents.csv"):
        problem = _read_lists(path, grid)
    else:
        raise ProblemError(
            f"{path}: expected a League of Robot Runners problem (.json) or starts (…_agents.csv"
            " with …_tasks.csv beside it)"
        )
    _check_cells(f"{path}: robot", problem.starts, grid)
    goals = np.array([cell for task in problem.tasks for cell in task], np.int64)
    _check_cells(f"{path}: goal of a task", goals, grid)
    cells, first = np.unique(problem.starts, return_index=True)
    if cells.size < problem.starts.size:
        twice = min(set(range(problem.starts.size)) - set(first.tolist()))
        raise ProblemError(
            f"{path}: robot {twice} starts on cell {problem.starts[twice]}, where another one"
            " starts: every robot needs a cell of its own"
        )
    return problem


def _check_cells(what: str, cells: Int64, grid: Grid) -> None:
    flat = grid.free.reshape(-1)
    bad = (cells < 0) | (cells >= flat.size)
    bad[~bad] = ~flat[cells[~bad]]
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        cell = int(cells[at])
        raise ProblemError(
            f"{what} {at} on cell {cell} (row {cell // grid.columns}, column"
            f" {cell % grid.columns}): not a free cell of map {grid.name}: do they belong together?"
        )


def _read_json(path: Path) -> Problem:
    try:
        told = msgspec.json.decode(_bytes(path), type=_Json)
    except msgspec.DecodeError as error:
        raise ProblemError(
            f"{path}: not a League of Robot Runners problem: {error}: expected mapFile, agentFile,"
            " teamSize, taskFile"
        ) from error
    delays = told.delay_config
    if delays is not None and delays.min_delay > delays.max_delay:
        raise ProblemError(
            f"{path}: delayConfig: minDelay {delays.min_delay} is more than maxDelay"
            f" {delays.max_delay}: expected the smaller one first"
        )
    agents_path, tasks_path = path.parent / told.agent_file, path.parent / told.task_file
    starts = [row[0] for _, row in _number_rows(agents_path, 1, ROBOTS_MAX)]
    if len(starts) < told.team_size:
        raise ProblemError(
            f"{agents_path}: {len(starts)} robots, {path.name} says teamSize {told.team_size}"
        )
    tasks = [row for _, row in _number_rows(tasks_path, ERRANDS_MAX, TASKS_MAX)]
    if not tasks:
        raise ProblemError(f"{tasks_path}: no task: expected at least one")
    return Problem(
        name=path.name, starts=np.array(starts[: told.team_size], np.int64), tasks=tasks,
        revealed=max(1, int(told.num_tasks_reveal * told.team_size)),
        ticks_per_action=told.agent_counter, delays=told.delay_config,
    )  # fmt: skip


def _number_rows(path: Path, width_max: int, rows_max: int) -> list[tuple[int, tuple[int, ...]]]:
    """Return (line, numbers) of each row after the first one, which says how many there are."""
    rows: list[tuple[int, tuple[int, ...]]] = []
    for number, line in enumerate(_lines(path), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        parts = text.split(",")
        if not all(_is_number(part.strip()) for part in parts) or len(parts) > width_max:
            raise ProblemError(
                f"{path}, line {number}: expected 1 to {width_max} cell numbers with commas"
                f" between, got {text[:60]!r}"
            )
        rows.append((number, tuple(int(part) for part in parts)))
    if not rows:
        raise ProblemError(f"{path}: empty: expected a count, then a row each")
    (line_number, (said, *_)), rows = rows[0], rows[1:]
    if not 0 < said <= rows_max:
        raise ProblemError(f"{path}, line {line_number}: {said} rows: expected 1 to {rows_max}")
    if len(rows) < said:
        raise ProblemError(f"{path}, line {line_number}: says {said} rows, got {len(rows)}")
    return rows[:said]


def _read_lists(path: Path, grid: Grid) -> Problem:
    """Return the one-goal problem of two lists: `agent id,row,col` and `targets`."""
    starts = []
    for number, line in _csv(path, "agent id,row,col"):
        parts = line.split(",")
        if len(parts) != len(("id", "row", "col")) or not all(map(_is_number, parts)):
            raise ProblemError(f"{path}, line {number}: expected id,row,col, got {line[:60]!r}")
        _, row, column = (int(part) for part in parts)
        if column >= grid.columns:
            raise ProblemError(
                f"{path}, line {number}: column {column}: map {grid.name} has {grid.columns}"
            )
        starts.append(row * grid.columns + column)
    stem = path.name.removesuffix("_agents.csv")
    name, _, count = stem.rpartition("_")
    tasks_path = path.with_name(f"{name if count.isdigit() else stem}_tasks.csv")
    tasks: list[tuple[int, ...]] = []
    for number, line in _csv(tasks_path, "targets"):
        if not _is_number(line):
            raise ProblemError(f"{tasks_path}, line {number}: expected a cell, got {line[:60]!r}")
        tasks.append((int(line),))
    if not 0 < len(starts) <= ROBOTS_MAX or not 0 < len(tasks) <= TASKS_MAX:
        raise ProblemError(f"{path}: {len(starts)} robots and {len(tasks)} goals: expected some")
    return Problem(
        name=path.name, starts=np.array(starts, np.int64), tasks=tasks, revealed=None
    )  # fmt: skip


def _csv(path: Path, header: str) -> list[tuple[int, str]]:
    lines = _lines(path)
    if not lines or lines[0].strip() != header:
        got = lines[0][:60] if lines else "an empty file"
        raise ProblemError(f"{path}, line 1: expected {header!r}, got {got!r}")
    return [(number, line.strip()) for number, line in enumerate(lines[1:], 2) if line.strip()]


def _is_number(text: str) -> bool:
    return text.isdigit() and len(text) <= DIGITS_MAX


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:  # a device or a pipe does not say how long it is
            found = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ProblemError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ProblemError(f"{path}: cannot be read: {error}: expected a file's name") from error
    if len(found) > FILE_BYTES_MAX:
        raise ProblemError(f"{path}: more than {FILE_BYTES_MAX >> 20} MiB are not read")
    return found


def _lines(path: Path) -> list[str]:
    try:
        return _bytes(path).decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise ProblemError(
            f"{path}: byte {error.start} is no ASCII character: expected a text file"
        ) from error
