"""How much faster than real time the simulator runs the whole product, in memory, on one core.

Each load runs in a process of its own, pinned to one core. Nothing is left out: people walk, scan
and hear beeps; scans, states, orders, looks and journals are encoded, passed on by the broker in
memory and decoded; edges and central commit to their SQLite files.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from rich.progress import Progress

from bench.sim_site import BenchSite, Done, Load
from runtime.garbage import collect_seldom
from sim_hardware.world.warehouse.spec import LINES_PER_PERSON, Wish, mean_of
from stockhelm.bench import Bench, BenchError, Row, at_least, at_most, figure
from stockhelm.dies_with_parent import with_parent
from stockhelm.sim_run import run_folder
from stockhelm.work_folder import memory_folder

PEOPLE: Final = 1_000
LINES_WEIGHTS: Final = (*(0.0,) * 5, *(1.0,) * 9)
"""Orders of 6 to 14 lines: a grocer's."""
ORDERS_PER_DAY: Final = PEOPLE * LINES_PER_PERSON / mean_of(LINES_WEIGHTS)
"""What keeps so many people busy, by the generator's own measure."""
DAY_S: Final = 86_400.0
DAY_REAL_S_MAX: Final = 60.0
TIMES_MIN: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One load, and for how long it runs."""

    load: Load
    name: str
    warm_s: float
    """World seconds before the clock runs: opening stock, first plan, everybody on their way."""
    run_s: float
    full_s: float
    """World seconds where all is wanted."""


PARTS: Final = {
    "many": Part(
        load=Load(
            wish=Wish(bins=10_000, robots=100, people=PEOPLE, orders_per_day=ORDERS_PER_DAY),
            lines_weights=LINES_WEIGHTS, cameras=20,
        ),
        name=f"{PEOPLE:,} scanners, 100 robots, 20 cameras",
        warm_s=120.0, run_s=600.0, full_s=1_800.0,
    ),
    "day": Part(
        load=Load(wish=Wish(bins=200, robots=6, orders_per_day=30.0)),
        name="200 bins, 6 robots, 30 orders",
        warm_s=0.0, run_s=DAY_S, full_s=DAY_S,
    ),
}  # fmt: skip


class Told(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How far a run is."""

    world_s: float


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a run did."""

    done: Done
    bins_off: int


_decoder: Final = msgspec.json.Decoder(Told | Ended)


def rows(bench: Bench, progress: Progress) -> list[Row]:
    """Return world seconds per real second under load, and how long a quiet site's day takes."""
    many, many_s = measure(bench, progress, "many")
    day, day_s = measure(bench, progress, "day")
    name = f"{PARTS['many'].name}, {many_s}"
    done = many.done
    return [
        at_least(f"{name}: world s per s", "x", done.world_s / done.real_s, goal=TIMES_MIN),
        figure(f"{name}: world s per s of CPU", "x", done.world_s / done.cpu_s),
        figure(f"{name}: scans", "scans/world s", done.scans / done.world_s),
        figure(f"{name}: robots' actions", "actions/world s", done.robot_actions / done.world_s),
        at_most(f"{name}: bins whose books are not true", "bins", many.bins_off, goal=0),
        at_most(
            f"a day of {PARTS['day'].name}, from {day_s}", "s",
            day.done.real_s * DAY_S / day.done.world_s, goal=DAY_REAL_S_MAX,
        ),
        at_most("that day: bins whose books are not true", "bins", day.bins_off, goal=0),
    ]  # fmt: skip


def measure(bench: Bench, progress: Progress, name: str) -> tuple[Ended, str]:
    """Return what one load did, and the words for how much of it was run."""
    part = PARTS[name]
    run_s = part.full_s if bench.full else part.run_s
    bar = progress.add_task(part.name, total=part.warm_s + run_s)
    directory = bench.directory / name
    command = [sys.executable, "-m", "bench.sim_speed", name, str(run_s), str(directory)]
    child = subprocess.Popen(with_parent(command), stdout=subprocess.PIPE)
    assert child.stdout is not None, "it was asked for"
    try:
        os.sched_setaffinity(child.pid, {min(os.sched_getaffinity(0))})
        for line in child.stdout:
            match _decoder.decode(line):
                case Told(world_s=world_s):
                    progress.update(bar, completed=world_s)
                case Ended() as ended:
                    progress.update(bar, completed=part.warm_s + run_s)
                    words = f"{run_s:.0f} s" if run_s == part.full_s else (
                        f"{run_s:.0f} of {part.full_s:.0f} s")  # fmt: skip
                    return ended, words
    finally:
        child.kill()
        child.wait()
    raise BenchError(f"{' '.join(command)} ended with {child.returncode}")


def run_part(part: Part, run_s: float, directory: Path, tell: Callable[[float], None]) -> Ended:
    """Return what one load did in `run_s` world seconds after its warm-up.

    Its files lie in memory where the machine has such a folder, as those of `sim run` do.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with run_folder(None, memory_folder() or directory) as folder:
        site = BenchSite(folder, part.load)
        try:
            site.start()
            if part.warm_s:
                site.run(part.warm_s, tell)
            done = site.run(run_s, lambda world_s: tell(part.warm_s + world_s))
            return Ended(done=done, bins_off=site.bins_off())
        finally:
            site.stop()


def main() -> None:
    """Run one load and print what it did, line by line."""
    collect_seldom()  # as every command of ours does
    name, run_s, directory = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])

    def say(message: Told | Ended) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
        sys.stdout.buffer.flush()

    with suppress(BrokenPipeError):
        say(run_part(PARTS[name], run_s, directory, lambda world_s: say(Told(world_s=world_s))))


if __name__ == "__main__":
    main()
