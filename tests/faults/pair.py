"""One edge and central, both the product's own, in virtual time, each on a disk of its own.

`accepted` is what the scanners were told is booked.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import pytest

from central.keeper import Keeper
from central.store import open_engine
from central.tasking.floor import make_floor
from edge.agent import build_edge
from runtime.bus import BusOptions
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from tests.edge_world import SITE
from tests.faults.books import Accepted, Books, central_books, differences, edge_books
from tests.faults.disk import SimDisk
from tests.faults.driver import Disks
from tests.faults.scanner import Scanner
from tests.faults.site import (
    FILES,
    PERSON,
    TASKS,
    central_config,
    edge_config,
)
from wire.codec import encode
from wire.site import parse_site
from wire.topics import PERSON_TASKS

SETTLE_S_MAX: Final = 120.0


class Pair:
    """Edge and central of one site, each may lose its power and its process."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, seed: int, scanners: int = 3,
        on_real_disks: bool = False,
    ) -> None:  # fmt: skip
        self.chance = Random(seed)
        self.disks = Disks(monkeypatch)
        self.runtime = VirtualRuntime(seed)
        names = tuple(f"scanner-{n}" for n in range(1, scanners + 1))
        self.edge_config = edge_config(folder, names)
        self.central_config = central_config(folder)
        nowhere = "/nowhere" * on_real_disks
        self.edge_disk: SimDisk = self.disks.add(nowhere + self.edge_config.data_dir)
        self.central_disk: SimDisk = self.disks.add(nowhere + self.central_config.data_dir)
        self.metrics = Metrics()
        self._others = self.runtime.bus(BusOptions(client_id="others"))
        self._others.start()
        self.tell_tasks()
        self.device_runtime = VirtualRuntime(seed, shared=self.runtime)
        self.scanners = [
            Scanner(self.device_runtime, name, Random(f"{seed}/{name}")) for name in names
        ]
        self.ahead_s = {"edge": 0.0, "central": 0.0, "devices": 0.0}
        """How far each machine's clock is ahead of the truth."""

    @property
    def accepted(self) -> Accepted:
        """Return what was answered `booked`, by all scanners."""
        return {key: units for one in self.scanners for key, units in one.accepted.items()}

    def tell_tasks(self) -> None:
        """Let the broker keep the open tasks."""
        topic = PERSON_TASKS.of(site=SITE, person=PERSON)
        self._others.publish(topic, encode(TASKS), retain=True)

    def start_edge(self) -> None:
        """Start the edge's process on what its disk holds."""
        self.edge_runtime = VirtualRuntime(shared=self.runtime)
        self.edge_runtime.shift_clock(self.ahead_s["edge"])
        self.agent = build_edge(self.edge_runtime, self.metrics, self.edge_config)
        self.agent.start()

    def start_central(self) -> None:
        """Start central's process on what its disk holds."""
        self.central_runtime = VirtualRuntime(shared=self.runtime)
        self.central_runtime.shift_clock(self.ahead_s["central"])
        config = self.central_config
        self.engine = open_engine(config.url())
        self.central_bus = self.central_runtime.bus(
            BusOptions(client_id="central", clean_session=False)
        )
        floor = make_floor(parse_site(FILES), ())
        keeper = Keeper(
            self.central_runtime, self.metrics, config, floor=floor, engine=self.engine,
            bus=self.central_bus, lane=self.central_runtime.lane("store"),
        )  # fmt: skip
        keeper.start(lambda _work: None)
        self.central_bus.start()

    def start(self) -> None:
        """Start both."""
        self.start_edge()
        self.start_central()

    def end_edge(self) -> None:
        """End the edge's process without a word."""
        self.edge_runtime.kill()
        self.disks.abandon(self.edge_disk)

    def end_central(self) -> None:
        """End central's process without a word."""
        self.central_runtime.kill()
        self.engine.dispose(close=False)
        self.disks.abandon(self.central_disk)

    def set_clock(self, machine: str, ahead_s: float) -> None:
        """Set a machine's clock while it works."""
        runtimes = {
            "edge": self.edge_runtime,
            "central": self.central_runtime,
            "devices": self.device_runtime,
        }
        runtimes[machine].shift_clock(ahead_s - self.ahead_s[machine])
        self.ahead_s[machine] = ahead_s

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.runtime.run_for(seconds)

    def settle(self) -> list[str]:
        """Let everybody rest; return everything in which scanners, edge and central differ."""
        for scanner in self.scanners:
            scanner.rests = True
        rested = self.runtime.run_until(self._is_at_rest, SETTLE_S_MAX)
        found = [] if rested else ["no rest: a scan or a row still waits"]
        found += [text for scanner in self.scanners for text in scanner.wrong]
        found += differences(self.accepted, self.edge_books(), self.central_books())
        for scanner in self.scanners:
            scanner.rests = False
        return found

    def edge_books(self) -> Books:
        """Return what the edge's database holds."""
        return edge_books(self.agent.store.db)

    def central_books(self) -> Books:
        """Return what central's database holds."""
        return central_books(self.engine)

    def _is_at_rest(self) -> bool:
        waits = any(scanner.is_waiting for scanner in self.scanners)
        return not waits and self.agent.outbox.unacknowledged == 0
