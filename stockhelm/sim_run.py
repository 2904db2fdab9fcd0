"""One run of a scenario in virtual time: the whole product, the floor, the player, one thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from runtime.clock import NS_PER_S, SystemClock
from runtime.config import load_config
from runtime.log import send_logs_to
from runtime.metrics import Metrics
from runtime.virtual import Lines, VirtualRuntime
from sim_hardware.config import SimConfig
from sim_hardware.devices.robot import STATE_S_MAX
from sim_hardware.floor import SimulatedFloor, build_floor
from sim_hardware.plant import Mode
from sim_hardware.scenarios.checks import Result
from sim_hardware.scenarios.model import (
    SEED_DEFAULT,
    Expect,
    FaultOn,
    Scenario,
)
from sim_hardware.scenarios.play import Player
from stockhelm.demo_site import (
    DemoSite,
)
from stockhelm.sim_books import SiteBooks
from stockhelm.sim_files import TraceFile, trace_file
from stockhelm.sim_plant_live import DESK
from stockhelm.sim_plant_virtual import VirtualPlant
from stockhelm.sim_settle import settle
from stockhelm.sim_site import PORTS, write_site
from stockhelm.sim_trace import Trace, TracedRuntime
from stockhelm.work_folder import memory_folder, work_folder

LOOK_EVERY_S: Final = 0.5
QUIET_S: Final = 5.0
QUIET_AFTER_FAULTS_S: Final = STATE_S_MAX + 2.0
"""A state that got lost is said again after so long, whatever it tells."""
SETTLE_S_MAX: Final = 240.0
"""Product seconds after the world stands still; an edge's longest pause is 60 s."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation."""

    line: int
    expected: str
    found: str
    ok: bool
    at_s: float
    """World time at which it was looked at."""


class SimReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found."""

    scenario: str
    title: str
    mode: str
    seed: int
    ok: bool
    """Whether every expectation held and everything could be done."""
    expectations: list[Checked]
    problems: list[str]
    """What could not be done."""
    settled: bool
    """Whether the books came to rest after the world did."""
    inventory_accuracy_percent: float
    world_s: float
    product_s: float
    real_s: float
    world_s_per_real_s: float
    trace_lines: int
    trace_digest: str
    """Of the trace's bytes: the same scenario and seed give the same, everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run."""

    mode: Mode = "mem"
    seed: int = SEED_DEFAULT
    trace: Path | None = None
    """Where the trace goes; none: only its digest is made."""
    directory: Path | None = None
    """An empty folder for everything; none: a temporary one that goes with the run."""
    record: Path | None = None
    """Where edges and central are recorded; none: they are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is, for people who wait."""

    world_s: float
    run_s: float
    real_s: float
    phase: str


OnProgress = Callable[[Progress], None]
OnStep = Callable[[float, str], None]


def checked(results: Sequence[Result]) -> list[Checked]:
    """Return what was looked at, for a report."""
    return [
        Checked(line=r.line, expected=r.expected, found=r.found, ok=r.ok, at_s=r.at_s)
        for r in results
    ]


