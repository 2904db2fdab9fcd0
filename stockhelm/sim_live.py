"""One run of a scenario live: real processes, a real broker, real time; the floor in this one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from runtime.clock import NS_PER_S, SystemClock
from runtime.config import load_config
from runtime.live import LiveRuntime
from runtime.log import send_logs_to
from runtime.metrics import Metrics
from sim_hardware.config import SimConfig
from sim_hardware.floor import build_floor
from sim_hardware.scenarios.model import Scenario, refusal
from sim_hardware.scenarios.names import wrong_modes
from sim_hardware.scenarios.play import Player
from stockhelm.broker import BrokerConfig, BrokerProcess, free_port
from stockhelm.demo import pause
from stockhelm.demo_site import DemoSite, Ports
from stockhelm.processes import Process, ProcessError, Supervisor
from stockhelm.sim_books import SiteBooks
from stockhelm.sim_plant_live import DESK, LivePlant
from stockhelm.sim_run import (
    OnProgress,
    OnStep,
    Progress,
    RunOptions,
    SimReport,
    checked,
    run_folder,
)
from stockhelm.sim_settle import settle
from stockhelm.sim_site import write_site
from stockhelm.warmup import warm_up

LOOK_EVERY_S: Final = 0.05
SETTLE_LOOK_S: Final = 0.25
QUIET_LOOKS: Final = 12
SETTLE_S_MAX: Final = 90.0
LANE_S_MAX: Final = 30.0
"""How long the floor's lane may take to look at everything at the end."""


def run_live(
    scenario: Scenario,
    base: Path,
    options: RunOptions,
    *,
    on_progress: OnProgress = lambda _progress: None,
    on_step: OnStep = lambda _at_s, _text: None,
) -> SimReport:
    """Run a scenario live; return what was found.

    Raises ProcessError, BrokerError; ScenarioError where something in it cannot be live, before
    anything starts.
    """
    wrong = [*wrong_modes(scenario, "live")]
    if wrong:
        raise refusal(scenario.file, wrong)
    with run_folder(options.directory) as directory:
        ports = Ports(broker=free_port(), desk=free_port(), pictures=free_port())
        demo = write_site(scenario, directory, base, options.seed, ports)
        broker = BrokerProcess(BrokerConfig(directory=str(directory / "broker"), port=ports.broker))
        run = _LiveRun(scenario, demo, options, broker, on_progress)
        try:
            return run.run(on_step)
        finally:
            run.close()


class _LiveRun:
    """Everything of one live run. All but the player lives on the main thread."""

    def __init__(
        self,
        scenario: Scenario,
        demo: DemoSite,
        options: RunOptions,
        broker: BrokerProcess,
        on_progress: OnProgress,
    ) -> None:
        self._scenario = scenario
        self._demo = demo
        self._options = options
        self._clock = SystemClock()
        self._begun_ns = self._clock.monotonic_ns()
        self._broker = broker
        self._supervisor = Supervisor(demo.directory, self._clock)
        self._plant = LivePlant(demo, broker, self._supervisor)
        self._books = SiteBooks(demo)
        self._on_progress = on_progress
        self._restarts: list[str] = []
        logs = demo.directory / "logs"
        logs.mkdir(exist_ok=True)
        self._log = (logs / "floor.log").open("a", encoding="utf-8")
        send_logs_to(self._write_log, self._clock)
        self._runtime = LiveRuntime(options.seed)
        config = load_config(demo.config("sim"), SimConfig)
        self._floor = build_floor(self._runtime, config, Metrics())

    def run(self, on_step: OnStep) -> SimReport:
        """Run the scenario to its end; return what was found."""
        player = Player(
            self._scenario, self._floor, self._plant, self._books, random=self._runtime.random,
            on_step=on_step,
        )  # fmt: skip
        self._start()
        began_ns = self._clock.monotonic_ns()
        self._floor.lane.post(player.start)
        self._floor.start()
        time = self._floor.world.time
        while time.now_s < self._scenario.run_s:
            self._look("the world runs", LOOK_EVERY_S)
        self._on_lane(player.end_faults)
        self._floor.freeze()
        settled = self._settle()
        self._on_lane(player.check_end)
        accuracy: list[float] = []
        self._on_lane(lambda: accuracy.append(player.accuracy_percent()))
        results = player.results()
        problems = [*player.problems, *self._restarts]
        real_s = (self._clock.monotonic_ns() - began_ns) / NS_PER_S
        return SimReport(
            scenario=self._scenario.file, title=self._scenario.title, mode="live",
            seed=self._options.seed, ok=all(r.ok for r in results) and not problems,
            expectations=checked(results), problems=problems, settled=settled,
            inventory_accuracy_percent=round(accuracy[0], 3), world_s=round(time.now_s, 2),
            product_s=round(real_s, 2), real_s=round(real_s, 2),
            world_s_per_real_s=round(time.now_s / real_s, 1), trace_lines=0, trace_digest="",
        )  # fmt: skip

    def close(self) -> None:
        """End everything; nothing is left when this returns."""
        self._floor.stop()
        self._runtime.close()
        self._supervisor.stop()
        self._broker.stop()
        self._log.close()

    def _start(self) -> None:
        self._progress("the processes start")
        warm_up(self._clock, Console(quiet=True))
        self._broker.start()
        names = ["central", *(f"edge-{edge}" for edge in self._demo.edges), DESK]
        rows = [Process(name=name, arguments=self._command(name)) for name in names]
        self._supervisor.start(rows, lambda _name: self._progress("the processes start"))

    def _command(self, name: str) -> tuple[str, ...]:
        command, record = name.partition("-")[0], self._options.record
        words = (command, "run", "--config", str(self._demo.config(name)))
        return words if record is None or name == DESK else (*words, "--record", str(record))

    def _look(self, phase: str, seconds: float) -> None:
        """Wait a moment, start what shall start, see whether all is well."""
        pause(seconds)
        self._plant.work()
        self._restarts += self._supervisor.watch()
        if self._runtime.crash is not None:
            lane, error = self._runtime.crash
            raise ProcessError(f"the floor's lane {lane} crashed: {error!r}")
        self._progress(phase)

    def _settle(self) -> bool:
        """Let the books come to rest; return whether they did in time."""
        return settle(
            self._books, self._floor, lambda: self._look("the books settle", SETTLE_LOOK_S),
            looks_max=round(SETTLE_S_MAX / SETTLE_LOOK_S), quiet_looks=QUIET_LOOKS,
        )  # fmt: skip

    def _on_lane(self, call: Callable[[], None]) -> None:
        if not self._runtime.run_on(self._floor.lane, call, timeout_s=LANE_S_MAX):
            raise ProcessError(f"the floor did not answer within {LANE_S_MAX:g} s")

    def _progress(self, phase: str) -> None:
        self._on_progress(
            Progress(
                world_s=self._floor.world.time.now_s, run_s=self._scenario.run_s,
                real_s=(self._clock.monotonic_ns() - self._begun_ns) / NS_PER_S, phase=phase,
            )
        )  # fmt: skip

    def _write_log(self, line: str) -> None:
        if not self._log.closed:
            self._log.write(line + "\n")
            self._log.flush()
