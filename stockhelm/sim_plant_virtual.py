"""The product's processes in virtual time: built, killed and built again in one thread."""

from __future__ import annotations

import importlib
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from central.agent import build_central
from central.config import CentralConfig
from edge.agent import build_edge
from edge.config import EdgeConfig
from runtime.config import load_config
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from sim_hardware.plant import BROKER, CENTRAL, Mode, PlantError, edge_process
from stockhelm.demo_site import DemoSite
from stockhelm.sim_plant_live import DESK
from stockhelm.sim_record import ProcessRecording

log = structlog.get_logger()
WAL: Final = "-wal"
StartDesk = Callable[[VirtualRuntime, Metrics, Path], Callable[[], None]]


@dataclass(slots=True)
class _Process:
    """One process that runs."""

    runtime: VirtualRuntime
    close_files: Callable[[], None]
    file: Path | None
    """What it alone writes; None: it only reads."""
    recording: ProcessRecording | None


class VirtualPlant:
    """Broker, central and edges on the loop of `base`. Killed, nothing of them runs any more."""

    def __init__(
        self,
        base: VirtualRuntime,
        demo: DemoSite,
        seed: int,
        mode: Mode,
        *,
        record: Path | None = None,
        has_desk: bool = False,
    ) -> None:
        """`record`: where what central and edges are handed is written down; none: nowhere."""
        self._record = record
        self._has_desk = has_desk
        self._base = base
        self._demo = demo
        self._seed = seed
        self._mode: Mode = mode
        self._running: dict[str, _Process] = {}
        self._clocks_s: dict[str, float] = {}
        self._parted: set[str] = set()
        """Who is parted from the broker: whoever dies and comes back is so still."""
        self._edges = {edge_process(edge): edge for edge in demo.edges}
        self.metrics: dict[str, Metrics] = {}
        """Figures of each process, over all its lives."""

    @property
    def mode(self) -> Mode:
        """Return how the processes run."""
        return self._mode

    @property
    def processes(self) -> tuple[str, ...]:
        """Return the names of all processes, running or not."""
        return (BROKER, CENTRAL, *self._edges, *((DESK,) if self._has_desk else ()))

    def is_up(self, process: str) -> bool:
        """Return whether the process runs."""
        self._check(process)
        return self._base.broker.up if process == BROKER else process in self._running

    def start_all(self) -> None:
        """Start everything."""
        for process in self.processes:
            self.start(process)

    def start(self, process: str) -> None:
        """Start a process again on the same files. Running: nothing happens."""
        self._check(process)
        if self.is_up(process):
            return
        if process == BROKER:
            self._base.broker.recover()
            return
        runtime = VirtualRuntime(self._seed, shared=self._base)
        runtime.shift_clock(self._clocks_s.get(process, 0.0))
        if process in self._parted:
            runtime.cut()
        metrics = self.metrics.setdefault(process, Metrics())
        if process == CENTRAL:
            self._running[process] = self._start_central(runtime, metrics)
        elif process == DESK:
            self._running[process] = self._start_desk(runtime, metrics)
        else:
            self._running[process] = self._start_edge(runtime, metrics, self._edges[process])

    def kill(self, process: str) -> None:
        """End a process without a word, as SIGKILL does. Dead: nothing happens."""
        self._check(process)
        if process == BROKER:
            if self._base.broker.up:
                self._base.broker.fail()
            return
        running = self._running.pop(process, None)
        if running is not None:
            running.runtime.kill()
            if running.recording is not None:
                running.recording.abandon()
            _leave_files_as_they_are(running)

    def cut(self, process: str) -> None:
        """Part a process from the broker, both ways: neither hears that the other is gone."""
        self._check(process)
        if process == BROKER:
            raise PlantError("the broker cannot be parted from itself: name a process beside it")
        self._parted.add(process)
        running = self._running.get(process)
        if running is not None:  # else it starts parted
            running.runtime.cut()

    def heal(self, process: str) -> None:
        """Join a process and the broker again."""
        self._check(process)
        self._parted.discard(process)
        running = self._running.get(process)
        if running is not None:
            running.runtime.heal()

    def shift_clock(self, process: str, seconds: float) -> None:
        """Move the UTC clock of one process by `seconds`; durations are not touched."""
        self._check(process)
        if process == BROKER:
            raise PlantError("the broker has no clock that anybody looks at")
        self._clocks_s[process] = self._clocks_s.get(process, 0.0) + seconds
        running = self._running.get(process)
        if running is not None:  # else it starts with that clock
            running.runtime.shift_clock(seconds)

    def stop(self) -> None:
        """End everything and close all files."""
        for process in tuple(self._running):
            running = self._running.pop(process)
            running.runtime.kill()
            running.close_files()
            if running.recording is not None:
                running.recording.finish()

    def _recording(
        self, config: EdgeConfig | CentralConfig, runtime: VirtualRuntime
    ) -> ProcessRecording | None:
        """Return the recording of a process that starts now."""
        if self._record is None:
            return None
        return ProcessRecording(self._record, config, runtime.clock, seed=self._seed)

    def _check(self, process: str) -> None:
        if process not in self.processes:
            raise PlantError(
                f"process {process!r}: expected one of {', '.join(self.processes)} in mode"
                f" {self._mode}"
            )

    def _start_central(self, runtime: VirtualRuntime, metrics: Metrics) -> _Process:
        config = load_config(self._demo.config("central"), CentralConfig)
        recording = self._recording(config, runtime)
        around = recording.runtime(runtime) if recording else runtime
        agent = build_central(around, metrics, config)
        agent.start()
        file = self._demo.data("central") / "central.db"
        return _Process(runtime, agent.let_go, file, recording)

    def _start_desk(self, runtime: VirtualRuntime, metrics: Metrics) -> _Process:
        # Not imported above: a web framework is much to load for the few runs that have a desk.
        start: StartDesk = importlib.import_module("stockhelm.sim_desk").start_desk
        return _Process(runtime, start(runtime, metrics, self._demo.config(DESK)), None, None)

    def _start_edge(self, runtime: VirtualRuntime, metrics: Metrics, edge: str) -> _Process:
        config = load_config(self._demo.config(f"edge-{edge}"), EdgeConfig)
        recording = self._recording(config, runtime)
        agent = build_edge(recording.runtime(runtime) if recording else runtime, metrics, config)
        agent.start()
        connection: sqlite3.Connection = agent.store.db.conn
        file = self._demo.data(f"edge-{edge}") / "edge.db"
        return _Process(runtime, connection.close, file, recording)


def _leave_files_as_they_are(running: _Process) -> None:
    """Close a dead process's files without what closing them well would write.

    The last one that closes a SQLite database carries its log over into it; a killed process does
    not. So database and log are put back as they were, and the next start recovers from them.
    """
    if running.file is None:
        running.close_files()
        return
    files = [Path(f"{running.file}{end}") for end in ("", WAL)]
    kept = [(file, file.with_name(file.name + ".killed")) for file in files if file.exists()]
    for file, copy in kept:
        shutil.copyfile(file, copy)
    running.close_files()
    Path(f"{running.file}-shm").unlink(missing_ok=True)
    for file, copy in kept:
        copy.replace(file)
