"""The demo with everybody enrolled: keys for each process and device, and TLS in each file."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from central.config import CentralConfig, DeskConfig
from edge.agent import other_devices
from edge.config import EdgeConfig
from edge.scanning.strangers import answering_edge
from runtime.bus import TlsFiles
from runtime.clock import Clock
from runtime.config import load_config, to_toml
from sim_hardware.config import SimConfig
from stockhelm.broker import BrokerConfig
from stockhelm.demo_site import DemoSite
from stockhelm.keyring import Keyring, Wish, init_keyring
from wire.rights import Kind

HOSTS: Final = ("localhost", "127.0.0.1")


def secure(demo: DemoSite, clock: Clock) -> Keyring:
    """Enrol everybody of the demo and have its files ask for TLS; return the keys."""
    ring = init_keyring(demo.directory / "keys", clock, HOSTS)
    for wish in _wishes(demo):
        ring.enrol(wish)
    broker = load_config(demo.config("broker"), BrokerConfig)
    _write(demo, "broker", replace(broker, keys=str(ring.folder)))
    for edge in demo.edges:
        config = load_config(demo.config(f"edge-{edge}"), EdgeConfig)
        link = replace(config.broker, tls=_files(ring, edge))
        _write(demo, f"edge-{edge}", replace(config, broker=link))
    central = load_config(demo.config("central"), CentralConfig)
    link = replace(central.broker, tls=_files(ring, "central"))
    _write(demo, "central", replace(central, broker=link))
    desk = load_config(demo.config("desk"), DeskConfig)
    _write(demo, "desk", replace(desk, broker=replace(desk.broker, tls=_files(ring, "desk"))))
    sim = load_config(demo.config("sim"), SimConfig)
    _write(demo, "sim", replace(sim, broker=replace(sim.broker, tls=_files(ring, "{name}"))))
    return ring


def _wishes(demo: DemoSite) -> list[Wish]:
    wishes = [
        Wish(name="central", kind=Kind.CENTRAL),
        Wish(name="desk", kind=Kind.DESK),
        Wish(name="floor", kind=Kind.FLOOR),
    ]
    for edge in demo.edges:
        config = load_config(demo.config(f"edge-{edge}"), EdgeConfig)
        over_mqtt = (row.device_id for row in config.scanners if not row.path)
        own = (*over_mqtt, *other_devices(config))
        # One edge refuses devices that nobody knows: it may answer all.
        own = () if edge == answering_edge(demo.site) else own
        wishes.append(Wish(name=edge, kind=Kind.EDGE, devices=own))
        wishes += [
            Wish(name=row.device_id, kind=Kind.SCANNER, person=row.person_id)
            for row in config.scanners
            if not row.path
        ]
        wishes += [Wish(name=row.camera_id, kind=Kind.CAMERA) for row in config.smart_cameras]
    wishes += [
        Wish(name=robot.serial, kind=Kind.ROBOT, manufacturer=robot.manufacturer)
        for robot in demo.site.robots
    ]
    return wishes


def _files(ring: Keyring, name: str) -> TlsFiles:
    certificate, key = (str(ring.issued_file(name, ending)) for ending in ("crt", "key"))
    return TlsFiles(ca=str(ring.ca_file), certificate=certificate, key=key)


def _write(demo: DemoSite, name: str, config: msgspec.Struct) -> None:
    demo.config(name).write_text(to_toml(config), encoding="utf-8")
