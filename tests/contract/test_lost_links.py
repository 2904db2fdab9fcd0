"""A device's connection that is lost without a goodbye, in memory and on a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.bus import BusOptions, Incoming, Will
from sim_hardware.devices.uplink import Uplink
from stockhelm.broker import BrokerConfig, BrokerProcess, find_mosquitto, free_port
from tests.contract.worlds import LiveWorld, VirtualWorld

World = LiveWorld | VirtualWorld


@pytest.fixture(params=["memory", "mosquitto"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, int]]:
    if request.param == "memory":
        yield VirtualWorld(), 1
        return
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    with BrokerProcess(BrokerConfig(directory=str(tmp_path), port=free_port())) as broker:
        live = LiveWorld()
        yield live, broker.port
        live.close()


class Site:
    """A device and whoever listens to it."""

    def __init__(self, world: World, port: int) -> None:
        self.world, self.port = world, port
        self.heard: list[tuple[str, bytes]] = []
        self.orders: list[bytes] = []
        ear = world.runtime.bus(BusOptions(client_id="ear", port=port))
        ear.subscribe("device/#", world.runtime.lane("ear"), self._hear)
        ear.start()
        assert world.until(lambda: ear.connected)
        world.settle(0.2)
        self.ear = ear
        lane = world.runtime.lane("device")
        self.uplink = Uplink(world.runtime, lane, self.options("gone"))
        self.uplink.subscribe("order", lane, self._obey)
        self.uplink.on_connect(lane, lambda: self._say("birth", b"here"))
        self.uplink.start()
        assert self.world.until(lambda: ("device/birth", b"here") in self.heard)

    def options(self, will: str) -> BusOptions:
        last = Will(topic="device/will", payload=will.encode(), retain=False)
        return BusOptions(client_id="device", port=self.port, will=last)

    def wait_for(self, topic: str, payload: bytes) -> bool:
        return self.world.until(lambda: (f"device/{topic}", payload) in self.heard)

    def _say(self, topic: str, payload: bytes) -> None:
        self.uplink.publish(f"device/{topic}", payload)

    def _hear(self, batch: list[Incoming]) -> None:
        self.heard += [(message.topic, message.payload) for message in batch]

    def _obey(self, batch: list[Incoming]) -> None:
        self.orders += [message.payload for message in batch]


def test_a_lost_link_says_its_will_and_sends_what_waited_when_it_is_back(
    world: tuple[World, int],
) -> None:
    site = Site(*world)
    site.uplink.lose()
    assert site.wait_for("will", b"gone")
    site.uplink.publish("device/word", b"late")
    site.ear.publish("order", b"unheard")
    site.world.settle(1.5)
    assert ("device/word", b"late") not in site.heard
    assert not site.uplink.connected
    site.heard.clear()
    site.uplink.find()
    assert site.wait_for("birth", b"here")
    assert site.wait_for("word", b"late")
    site.ear.publish("order", b"heard")
    assert site.world.until(lambda: site.orders == [b"heard"])
    site.uplink.stop()


def test_a_boot_forgets_what_waited_and_has_another_will(world: tuple[World, int]) -> None:
    site = Site(*world)
    site.uplink.lose()
    assert site.wait_for("will", b"gone")
    site.uplink.publish("device/word", b"forgotten")
    site.heard.clear()
    site.uplink.boot(site.options("gone again"))
    assert site.wait_for("birth", b"here")
    site.world.settle(0.5)
    assert ("device/word", b"forgotten") not in site.heard
    site.ear.publish("order", b"heard")
    assert site.world.until(lambda: site.orders == [b"heard"])
    site.uplink.lose()
    assert site.wait_for("will", b"gone again")
    site.uplink.stop()
