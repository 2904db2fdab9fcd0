"""The bus keeps one contract in memory, on mosquitto and on the embedded broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.bus import Bus, BusOptions, Incoming, Will, topic_matches
from stockhelm.broker import BrokerConfig, BrokerProcess, find_mosquitto, free_port
from tests.contract.worlds import LiveWorld, VirtualWorld


class Buses:
    """A broker of one kind, and clients of it."""

    def __init__(self, world: LiveWorld | VirtualWorld, port: int) -> None:
        self.world = world
        self._port = port

    def client(self, client_id: str, *, start: bool = True, **options: object) -> Bus:
        settings = replace(BusOptions(client_id=client_id, port=self._port), **options)  # type: ignore[arg-type]
        bus = self.world.runtime.bus(settings)
        if start:
            self.begin(bus)
        return bus

    def begin(self, bus: Bus) -> None:
        """Start `bus` and wait until it is connected and its subscriptions stand."""
        ready: list[bool] = []
        bus.on_connect(self.world.runtime.lane("ready"), lambda: ready.append(True))
        bus.start()
        assert self.world.until(lambda: bool(ready))
        self.world.settle(0.2)


def unique(messages: list[Incoming]) -> list[bytes]:
    """Return the payloads in order of their first arrival."""
    return list(dict.fromkeys(m.payload for m in messages))


@pytest.fixture(params=["memory", "mosquitto", "embedded"])
def buses(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Buses]:
    if request.param == "memory":
        yield Buses(VirtualWorld(), 0)
        return
    if request.param == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    config = BrokerConfig(directory=str(tmp_path), port=free_port(), kind=request.param)
    with BrokerProcess(config) as broker:
        world = LiveWorld()
        yield Buses(world, broker.port)
        world.close()


def test_a_message_reaches_whoever_asked_for_its_topic(buses: Buses) -> None:
    got: list[Incoming] = []
    other: list[Incoming] = []
    reader = buses.client("reader", start=False)
    lane = buses.world.runtime.lane("reader")
    reader.subscribe("site/+/scan", lane, got.extend)
    reader.subscribe("site/#", lane, other.extend)
    buses.begin(reader)
    writer = buses.client("writer")
    for number in range(20):
        assert writer.publish("site/a/scan", b"%d" % number)
    writer.publish("site/a/other", b"x")
    # Where filters overlap a broker may deliver a copy for each (MQTT 3.1.1, 3.3.5).
    assert buses.world.until(lambda: len(unique(got)) == 20 and len(unique(other)) == 21)
    assert unique(got) == [b"%d" % n for n in range(20)]


def test_a_retained_message_waits_for_who_comes_later(buses: Buses) -> None:
    writer = buses.client("writer")
    writer.publish("status/x", b"old", retain=True)
    writer.publish("status/x", b"new", retain=True)
    buses.world.settle(0.3)
    got: list[Incoming] = []
    reader = buses.client("reader", start=False)
    reader.subscribe("status/+", buses.world.runtime.lane("reader"), got.extend)
    buses.begin(reader)
    assert buses.world.until(lambda: len(got) == 1)
    assert (got[0].payload, got[0].retained) == (b"new", True)


def test_the_last_will_is_said_when_another_takes_the_name(buses: Buses) -> None:
    got: list[Incoming] = []
    reader = buses.client("reader", start=False)
    reader.subscribe("wills", buses.world.runtime.lane("reader"), got.extend)
    buses.begin(reader)
    device = buses.client("device", will=Will(topic="wills", payload=b"gone"), start=False)
    buses.begin(device)
    if isinstance(buses.world, VirtualWorld):
        device.drop()  # type: ignore[attr-defined]
    else:
        device._client._sock_close()  # type: ignore[attr-defined]
    assert buses.world.until(lambda: [m.payload for m in got[:1]] == [b"gone"], timeout_s=40)


def test_a_lasting_session_gets_what_came_while_it_was_away(buses: Buses) -> None:
    got: list[Incoming] = []
    first = buses.client("edge", start=False, clean_session=False)
    first.subscribe("journal", buses.world.runtime.lane("first"), got.extend)
    buses.begin(first)
    first.stop()
    buses.world.settle(0.2)
    writer = buses.client("writer")
    for number in range(5):
        writer.publish("journal", b"%d" % number)
    buses.world.settle(0.3)
    second = buses.client("edge", start=False, clean_session=False)
    second.subscribe("journal", buses.world.runtime.lane("second"), got.extend)
    buses.begin(second)
    assert buses.world.until(lambda: len(got) == 5)
    assert [m.payload for m in got] == [b"%d" % n for n in range(5)]


def test_what_is_published_before_the_connection_is_sent_after_it(buses: Buses) -> None:
    got: list[Incoming] = []
    reader = buses.client("reader", start=False)
    reader.subscribe("t", buses.world.runtime.lane("reader"), got.extend)
    buses.begin(reader)
    early = buses.client("early", start=False)
    assert early.publish("t", b"before")
    early.start()
    assert buses.world.until(lambda: [m.payload for m in got] == [b"before"])


def test_a_full_queue_says_so_and_queues_nothing(buses: Buses) -> None:
    bus = buses.client("lonely", start=False, queued_messages_max=3)
    accepted = [bus.publish("t", b"x") for _ in range(10)]
    assert accepted.count(True) <= 4
    assert accepted[-1] is False


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matches"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/d", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "$SYS/x", False),
        ("+/b", "/b", True),
        ("a/b", "a/b/c", False),
        ("a/b/+", "a/b", False),
    ],
)
def test_topic_filters_match_as_mqtt_says(topic_filter: str, topic: str, *, matches: bool) -> None:
    assert topic_matches(topic_filter, topic) is matches
