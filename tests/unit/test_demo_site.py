"""The demo's files: each loads in its process; the guest has a scanner and no work."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from central.config import CentralConfig, DeskConfig
from central.tasking.floor import make_floor
from edge.config import EdgeConfig
from runtime.clock import SystemClock
from runtime.config import load_config
from runtime.mqtt import tls_context
from sim_hardware.config import SimConfig
from stockhelm.broker import BrokerConfig
from stockhelm.demo_keys import secure
from stockhelm.demo_site import GUEST, GUEST_SCANNER, DemoSite, Ports, write_demo


@pytest.fixture
def demo(tmp_path: Path) -> DemoSite:
    ports = Ports(broker=2883, desk=8080, pictures=8081)
    return write_demo(tmp_path, seed=7, speed=4.0, ports=ports, sales=None)


def test_every_process_finds_its_file_and_the_same_broker(demo: DemoSite) -> None:
    broker = load_config(demo.config("broker"), BrokerConfig)
    assert (broker.host, broker.port) == ("127.0.0.1", 2883)
    assert Path(broker.directory).parent == demo.directory
    ports = {load_config(demo.config(f"edge-{e}"), EdgeConfig).broker.port for e in demo.edges}
    ports |= {load_config(demo.config("central"), CentralConfig).broker.port}
    ports |= {load_config(demo.config("desk"), DeskConfig).broker.port}
    ports |= {load_config(demo.config("sim"), SimConfig).broker.port}
    assert ports == {broker.port}


def test_everybody_can_be_enrolled_and_finds_their_certificate(demo: DemoSite) -> None:
    ring = secure(demo, SystemClock())
    assert load_config(demo.config("broker"), BrokerConfig).keys == str(ring.folder)
    edges = [load_config(demo.config(f"edge-{e}"), EdgeConfig) for e in demo.edges]
    sim = load_config(demo.config("sim"), SimConfig)
    links = [
        load_config(demo.config("central"), CentralConfig).broker.tls,
        load_config(demo.config("desk"), DeskConfig).broker.tls,
        *(edge.broker.tls for edge in edges),
    ]
    devices = ["floor", *(robot.serial for robot in demo.site.robots)]
    devices += [row.device_id for edge in edges for row in edge.scanners if not row.path]
    devices += [row.camera_id for edge in edges for row in edge.smart_cameras]
    assert GUEST_SCANNER in devices
    options = [sim.broker.options(name, "any").tls for name in devices]
    for files in (*links, *options):
        assert files is not None
        tls_context(files)
    assert len(ring.valid()) == len(links) + len(devices) + 1  # and the broker


def test_the_guest_has_a_scanner_that_nobody_simulated_holds(demo: DemoSite) -> None:
    edge = load_config(demo.config(f"edge-{GUEST.edge_id}"), EdgeConfig)
    (own,) = [row for row in edge.scanners if row.device_id == GUEST_SCANNER]
    assert (own.person_id, own.path) == (GUEST.person_id, "")
    held = load_config(demo.config("sim"), SimConfig).scanners
    assert [s.device_id for s in held] == [f"scanner-{n}" for n in range(1, 7)]
    assert [s.person_id for s in held] == [f"p{n}" for n in range(1, 7)]


def test_no_task_is_given_to_the_guest(demo: DemoSite) -> None:
    with (demo.directory / "site" / "people.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert rows[-1] == {"person_id": "guest", "name": "Guest", "edge_id": "B", "roles": ""}
    workers = make_floor(demo.site, ()).workers
    assert GUEST not in {person for people in workers.values() for person in people}
    assert sum(len(people) for people in workers.values()) == 2 * 2 + 4 + 2
