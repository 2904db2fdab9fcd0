"""The product's processes as they really run: killed with SIGKILL, started again by the table."""

from __future__ import annotations

import queue
from typing import Final

from sim_hardware.plant import BROKER, CENTRAL, Mode, PlantError, edge_process
from stockhelm.broker import BrokerProcess
from stockhelm.demo_site import DemoSite
from stockhelm.processes import Supervisor

DESK: Final = "desk"
STARTS_WAITING_MAX: Final = 100


class LivePlant:
    """Real processes. `kill` works at once, from any lane; starts are done by `work`."""

    def __init__(self, demo: DemoSite, broker: BrokerProcess, supervisor: Supervisor) -> None:
        self._broker = broker
        self._supervisor = supervisor
        self._rows = {
            CENTRAL: CENTRAL,
            **{edge_process(edge): f"edge-{edge}" for edge in demo.edges},
            DESK: DESK,
        }
        self._broker_held = False
        self._to_start: queue.Queue[str] = queue.Queue(STARTS_WAITING_MAX)

    @property
    def mode(self) -> Mode:
        """Return how the processes run."""
        return "live"

    @property
    def processes(self) -> tuple[str, ...]:
        """Return the names of all processes, running or not."""
        return (BROKER, *self._rows)

    def is_up(self, process: str) -> bool:
        """Return whether the process runs."""
        if process == BROKER:
            return not self._broker_held
        return self._supervisor.is_up(self._row(process))

    def kill(self, process: str) -> None:
        """End a process without a word; its files stay. Dead: nothing happens."""
        if process == BROKER:
            self._broker_held = True
            self._broker.kill()
        else:
            self._supervisor.kill(self._row(process))

    def start(self, process: str) -> None:
        """Let a process be started again on the same files, soon."""
        if process != BROKER:
            self._row(process)
        self._to_start.put_nowait(process)

    def work(self) -> None:
        """Start what shall start: to be called often by the thread that owns the processes."""
        while not self._to_start.empty():
            process = self._to_start.get_nowait()
            if process != BROKER:
                self._supervisor.start_again(self._row(process))
            elif self._broker_held:
                self._broker.start()
                self._broker_held = False

    def cut(self, process: str) -> None:
        """Refuse: between real processes and a real broker nothing here can be cut."""
        raise PlantError(f"live, {process} cannot be parted from the broker; use mode mem")

    def heal(self, process: str) -> None:
        """Refuse, as `cut` does."""
        self.cut(process)

    def shift_clock(self, process: str, seconds: float) -> None:
        """Refuse: a process of this machine has the machine's clock."""
        by = f"{seconds:g} s"
        raise PlantError(f"live, the clock of {process} cannot be set by {by}; use mode mem")

    def _row(self, process: str) -> str:
        row = self._rows.get(process)
        if row is None:
            raise PlantError(f"process {process!r}: expected one of {', '.join(self.processes)}")
        return row
