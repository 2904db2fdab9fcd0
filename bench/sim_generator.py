"""How long the warehouse generator takes and how much memory: a process of its own, on one core.

Time is the whole command, from its start to its end. Memory is the kernel's own high-water mark of
the resident set (VmHWM), which the process reads when all is written.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress

from bench.machine import KIB, seconds_since
from runtime.clock import NS_PER_S, SystemClock
from sim_hardware.world.warehouse.spec import Wish
from stockhelm.bench import Bench, BenchError, Row, at_most, figure
from stockhelm.dies_with_parent import with_parent
from stockhelm.sim_generate import sim_generate
from wire.site import FILES, parse_site

BINS: Final = (10_000, 100_000, 1_000_000)
READ_BINS: Final = 100_000
GOAL_BINS: Final = 1_000_000
GOAL_S: Final = 20.0
GOAL_MIB: Final = 2_048.0
SEED: Final = 7
RUN_S_MAX: Final = 600.0


def rows(bench: Bench, progress: Progress) -> list[Row]:
    """Return seconds and MiB for each size, and how long one of them takes to read back."""
    found = []
    bar = progress.add_task("warehouses", total=len(BINS) + 1)
    for bins in BINS:
        progress.update(bar, description=f"a warehouse of {bins:,} bins")
        directory = bench.directory / f"site-{bins}"
        seconds, mib = _generate(bench, directory, bins)
        what = f"generate {bins:,} bins, {bins // 100:,} robots"
        if bins == GOAL_BINS:
            found += [
                at_most(what, "s", seconds, goal=GOAL_S),
                at_most(what, "MiB", mib, goal=GOAL_MIB),
            ]
        else:
            found += [figure(what, "s", seconds), figure(what, "MiB", mib)]
        if bins == READ_BINS:
            progress.update(bar, advance=1, description=f"reading {bins:,} bins")
            found.append(figure(f"read and check {bins:,} bins", "s", _read_s(bench, directory)))
        progress.update(bar, advance=1)
        shutil.rmtree(directory)
    return found


def _generate(bench: Bench, directory: Path, bins: int) -> tuple[float, float]:
    """Return seconds and MiB of one run."""
    command = [sys.executable, "-m", "bench.sim_generator", str(directory), str(bins)]
    begun_ns = bench.clock.monotonic_ns()
    child = subprocess.Popen(with_parent(command), stdout=subprocess.PIPE)
    try:
        os.sched_setaffinity(child.pid, {min(os.sched_getaffinity(0))})
        output, _ = child.communicate(timeout=RUN_S_MAX)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{bins:,} bins: not ready after {RUN_S_MAX:g} s") from error
    finally:
        child.kill()
        child.wait()
    if child.returncode != 0:
        raise BenchError(f"{' '.join(command)} ended with {child.returncode}")
    return seconds_since(bench.clock, begun_ns), json.loads(output)["mib"]


def _read_s(bench: Bench, directory: Path) -> float:
    begun_ns = bench.clock.monotonic_ns()
    parse_site({name: (directory / name).read_text() for name in FILES})
    return seconds_since(bench.clock, begun_ns)


def high_water_mib() -> float:
    """Return the most memory that this process ever had resident."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / KIB


def main() -> None:
    """Generate one warehouse and print what it took."""
    directory, bins = Path(sys.argv[1]), int(sys.argv[2])
    clock = SystemClock()
    begun_ns = clock.monotonic_ns()
    sim_generate(directory, Wish(bins=bins, seed=SEED), Console(stderr=True, quiet=True))
    print(json.dumps({"s": (clock.monotonic_ns() - begun_ns) / NS_PER_S, "mib": high_water_mib()}))


if __name__ == "__main__":
    main()
