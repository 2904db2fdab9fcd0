"""The everlasting search: drawn worlds, faults and traffic, and the promises that must hold.

Run `number` under a seed depends on these two alone: any one of them can be had again.
"""

from __future__ import annotations

import functools
import itertools
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.clock import NS_PER_S, Clock
from runtime.config import load_config
from runtime.seeds import stream
from sim_hardware.config import SimConfig
from sim_hardware.scenarios.draw import SEED_MAX, draw_steps, draw_world
from sim_hardware.scenarios.model import Scenario, ScenarioError
from sim_hardware.scenarios.text import parse_scenario
from stockhelm.sim_promises import PROMISES
from stockhelm.sim_run import (
    OnProgress,
    Progress,
    RunOptions,
    SimReport,
    run_virtual,
)
from stockhelm.sim_site import PORTS, VISITORS, write_site
from stockhelm.work_folder import work_folder

TWICE_EVERY: Final = 8
"""Every so many runs one is made twice, and the traces are compared."""
SAME_TRACE: Final = "the same scenario and seed give the same trace"
CRASH: Final = "P9 Nothing waits for ever: a process never exits because something around it did"
REST: Final = "P9 Nothing waits for ever: the books come to rest"
FRAMES_SHOWN: Final = 4
PROMISE: Final = "EXPECT promise "
ENDING: Final = ".scn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One drawn run."""

    fuzz_seed: int
    number: int
    scenario: Scenario
    seed: int
    """Decides all chance of the run."""

    @property
    def name(self) -> str:
        """Return what its file is called."""
        return f"fuzz-{self.fuzz_seed}-{self.number}{ENDING}"

    def again(self) -> str:
        """Return the command line that gives this run again."""
        return f"stockhelm sim fuzz --seed {self.fuzz_seed} --first {self.number} --runs 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one run showed."""

    drawn: Drawn
    breaches: tuple[str, ...]
    """One line per thing that did not hold; none: all of it did."""
    report: SimReport | None
    """None where it crashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop; 0: no limit."""

    runs_max: int
    seconds_max: float


def draw(fuzz_seed: int, number: int) -> Drawn:
    """Return run `number` under a seed. Raises ScenarioError where what was drawn cannot be."""
    chance = stream(fuzz_seed, f"fuzz {number}")
    seed = chance.randrange(SEED_MAX)
    world = draw_world(chance, f"Fuzz {fuzz_seed} number {number}")
    head = parse_scenario(world.text, "fuzz")
    with work_folder("fuzz") as directory:
        demo = write_site(head, directory, directory, seed, PORTS)
        config = load_config(demo.config("sim"), SimConfig)
    steps = draw_steps(chance, world, demo.site, config, VISITORS)
    scenario = parse_scenario(world.text + steps, f"fuzz-{fuzz_seed}-{number}")
    return Drawn(fuzz_seed=fuzz_seed, number=number, scenario=scenario, seed=seed)


def _silent(_number: int, _progress: Progress) -> None:
    """Say nothing."""


def fuzz(
    fuzz_seed: int,
    first: int,
    limits: Limits,
    clock: Clock,
    on_progress: Callable[[int, Progress], None] = _silent,
) -> Iterator[Found]:
    """Draw and run one after the other; yield what each showed, until a limit is reached.

    `on_progress` is told the number of the run, and how far that one is.
    """
    until_ns = clock.monotonic_ns() + round(limits.seconds_max * NS_PER_S)
    for number in itertools.count(first):
        if limits.runs_max and number - first >= limits.runs_max:
            return
        if limits.seconds_max and clock.monotonic_ns() >= until_ns:
            return
        yield try_one(draw(fuzz_seed, number), functools.partial(on_progress, number))


def try_one(drawn: Drawn, on_progress: OnProgress = lambda _progress: None) -> Found:
    """Run it, every few runs twice; return what it showed."""
    options = RunOptions(seed=drawn.seed)
    try:
        report = run_virtual(drawn.scenario, Path(), options, on_progress=on_progress)
        breaches = [*_breaches(report)]
        if drawn.number % TWICE_EVERY == 0:
            other = run_virtual(drawn.scenario, Path(), options, on_progress=on_progress)
            if other.trace_digest != report.trace_digest:
                digests = f"{report.trace_digest} and {other.trace_digest}"
                breaches.append(f"{SAME_TRACE}: {digests}")
    except ScenarioError:
        raise
    except Exception as error:  # noqa: BLE001 - the top of all simulated processes: they may crash
        return Found(drawn=drawn, breaches=(_crash(error),), report=None)
    return Found(drawn=drawn, breaches=tuple(breaches), report=report)


def _breaches(report: SimReport) -> Iterator[str]:
    for row in report.expectations:
        if not row.ok:
            yield f"{_meaning(row.expected)}: {row.found}"
    yield from report.problems
    if not report.settled:
        yield f"{REST}: they did not"


def _meaning(expected: str) -> str:
    """Return an expectation as written, with what its promise says."""
    _, is_promise, rest = expected.partition(PROMISE)
    if not is_promise:
        return expected
    promise = PROMISES[rest.split()[0]]
    return f"{expected} ({promise.says})"


def _crash(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_SHOWN:]
    where = ", ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
    return f"{CRASH}: {type(error).__name__}: {error} (in {where})"
