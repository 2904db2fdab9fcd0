"""The whole product in virtual time with faults on its wires, devices and processes."""

from __future__ import annotations

import functools
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.bus import BusOptions, Incoming
from runtime.config import load_config
from runtime.metrics import Metrics
from runtime.seeds import Random, stream
from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimConfig
from sim_hardware.faults.kinds import KINDS, Stage, begin_fault
from sim_hardware.faults.targets import NAMES
from sim_hardware.floor import SimulatedFloor, Truth, build_floor
from stockhelm.demo_site import SHAPE, DemoSite, Ports, Shape, write_demo
from stockhelm.sim_books import SiteBooks
from stockhelm.sim_plant_virtual import VirtualPlant
from stockhelm.sim_settle import settle
from wire import topics
from wire.codec import WireError, decode
from wire.messages import ScanFeedback

PORTS: Final = Ports(broker=1883, desk=8000, pictures=8001)
EVERY: Final = "every one"
SETTLE_S_MAX: Final = 240.0
QUIET_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault that begins at a second of the run and lasts for some."""

    at_s: float
    kind: str
    target: str = EVERY
    for_s: float = 10.0
    values: tuple[tuple[str, str | float], ...] = ()


class FaultySite:
    """A demo site, its processes and its floor."""

    def __init__(
        self,
        directory: Path,
        seed: int,
        troubles: tuple[Trouble, ...],
        *,
        shape: Shape = SHAPE,
        has_desk: bool = False,
    ) -> None:
        self.demo: DemoSite = write_demo(
            directory, seed=seed, speed=4.0, ports=PORTS, sales=None, shape=shape
        )
        self.runtime = VirtualRuntime(seed)
        self.plant = VirtualPlant(self.runtime, self.demo, seed, "mem", has_desk=has_desk)
        self.books = SiteBooks(self.demo)
        self.good: set[tuple[str, int, int]] = set()
        """(device, boot epoch, sequence) of every good answer that was on the wire."""
        self._listen()
        self.plant.start_all()
        self.config = load_config(self.demo.config("sim"), SimConfig)
        around = VirtualRuntime(seed, shared=self.runtime)
        self.sim_metrics = Metrics()
        self.floor: SimulatedFloor = build_floor(around, self.config, self.sim_metrics)

        def chance(name: str) -> Random:
            return stream(seed, name)

        self.stage = Stage(self.floor, self.plant, self.floor.lane, chance)
        self.floor.start()
        for trouble in troubles:
            for target in self._targets(trouble):
                begin = functools.partial(self._begin, trouble, target)
                self.floor.lane.call_later(trouble.at_s, begin)

    def run(self, seconds: float) -> Truth:
        """Run, let the world stand still, let the books come to rest; return the truth."""
        self.runtime.run_for(seconds)
        self.floor.freeze()
        settle(
            self.books, self.floor, lambda: self.runtime.run_for(2.0),
            looks_max=round(SETTLE_S_MAX / 2.0), quiet_looks=round(QUIET_S / 2.0),
        )  # fmt: skip
        return self.floor.truth()

    def close(self) -> None:
        """End everything."""
        self.plant.stop()

    def accepted(self) -> set[tuple[str, int, int]]:
        """Return (device, boot epoch, sequence) of every scan that an edge keeps as accepted."""
        found: set[tuple[str, int, int]] = set()
        for edge in self.demo.edges:
            with closing(sqlite3.connect(self.demo.data(f"edge-{edge}") / "edge.db")) as db:
                found.update(db.execute("SELECT device_id, epoch, seq FROM answer WHERE ok"))
        return found

    def edge_movements(self) -> set[str]:
        """Return the id of every movement that an edge has in its journal."""
        found: set[str] = set()
        query = """SELECT event_id FROM journal WHERE payload LIKE '{"type":"Movement"%'"""
        for edge in self.demo.edges:
            with closing(sqlite3.connect(self.demo.data(f"edge-{edge}") / "edge.db")) as db:
                found.update(row[0] for row in db.execute(query))
        return found

    def central_movements(self) -> set[str]:
        """Return the id of every movement in central's ledger."""
        with closing(sqlite3.connect(self.demo.data("central") / "central.db")) as db:
            return {row[0] for row in db.execute("SELECT event_id FROM movement")}

    def _targets(self, trouble: Trouble) -> tuple[str, ...]:
        if trouble.target != EVERY:
            return (trouble.target,)
        return NAMES[KINDS[trouble.kind].target](self.demo.site, self.config)

    def _begin(self, trouble: Trouble, target: str) -> None:
        end = begin_fault(self.stage, trouble.kind, target, dict(trouble.values))
        self.floor.lane.call_later(trouble.for_s, end)

    def _listen(self) -> None:
        bus = self.runtime.bus(BusOptions(client_id="listener"))

        def hear(batch: list[Incoming]) -> None:
            for incoming in batch:
                try:
                    feedback = decode(incoming.payload, ScanFeedback)
                except WireError:
                    continue  # somebody said rubbish there
                if feedback.ok:
                    self.good.add((feedback.device_id, feedback.boot_epoch, feedback.seq))

        bus.subscribe(topics.DEVICE_FEEDBACK.any(site="FC1"), self.runtime.lane("listener"), hear)
        bus.start()
