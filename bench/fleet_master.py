"""The master of the fleet on real wires: third-party vehicles, and a restart with many orders."""

from __future__ import annotations

import json
import queue
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import psutil
from rich.progress import Progress

from bench.fleet_process import Setup, Standing, Told, node_id
from bench.machine import seconds_since
from central.fleet.jobs import Stop, TransportJob
from runtime.bus import Bus, BusOptions, Incoming
from runtime.clock import Clock
from runtime.live import LiveRuntime
from stockhelm.bench import Bench, BenchError, Row, at_least, at_most, figure
from stockhelm.broker import BrokerConfig, BrokerProcess, free_port
from stockhelm.dies_with_parent import with_parent

SEED: Final = 7
MAKER: Final = "third-party"
VEHICLES: Final = 100
ORDERS: Final = 200
ORDERS_FULL: Final = 1_000
WIDTH, HEIGHT, DISTANCE_M = 40, 25, 1.5
SPEED_M_S: Final = 3.0
STALL_S_MAX: Final = 60.0
CORES_MAX: Final = 0.5
ADOPTED: Final = 1_000
ADOPTING_WIDTH: Final = 70
ADOPTED_S_MAX: Final = 5.0
WAIT_S_MAX: Final = 120.0
QUIET_S: Final = 10.0
"""The vehicles do not move, so some cannot be given a node: after this no more are waited for."""
PACKAGE: Final = Path(__file__).resolve().parent.parent / "tests" / "interop"


