"""Twelve scanners at 200 scans/s on two real edge agents and a real central, timed at the device.

Zone A's scanners put away: bin, article, other bin, one movement per three scans, inside tasks that
the bench sets. Zone B's scanners count: each scan is an event. Every scan is committed at the edge
before its good beep (session, answer and event in one transaction); the events go on to central.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from rich.progress import Progress, TaskID

from bench.devices import Device, MqttDevice, Sample, Script, SerialDevice
from bench.machine import sync_ms
from central.config import CentralConfig
from edge.config import EdgeConfig, ScannerConfig
from runtime.bus import BusOptions
from runtime.clock import Clock
from runtime.config import load_config, to_toml
from runtime.lanes import Lane
from runtime.live import LiveRuntime
from runtime.metrics import LatencySummary, MetricsSnapshot
from stockhelm.bench import Bench, BenchError
from stockhelm.broker import BrokerConfig, BrokerProcess, free_port
from stockhelm.demo_site import GLN, SITE_ID, DemoSite, Ports, write_demo
from stockhelm.processes import Process, ProcessError, Supervisor
from wire.codec import encode
from wire.messages import PersonTask, PersonTasks
from wire.site import OpeningRow
from wire.topics import PERSON_TASKS

SERIAL_PER_EDGE: Final = 2
MQTT_PER_EDGE: Final = 4
SCANS_PER_S: Final = 200.0
LOAD_S: Final = 20.0
SEED: Final = 7
TASK_UNITS: Final = 50
TASKS: Final = 50
READY_S_MAX: Final = 60.0
ANSWER_S_MAX: Final = 10.0
LOOK_EVERY_S: Final = 0.2


@dataclass(slots=True)
class Measured:
    """What the load showed."""

    durable_ms: list[float] = field(default_factory=list)
    central_ms: list[float] = field(default_factory=list)
    sync_ms: list[float] = field(default_factory=list)
    scans_per_s: float = 0.0
    at_central: LatencySummary | None = None
    """As central's own figures say it: from the edge's reception to the commit, counts included."""


@dataclass(slots=True)
class _Hand:
    """A person with a device: what comes next, and what was answered."""

    device: Device
    script: Script
    tasks: PersonTasks
    texts: Iterator[str]
    clock: Clock
    scans: int = 0
    wanted_ns: deque[int] = field(default_factory=deque)

    def scan(self) -> None:
        """Scan what comes next; before the beep of the last one, as soon as that is heard."""
        self.wanted_ns.append(self.clock.monotonic_ns())
        if not self.device.unanswered:
            self.go_on()

    def go_on(self) -> None:
        """Scan what was wanted longest, if anything was."""
        if self.wanted_ns:
            self.scans += 1
            waited_ns = self.clock.monotonic_ns() - self.wanted_ns.popleft()
            self.device.scan(next(self.texts), waited_ns=waited_ns)

    @property
    def moves(self) -> int:
        """Return how many movements were made so far."""
        rounds = (self.scans - len(self.script.opening)) / len(self.script.round)
        return int(rounds * self.script.moves_per_round)


class Load:
    """One run of the load."""

    def __init__(self, bench: Bench, progress: Progress, bar: TaskID) -> None:
        self._bench = bench
        self._progress = progress
        self._bar = bar
        self._runtime = LiveRuntime(SEED)
        self._lane: Lane = self._runtime.lane("devices")
        self._random = self._runtime.random("pace")
        self._pause = threading.Event()
        self._samples: list[Sample] = []
        self._running = False
        self._ports = Ports(broker=free_port(), desk=free_port(), pictures=free_port())
        self._demo = write_demo(
            bench.directory, seed=SEED, speed=4.0, ports=self._ports, sales=None
        )
        self._hands: dict[str, _Hand] = {}

    def run(self) -> Measured:
        """Start everything, let people scan, stop everything; return what was measured."""
        folder = str(self._bench.directory / "broker")
        supervisor = Supervisor(self._bench.directory, self._runtime.clock)
        with BrokerProcess(BrokerConfig(directory=folder, port=self._ports.broker)):
            try:
                self._take_devices()
                self._say("starting two edge agents and central")
                supervisor.start(self._processes(), lambda _name: None)
                self._wait("the opening stock at central", READY_S_MAX, self._opening_is_here)
                self._begin()
                measured = self._scan()
                measured.sync_ms = sync_ms(self._bench.directory, self._runtime.clock)
            except ProcessError as error:
                raise BenchError(str(error)) from error
            finally:
                supervisor.stop()
                self._runtime.close()
        self._read_central(measured)
        return measured

    # --- set-up -----------------------------------------------------------------------------

    def _processes(self) -> list[Process]:
        rows = []
        for name in (*(f"edge-{edge}" for edge in self._demo.edges), "central"):
            command = name.partition("-")[0]
            config, figures = self._demo.config(name), self._metrics_file(name)
            rows.append(
                Process(
                    name=name,
                    arguments=(command, "run", "--config", str(config), "--metrics", str(figures)),
                )
            )
        return rows

    def _metrics_file(self, name: str) -> Path:
        return self._demo.data(name) / "metrics.json"

    def _take_devices(self) -> None:
        """Make the devices and write the configuration of the edges that know them.

        The site's own people are sent home: central would give them tasks of its own.
        """
        (self._demo.directory / "site" / "people.csv").unlink()
        for edge in self._demo.edges:
            rows = []
            for number in range(SERIAL_PER_EDGE + MQTT_PER_EDGE):
                device_id = f"bench-{edge}{number}"
                path = ""
                if number < SERIAL_PER_EDGE:
                    path = str(self._bench.directory / "ports" / device_id)
                rows.append(ScannerConfig(device_id=device_id, person_id=device_id, path=path))
                script = _script(self._demo, edge, number)
                self._hand_out(rows[-1], script, _tasks(self._demo, edge, number, device_id))
            file = self._demo.config(f"edge-{edge}")
            config = msgspec.structs.replace(
                load_config(file, EdgeConfig), scanners=tuple(rows), cameras=(), drones=()
            )
            file.write_text(to_toml(config))
        file = self._demo.config("central")
        central = msgspec.structs.replace(load_config(file, CentralConfig), drones=())
        file.write_text(to_toml(central))

    def _hand_out(self, row: ScannerConfig, script: Script, tasks: PersonTasks) -> None:
        device: Device
        if row.path:
            device = SerialDevice(
                row.device_id, row.path, runtime=self._runtime, lane=self._lane,
                on_sample=self._hear,
            )  # fmt: skip
        else:
            device = MqttDevice(
                row.device_id, site_id=SITE_ID, port=self._ports.broker, runtime=self._runtime,
                lane=self._lane, on_sample=self._hear,
            )  # fmt: skip
        clock = self._runtime.clock
        self._hands[row.device_id] = _Hand(device, script, tasks, script.texts(), clock)

    def _hear(self, sample: Sample) -> None:
        self._samples.append(sample)
        self._hands[sample.device_id].go_on()

    def _opening_is_here(self) -> bool:
        return self._count("movement") >= len(self._demo.site.opening)

    def _begin(self) -> None:
        """Give people their tasks and let everybody scan command and bin."""
        bus = self._runtime.bus(BusOptions(client_id="bench-tasks", port=self._ports.broker))
        bus.start()
        for hand in self._hands.values():
            person = hand.device.device_id
            payload = encode(hand.tasks)
            bus.publish(PERSON_TASKS.of(site=SITE_ID, person=person), payload, retain=True)
        self._wait("the broker", ANSWER_S_MAX, lambda: bus.connected)
        longest = max(len(hand.script.opening) for hand in self._hands.values())
        for number in range(1, longest + 1):
            self._lane.post(self._open_all)
            self._wait("the first answers", ANSWER_S_MAX, partial(self._answered, number))
        refused = [sample for sample in self._samples if not sample.ok]
        if refused:
            raise BenchError(f"the first scan of {refused[0].device_id}: {refused[0].text}")

    def _open_all(self) -> None:
        for hand in self._hands.values():
            hand.scan()

    def _answered(self, number: int) -> bool:
        return len(self._samples) == number * len(self._hands)

    # --- the load ---------------------------------------------------------------------------

    def _scan(self) -> Measured:
        self._say(f"{len(self._hands)} scanners, {SCANS_PER_S:g} scans/s together")
        self._samples.clear()
        self._running = True
        begun_ns = self._runtime.clock.monotonic_ns()
        for hand in self._hands.values():
            self._lane.call_later(self._next_s(), self._scan_again(hand))
        for _ in range(round(LOAD_S / LOOK_EVERY_S)):
            self._pause.wait(LOOK_EVERY_S)
            self._progress.advance(self._bar, LOOK_EVERY_S)
        self._progress.update(self._bar, completed=LOAD_S)
        self._running = False
        seconds = (self._runtime.clock.monotonic_ns() - begun_ns) / 1e9
        self._say("waiting for the last answers and for central")
        self._wait("the last answers", ANSWER_S_MAX, self._all_answered)
        refused = [sample for sample in self._samples if not sample.ok]
        if refused:
            raise BenchError(f"{len(refused)} scans were refused, the first: {refused[0].text}")
        moved = len(self._demo.site.opening) + sum(hand.moves for hand in self._hands.values())
        self._wait("central", ANSWER_S_MAX, lambda: self._count("movement") >= moved)
        return Measured(
            durable_ms=[sample.latency_ms for sample in self._samples],
            scans_per_s=len(self._samples) / seconds,
        )

    def _next_s(self) -> float:
        """Return when the same person scans again: at random, as people do not keep step."""
        return self._random.expovariate(SCANS_PER_S / len(self._hands))

    def _scan_again(self, hand: _Hand) -> Callable[[], None]:
        def scan() -> None:
            if self._running:
                self._lane.call_later(self._next_s(), scan)
                hand.scan()

        return scan

    def _all_answered(self) -> bool:
        return not any(hand.device.unanswered or hand.wanted_ns for hand in self._hands.values())

    # --- what central has -------------------------------------------------------------------

    def _read_central(self, measured: Measured) -> None:
        """Match each device's scans with central's rows by the sequence in their event ids."""
        sent = {(sample.device_id, sample.seq): sample.sent_ns for sample in self._samples}
        with closing(self._open()) as db:
            rows = db.execute(
                "SELECT event_id, device_id, committed_at_ns FROM movement"
            ).fetchall()
        for event_id, device_id, committed_ns in rows:
            seq = event_id.rpartition("/")[2]
            sent_ns = sent.get((device_id, int(seq))) if seq.isdigit() else None
            if sent_ns is not None:
                measured.central_ms.append((committed_ns - sent_ns) / 1e6)
        figures = msgspec.json.decode(
            self._metrics_file("central").read_bytes(), type=MetricsSnapshot
        )
        measured.at_central = figures.latencies_ms.get("scan_to_central_ms")

    def _count(self, table: str) -> int:
        try:
            with closing(self._open()) as db:
                query = {"movement": "SELECT count(*) FROM movement"}[table]
                return int(db.execute(query).fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # central has not made its tables yet

    def _open(self) -> sqlite3.Connection:
        path = self._demo.data("central") / "central.db"
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=ANSWER_S_MAX)

    def _wait(self, what: str, seconds_max: float, is_there: Callable[[], bool]) -> None:
        for _ in range(round(seconds_max / LOOK_EVERY_S)):
            if is_there():
                return
            self._pause.wait(LOOK_EVERY_S)
        raise BenchError(f"waited {seconds_max:g} s for {what}; logs: {self._bench.directory}/logs")

    def _say(self, text: str) -> None:
        self._progress.update(self._bar, description=text)


def _script(demo: DemoSite, edge: str, number: int) -> Script:
    """Return what the person with this device does; two labels open every script."""
    stock = _stock(demo, edge, number)
    if edge != demo.edges[0]:
        opening = ("]C191SH-COUNT", _bin_label(stock.bin_id))
        return Script(opening, (f"]C101{stock.gtin}30{stock.units}",), 0)
    here, there = _bin_label(stock.bin_id), _bin_label(_empty_bin(demo, edge, number))
    article = f"]E0{stock.gtin[1:]}"
    opening = ("]C191SH-PUTAWAY", "]C191SH-CANCEL")
    return Script(opening, (here, article, there, there, article, here), 2)


def _tasks(demo: DemoSite, edge: str, number: int, person_id: str) -> PersonTasks:
    """Return tasks to put one article from its bin into an empty one, and back, often enough."""
    if edge != demo.edges[0]:
        return PersonTasks(person_id=person_id, tasks=())
    stock = _stock(demo, edge, number)
    here, there = f"bin:{stock.bin_id}", f"bin:{_empty_bin(demo, edge, number)}"
    return PersonTasks(
        person_id=person_id,
        tasks=tuple(
            PersonTask(
                task_id=f"{person_id}-{task}", kind="putaway", gtin=stock.gtin, units=TASK_UNITS,
                from_place=there if task % 2 else here, to_place=here if task % 2 else there,
            )
            for task in range(TASKS)
        ),
    )  # fmt: skip


def _stock(demo: DemoSite, edge: str, number: int) -> OpeningRow:
    return [row for row in demo.site.opening if demo.site.bins[row.bin_id].edge_id == edge][number]


def _empty_bin(demo: DemoSite, edge: str, number: int) -> str:
    full = {row.bin_id for row in demo.site.opening}
    empty = [
        row.bin_id
        for row in demo.site.bins.values()
        if row.edge_id == edge and row.kind == "reserve" and row.bin_id not in full
    ]
    return empty[number]


def _bin_label(bin_id: str) -> str:
    return f"]C1414{GLN}254{bin_id}"
