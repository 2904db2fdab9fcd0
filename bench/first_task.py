"""A whole demo as a user starts it: how long to the first robot's task, how much memory."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.progress import Progress, TaskID

from bench.machine import descendants, resident_mib, seconds_since
from stockhelm.bench import Bench, BenchError
from stockhelm.broker import tail
from stockhelm.dies_with_parent import with_parent

DEMO_S: Final = 40.0
START_S_MAX: Final = 240.0
LOOK_EVERY_S: Final = 0.5
STOP_S_MAX: Final = 40.0
FIRST_TASK: Final = (
    "SELECT min(done_at_ns) FROM task WHERE status = 'done' AND worker_kind = 'robot'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFigures:
    """What one demo showed."""

    first_task_s: float
    """From the start of the command to the first task that a robot finished; inf: none did."""
    resident_mib: float
    """The most that all its processes held together (PSS)."""
    processes: int


def run_demo_once(bench: Bench, progress: Progress, bar: TaskID) -> DemoFigures:
    """Return the figures of one headless demo."""
    log = bench.directory / "demo.log"
    directory = bench.directory / "demo"
    command = [
        sys.executable, "-m", "stockhelm", "demo", "--headless", "--seconds", f"{DEMO_S:g}",
        "--seed", "7", "--directory", str(directory), "--report", str(bench.directory / "r.json"),
    ]  # fmt: skip
    pause = threading.Event()
    most_mib, processes = 0.0, 0
    started_ns, begun_ns = bench.clock.now_ns(), bench.clock.monotonic_ns()
    with log.open("wb") as output:
        demo = subprocess.Popen(
            with_parent(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        while demo.poll() is None and seconds_since(bench.clock, begun_ns) < START_S_MAX:
            pause.wait(LOOK_EVERY_S)
            pids = descendants(demo.pid)
            most_mib, processes = max(most_mib, resident_mib(pids)), max(processes, len(pids))
            progress.update(bar, completed=min(DEMO_S, seconds_since(bench.clock, begun_ns)))
    finally:
        _end(demo)
    if demo.returncode != 0:
        raise BenchError(
            f"the demo ended with {demo.returncode}; the end of its output: {tail(log)}"
        )
    first_ns = _first_task_ns(directory / "data" / "central" / "central.db")
    return DemoFigures(
        first_task_s=(first_ns - started_ns) / 1e9 if first_ns else float("inf"),
        resident_mib=most_mib,
        processes=processes,
    )


def _end(demo: subprocess.Popen[bytes]) -> None:
    if demo.poll() is None:
        demo.terminate()
        try:
            demo.wait(timeout=STOP_S_MAX)
        except subprocess.TimeoutExpired:
            demo.kill()
            demo.wait()


def _first_task_ns(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        return int(db.execute(FIRST_TASK).fetchone()[0] or 0)
