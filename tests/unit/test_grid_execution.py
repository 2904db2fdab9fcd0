"""Plans driven with ticks and delays: cells keep their visiting order, nobody meets, nobody waits
for ever."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from central.fleet.grid.execution import Execution
from central.fleet.grid.ground import make_ground
from central.fleet.grid.operations import make_operations
from central.fleet.grid.problem import Delays
from stockhelm.cli import app
from tests.fleet_audit.checker import check_log
from tests.fleet_audit.report import Limits
from tests.fleet_audit.scenario import read_map, read_scenario

LETTERS = np.frombuffer(b"FF", np.uint8)


def test_a_robot_follows_when_the_one_before_it_has_left() -> None:
    cells = np.array([1, 0], np.int32)  # robot 1 stands behind robot 0
    execution = Execution(cells, 4, ticks_per_action=3, turning=True, delays=None)
    execution.give(LETTERS, np.array([2, 1], np.int32))
    shown = [execution.tick() for _ in range(6)]
    assert shown == [b"..", b"..", b"F.", b"..", b"..", b".F"]
    assert execution.cells.tolist() == [2, 1]


def test_who_is_not_done_is_late_and_waits_in_the_plan() -> None:
    execution = Execution(
        np.array([1, 0], np.int32), 4, ticks_per_action=2, turning=True, delays=None
    )
    execution.give(LETTERS, np.array([2, 1], np.int32))
    execution.tick()
    execution.tick()
    assert execution.late.tolist() == [0, 1]
    execution.give(np.frombuffer(b"FW", np.uint8), np.array([3, 1], np.int32))
    assert [execution.tick() for _ in range(2)] == [b"..", b"FF"]
    assert execution.cells.tolist() == [3, 1]


def test_delays_come_with_their_chance_and_keep_their_bounds() -> None:
    delays = Delays(seed=5, min_delay=2, max_delay=4, p_delay=0.5)
    robots = 200
    cells = np.arange(robots, dtype=np.int32)
    execution = Execution(cells, 2 * robots, ticks_per_action=1, turning=False, delays=delays)
    to = cells + np.int32(robots)
    execution.give(np.full(robots, ord("S"), np.uint8), to)
    done_at = np.zeros(robots, np.int64)
    for tick in range(1, 40):
        shown = np.frombuffer(execution.tick(), np.uint8)
        done_at[shown == ord("S")] = tick
    assert np.array_equal(execution.cells, to)
    assert 0.4 < np.mean(done_at > 1) < 0.6
    assert done_at[done_at > 1].min() >= 1 + delays.min_delay


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_with_many_delays_has_no_finding_and_goes_on(seed: int, tmp_path: Path) -> None:
    rows = [
        "".join("@" if r % 3 and c % 7 and 0 < r < 12 and c < 20 else "." for c in range(21))
        for r in range(13)
    ]
    text = "\n".join(rows)
    (tmp_path / "s.map").write_text(f"type octile\nheight 13\nwidth 21\nmap\n{text}\n")
    rng = np.random.default_rng(seed)
    free = [i for i in range(13 * 21) if rows[i // 21][i % 21] == "."]
    starts = rng.permutation(free)[:40].tolist()
    tasks = [",".join(map(str, rng.choice(free, 2).tolist())) for _ in range(400)]
    (tmp_path / "s.agents").write_text("\n".join(map(str, [40, *starts])) + "\n")
    (tmp_path / "s.tasks").write_text("\n".join([str(len(tasks)), *tasks]) + "\n")
    problem = {
        "mapFile": "s.map", "agentFile": "s.agents", "taskFile": "s.tasks", "teamSize": 40,
        "numTasksReveal": 1.5, "agentCounter": 3,
        "delayConfig": {"seed": seed, "minDelay": 2, "maxDelay": 8, "pDelay": 0.02},
    }  # fmt: skip
    (tmp_path / "s.json").write_text(json.dumps(problem))
    words = [
        "route", "--map", tmp_path / "s.map", "--scenario", tmp_path / "s.json", "--steps", 900,
        "--log", tmp_path / "log", "--execute",
    ]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "log").read_text().splitlines()
    head = json.loads(lines[0])
    assert (head["ticks_per_action"], head["delays"]["pDelay"]) == (3, 0.02)
    grid = read_map(tmp_path / "s.map")
    limits = Limits(rings=False, quiet_steps_max=120)
    report = check_log(lines, grid, read_scenario(tmp_path / "s.json", grid), limits)
    assert str(report) == "nothing found"
    assert json.loads(lines[-1])["tasks_done"] > 60


def test_operations_are_what_a_turning_robot_can_do_in_two_steps() -> None:
    ground = make_ground(np.ones((5, 5), np.bool_))
    known = make_operations(ground, depth=2, turning=True)
    east = {
        (*ground.place(int(ground.cell(2, 2) + known.cells[row, 1])), int(known.headings[row, 1]))
        for row in range(known.count)
    }
    assert east == {
        (2, 4, 0), (2, 3, 0), (2, 2, 0), (2, 3, 1), (2, 3, 3), (3, 2, 1), (1, 2, 3), (2, 2, 1),
        (2, 2, 3), (2, 2, 2),
    }  # fmt: skip
    waits = known.letters[known.wait], int(known.shifted[known.wait])
    assert waits == ("W", known.wait)
