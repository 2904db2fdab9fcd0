"""`stockhelm bench loop`: the speed of the closed loop, on real processes, wires and disk."""

from __future__ import annotations

from typing import Final

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.first_task import DEMO_S, run_demo_once
from bench.load import LOAD_S, SCANS_PER_S, Load
from bench.machine import kernel_seconds
from stockhelm.bench import Bench, Row, at_most, figure

DURABLE_P99_MS: Final = 25.0
CENTRAL_P99_MS: Final = 150.0
FIRST_TASK_S: Final = 30.0
RESIDENT_MIB: Final = 1_536.0
SYNC: Final = "fdatasync of 4 KiB on the same disk in the same run"


def run(bench: Bench) -> list[Row]:
    """Return the figures, with progress on the console.

    Scans are timed at the device, from before it sends to after it has the answer; central's commit
    by the clock that stands in its ledger. Memory is the most that all processes of a demo held
    together, shared pages counted once.
    """
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=bench.console
    ) as progress:
        bar = progress.add_task("numba kernels: cold, then cached", total=None)
        cold_s, cached_s = kernel_seconds(bench.directory / "numba")
        progress.update(bar, total=1, completed=1)
        load = Load(bench, progress, progress.add_task("the load", total=LOAD_S)).run()
        bar = progress.add_task("a demo of 40 s from a cold start", total=DEMO_S)
        demo = run_demo_once(bench, progress, bar)
    synced = percentiles(load.sync_ms)
    durable, central = percentiles(load.durable_ms), percentiles(load.central_ms)
    rows = [
        figure(f"scans per second, of {SCANS_PER_S:g}", "1/s", load.scans_per_s),
        figure("scan to good beep, p50", "ms", durable[0],
               peer=synced[0], peer_name=SYNC),
        at_most("scan to good beep, p99", "ms", durable[1], goal=DURABLE_P99_MS,
                peer=synced[1], peer_name=SYNC),
        figure("scan to central's commit, p50", "ms", central[0]),
        at_most("scan to central's commit, p99", "ms", central[1],
                goal=CENTRAL_P99_MS),
    ]  # fmt: skip
    if load.at_central is not None:
        rows.append(figure("by central's own figures, p99", "ms", load.at_central.p99))
    return [
        *rows,
        at_most("demo start to a robot's first task", "s", demo.first_task_s,
                goal=FIRST_TASK_S),
        at_most(f"PSS of {demo.processes} demo processes", "MiB",
                demo.resident_mib, goal=RESIDENT_MIB),
        figure("numba kernels, first start", "s", cold_s),
        figure("numba kernels, from the cache", "s", cached_s),
    ]  # fmt: skip


def percentiles(samples: list[float]) -> tuple[float, float]:
    """Return median and 99th percentile."""
    p50, p99 = np.percentile(samples, [50, 99])
    return float(p50), float(p99)
