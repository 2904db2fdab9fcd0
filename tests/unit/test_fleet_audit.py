"""The checker of fleet logs finds nothing in a right log, and each single wrong that is done to it.

The right logs here are driven by hand; tests/flow/test_route_audit.py takes logs of the product.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fleet_audit.__main__ import main as grid_main
from tests.fleet_audit.checker import check_log
from tests.fleet_audit.messages import main as messages_main
from tests.fleet_audit.mutants import MUTATIONS, Mutate
from tests.fleet_audit.report import Limits, Report
from tests.fleet_audit.scenario import GridMap, Scenario, read_map, read_scenario

Row = dict[str, Any]
MAP = "type octile\nheight 3\nwidth 4\nmap\n....\n.@T.\n.ES.\n"
END = {"ms_per_step_p50": 0.1, "ms_per_step_p99": 0.2, "peak_mb": 9.0}


def header(kinematics: str, starts: list[int], **more: object) -> Row:
    """Return the first line of a log on the small map."""
    return {
        "map": "small.map", "rows": 3, "cols": 4, "robots": len(starts),
        "kinematics": kinematics, "starts": starts, "headings": [0] * len(starts), "seed": 1,
    } | more  # fmt: skip


def event(t: int, task: int, robot: int, what: str, errand: int, cell: int) -> Row:
    """Return a line of a task."""
    return {
        "t": t, "task": task, "robot": robot, "event": what, "errand": errand, "cell": cell
    }  # fmt: skip


TURNING = [
    header("turn", [0, 8]),
    event(1, 0, 0, "assigned", 0, 2),
    event(1, 1, 1, "assigned", 0, 9),
    {"t": 1, "a": "FF"},
    event(1, 1, 1, "errand", 0, 9),
    {"t": 2, "a": "FF"},
    event(2, 0, 0, "errand", 0, 2),
    {"t": 3, "a": "FF"},
    event(3, 1, 1, "done", 1, 11),
    event(4, 2, 1, "assigned", 0, 8),
    {"t": 4, "a": "RR"},
    {"t": 5, "a": "FR"},
    event(5, 0, 0, "done", 1, 7),
    {"t": 6, "a": "WF"},
    {"t": 7, "a": "RF"},
    {"t": 8, "a": "WF"},
    event(8, 2, 1, "done", 0, 8),
    {"steps": 8, "tasks_done": 3} | END,
]
"""Two robots with turning; three tasks, two of them with two errands."""
TASKS = ((2, 7), (9, 11), (8,), (0,))

PLAIN = [
    header("no-turn", [0, 1]),
    event(1, 0, 0, "assigned", 0, 8),
    event(1, 1, 1, "assigned", 0, 3),
    {"t": 1, "a": "SE"},
    {"t": 2, "a": "SE"},
    event(2, 0, 0, "done", 0, 8),
    event(2, 1, 1, "done", 0, 3),
    event(3, 2, 0, "assigned", 0, 9),
    event(3, 5, 1, "assigned", 0, 11),
    {"t": 3, "a": "ES"},
    event(3, 2, 0, "done", 0, 9),
    {"t": 4, "a": ".S"},
    event(4, 5, 1, "done", 0, 11),
    {"steps": 4, "tasks_done": 4} | END,
]
"""Two robots in the one-goal protocol; the goal 3 is skipped, since robot 1 stands on it."""
GOALS = ((8,), (3,), (9,), (3,), (10,), (11,))

TICKS = [
    header("turn", [0, 1], ticks_per_action=2),
    event(1, 0, 0, "assigned", 0, 1),
    event(1, 1, 1, "assigned", 0, 3),
    {"t": 1, "a": ".."},
    {"t": 2, "a": ".F"},
    {"t": 3, "a": ".."},
    {"t": 4, "a": "FF"},
    event(4, 0, 0, "done", 0, 1),
    event(4, 1, 1, "done", 0, 3),
    {"t": 5, "a": ".."},
    {"t": 6, "a": "WR"},
    {"steps": 6, "tasks_done": 2} | END,
]
"""Two ticks per action: robot 0 begins to drive into 1 when robot 1 has left it."""


@pytest.fixture
def grid(tmp_path: Path) -> GridMap:
    """Return the small map."""
    (tmp_path / "small.map").write_text(MAP)
    return read_map(tmp_path / "small.map")


RUNS = {
    "turning": (TURNING, Scenario((0, 8), TASKS, window=3)),
    "plain": (PLAIN, Scenario((0, 1), GOALS)),
    "ticks": (TICKS, Scenario((0, 1), ((1,), (3,)), window=3, ticks_per_action=2)),
}

OFFERED = {
    "swap": {"plain"},
    "shared_cell": {"plain"},
    "skipped_turn": {"turning"},
    "errand_out_of_order": {"turning"},
    "too_fast": {"ticks"},
}
"""Which logs have a place for a wrong; all where it does not stand here."""


def check(
    rows: list[Row], grid: GridMap, scenario: Scenario, limits: Limits | None = None
) -> Report:
    """Return what the checker says about these rows."""
    return check_log([json.dumps(row) for row in rows], grid, scenario, limits)


@pytest.mark.parametrize("run", RUNS)
def test_a_right_log_has_no_finding(run: str, grid: GridMap) -> None:
    rows, scenario = RUNS[run]
    limits = Limits(
        rings=False, quiet_steps_max=4, robot_steps_max=4, age_p99_steps_max=8,
        drain_tasks={"turning": 3, "plain": 0, "ticks": 2}[run],
    )  # fmt: skip
    report = check(rows, grid, scenario, limits)
    assert str(report) == "nothing found"
    assert report.figures["tasks_done"] == rows[-1]["tasks_done"]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_one_wrong_is_found_and_named(mutate: Mutate, run: str, grid: GridMap) -> None:
    rows, scenario = RUNS[run]
    mutant = mutate(rows, grid)
    assert (mutant is not None) == (run in OFFERED.get(mutate.__name__, RUNS))
    if mutant is None:
        return
    report = check(mutant.rows, grid, scenario)
    fitting = [
        finding
        for finding in report.findings
        if finding.kind in mutant.kinds
        and finding.t >= mutant.t
        and (mutant.robot < 0 or mutant.robot in finding.robots)
    ]
    assert fitting, str(report)
    if mutant.robot >= 0:
        assert f"t {fitting[0].t}: robots" in str(fitting[0])
        assert fitting[0].cells


def changed(rows: list[Row], index: int, /, **cells: object) -> list[Row]:
    """Return a copy of these rows with one of them changed."""
    wrong = copy.deepcopy(rows)
    wrong[index] |= cells
    return wrong


CASES = (
    (
        "turning",
        changed(TURNING, 3, a="RF"),
        "t 2: robots 0 cells 4, 2, 2: wrong cell: errand 0 of task 0",
    ),
    ("turning", changed(TURNING, 3, a="CF"), "t 3: robots 0"),
    ("turning", changed(TURNING, 3, a="XF"), "action 'X', expected F, R, C or W"),
    ("turning", changed(TURNING, 3, a="F"), "1 actions for 2 robots"),
    ("turning", changed(TURNING, 10, a="FR"), "t 4: robots 0 cells 3: wall: from cell 3 (row 0"),
    (
        "turning",
        changed(TURNING, 9, task=3),
        "t 3: robots 1 cells 8: wrong cell: errand 0 of task 3 is on cell 0",
    ),
    ("turning", changed(TURNING, 9, task=4), "task 4 is not revealed: 1 are done, so 4 are"),
    ("turning", changed(TURNING, 9, task=0), "task 0 was begun by robot 0, and goes to robot 1"),
    ("turning", changed(TURNING, 9, robot=0), "gets task 2 before its task 0 is done"),
    ("turning", changed(TURNING, 12, event="errand"), "tasks_done 3, the log holds 2"),
    ("turning", changed(TURNING, 4, event="done"), "task 1 is done, 1 errands are not"),
    ("turning", changed(TURNING, 4, t=7), "an event of 7 after step 1"),
    ("turning", changed(TURNING, 0, starts=[0, 9]), "starts are not those of the scenario"),
    ("turning", changed(TURNING, 0, starts=[0, 0]), "several robots start there"),
    ("turning", changed(TURNING, 0, rows=4), "4 x 4, the map has 3 x 4"),
    ("turning", changed(TURNING, 0, map="other.map"), "expected 'small.map'"),
    ("turning", changed(TURNING, 17, steps=9), "steps 9, the log holds 8"),
    ("turning", TURNING[:-1], "the last line, with the counts, is missing"),
    ("turning", [*TURNING, {"t": 9, "a": "WW"}], "line 19 follows the last line"),
    ("turning", TURNING[:1] + TURNING[2:], "task 0 was assigned to nobody"),
    ("plain", changed(PLAIN, 1, robot=1), "goal 0 is robot 0's"),
    ("plain", changed(PLAIN, 7, task=4), "goal 2 on cell 9 (row 2, column 1) is left out"),
    ("plain", changed(PLAIN, 8, task=3, cell=3), "goal 3 is where the robot stands"),
    ("plain", changed(PLAIN, 8, task=1, cell=3), "goal 1 comes again"),
    ("ticks", changed(TICKS, 3, a="F."), "F took 1 ticks, expected 2 or more"),
)


@pytest.mark.parametrize(("run", "rows", "said"), CASES, ids=range(len(CASES)))
def test_what_cannot_be_is_said_in_words(
    run: str, rows: list[Row], said: str, grid: GridMap
) -> None:
    assert said in str(check(rows, grid, RUNS[run][1]))


def test_a_cell_is_held_until_its_visitor_has_left_it(grid: GridMap) -> None:
    rows = changed(changed(changed(TICKS, 4, a=".."), 5, a=".F"), 6, a="F.")
    said = str(check(rows, grid, RUNS["ticks"][1]))
    assert "t 4: robots 0, 1 cells 1: held cell" in said
    assert "1 had left it 1 ticks ago" in said


RING = [
    header("no-turn", [0, 1, 2, 4]),
    {"t": 0, "a": "ESWN"},
    {"steps": 1, "tasks_done": 0} | END,
]


def test_a_ring_is_found_where_it_is_forbidden(tmp_path: Path) -> None:
    (tmp_path / "ring.map").write_text("type octile\nheight 2\nwidth 2\nmap\n..\n..\n")
    square = read_map(tmp_path / "ring.map")
    rows = changed(RING, 0, map="ring.map", rows=2, cols=2, starts=[0, 1, 3, 2])
    scenario = Scenario((0, 1, 3, 2), ((0,),), window=6)
    assert not check(rows, square, scenario).findings
    (ring,) = check(rows, square, scenario, Limits(rings=False)).findings
    assert (ring.kind, ring.t, sorted(ring.robots)) == ("ring", 0, [0, 1, 2, 3])


def test_tasks_that_wait_are_told(grid: GridMap) -> None:
    rows = [
        *TURNING[:5],
        *({"t": t, "a": "WW"} for t in range(2, 40)),
        {"steps": 39, "tasks_done": 0} | END,
    ]
    limits = Limits(drain_tasks=3, quiet_steps_max=20, robot_steps_max=25, age_p99_steps_max=30)
    kinds = [finding.kind for finding in check(rows, grid, RUNS["turning"][1], limits).findings]
    assert kinds == ["no progress", "starved", "starved", "not done", "not done", "not done",
                     "late tasks"]  # fmt: skip


def test_problem_files_are_read(tmp_path: Path, grid: GridMap) -> None:
    (tmp_path / "a.agents").write_text("# version\n2\n0\n8\n")
    (tmp_path / "a.tasks").write_text("# version\n2\n2,7\n9,11\n")
    problem = {
        "mapFile": "small.map", "agentFile": "a.agents", "taskFile": "a.tasks", "teamSize": 2,
        "numTasksReveal": 1.5, "agentCounter": 3, "delayConfig": {"seed": 0},
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(problem))
    assert read_scenario(tmp_path / "a.json", grid) == Scenario(
        (0, 8), ((2, 7), (9, 11)), window=3, ticks_per_action=3, delays={"seed": 0}
    )
    (tmp_path / "x_2_agents.csv").write_text("agent id,row,col\n0,0,1\n1,2,0\n")
    (tmp_path / "x_tasks.csv").write_text("targets\n7\n3\n")
    assert read_scenario(tmp_path / "x_2_agents.csv", grid) == Scenario((1, 8), ((7,), (3,)))
    (tmp_path / "x_tasks.csv").write_text("targets\n5\n")
    with pytest.raises(ValueError, match="a task on 5, which is no free cell"):
        read_scenario(tmp_path / "x_2_agents.csv", grid)


@pytest.mark.parametrize("text", [None, "no json\n"])
def test_wrong_files_are_told_in_a_line(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "m.map").write_text(MAP)
    log = tmp_path / "run.jsonl"
    if text is not None:
        log.write_text(text)
    words = ["--map", tmp_path / "m.map", "--scenario", tmp_path / "none.json", log]
    monkeypatch.setattr("sys.argv", ["fleet_audit", *map(str, words)])
    assert grid_main() == 2
    assert capsys.readouterr().err.startswith("fleet_audit: ")
    monkeypatch.setattr("sys.argv", ["messages", str(log)])
    assert messages_main() == 2
    assert "expected a trace" in capsys.readouterr().err