@contextlib.contextmanager
def run_folder(given: Path | None, parent: Path | None = None) -> Iterator[Path]:
    """Yield the folder of a run: the given one, or one of its own below `parent`."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with work_folder("sim", parent) as directory:
        yield directory


def run_virtual(
    scenario: Scenario,
    base: Path,
    options: RunOptions,
    *,
    on_progress: OnProgress = lambda _progress: None,
    on_step: OnStep = lambda _at_s, _text: None,
) -> SimReport:
    """Run a scenario in virtual time (`mem` or `pty`); return what was found."""
    with run_folder(options.directory, memory_folder()) as directory:
        demo = write_site(scenario, directory, base, options.seed, PORTS)
        with trace_file(options.trace) as file:
            run = _VirtualRun(scenario, demo, options, file, on_step)
            try:
                return run.run(on_progress)
            finally:
                run.close()


def _names_the_desk(scenario: Scenario) -> bool:
    """Return whether anything happens to the desk or is asked of it; else it need not run."""
    steps = (step.action for step in scenario.steps)
    return any(
        DESK in ((action.target,) if isinstance(action, FaultOn) else action.given.values())
        for action in steps
        if isinstance(action, FaultOn | Expect)
    )


class _VirtualRun:
    """Everything of one run in virtual time."""

    def __init__(
        self,
        scenario: Scenario,
        demo: DemoSite,
        options: RunOptions,
        file: TraceFile | None,
        on_step: OnStep,
    ) -> None:
        self._scenario = scenario
        self._options = options
        self._real = SystemClock()
        self._begun_ns = self._real.monotonic_ns()
        lines: Lines = "pty" if options.mode == "pty" else "memory"
        self._base = VirtualRuntime(options.seed, lines=lines)
        self._trace = Trace(self._base.clock, demo.directory, file)
        send_logs_to(self._trace.log_line, self._base.clock, word=self._trace.placed)
        self._trace.hear(self._base)
        self._books = SiteBooks(demo)
        self._plant = VirtualPlant(
            self._base, demo, options.seed, options.mode, record=options.record,
            has_desk=_names_the_desk(scenario),
        )  # fmt: skip
        config = load_config(demo.config("sim"), SimConfig)
        floor_runtime = TracedRuntime(options.seed, self._base, self._trace)
        self._floor_runtime = floor_runtime
        self._floor: SimulatedFloor = build_floor(floor_runtime, config, Metrics())
        self._player = Player(
            scenario, self._floor, self._plant, self._books,
            random=floor_runtime.random, on_step=on_step,
        )  # fmt: skip

    def run(self, on_progress: OnProgress) -> SimReport:
        """Run the scenario to its end; return what was found."""
        began_ns = self._base.clock.now_ns()
        self._plant.start_all()
        self._player.start()
        self._floor.start()
        time, run_s = self._floor.world.time, self._scenario.run_s
        while time.now_s < run_s:
            self._base.run_until(lambda: time.now_s >= run_s, 1.0)
            on_progress(self._progress("the world runs"))
        self._player.end_faults()
        self._floor.freeze()
        settled = self._settle(lambda: on_progress(self._progress("the books settle")))
        self._player.check_end()
        results = self._player.results()
        problems = [*self._player.problems]
        real_s = self._real_s()
        return SimReport(
            scenario=self._scenario.file, title=self._scenario.title, mode=self._options.mode,
            seed=self._options.seed, ok=all(r.ok for r in results) and not problems,
            expectations=checked(results), problems=problems, settled=settled,
            inventory_accuracy_percent=round(self._player.accuracy_percent(), 3),
            world_s=round(time.now_s, 2),
            product_s=round((self._base.clock.now_ns() - began_ns) / NS_PER_S, 2),
            real_s=round(real_s, 2), world_s_per_real_s=round(time.now_s / real_s, 1),
            trace_lines=self._trace.lines, trace_digest=self._trace.digest(),
        )  # fmt: skip

    def close(self) -> None:
        """End everything."""
        self._floor.stop()
        self._plant.stop()
        self._floor_runtime.close()
        self._base.close()

    def _settle(self, on_look: Callable[[], None]) -> bool:
        """Let the books come to rest; return whether they did in time."""
        steps = (step.action for step in self._scenario.steps)
        has_faults = any(isinstance(action, FaultOn) for action in steps)
        quiet_s = QUIET_AFTER_FAULTS_S if has_faults else QUIET_S

        def wait() -> None:
            self._base.run_for(LOOK_EVERY_S)
            on_look()

        return settle(
            self._books, self._floor, wait,
            looks_max=round(SETTLE_S_MAX / LOOK_EVERY_S), quiet_looks=round(quiet_s / LOOK_EVERY_S),
        )  # fmt: skip

    def _progress(self, phase: str) -> Progress:
        return Progress(
            world_s=self._floor.world.time.now_s, run_s=self._scenario.run_s,
            real_s=self._real_s(), phase=phase,
        )  # fmt: skip

    def _real_s(self) -> float:
        return max((self._real.monotonic_ns() - self._begun_ns) / NS_PER_S, 1e-6)
