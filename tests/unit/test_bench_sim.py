"""The bench of the simulator on small sizes: each measurement in processes of its own."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from bench import sim, sim_determinism, sim_generator, sim_speed
from bench.sim_site import Load
from runtime.clock import SystemClock
from sim_hardware.world.warehouse.spec import Wish
from stockhelm.bench import Bench
from stockhelm.benches import BENCHES


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    console = Console(file=io.StringIO(), width=120)
    return Bench(console=console, clock=SystemClock(), directory=tmp_path)


@pytest.fixture
def progress(bench: Bench) -> Progress:
    return Progress(console=bench.console)


def test_each_part_has_its_place_in_the_bench(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "sim" in BENCHES
    parts = (sim_determinism.rows, sim_speed.rows, sim_generator.rows)
    assert parts == sim.PARTS
    monkeypatch.setattr(sim, "PARTS", ())
    assert sim.run(bench) == []


def test_each_size_has_its_seconds_and_its_memory(
    bench: Bench, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim_generator, "BINS", (400, 500))
    monkeypatch.setattr(sim_generator, "READ_BINS", 400)
    monkeypatch.setattr(sim_generator, "GOAL_BINS", 500)
    rows = sim_generator.rows(bench, progress)
    assert [(row.what, row.unit, row.goal) for row in rows] == [
        ("generate 400 bins, 4 robots", "s", None),
        ("generate 400 bins, 4 robots", "MiB", None),
        ("read and check 400 bins", "s", None),
        ("generate 500 bins, 5 robots", "s", 20.0),
        ("generate 500 bins, 5 robots", "MiB", 2048.0),
    ]
    assert all(row.ours > 0 for row in rows)
    assert list(bench.directory.iterdir()) == []


@pytest.mark.soak
def test_runs_with_other_hash_seeds_and_folders_leave_one_trace(
    bench: Bench, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim_determinism, "SCENARIO", "thief")
    monkeypatch.setattr(sim_determinism, "RUNS", 2)
    monkeypatch.setattr(sim_determinism, "MODES", ("mem",))
    rows = sim_determinism.rows(bench, progress)
    assert [(row.what, row.ours, row.met) for row in rows] == [
        ("distinct traces in 2 of 50 runs of thief, mem", 1, True),
    ]


def test_a_generated_site_runs_and_its_books_are_true(tmp_path: Path) -> None:
    part = replace(
        sim_speed.PARTS["many"],
        load=Load(
            wish=Wish(bins=300, robots=4, people=12, orders_per_day=4_000), cameras=2, speed=2.0
        ),
        warm_s=10.0,
    )
    told: list[float] = []
    ended = sim_speed.run_part(part, 240.0, tmp_path, told.append)
    assert ended.done.world_s == pytest.approx(240.0, abs=0.2)
    assert ended.done.scans > 20
    assert ended.done.robot_actions > 0
    assert ended.bins_off == 0
    assert told == sorted(told)
    assert told[-1] == pytest.approx(250.0, abs=0.3)


def test_what_was_run_stands_in_the_row(
    bench: Bench, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Load(wish=Wish(bins=100, robots=2, people=4))
    monkeypatch.setitem(sim_speed.PARTS, "many", replace(sim_speed.PARTS["many"], name="m"))
    ended = sim_speed.run_part(
        replace(sim_speed.PARTS["day"], load=small), 20.0, bench.directory, lambda _world_s: None
    )
    monkeypatch.setattr(sim_speed, "measure", lambda *_: (ended, "20 of 60 s"))
    rows = {row.what: row for row in sim_speed.rows(bench, progress)}
    assert rows["m, 20 of 60 s: world s per s"].goal == 60
    day = rows["a day of 200 bins, 6 robots, 30 orders, from 20 of 60 s"]
    assert (day.unit, day.goal) == ("s", 60)
    assert day.ours == pytest.approx(ended.done.real_s * 86_400 / ended.done.world_s, rel=1e-3)
