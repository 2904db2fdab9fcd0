"""The same scenario and seed give the same trace, to the byte, whatever the process is like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim_hardware.scenarios.text import parse_scenario
from stockhelm.sim_run import RunOptions, run_virtual

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = """
SCENARIO All that could differ
SITE demo skus=12 robots=2 orders=120
DAY 6 min
SPEED 4
RUN 45 s
AT 0:15 SCAN scanner-guest CARD COUNT
AT 0:16 SCAN scanner-guest-2 RAW "]Q1nothing of ours"
AT 0:20 FAULT message-duplicate agv-1 share=40 %
AT 0:25 FAULT kill-edge edge B FOR 5 s
AT 0:35 FAULT broker-gone broker FOR 3 s
AT 0:36 FAULT unplug scanner-3 FOR 5 s
AT 0:40 DO approve all
EXPECT books are true
"""


def traced(
    tmp_path: Path,
    name: str,
    hash_seed: str,
    seed: int,
    mode: str = "mem",
) -> bytes:
    """Return the trace of a run in a process of its own, in a folder of its own."""
    home = tmp_path / name
    home.mkdir()
    (home / "it.scn").write_text(SCENARIO)
    done = subprocess.run(
        [
            sys.executable, "-m", "stockhelm", "sim", "run", "it.scn", "--seed", str(seed),
            "--mode", mode, "--trace", "trace",
        ],
        capture_output=True, text=True, check=False, cwd=home,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return (home / "trace").read_bytes()


def first_difference(one: bytes, other: bytes) -> str:
    """Return the first lines that differ; empty where none does."""
    for a, b in zip(one.splitlines(), other.splitlines(), strict=False):
        if a != b:
            return f"{a!r}\n{b!r}"
    return "" if one == other else "one is longer"


@pytest.mark.parametrize("mode", ["mem", pytest.param("pty", marks=pytest.mark.soak)])
def test_hash_seed_folder_and_process_change_nothing(tmp_path: Path, mode: str) -> None:
    one = traced(tmp_path, "one", "0", 7, mode)
    other = traced(tmp_path, "another-folder", "4321", 7, mode)
    assert len(one.splitlines()) > 200
    assert first_difference(one, other) == ""


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    short = SCENARIO.replace("RUN 45 s", "RUN 9 s")
    short = "\n".join(line for line in short.splitlines() if not line.startswith("AT"))
    scenario = parse_scenario(short, "it.scn")
    traces = [tmp_path / "seven", tmp_path / "again", tmp_path / "eight"]
    for trace, seed in zip(traces, (7, 7, 8), strict=True):
        assert run_virtual(scenario, tmp_path, RunOptions(seed=seed, trace=trace)).ok
    seven, again, eight = (trace.read_bytes() for trace in traces)
    assert first_difference(seven, again) == ""
    assert first_difference(seven, eight) != ""
