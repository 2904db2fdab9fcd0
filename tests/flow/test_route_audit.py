"""Logs of `stockhelm route` before the checker that shares nothing with it: right and wronged ones.

On a small floor of their own always; on the shared problem files a few steps, and long with `soak`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from stockhelm.cli import app
from tests.fleet_audit.checker import check_log
from tests.fleet_audit.mutants import (
    MUTATIONS,
    Mutate,
    errand_out_of_order,
    shared_cell,
    skipped_turn,
    swap,
    too_fast,
)
from tests.fleet_audit.report import Limits, Report
from tests.fleet_audit.scenario import read_map, read_scenario

ROBOTS, ROWS, COLS = 24, 14, 22


@dataclass(frozen=True)
class Floor:
    """A map and a scenario, with what runs on it."""

    map: Path
    scenario: Path
    log: Path

    def run(self, steps: int, *more: object) -> dict[str, Any]:
        """Run the planner; return the last line of its log."""
        words = [
            "route", "--map", self.map, "--scenario", self.scenario, "--steps", steps,
            "--log", self.log, *more,
        ]  # fmt: skip
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        last: dict[str, Any] = json.loads(self.lines()[-1])
        return last

    def lines(self) -> list[str]:
        return self.log.read_text(encoding="ascii").splitlines()

    def report(self, limits: Limits | None = None, lines: list[str] | None = None) -> Report:
        grid = read_map(self.map)
        found = self.lines() if lines is None else lines
        return check_log(found, grid, read_scenario(self.scenario, grid), limits)


def shelves() -> list[str]:
    """Return a floor of shelves, two deep, with lanes one wide between them and around."""
    return [
        "".join(
            "@" if row % 3 and column % 7 and 0 < row < ROWS - 1 and column < COLS - 1 else "."
            for column in range(COLS)
        )
        for row in range(ROWS)
    ]


@pytest.fixture(params=["goals", "errands"])
def floor(request: pytest.FixtureRequest, tmp_path: Path) -> Floor:
    """Return a small floor with one goal after the other, or with tasks of several errands."""
    rows = shelves()
    text = "\n".join(rows)
    (tmp_path / "s.map").write_text(f"type octile\nheight {ROWS}\nwidth {COLS}\nmap\n{text}\n")
    random = Random(5)
    free = [c for c in range(ROWS * COLS) if rows[c // COLS][c % COLS] == "."]
    starts = random.sample(free, ROBOTS)
    if request.param == "goals":
        agents = [f"{i},{cell // COLS},{cell % COLS}" for i, cell in enumerate(starts)]
        (tmp_path / "s_24_agents.csv").write_text("\n".join(["agent id,row,col", *agents, ""]))
        goals = [str(random.choice(free)) for _ in range(500)]
        (tmp_path / "s_tasks.csv").write_text("\n".join(["targets", *goals, ""]))
        return Floor(tmp_path / "s.map", tmp_path / "s_24_agents.csv", tmp_path / "log")
    tasks = [",".join(map(str, random.sample(free, random.choice([1, 2, 3])))) for _ in range(300)]
    (tmp_path / "s.agents").write_text("\n".join([str(ROBOTS), *map(str, starts), ""]))
    (tmp_path / "s.tasks").write_text("\n".join([str(len(tasks)), *tasks, ""]))
    problem = {
        "mapFile": "s.map", "agentFile": "s.agents", "taskFile": "s.tasks", "teamSize": ROBOTS,
        "numTasksReveal": 1.5, "version": "2026 LoRR", "agentCounter": 3,
        "delayConfig": {"seed": 0, "minDelay": 2, "maxDelay": 8, "pDelay": 0.01},
    }  # fmt: skip
    (tmp_path / "s.json").write_text(json.dumps(problem))
    return Floor(tmp_path / "s.map", tmp_path / "s.json", tmp_path / "log")


@pytest.mark.parametrize("turning", ["--turn", "--no-turn"])
@pytest.mark.parametrize("rings", ["--rings", "--no-rings"])
def test_a_run_has_no_finding(floor: Floor, turning: str, rings: str) -> None:
    last = floor.run(200, turning, rings)
    limits = Limits(rings=rings == "--rings", quiet_steps_max=40)
    report = floor.report(limits)
    assert str(report) == "nothing found"
    assert report.figures["tasks_done"] == last["tasks_done"] > 50


def test_what_it_refuses_stands_on_stderr(floor: Floor) -> None:
    def refused(*more: object) -> tuple[int, str]:
        words = ["route", "--map", floor.map, "--scenario", floor.scenario, "--steps", 1, *more]
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.stdout == ""
        return result.exit_code, result.stderr.replace("\n", "")

    assert refused("--budget-ms", 5, "--tries", 1)[0] == 2
    assert refused("--scenario", floor.map)[0] == 2
    code, said = refused("--log", floor.map / "log")
    assert code == 1
    assert said.startswith("route: ")
    assert "Errno" not in said


def test_the_same_seed_gives_the_same_log(floor: Floor) -> None:
    floor.run(60, "--seed", 3)
    first = floor.lines()[:-1]
    floor.run(60, "--seed", 3)
    assert floor.lines()[:-1] == first


@pytest.mark.parametrize("turning", ["--turn", "--no-turn"])
def test_a_run_with_an_end_comes_to_it(floor: Floor, turning: str) -> None:
    tasks = 5 * ROBOTS
    last = floor.run(5_000, turning, "--tasks", tasks, "--no-rings")
    is_pool = floor.scenario.suffix == ".json"
    limits = Limits(rings=False, drain_tasks=tasks if is_pool else 0, robot_steps_max=2_000)
    assert str(floor.report(limits)) == "nothing found"
    assert last["steps"] < 5_000 or not is_pool


@pytest.mark.parametrize("turning", ["--turn", "--no-turn"])
@pytest.mark.parametrize("floor", ["errands"], indirect=True)
def test_a_run_in_ticks_with_delays_has_no_finding(floor: Floor, turning: str) -> None:
    last = floor.run(900, turning, "--execute")
    assert json.loads(floor.lines()[0])["ticks_per_action"] == 3
    report = floor.report(Limits(quiet_steps_max=150))
    assert str(report) == "nothing found"
    assert report.figures["tasks_done"] == last["tasks_done"] > 50
    rows = [json.loads(line) for line in floor.lines()]
    mutant = too_fast(rows, read_map(floor.map))
    assert mutant is not None
    said = str(floor.report(lines=[json.dumps(row) for row in mutant.rows]))
    assert f"t {mutant.t}: robots {mutant.robot}" in said
    assert "too fast" in said


@pytest.mark.parametrize("turning", ["--turn", "--no-turn"])
def test_each_wrong_done_to_a_log_is_found(floor: Floor, turning: str) -> None:
    floor.run(120, turning)
    rows = [json.loads(line) for line in floor.lines()]
    grid = read_map(floor.map)
    absent: set[Mutate] = {too_fast, skipped_turn if turning == "--no-turn" else swap}
    absent |= {shared_cell} if turning == "--turn" else set()
    absent |= {errand_out_of_order} if floor.scenario.suffix == ".csv" else set()
    for mutate in MUTATIONS:
        mutant = mutate(rows, grid)
        assert (mutant is None) == (mutate in absent), mutate.__name__
        if mutant is None:
            continue
        report = floor.report(lines=[json.dumps(row) for row in mutant.rows])
        fitting = [
            finding
            for finding in report.findings
            if finding.kind in mutant.kinds
            and finding.t >= mutant.t
            and (mutant.robot < 0 or mutant.robot in finding.robots)
        ]
        assert fitting, f"{mutate.__name__}: {report}"


# --- the shared problem files --------------------------------------------------------------------

WH, WH_LARGE = "maps/warehouse-10-20-10-2-1.map", "lorr2024/warehouse_large.map"
INSTANCES = {
    "rand32-400": ("maps/random-32-32-20.map", "lifelong/rand32_400_agents.csv"),
    "wh1020-100": (WH, "lifelong/wh1020_100_agents.csv"),
    "wh1020-500": (WH, "lifelong/wh1020_500_agents.csv"),
    "wh1020-1000": (WH, "lifelong/wh1020_1000_agents.csv"),
    "wh1020-2000": (WH, "lifelong/wh1020_2000_agents.csv"),
    "lorr-10000": (WH_LARGE, "lifelong/lorr_warehouse_10000_agents.csv"),
    "lorr-2024": (WH_LARGE, "lorr2024/warehouse_large_5000.json"),
    "lorr-2026": (
        "lorr2026/warehouse_long_corridor_large.map", "lorr2026/fulfill-example_2500.json"
    ),
}  # fmt: skip
SHORT = {"rand32-400": 60, "wh1020-500": 60, "lorr-2026": 5}
ROBOT_STEPS_MAX = 2_000
LONG = {
    "rand32-400": 3_000, "wh1020-100": 5_000, "wh1020-500": 10_000, "wh1020-1000": 3_000,
    "wh1020-2000": 1_500, "lorr-10000": 150, "lorr-2024": 1_000, "lorr-2026": 1_000,
}  # fmt: skip


def shared_floor(mapf_dir: Path, name: str, tmp_path: Path) -> Floor:
    map_file, scenario = INSTANCES[name]
    return Floor(mapf_dir / map_file, mapf_dir / scenario, tmp_path / "log")


@pytest.fixture
def mapf_dir(data_dir: Path) -> Path:
    """Return the shared problem files."""
    folder = data_dir / "mapf"
    if not folder.is_dir():
        pytest.skip(f"no problem files of multi-robot planning at {folder}")
    return folder


@pytest.mark.parametrize("turning", ["--turn", "--no-turn"])
@pytest.mark.parametrize("name", SHORT)
def test_a_shared_problem_has_no_finding(
    mapf_dir: Path, name: str, turning: str, tmp_path: Path
) -> None:
    floor = shared_floor(mapf_dir, name, tmp_path)
    floor.run(SHORT[name], turning)
    assert str(floor.report()) == "nothing found"


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("turning", ["--turn", "--no-turn"])
@pytest.mark.parametrize("rings", ["--rings", "--no-rings"])
@pytest.mark.parametrize("name", LONG)
def test_a_shared_problem_has_no_finding_in_a_long_run(
    mapf_dir: Path, name: str, turning: str, rings: str, tmp_path: Path
) -> None:
    floor = shared_floor(mapf_dir, name, tmp_path)
    floor.run(LONG[name], turning, rings)
    limits = Limits(rings=rings == "--rings", quiet_steps_max=300, robot_steps_max=ROBOT_STEPS_MAX)
    assert str(floor.report(limits)) == "nothing found"


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_ten_thousand_ticks_with_delays_have_no_finding(mapf_dir: Path, tmp_path: Path) -> None:
    floor = shared_floor(mapf_dir, "lorr-2026", tmp_path)
    floor.run(10_000, "--execute")
    limits = Limits(quiet_steps_max=300, robot_steps_max=3 * ROBOT_STEPS_MAX)
    assert str(floor.report(limits)) == "nothing found"
