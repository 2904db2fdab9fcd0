"""One edge and central, both the product's own, in virtual time, each on a disk of its own.

Scanners keep the rule of docs/protocol.md: one scan at a time, said again under the same number
until it is answered. `accepted` is what they were told is booked.
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
from runtime.bus import BusOptions, Incoming
from runtime.lanes import Timer
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from tests.edge_world import MUG, SITE, article_label
from tests.faults.books import Accepted, Books, central_books, differences, edge_books
from tests.faults.disk import SimDisk
from tests.faults.driver import Disks
from tests.faults.site import (
    FILES,
    FIRST_SCANS,
    PERSON,
    TASKS,
    central_config,
    edge_config,
)
from wire.answers import Code
from wire.codec import decode, encode
from wire.messages import DeviceScan, ScanFeedback
from wire.site import parse_site
from wire.topics import DEVICE_FEEDBACK, DEVICE_SCAN, PERSON_TASKS

UNITS_MAX: Final = 9
REPEAT_S: Final = 0.5
THINK_S_MAX: Final = 0.05
SETTLE_S_MAX: Final = 120.0


class Scanner:
    """A person who scans without end, over MQTT."""

    def __init__(self, runtime: VirtualRuntime, name: str, chance: Random) -> None:
        self.name = name
        self.accepted: dict[str, int] = {}
        self.codes: list[str] = []
        self.rests = False
        """Whether no new scan is begun."""
        self.runtime = runtime
        self._chance = chance
        self._seq = 0
        self._units = 0
        self._waiting: Timer | None = None
        self._lane = runtime.lane(name)
        self._bus = runtime.bus(BusOptions(client_id=name))
        topic = DEVICE_FEEDBACK.of(site=SITE, device=name)
        self._bus.subscribe(topic, self._lane, self._hear)
        self._bus.start()
        self._lane.call_later(chance.random() * THINK_S_MAX, self._next)

    @property
    def is_waiting(self) -> bool:
        """Return whether a scan has no answer yet."""
        return self._waiting is not None

    def _next(self) -> None:
        if self.rests:
            self._lane.call_later(REPEAT_S, self._next)
            return
        self._seq += 1
        self._units = self._chance.randint(1, UNITS_MAX)
        self._say()

    def _say(self) -> None:
        first = self._seq <= len(FIRST_SCANS)
        text = FIRST_SCANS[self._seq - 1] if first else article_label(MUG, self._units)
        scan = DeviceScan(
            device_id=self.name, boot_epoch=1, seq=self._seq, text=text,
            scanned_at_ns=max(self.runtime.clock.now_ns(), 0),
        )  # fmt: skip
        self._bus.publish(DEVICE_SCAN.of(site=SITE, device=self.name), encode(scan))
        self._waiting = self._lane.call_later(REPEAT_S, self._say)

    def _hear(self, messages: list[Incoming]) -> None:
        for message in messages:
            answer = decode(message.payload, ScanFeedback)
            self.codes.append(answer.code)
            if answer.seq != self._seq or self._waiting is None:
                continue
            self._waiting.cancel()
            self._waiting = None
            if answer.code == Code.BOOKED:
                self.accepted[f"{self.name}/1/{self._seq}"] = self._units
            again = not answer.ok and answer.code in {Code.STORE_FAILED, Code.NO_TASK}
            wait_s = self._chance.random() * THINK_S_MAX
            if again:
                self._waiting = self._lane.call_later(wait_s + 0.1, self._say)
            else:
                assert answer.ok, answer
                self._lane.call_later(wait_s, self._next)


class Pair:
    """Edge and central of one site, each may lose its power and its process."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, seed: int, scanners: int = 3
    ) -> None:
        self.chance = Random(seed)
        self.disks = Disks(monkeypatch)
        self.runtime = VirtualRuntime(seed)
        names = tuple(f"scanner-{n}" for n in range(1, scanners + 1))
        self.edge_config = edge_config(folder, names)
        self.central_config = central_config(folder)
        self.edge_disk: SimDisk = self.disks.add(self.edge_config.data_dir)
        self.central_disk: SimDisk = self.disks.add(self.central_config.data_dir)
        self.metrics = Metrics()
        self._others = self.runtime.bus(BusOptions(client_id="others"))
        self._others.start()
        topic = PERSON_TASKS.of(site=SITE, person=PERSON)
        self._others.publish(topic, encode(TASKS), retain=True)
        self.scanners = [
            Scanner(VirtualRuntime(seed, shared=self.runtime), name, Random(f"{seed}/{name}"))
            for name in names
        ]

    @property
    def accepted(self) -> Accepted:
        """Return what was answered `booked`, by all scanners."""
        return {key: units for one in self.scanners for key, units in one.accepted.items()}

    def start_edge(self) -> None:
        """Start the edge's process on what its disk holds."""
        self.edge_runtime = VirtualRuntime(shared=self.runtime)
        self.agent = build_edge(self.edge_runtime, self.metrics, self.edge_config)
        self.agent.start()

    def start_central(self) -> None:
        """Start central's process on what its disk holds."""
        self.central_runtime = VirtualRuntime(shared=self.runtime)
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

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.runtime.run_for(seconds)

    def settle(self) -> list[str]:
        """Let everybody rest; return everything in which scanners, edge and central differ."""
        for scanner in self.scanners:
            scanner.rests = True
        rested = self.runtime.run_until(self._is_at_rest, SETTLE_S_MAX)
        found = [] if rested else ["no rest: a scan or a row still waits"]
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
