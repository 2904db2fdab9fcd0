"""Maps and problem files are read, and what is wrong in them is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from central.fleet.grid.problem import ProblemError, read_map, read_problem

MAP = "type octile\nheight 3\nwidth 4\nmap\n....\n.@T.\n.ES.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a small map and a problem of every kind."""
    (tmp_path / "small.map").write_text(MAP)
    (tmp_path / "p.json").write_text(
        '{"mapFile":"small.map","agentFile":"p.agents","teamSize":2,"taskFile":"p.tasks",'
        '"numTasksReveal":1.5,"version":"2024 LoRR"}'
    )
    (tmp_path / "p.agents").write_text("# version for LoRR 2024\n3\n0\n3\n8\n")
    (tmp_path / "p.tasks").write_text("# version for LoRR 2024\n2\n1,9\n10\n")
    (tmp_path / "q_2_agents.csv").write_text("agent id,row,col\n0,0,1\n1,2,3\n")
    (tmp_path / "q_tasks.csv").write_text("targets\n0\n9\n3\n")
    return tmp_path


def test_a_map_says_what_is_free(folder: Path) -> None:
    grid = read_map(folder / "small.map")
    assert grid.free.tolist() == [[True] * 4, [True, False, False, True], [True] * 4]
    assert (grid.name, grid.columns) == ("small.map", 4)


def test_a_robot_runners_problem_is_read(folder: Path) -> None:
    problem = read_problem(folder / "p.json", read_map(folder / "small.map"))
    assert problem.starts.tolist() == [0, 3]
    assert problem.tasks == [(1, 9), (10,)]
    assert (problem.revealed, problem.ticks_per_action, problem.delays) == (3, 1, None)


def test_a_problem_of_2026_brings_ticks_and_delays(folder: Path) -> None:
    path = folder / "p.json"
    more = ',"agentCounter":3,"delayConfig":{"seed":4,"minDelay":1,"maxDelay":6,"pDelay":0.5}}'
    path.write_text(path.read_text()[:-1] + more)
    problem = read_problem(path, read_map(folder / "small.map"))
    assert problem.ticks_per_action == 3
    assert problem.delays is not None
    told = problem.delays
    assert (told.seed, told.min_delay, told.max_delay, told.p_delay) == (4, 1, 6, 0.5)


def test_lists_of_starts_and_goals_are_read(folder: Path) -> None:
    problem = read_problem(folder / "q_2_agents.csv", read_map(folder / "small.map"))
    assert problem.starts.tolist() == [1, 11]
    assert problem.tasks == [(0,), (9,), (3,)]
    assert problem.revealed is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 4: expected 'map'"),
        ("kind octile\n", "line 1: expected 'type octile', got 'kind octile'"),
        (MAP.replace("height 3", "height x"), "line 2: expected 'height N', got 'height x'"),
        (MAP.replace("height 3", "height 4"), "height says 4 rows, got 3"),
        (MAP.replace(".@T.", ".@T"), "line 6: width says 4 characters, got 3"),
        (MAP.replace(".@T.", ".@?."), "line 6, character 3: '?': expected"),
        (MAP.replace(".", "@").replace("E", "@").replace("S", "@"), "no cell is free"),
        (MAP.replace(".", "\u00e9"), "no ASCII character"),
    ],
)
def test_a_map_that_is_none_names_the_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.map"
    path.write_text(text)
    with pytest.raises(ProblemError) as caught:
        read_map(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.json", "{}", "not a League of Robot Runners problem"),
        ("p.json", "{", "not a League of Robot Runners problem"),
        ("p.agents", "1\n0\n", "1 robots, p.json says teamSize 2"),
        ("p.agents", "2\n0\n0\n", "robot 1 starts on cell 0, where another one starts"),
        ("p.agents", "2\n0\n5\n", "robot 1 on cell 5 (row 1, column 1): not a free cell"),
        ("p.agents", "2\n0\nx\n", "p.agents, line 3: expected 1 to 1 cell numbers"),
        ("p.agents", "3\n0\n1\n", "p.agents, line 1: says 3 rows, got 2"),
        ("p.tasks", "1\n0,99\n", "goal of a task 1 on cell 99"),
        ("p.tasks", "", "p.tasks: empty"),
    ],
)
def test_a_problem_that_does_not_fit_says_where(
    name: str, text: str, says: str, folder: Path
) -> None:
    (folder / name).write_text(text)
    with pytest.raises(ProblemError) as caught:
        read_problem(folder / "p.json", read_map(folder / "small.map"))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("q_2_agents.csv", "id,row,col\n0,0,1\n", "line 1: expected 'agent id,row,col'"),
        ("q_2_agents.csv", "agent id,row,col\n0,0\n", "line 2: expected id,row,col, got '0,0'"),
        ("q_2_agents.csv", "agent id,row,col\n0,0,9\n", "line 2: column 9: map small.map has 4"),
        ("q_tasks.csv", "targets\nx\n", "q_tasks.csv, line 2: expected a cell, got 'x'"),
    ],
)
def test_lists_that_do_not_fit_say_where(name: str, text: str, says: str, folder: Path) -> None:
    (folder / name).write_text(text)
    with pytest.raises(ProblemError) as caught:
        read_problem(folder / "q_2_agents.csv", read_map(folder / "small.map"))
    assert says in str(caught.value)


def test_a_file_of_another_kind_or_none_is_refused(folder: Path) -> None:
    grid = read_map(folder / "small.map")
    with pytest.raises(ProblemError, match="expected a League of Robot Runners problem"):
        read_problem(folder / "small.map", grid)
    with pytest.raises(ProblemError, match="cannot be read: No such file"):
        read_map(folder / "none.map")


HUGE = "9" * 5_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.agents", "2\n0\n99999999999999999999\n"),
        ("p.tasks", f"1\n{HUGE}\n"),
        ("small.map", f"type octile\nheight {HUGE}\nwidth 4\nmap\n"),
    ],
)
def test_a_number_without_end_is_refused_with_its_line(name: str, text: str, folder: Path) -> None:
    (folder / name).write_text(text)
    with pytest.raises(ProblemError, match=rf"{name}, line \d: expected") as refused:
        read_problem(folder / "p.json", read_map(folder / "small.map"))
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "delays",
    ['"seed":-1', '"gaussStdRatio":-1.0', '"gaussMeanRatio":1e308', '"minDelay":8,"maxDelay":2'],
)
def test_delays_that_cannot_be_drawn_are_refused(delays: str, folder: Path) -> None:
    path = folder / "p.json"
    path.write_text(path.read_text()[:-1] + f',"delayConfig":{{{delays}}}}}')
    with pytest.raises(ProblemError, match=r"p\.json: .*expected"):
        read_problem(path, read_map(folder / "small.map"))


def test_a_file_without_end_and_a_name_that_is_none_are_refused(folder: Path) -> None:
    path, grid = folder / "p.json", read_map(folder / "small.map")
    told = path.read_text()
    for agents, says in (("/dev/zero", "MiB are not read"), ("a\\u0000b", "cannot be read")):
        path.write_text(told.replace("p.agents", agents))
        with pytest.raises(ProblemError, match=says):
            read_problem(path, grid)
