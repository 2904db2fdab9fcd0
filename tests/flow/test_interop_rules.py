"""The rules of the VDA 5050 master on vehicles that we did not write, over a real broker."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from central.config import FleetConfig
from central.fleet.jobs import JobProgress
from central.fleet.service import Fleet
from runtime.bus import Bus, BusOptions
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from stockhelm.broker import BrokerConfig, BrokerProcess, free_port
from tests.build_fleet import GRID_M, SITE_ID, config, grid_site, transport
from tests.flow.test_fleet_interop import (  # vehicle_script: a fixture
    MAKER,
    READY_S_MAX,
    SERIAL,
    STEP_S_MAX,
    vehicle_script,
)

__all__ = ["vehicle_script"]
pytestmark = pytest.mark.soak
WAIT_S = 60.0


class Live:
    """A broker, a fleet and one third-party vehicle, each of which may be killed and begun anew."""

    def __init__(self, folder: Path, node: str, script: Path) -> None:
        self.folder, self.node, self.script = folder, node, script
        self.port = free_port()
        self.told: list[JobProgress] = []
        self.metrics = Metrics()
        self.stack = ExitStack()
        self.vehicles: list[subprocess.Popen[str]] = []
        self.brokers = 0
        self.broker: BrokerProcess | None = None
        self.runtime: LiveRuntime | None = None

    def begin_broker(self) -> None:
        """Start a broker that knows nothing of the one before it."""
        self.brokers += 1
        settings = BrokerConfig(directory=str(self.folder / f"b{self.brokers}"), port=self.port)
        self.broker = BrokerProcess(settings).start()

    def end_broker(self) -> None:
        assert self.broker is not None
        self.broker.stop()
        self.broker = None

    def begin_central(self) -> None:
        self.runtime = LiveRuntime()
        heard: queue.Queue[JobProgress] = queue.Queue()
        options = BusOptions(client_id="central", host="127.0.0.1", port=self.port)
        self.bus: Bus = self.runtime.bus(options)
        site = grid_site(8, 5, {SERIAL: "N1-1"}, maker=MAKER)
        settings = config(f"sqlite:///{self.folder}/central.db", FleetConfig(silent_after_s=5))
        lane = self.runtime.lane("fleet")
        self.fleet = Fleet(
            self.runtime, self.metrics, settings, site, lane, self.bus, self.told.append
        )
        self.fleet.start()
        self.bus.start()
        del heard

    def end_central(self) -> None:
        """End central as a crash does: the robots are told nothing."""
        assert self.runtime is not None
        self.bus.stop()
        self.fleet.stop()
        self.runtime.close()
        assert self.runtime.crash is None
        self.runtime = None

    def begin_vehicle(self, x: int, y: int, speed: float = 2.0) -> subprocess.Popen[str]:
        settings = {
            "manufacturer": MAKER, "serial": SERIAL, "interface": "uagv", "map": SITE_ID,
            "broker": f"mqtt://127.0.0.1:{self.port}", "node": f"N{x}-{y}",
            "x": x * GRID_M, "y": y * GRID_M, "speed": speed,
        }  # fmt: skip
        process = subprocess.Popen(
            [self.node, str(self.script), json.dumps(settings)],
            cwd=self.script.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        killer = threading.Timer(READY_S_MAX, process.kill)
        killer.start()
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        killer.cancel()
        self.vehicles.append(process)
        return process

    def end_vehicle(self, process: subprocess.Popen[str]) -> None:
        """Pull its plug."""
        process.kill()
        process.communicate()
        self.vehicles.remove(process)

    def close(self) -> None:
        for process in list(self.vehicles):
            self.end_vehicle(process)
        if self.runtime is not None:
            self.end_central()
        if self.broker is not None:
            self.end_broker()

    def submit(self, job_id: str, *nodes: str) -> None:
        extra = {"stationType": "floor", "loadType": "EPAL", "duration": 0.3}
        self.fleet.submit(transport(job_id, *nodes, **extra))  # type: ignore[arg-type]

    def until(self, what: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        end = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < end, (self.told, self.fleet.robots())
            time.sleep(0.05)

    def events(self, job_id: str) -> list[str]:
        return [e.event for e in tuple(self.told) if e.job_id == job_id]

    def ends(self, job_id: str, timeout_s: float = WAIT_S) -> str:
        """Return how a job ended."""
        self.until(lambda: self.events(job_id)[-1:] in (["done"], ["failed"]), timeout_s)
        return self.events(job_id)[-1]

    def place(self) -> str:
        return self.fleet.robots()[0].node_id

    def count(self, name: str) -> int:
        return self.metrics.snapshot().counters.get(name, 0)


@pytest.fixture
def live(tmp_path: Path, node: str, vehicle_script: Path) -> Iterator[Live]:
    made = Live(tmp_path, node, vehicle_script)
    try:
        made.begin_broker()
        made.begin_central()
        yield made
    finally:
        made.close()


def driving(live: Live) -> None:
    """Send a job to the far end and wait until the vehicle is on its way."""
    live.begin_vehicle(1, 1)
    live.submit("T1", "N7-1", "N7-4")
    live.until(lambda: live.place() not in {"", "N1-1"}, STEP_S_MAX)


def test_all_stand_when_asked_to_and_drive_on_afterwards(live: Live) -> None:
    driving(live)
    live.fleet.pause("people on the floor")

    def stands() -> bool:
        paused = live.fleet.paused()
        return paused is not None and paused.unconfirmed == ()

    live.until(stands, 5.0)
    time.sleep(0.5)
    place = live.place()
    time.sleep(3.0)
    assert live.place() == place
    live.fleet.resume()
    assert live.ends("T1") == "done"
    assert live.count("fleet_instants_unanswered") == 0


def test_a_broker_that_forgets_everything_delays_an_order(live: Live) -> None:
    driving(live)
    live.end_broker()
    time.sleep(2.0)
    live.begin_broker()
    assert live.ends("T1") == "done"
    assert live.events("T1") == ["assigned", "stop_done", "stop_done", "done"]


def test_a_central_that_restarts_brings_its_order_to_the_end_once(live: Live) -> None:
    driving(live)
    live.end_central()
    time.sleep(1.0)
    live.begin_central()
    live.submit("T1", "N7-1", "N7-4")
    assert live.ends("T1") == "done"
    assert live.events("T1").count("done") == 1


@pytest.mark.parametrize("wakes_at", ["same", "other"])
def test_a_vehicle_that_restarts_in_its_order_gets_another_one(live: Live, wakes_at: str) -> None:
    vehicle = live.begin_vehicle(1, 1)
    live.submit("T1", "N7-1", "N7-4")
    live.until(lambda: live.place() not in {"", "N1-1"}, STEP_S_MAX)
    live.end_vehicle(vehicle)
    x, y = map(int, live.place()[1:].split("-"))
    live.begin_vehicle(*((x, y) if wakes_at == "same" else (0, 3)))
    assert live.ends("T1") == "done"
    assert live.count("fleet_orders_broken") == 1


def test_a_cancel_where_there_is_no_order_holds_nobody_up(live: Live) -> None:
    live.begin_vehicle(1, 1)
    live.until(lambda: live.fleet.robots() != () and live.fleet.robots()[0].available)
    vehicle = live.fleet._vehicles[0]
    live.fleet._lane.post(lambda: live.fleet._voice.order(vehicle, "cancelOrder"))
    live.fleet._lane.post(live.fleet._look_at_all)
    live.until(lambda: live.count("fleet_instants_ended{FAILED}") == 1, 10.0)
    live.submit("T1", "N3-1")
    assert live.ends("T1") == "done"


def test_rubbish_on_its_topics_changes_nothing(live: Live) -> None:
    driving(live)
    for payload in (b"", b"[]", b"{" * 50, b"x" * 70_000, b'{"orderId":7}'):
        for name in ("state", "connection"):
            live.bus.publish(f"uagv/v2/{MAKER}/{SERIAL}/{name}", payload)
    assert live.ends("T1") == "done"
    assert live.count("wire_refused{vda5050}") >= 9


def test_two_that_run_under_one_serial_get_nothing_until_one_is_gone(live: Live) -> None:
    live.begin_vehicle(1, 1)
    live.until(lambda: live.fleet.robots() != () and live.fleet.robots()[0].available)
    second = live.begin_vehicle(7, 4)
    ask, vehicle = live.fleet._voice, live.fleet._vehicles[0]
    for _ in range(12):  # both answer each time
        live.fleet._lane.post(lambda: ask.order(vehicle, "stateRequest"))
        live.fleet._lane.post(live.fleet._look_at_all)
        time.sleep(0.4)
    live.until(lambda: "two vehicles" in live.fleet.robots()[0].detail, 20.0)
    live.submit("T1", "N3-1", "N3-3")
    time.sleep(5.0)
    assert live.events("T1") == []
    live.end_vehicle(second)
    ended = live.ends("T1", 150.0)
    assert ended == "done", [e.detail for e in live.told]
