"""All robots are paused from outside: the books know it, and central tells the fleet."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from central.robot_pause import Pause, pause_now, pause_robots, resume_robots
from central.store import open_engine, reading
from stockhelm.cli import app
from tests.central_world import CentralWorld


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["robots", *map(str, words)])
    return result.exit_code, result.output.strip()


def test_central_tells_the_fleet_within_a_second_and_after_a_restart(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    world.rt.run_for(1.0)
    with world.engine.begin() as conn:
        assert pause_robots(conn, Pause(why="a drill", since_ns=5, person_id="ann"))
        assert not pause_robots(conn, Pause(why="another", since_ns=6))
    world.rt.run_for(1.1)
    assert world.robots.pauses == ["a drill"]
    world.kill()
    world.begin()
    assert world.robots.pauses == ["a drill", "a drill"]
    with world.engine.begin() as conn:
        assert resume_robots(conn)
        assert not resume_robots(conn)
    world.rt.run_for(1.1)
    assert world.robots.pauses == ["a drill", "a drill", ""]
    world.kill()


def test_the_command_pauses_resumes_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "bins.csv").write_text("bin_id,edge_id,kind,x_m,y_m,z_m,node_id\n")
    (tmp_path / "articles.csv").write_text("gtin,sku,name,case_units,price_cents,supplier_id\n")
    (tmp_path / "nodes.csv").write_text("node_id,x_m,y_m\na,0,0\n")
    config = tmp_path / "central.toml"
    config.write_text(f'site_id = "FC1"\nsite_dir = "{tmp_path}"\ndata_dir = "{tmp_path}"\n')
    url = f"sqlite:///{tmp_path}/central.db"
    open_engine(url).dispose()
    ours = ("--config", config)
    assert run("status", *ours) == (0, "no robot is told to stand")
    assert run("resume", *ours) == (1, "no robot is told to stand")
    who = (*ours, "--person", "ann", "--reason", "a drill")
    assert run("pause", *who) == (0, "all robots are to stand")
    assert run("pause", *who) == (0, "all robots are to stand already")
    engine = open_engine(url)
    with reading(engine) as conn:
        found = pause_now(conn)
    engine.dispose()
    assert found
    assert (found.why, found.person_id) == ("a drill", "ann")
    assert run("status", *ours)[1].endswith("by ann, a drill")
    assert run("resume", *ours) == (0, "the robots may go on")
