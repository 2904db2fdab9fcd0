"""The generator's bench on a small warehouse: a process of its own, with its own memory."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench import sim, sim_generator
from runtime.clock import SystemClock
from stockhelm.bench import Bench
from stockhelm.benches import BENCHES


def test_each_size_has_its_seconds_and_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim_generator, "BINS", (400, 500))
    monkeypatch.setattr(sim_generator, "READ_BINS", 400)
    monkeypatch.setattr(sim_generator, "GOAL_BINS", 500)
    console = Console(file=io.StringIO(), width=120)
    rows = sim.run(Bench(console=console, clock=SystemClock(), directory=tmp_path))
    assert [(row.what, row.unit, row.goal) for row in rows] == [
        ("generate 400 bins, 4 robots", "s", None),
        ("generate 400 bins, 4 robots", "MiB", None),
        ("read and check 400 bins", "s", None),
        ("generate 500 bins, 5 robots", "s", 20.0),
        ("generate 500 bins, 5 robots", "MiB", 2048.0),
    ]
    assert all(row.ours > 0 for row in rows)
    assert list(tmp_path.iterdir()) == []
    assert "sim" in BENCHES
