"""The load of `stockhelm bench loop` still meets a real product that takes its scans."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

import bench.load
from bench.load import SCANS_PER_S, Load
from runtime.clock import SystemClock
from stockhelm.bench import Bench


@pytest.mark.soak
def test_every_scan_of_the_load_is_answered_and_reaches_central(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.load, "LOAD_S", 3.0)
    console = Console(file=io.StringIO())
    with Progress(console=console) as progress:
        frame = Bench(console=console, clock=SystemClock(), directory=tmp_path)
        load = Load(frame, progress, progress.add_task("the load", total=3.0))
        measured = load.run()
    assert len(measured.durable_ms) > SCANS_PER_S
    assert len(measured.central_ms) > 0
    assert measured.at_central is not None