class Master:
    """The measured process, and what it says."""

    def __init__(self, setup: Setup, file: Path, clock: Clock) -> None:
        self._clock = clock
        file.write_bytes(msgspec.json.encode(setup))
        self.begun_ns = clock.monotonic_ns()
        command = with_parent([sys.executable, "-m", "bench.fleet_process", str(file)])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._said: queue.Queue[bytes] = queue.Queue()
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,))
        self._reader.start()
        if (first := self._next(WAIT_S_MAX)) != b"ready\n":
            raise BenchError(f"the fleet's process did not start: it said {first!r}")

    def submit(self, jobs: list[TransportJob]) -> None:
        """Hand in jobs."""
        self._write(msgspec.json.encode(jobs))

    def standing(self) -> Standing:
        """Return how the robots stand; steps of jobs that come meanwhile are not looked at."""
        self._write(b"ask")
        while True:
            told = self.told(WAIT_S_MAX)
            if isinstance(told, Standing):
                return told

    def told(self, timeout_s: float) -> Told | Standing | None:
        """Return what the process tells next, None where it tells nothing for so long."""
        line = self._next(timeout_s)
        return msgspec.json.decode(line, type=Told | Standing) if line else None

    def end(self, *, kill: bool = False) -> None:
        """End the process."""
        if kill:
            self.process.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(WAIT_S_MAX)
        self._reader.join()

    def _next(self, timeout_s: float) -> bytes:
        try:
            return self._said.get(timeout=timeout_s)
        except queue.Empty:
            return b""

    def _write(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._said.put(line)
        self._said.put(b"")


def run(bench: Bench, progress: Progress) -> list[Row]:
    """Return the figures of the master."""
    directory = bench.directory / "broker"
    with BrokerProcess(BrokerConfig(directory=str(directory), port=free_port())) as broker:
        rows = _third_party(bench, progress, broker.port)
        return [*rows, *_restart(bench, progress, broker.port)]


# --- vehicles that we did not write ---------------------------------------------------------------


def _third_party(bench: Bench, progress: Progress, port: int) -> list[Row]:
    node = shutil.which("node")
    if node is None or not (PACKAGE / "node_modules").is_dir():
        bench.console.print(
            f"no figures with third-party vehicles: they need node, and once `npm ci` in {PACKAGE}"
        )
        return []
    orders = ORDERS_FULL if bench.full else ORDERS
    draw = random.Random(SEED)
    cells = [node_id(x, y) for x in range(WIDTH) for y in range(HEIGHT)]
    starts = {f"agv-{i}": cell for i, cell in enumerate(draw.sample(cells, VEHICLES))}
    bar = progress.add_task(f"{orders} orders on {VEHICLES} third-party vehicles", total=orders)
    setup = Setup(
        port=port, database_url=f"sqlite:///{bench.directory}/third.db", width=WIDTH,
        height=HEIGHT, distance_m=DISTANCE_M, maker=MAKER, robots=starts,
    )  # fmt: skip
    master = Master(setup, bench.directory / "third.json", bench.clock)
    begun_ns, silent_s, ends = bench.clock.monotonic_ns(), 0.0, {"done": 0, "failed": 0}
    try:
        with _vehicles(node, port, starts):
            master.submit([_job(f"T{i}", draw.sample(cells, 2)) for i in range(orders)])
            begun_ns = last_ns = bench.clock.monotonic_ns()
            before_s = _processor_s(master.process.pid)
            while sum(ends.values()) < orders:
                told = master.told(STALL_S_MAX)
                if told is None:
                    break  # nobody did anything for so long: the rest is stalled
                if isinstance(told, Told) and told.progress.event in ends:
                    ends[told.progress.event] += 1
                    silent_s = max(silent_s, seconds_since(bench.clock, last_ns))
                    last_ns = bench.clock.monotonic_ns()
                    progress.advance(bar)
            took_s = seconds_since(bench.clock, begun_ns)
            used_s = _processor_s(master.process.pid) - before_s
    finally:
        master.end()
    what = f"{VEHICLES} third-party vehicles (vda-5050-lib)"
    return [
        at_least(f"{what}: orders completed of {orders}", "", ends["done"], goal=orders),
        at_most(f"{what}: orders that stalled", "", orders - sum(ends.values()), goal=0),
        at_most(f"{what}: processor time of the master", "cores", used_s / took_s, goal=CORES_MAX),
        figure(f"{what}: orders per minute", "1/min", 60 * ends["done"] / took_s),
        figure(f"{what}: longest time in which no order ended", "s", silent_s),
    ]


@contextmanager
def _vehicles(node: str, port: int, starts: dict[str, str]) -> Iterator[None]:
    places = {
        node_id(x, y): (x * DISTANCE_M, y * DISTANCE_M) for x in range(WIDTH) for y in range(HEIGHT)
    }
    settings = [
        {
            "manufacturer": MAKER, "serial": serial, "interface": "uagv", "map": "FC1",
            "broker": f"mqtt://127.0.0.1:{port}", "node": start, "x": places[start][0],
            "y": places[start][1], "speed": SPEED_M_S,
        }
        for serial, start in starts.items()
    ]  # fmt: skip
    process = subprocess.Popen(
        with_parent([node, str(PACKAGE / "vehicle.js"), json.dumps(settings)]),
        cwd=PACKAGE, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != b"ready":
            raise BenchError(f"the vehicles did not start: run `npm ci` in {PACKAGE} once")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_S_MAX)


# --- a restart ------------------------------------------------------------------------------------


class Obedient:
    """Vehicles that confirm every order and stay where they are: one connection speaks for all."""

    def __init__(self, bus: Bus, starts: dict[str, str]) -> None:
        self._bus = bus
        self._starts = starts
        self._orders: dict[str, dict[str, Any]] = {}
        self._headers: dict[str, int] = {}

    def hear(self, batch: list[Incoming]) -> None:
        """Take an order, or an instant action, and say how the vehicle stands."""
        for incoming in batch:
            _, _, _, serial, name = incoming.topic.split("/")
            if name == "order":
                self._orders[serial] = json.loads(incoming.payload)
            self.say(serial)

    def say(self, serial: str) -> None:
        """Publish the vehicle's state."""
        number = self._headers[serial] = self._headers.get(serial, -1) + 1
        order = self._orders.get(serial)
        nodes, edges = _ahead(order, "nodes"), _ahead(order, "edges")
        state = {
            "headerId": number, "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-4] + "Z",
            "version": "2.0.0", "manufacturer": MAKER, "serialNumber": serial,
            "orderId": order["orderId"] if order else "",
            "orderUpdateId": order["orderUpdateId"] if order else 0,
            "lastNodeId": self._starts[serial], "lastNodeSequenceId": 0, "driving": False,
            "nodeStates": [
                {"nodeId": n["nodeId"], "sequenceId": n["sequenceId"], "released": n["released"]}
                for n in nodes if n["sequenceId"] > 0
            ],
            "edgeStates": [
                {"edgeId": e["edgeId"], "sequenceId": e["sequenceId"], "released": e["released"]}
                for e in edges
            ],
            "actionStates": [
                {"actionId": a["actionId"], "actionType": a["actionType"],
                 "actionStatus": "WAITING"}
                for n in nodes for a in n["actions"]
            ],
            "batteryState": {"batteryCharge": 90, "charging": False},
            "operatingMode": "AUTOMATIC", "errors": [],
            "safetyState": {"eStop": "NONE", "fieldViolation": False},
        }  # fmt: skip
        self._bus.publish(f"uagv/v2/{MAKER}/{serial}/state", json.dumps(state).encode(), qos=0)


def _ahead(order: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    return order[key] if order else []


def _restart(bench: Bench, progress: Progress, port: int) -> list[Row]:
    draw = random.Random(SEED)
    cells = [node_id(x, y) for x in range(ADOPTING_WIDTH) for y in range(ADOPTING_WIDTH)]
    starts = {f"agv-{i}": cell for i, cell in enumerate(draw.sample(cells, ADOPTED))}
    bar = progress.add_task(f"a restart with {ADOPTED} running orders", total=2)
    setup = Setup(
        port=port, database_url=f"sqlite:///{bench.directory}/restart.db", width=ADOPTING_WIDTH,
        height=ADOPTING_WIDTH, distance_m=DISTANCE_M, maker=MAKER, robots=starts,
    )  # fmt: skip
    runtime = LiveRuntime()
    bus = runtime.bus(BusOptions(client_id="bench-vehicles", port=port))
    vehicles, lane = Obedient(bus, starts), runtime.lane("vehicles")
    for name in ("order", "instantActions"):
        bus.subscribe(f"uagv/v2/{MAKER}/+/{name}", lane, vehicles.hear)
    connected = threading.Event()
    bus.on_connect(lane, connected.set)
    bus.start()
    try:
        if not connected.wait(WAIT_S_MAX):
            raise BenchError("the vehicles' connection to the broker did not come")
        jobs = [_job(f"R{i}", draw.sample(cells, 2)) for i in range(ADOPTED)]
        first = Master(setup, bench.directory / "restart.json", bench.clock)
        for serial in starts:
            lane.post(lambda serial=serial: vehicles.say(serial))  # type: ignore[misc]
        first.submit(jobs)
        running = _wait_for_orders(first, bench.clock, ADOPTED)
        first.end(kill=True)
        progress.advance(bar)
        second = Master(setup, bench.directory / "restart.json", bench.clock)
        ready_s = seconds_since(bench.clock, second.begun_ns)
        second.submit(jobs)  # whoever asked asks again for what is open
        adopted = _wait_for_orders(second, bench.clock, running)
        took_s = seconds_since(bench.clock, second.begun_ns)
        second.end()
        progress.advance(bar)
    finally:
        runtime.close()
    return [
        at_least(f"killed with {running} running orders: adopted", "", adopted, goal=running),
        at_most(
            "from the new process to the last one adopted", "s", took_s, goal=ADOPTED_S_MAX
        ),
        figure("of these, until it is connected", "s", ready_s),
    ]  # fmt: skip


def _wait_for_orders(master: Master, clock: Clock, wanted: int) -> int:
    """Return how many robots have orders, once all have or no more get one."""
    most, at_ns = 0, clock.monotonic_ns()
    while (found := master.standing().with_order) < wanted:
        if found > most:
            most, at_ns = found, clock.monotonic_ns()
        elif seconds_since(clock, at_ns) > QUIET_S:
            break
        threading.Event().wait(0.05)
    return found


def _job(job_id: str, nodes: list[str]) -> TransportJob:
    stops = tuple(
        Stop(
            node_id=node, action_type=kind, action_id=f"{kind}/{job_id}",
            parameters={"stationType": "floor", "loadType": "EPAL", "duration": 0.3},
        )
        for node, kind in zip(nodes, ("pick", "drop"), strict=True)
    )  # fmt: skip
    return TransportJob(job_id=job_id, stops=stops)


def _processor_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
