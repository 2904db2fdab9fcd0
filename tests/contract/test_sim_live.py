"""The simulated floor on real wires: a pseudo-terminal, a broker, threads, a running clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import serial

from runtime.bus import Bus, BusOptions, Incoming
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from sim_hardware.config import SimBroker, SimConfig, SimScanner
from sim_hardware.floor import SimulatedFloor, Truth, build_floor
from tests.conftest import Address
from tests.sim_floor import GLN, NO_ORDERS, SITE, write_site
from wire import topics
from wire.codec import decode, encode
from wire.messages import DeviceScan, PersonTask, PersonTasks, ScanFeedback
from wire.site import OpeningRow, Site
from wire.vda5050.messages import Connection, State

WAIT_S = 20.0


@dataclass
class Live:
    """A floor on real wires, and a connection of the test's own."""

    runtime: LiveRuntime
    floor: SimulatedFloor
    bus: Bus
    site: Site
    port: Path
    truth_file: Path
    heard: list[Incoming]
    changed: threading.Condition

    def wait_for(self, wanted: str, count: int = 1) -> list[Incoming]:
        """Return the messages of a topic once there are so many."""

        def found() -> list[Incoming]:
            return [message for message in self.heard if message.topic == wanted]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, WAIT_S), wanted
        return found()

    def give(self, person: str, row: OpeningRow) -> None:
        """Let a person pick two units."""
        task = PersonTask(
            task_id="T1", kind="pick", gtin=row.gtin, units=2,
            from_place=f"bin:{row.bin_id}", to_place="tote:O1",
        )  # fmt: skip
        message = PersonTasks(person_id=person, tasks=(task,))
        topic = topics.PERSON_TASKS.of(site=SITE, person=person)
        self.bus.publish(topic, encode(message), retain=topics.PERSON_TASKS.retain)


@pytest.fixture
def live(tmp_path: Path, broker: Address) -> Iterator[Live]:
    site = write_site(tmp_path / "site")
    port = tmp_path / "scanner"
    config = SimConfig(
        site_id=SITE,
        site_dir=str(tmp_path / "site"),
        gln=GLN,
        truth_file=str(tmp_path / "truth.json"),
        broker=SimBroker(host=broker.host, port=broker.port),
        speed=20.0,
        orders=NO_ORDERS,
        stray_scan_share=0.0,
        scanners=(
            SimScanner(device_id="scanner-1", person_id="p3", path=str(port)),
            SimScanner(device_id="scanner-2", person_id="p4"),
        ),
    )
    runtime = LiveRuntime(7)
    heard: list[Incoming] = []
    changed = threading.Condition()

    def hear(batch: list[Incoming]) -> None:
        with changed:
            heard.extend(batch)
            changed.notify_all()

    bus = runtime.bus(BusOptions(client_id="test", host=broker.host, port=broker.port))
    bus.subscribe("#", runtime.lane("test"), hear)
    bus.start()
    floor = build_floor(runtime, config, Metrics())
    floor.start()
    yield Live(runtime, floor, bus, site, port, tmp_path / "truth.json", heard, changed)
    floor.stop()
    runtime.close()
    assert runtime.crash is None


def face(site: Site) -> OpeningRow:
    return next(
        row for row in site.opening if site.bins[row.bin_id].kind == "pick" and row.units > 2
    )


def read_lines(port: serial.Serial, count: int) -> list[bytes]:
    """Answer so many scans with a good beep; return them."""
    lines = []
    for _ in range(count):
        lines.append(port.readline())
        port.write(b"\x06")
    return lines


def test_a_serial_scanner_speaks_over_a_pseudo_terminal(live: Live) -> None:
    live.wait_for("uagv/v2/helmworks/agv-1/state")
    row = face(live.site)
    with serial.Serial(str(live.port), 115_200, timeout=WAIT_S) as port:
        live.give("p3", row)
        assert read_lines(port, 3) == [
            b"]C191SH-PICK\r\n",
            f"]C1414{GLN}254{row.bin_id}\r\n".encode(),
            f"]C101{row.gtin}302\r\n".encode(),
        ]


def test_an_mqtt_scanner_speaks_over_the_broker(live: Live) -> None:
    row = face(live.site)
    wanted = topics.DEVICE_SCAN.of(site=SITE, device="scanner-2")
    live.wait_for("uagv/v2/helmworks/agv-1/state")
    live.give("p4", row)
    for seq in (1, 2, 3):
        live.wait_for(wanted, seq)
        scan = next(
            s
            for s in (decode(m.payload, DeviceScan) for m in live.wait_for(wanted, seq))
            if s.seq == seq
        )
        feedback = ScanFeedback(
            device_id="scanner-2", boot_epoch=scan.boot_epoch, seq=seq, ok=True, code="ok",
            text="", sound="good",
        )  # fmt: skip
        live.bus.publish(topics.DEVICE_FEEDBACK.of(site=SITE, device="scanner-2"), encode(feedback))
    assert scan.text == f"]C101{row.gtin}302"


def test_robots_are_online_and_the_truth_is_written_when_the_world_freezes(live: Live) -> None:
    for number in range(1, 7):
        states = live.wait_for(f"uagv/v2/helmworks/agv-{number}/state")
        assert decode(states[0].payload, State).last_node_id
        said = live.wait_for(f"uagv/v2/helmworks/agv-{number}/connection")
        assert decode(said[0].payload, Connection).connection_state == "ONLINE"
    live.floor.freeze()
    assert live.runtime.run_on(live.floor._lane, lambda: None)
    truth = msgspec.json.decode(live.truth_file.read_bytes(), type=Truth)
    assert truth.frozen
    assert sum(units for _, _, units in truth.stock) == sum(r.units for r in live.site.opening)
    assert (truth.units_missing, truth.robot_conflicts) == ({}, 0)
