"""Whether the same scenario and seed give the same run: each run in a process of its own.

Each process gets another PYTHONHASHSEED and another folder; what is compared is the digest of its
whole trace: every message, every chunk on a serial line, every line of the logs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
from rich.progress import Progress

from sim_hardware.plant import Mode
from stockhelm.bench import Bench, BenchError, Row, at_most
from stockhelm.dies_with_parent import with_parent
from stockhelm.sim_run import SimReport

SCENARIO: Final = "untidy-network"
"""Faults on lines and in the network, people, robots, orders: much is left to chance in it."""
RUNS: Final = 20
RUNS_FULL: Final = 50
MODES: Final[tuple[Mode, ...]] = ("mem", "pty")
RUN_S_MAX: Final = 600.0
HASH_SEED_STEP: Final = 101


def rows(bench: Bench, progress: Progress) -> list[Row]:
    """Return the number of distinct traces in each mode: 1 is right."""
    runs = RUNS_FULL if bench.full else RUNS
    found = []
    for mode in MODES:
        bar = progress.add_task(f"{SCENARIO}, {mode}", total=runs)
        digests = set()
        for number in range(runs):
            digests.add(_digest(bench.directory, mode, number))
            what = f"{SCENARIO}, {mode}: {len(digests)} trace(s)"
            progress.update(bar, advance=1, description=what)
        part = "" if runs == RUNS_FULL else f" of {RUNS_FULL}"
        what = f"distinct traces in {runs}{part} runs of {SCENARIO}, {mode}"
        found.append(at_most(what, "traces", len(digests), goal=1))
    return found


def _digest(directory: Path, mode: Mode, number: int) -> str:
    """Return the digest of one run's trace."""
    report = directory / f"report-{mode}-{number}.json"
    command = [
        sys.executable, "-m", "stockhelm", "sim", "run", SCENARIO, "--mode", mode,
        "--report", str(report),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONHASHSEED": str(1 + HASH_SEED_STEP * number)}
    try:
        done = subprocess.run(
            with_parent(command), env=environment, capture_output=True, check=False,
            timeout=RUN_S_MAX,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(command)}: not ready after {RUN_S_MAX:g} s") from error
    if done.returncode != 0:
        raise BenchError(
            f"{' '.join(command)} ended with {done.returncode}: {done.stdout.decode()[-400:]}"
            f"{done.stderr.decode()[-400:]}"
        )
    found = msgspec.json.decode(report.read_bytes(), type=SimReport)
    report.unlink()
    return found.trace_digest
