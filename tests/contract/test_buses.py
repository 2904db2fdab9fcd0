"""The bus keeps one contract in memory, on mosquitto and on the embedded broker.

Where the embedded broker (amqtt) does otherwise, the test says so and asks what it can do.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.bus import Bus, BusOptions, Incoming, Will, topic_matches
from runtime.lanes import WhenFull
from runtime.memory_bus import MemoryBus
from runtime.mqtt import MqttBus
from runtime.mqtt_line import BufferedLine
from stockhelm.broker import BrokerConfig, BrokerProcess, find_mosquitto, free_port
from tests.contract.worlds import LiveWorld, VirtualWorld

FILTERS = [
    "a/b/c", "a/+/c", "a/#", "#", "+", "+/+", "+/#", "/+", "+/", "/#", "a/b/c/#", "+/b/+", "a/+/#",
    "//",
]  # fmt: skip
TOPICS = ["a/b/c", "a/x/c", "a/b", "a", "A", "/", "//", "/a", "a/", "a//c", "b/b/b", "a/b/c/d"]


class Ear:
    """A client's subscriptions, and what came of them."""

    def __init__(self) -> None:
        self.got: list[Incoming] = []

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.got]


class Buses:
    """A broker of one kind, and clients of it."""

    def __init__(
        self, kind: str, world: LiveWorld | VirtualWorld, broker: BrokerProcess | None
    ) -> None:
        self.kind = kind
        self.world = world
        self._broker = broker

    def client(self, client_id: str, *, start: bool = True, **options: object) -> Bus:
        port = self._broker.port if self._broker else 1
        settings = replace(BusOptions(client_id=client_id, port=port), **options)  # type: ignore[arg-type]
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

    def listener(
        self, client_id: str, *filters: str, qos: int = 1, **options: object
    ) -> tuple[Bus, Ear]:
        """Return a started client and what it hears on each of its filters."""
        bus, ear = self.client(client_id, start=False, **options), Ear()
        for topic_filter in filters:
            bus.subscribe(topic_filter, self.world.runtime.lane("ear"), ear.got.extend, qos=qos)
        self.begin(bus)
        return bus, ear

    def leave(self, bus: Bus) -> None:
        bus.stop()
        self.world.settle(0.2)

    def vanish(self, bus: Bus) -> None:
        """Lose the connection without a goodbye, as a device without power does."""
        if isinstance(bus, MemoryBus):
            bus.drop()
        else:
            assert isinstance(bus, MqttBus)
            held = bus._client.socket()
            assert isinstance(held, BufferedLine)
            held.shutdown()

    def kill_broker(self) -> None:
        """Kill the broker outright; return when its clients know."""
        if isinstance(self.world, VirtualWorld):
            self.world.runtime.broker.fail()
        else:
            assert self._broker is not None
            assert self._broker.pid is not None
            os.kill(self._broker.pid, signal.SIGKILL)
            assert self._broker.wait(5) is not None

    def start_broker(self) -> None:
        """Start the broker again, with the same port and folder."""
        if isinstance(self.world, VirtualWorld):
            self.world.runtime.broker.recover()
        else:
            assert self._broker is not None
            self._broker.start()


def lane_waits(gate: threading.Event) -> None:
    """Hold up a lane until the gate opens."""
    assert gate.wait(10)


def unique(messages: list[Incoming]) -> list[bytes]:
    """Return the payloads in order of their first arrival."""
    return list(dict.fromkeys(m.payload for m in messages))


@pytest.fixture(params=["memory", "mosquitto", "embedded"])
def buses(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Buses]:
    if request.param == "memory":
        yield Buses("memory", VirtualWorld(), None)
        return
    if request.param == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    config = BrokerConfig(directory=str(tmp_path), port=free_port(), kind=request.param)
    with BrokerProcess(config) as broker:
        world = LiveWorld()
        yield Buses(request.param, world, broker)
        world.close()


# --- topics -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matches"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/d", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("+/b", "/b", True),
        ("+", "", True),
        ("a/b", "a/b/c", False),
        ("a/b/+", "a/b", False),
        ("a/b/+", "a/b/", True),
    ],
)
def test_topic_filters_match_as_mqtt_says(topic_filter: str, topic: str, *, matches: bool) -> None:
    assert topic_matches(topic_filter, topic) is matches


def test_wildcards_match_on_the_broker_as_they_do_here(buses: Buses) -> None:
    # One client for each filter: what overlapping filters of one client do is another test.
    ears = {f: buses.listener(f"reader-{n}", f, "end")[1] for n, f in enumerate(FILTERS)}
    writer = buses.client("writer")

    for _ in range(200):  # a busy broker takes one subscription after the other
        writer.publish("end", b"begin")
        buses.world.settle(0.05)
        if all(ear.got for ear in ears.values()):
            break
    for ear in ears.values():
        ear.got.clear()
    for topic in TOPICS:
        assert writer.publish(topic, topic.encode())
    writer.publish("end", b"end")
    wanted = {f: [t.encode() for t in TOPICS if topic_matches(f, t)] for f in FILTERS}
    buses.world.until(lambda: all({*wanted[f], b"end"} <= set(ears[f].payloads) for f in FILTERS))
    for topic_filter, ear in ears.items():
        got = [p for p in unique(ear.got) if p not in {b"begin", b"end"}]
        right = wanted[topic_filter]
        if buses.kind == "embedded":  # amqtt hands out each message by a task of its own
            got, right = sorted(got), sorted(right)
        assert got == right, topic_filter


def test_topics_of_the_broker_itself_are_not_in_a_wildcard(buses: Buses) -> None:
    _, everything = buses.listener("reader", "#", "+/+")
    writer = buses.client("writer")
    if buses.kind == "embedded":
        # amqtt stops serving a client that publishes to a topic with $ (nothing here does).
        writer.publish("a/b", b"end")
    else:
        _, hidden = buses.listener("other", "$house/#")
        writer.publish("$house/a", b"hidden")
        writer.publish("a/b", b"end")
        assert buses.world.until(lambda: hidden.payloads == [b"hidden"])
    assert buses.world.until(lambda: b"end" in everything.payloads)
    assert {message.topic for message in everything.got} == {"a/b"}


@pytest.mark.parametrize("topic", ["a/+", "#", "a/#/b", ""])
def test_nobody_publishes_to_a_wildcard(buses: Buses, topic: str) -> None:
    bus = buses.client("writer")
    with pytest.raises(ValueError, match=r"(?i)topic"):
        bus.publish(topic, b"x")


def test_overlapping_filters_of_one_client_lose_nothing(buses: Buses) -> None:
    bus = buses.client("reader", start=False)
    ears = {topic_filter: Ear() for topic_filter in ("a/b", "a/+", "#")}
    for topic_filter, ear in ears.items():
        bus.subscribe(topic_filter, buses.world.runtime.lane("ear"), ear.got.extend)
    buses.begin(bus)
    writer = buses.client("writer")
    writer.publish("a/b", b"1")
    writer.publish("a/b", b"end")
    assert buses.world.until(lambda: all(b"end" in ear.payloads for ear in ears.values()))
    buses.world.settle(0.2)
    for ear in ears.values():
        if buses.kind == "embedded":
            # amqtt sends a copy for each filter (MQTT 3.1.1, 3.3.5 lets it).
            assert unique(ear.got) == [b"1", b"end"]
        else:
            assert ear.payloads == [b"1", b"end"]


def test_a_client_hears_itself(buses: Buses) -> None:
    bus, ear = buses.listener("alone", "t")
    bus.publish("t", b"me")
    assert buses.world.until(lambda: ear.payloads == [b"me"])


def test_messages_of_one_publisher_keep_their_order(buses: Buses) -> None:
    _, ear = buses.listener("reader", "site/+/scan")
    writers = [buses.client(f"writer-{n}") for n in range(3)]
    for number in range(200):
        for n, writer in enumerate(writers):
            assert writer.publish(f"site/{n}/scan", b"%d" % number)
    assert buses.world.until(lambda: len(ear.got) == 600)
    for n in range(3):
        mine = [m.payload for m in ear.got if m.topic == f"site/{n}/scan"]
        assert mine == [b"%d" % number for number in range(200)]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_384, 65_536])
def test_payloads_of_any_size_pass_unchanged(buses: Buses, size: int) -> None:
    _, ear = buses.listener("reader", "big")
    writer = buses.client("writer")
    payload = (bytes(range(256)) * 256)[:size]
    for qos in (0, 1):
        assert writer.publish("big", payload, qos=qos)
    assert buses.world.until(lambda: len(ear.got) == 2)
    assert ear.payloads == [payload, payload]


# --- retained -----------------------------------------------------------------------------------


def test_a_retained_message_waits_for_who_comes_later_and_only_the_newest(buses: Buses) -> None:
    _, early = buses.listener("early", "status/#")
    writer = buses.client("writer")
    writer.publish("status/x", b"old", retain=True)
    writer.publish("status/x", b"new", retain=True)
    writer.publish("status/x", b"passing")
    assert buses.world.until(lambda: early.payloads == [b"old", b"new", b"passing"])
    assert not any(message.retained for message in early.got)
    _, late = buses.listener("late", "status/+")
    assert buses.world.until(lambda: len(late.got) == 1)
    assert (late.got[0].payload, late.got[0].retained) == (b"new", True)
    writer.publish("status/x", b"newer", retain=True)
    assert buses.world.until(lambda: len(late.got) == 2)
    assert (late.got[1].payload, late.got[1].retained) == (b"newer", False)


def test_an_empty_retained_message_forgets_and_is_heard_by_who_is_there(buses: Buses) -> None:
    _, early = buses.listener("early", "status/#")
    writer = buses.client("writer")
    writer.publish("status/x", b"there", retain=True)
    writer.publish("status/x", b"", retain=True)
    writer.publish("status/y", b"stays", retain=True)
    assert buses.world.until(lambda: early.payloads == [b"there", b"", b"stays"])
    _, late = buses.listener("late", "status/+")
    assert buses.world.until(lambda: late.payloads == [b"stays"])


def test_each_new_subscription_gets_what_is_retained(buses: Buses) -> None:
    buses.client("writer").publish("status/x", b"kept", retain=True)
    bus, first = buses.listener("reader", "status/x")
    assert buses.world.until(lambda: first.payloads == [b"kept"])
    second = Ear()
    bus.subscribe("status/+", buses.world.runtime.lane("ear"), second.got.extend)
    assert buses.world.until(lambda: second.payloads == [b"kept"])
    assert all(message.retained for message in second.got)


# --- last will ----------------------------------------------------------------------------------


def test_the_last_will_is_said_when_a_client_vanishes_and_the_client_comes_back(
    buses: Buses,
) -> None:
    _, ear = buses.listener("reader", "wills/#")
    will = Will(topic="wills/device", payload=b"gone")
    device, told = buses.listener("device", "tell", will=will)
    births: list[int] = []
    device.on_connect(buses.world.runtime.lane("births"), lambda: births.append(1))
    assert buses.world.until(lambda: len(births) == 1)
    buses.vanish(device)
    assert buses.world.until(lambda: ear.payloads == [b"gone"])
    assert not ear.got[0].retained
    _, late = buses.listener("late", "wills/+")
    assert buses.world.until(lambda: late.payloads == [b"gone"])
    assert late.got[0].retained, "the will was to be retained"
    assert buses.world.until(lambda: len(births) == 2 and device.connected)
    buses.world.settle(0.2)
    buses.client("writer").publish("tell", b"again")
    assert buses.world.until(lambda: told.payloads == [b"again"])


def test_a_will_that_is_not_retained_is_gone_when_it_is_said(buses: Buses) -> None:
    _, ear = buses.listener("reader", "wills/#")
    will = Will(topic="wills/device", payload=b"gone", retain=False)
    buses.vanish(buses.client("device", will=will))
    assert buses.world.until(lambda: ear.payloads == [b"gone"])
    _, late = buses.listener("late", "wills/#")
    assert late.payloads == []


def test_a_goodbye_says_no_will(buses: Buses) -> None:
    _, ear = buses.listener("reader", "wills/#")
    device = buses.client("device", will=Will(topic="wills/device", payload=b"gone"))
    assert device.publish("wills/other", b"last word")
    buses.leave(device)
    buses.client("writer").publish("wills/end", b"end")
    assert buses.world.until(lambda: b"end" in ear.payloads)
    assert ear.payloads == [b"last word", b"end"]


# --- sessions -----------------------------------------------------------------------------------


def test_a_lasting_session_gets_what_came_while_it_was_away(buses: Buses) -> None:
    first, _ = buses.listener("edge", "journal/+", clean_session=False)
    buses.leave(first)
    writer = buses.client("writer")
    for number in range(30):
        writer.publish("journal/a", b"%d" % number, retain=number == 7)
    writer.publish("other", b"x")
    buses.world.settle(0.3)
    _, ear = buses.listener("edge", "journal/+", clean_session=False)
    assert buses.world.until(lambda: len(ear.got) >= 31)
    # First what waited, in order and not marked as retained; then, to the subscription that the
    # client sends again, what is retained.
    assert ear.payloads[:30] == [b"%d" % n for n in range(30)]
    assert not any(message.retained for message in ear.got[:30])
    assert {(m.payload, m.retained) for m in ear.got[30:]} == {(b"7", True)}


def test_quality_0_is_not_kept_for_who_is_away(buses: Buses) -> None:
    for name, qos in (("one", 1), ("zero", 0)):
        buses.leave(buses.listener(name, "t", qos=qos, clean_session=False)[0])
    writer = buses.client("writer")
    writer.publish("t", b"qos 0", qos=0)
    writer.publish("t", b"qos 1")
    buses.world.settle(0.3)
    _, one = buses.listener("one", "t", clean_session=False)
    _, zero = buses.listener("zero", "t", qos=0, clean_session=False)
    writer.publish("t", b"end")
    assert buses.world.until(lambda: b"end" in one.payloads and b"end" in zero.payloads)
    if buses.kind == "embedded":
        # amqtt keeps QoS 0 as well (MQTT 3.1.1, 3.1.2-4 lets it).
        assert one.payloads == [b"qos 0", b"qos 1", b"end"]
    else:
        assert one.payloads == [b"qos 1", b"end"]
    assert zero.payloads == [b"end"]


def test_a_clean_session_loses_everything(buses: Buses) -> None:
    buses.leave(buses.listener("edge", "t", clean_session=False)[0])
    writer = buses.client("writer")
    writer.publish("t", b"waits")
    buses.world.settle(0.2)
    clean, clean_ear = buses.listener("edge", "other", clean_session=True)
    buses.leave(clean)
    writer.publish("t", b"to nobody")
    buses.world.settle(0.2)
    _, ear = buses.listener("edge", "t", clean_session=False)
    writer.publish("t", b"end")
    assert buses.world.until(lambda: ear.payloads == [b"end"])
    assert clean_ear.payloads == []


@pytest.mark.parametrize("clean", [True, False])
def test_a_second_client_of_the_same_name_takes_over(buses: Buses, *, clean: bool) -> None:
    _, wills = buses.listener("watcher", "wills")
    will = Will(topic="wills", payload=b"first is gone", retain=False)
    first, first_ear = buses.listener("twin", "t", clean_session=clean, will=will)
    second, ear = buses.listener("twin", "t", clean_session=clean)
    assert buses.world.until(lambda: second.connected and not first.connected, 0.9)
    first.stop()  # else it takes the name back after a second, and so on for ever
    writer = buses.client("writer")
    writer.publish("t", b"x")
    writer.publish("wills", b"end")
    assert buses.world.until(lambda: ear.payloads == [b"x"] and b"end" in wills.payloads)
    assert first_ear.payloads == []
    # A session that goes on is not gone: its will is not said.
    assert wills.payloads == ([b"first is gone", b"end"] if clean else [b"end"])


def test_two_clients_that_share_a_name_take_it_from_each_other_for_ever(buses: Buses) -> None:
    taken: list[str] = []
    for name in ("first", "second"):
        bus = buses.client("twin", start=False)
        bus.on_connect(buses.world.runtime.lane(name), lambda n=name: taken.append(n))  # type: ignore[misc]
        bus.start()
        assert buses.world.until(lambda n=name: taken[-1:] == [n])  # type: ignore[misc]
    assert buses.world.until(lambda: len(taken) >= 4)
    assert taken[:4] == ["first", "second", "first", "second"]


# --- away ---------------------------------------------------------------------------------------


def test_what_is_published_before_the_connection_is_sent_after_it(buses: Buses) -> None:
    _, ear = buses.listener("reader", "t")
    early = buses.client("early", start=False)
    sent = [b"%d" % number for number in range(50)]
    assert all(early.publish("t", payload) for payload in sent)
    early.start()
    assert buses.world.until(lambda: len(ear.got) == 50)
    assert ear.payloads == sent


def test_a_full_queue_says_so_and_queues_nothing(buses: Buses) -> None:
    _, ear = buses.listener("reader", "t")
    bus = buses.client("lonely", start=False, queued_messages_max=3)
    assert [bus.publish("t", b"%d" % n) for n in range(5)] == [True] * 3 + [False] * 2
    assert bus.publish("t", b"x", qos=0) is False, "QoS 0 waits for nobody"
    buses.begin(bus)
    assert buses.world.until(lambda: len(ear.got) == 3)
    assert bus.publish("t", b"after")
    assert buses.world.until(lambda: ear.payloads == [b"0", b"1", b"2", b"after"])


def test_a_killed_broker_forgets_all_and_its_clients_find_it_again(buses: Buses) -> None:
    writer = buses.client("writer")
    buses.leave(buses.listener("away", "t", clean_session=False)[0])
    reader, ear = buses.listener("reader", "t", clean_session=False)
    writer.publish("kept", b"x", retain=True)
    writer.publish("t", b"before")
    assert buses.world.until(lambda: ear.payloads == [b"before"])
    buses.kill_broker()
    assert buses.world.until(lambda: not (writer.connected or reader.connected))
    assert writer.publish("t", b"meanwhile"), "QoS 1 waits in the client"
    assert writer.publish("t", b"lost", qos=0) is False
    buses.start_broker()
    assert buses.world.until(lambda: writer.connected and reader.connected, 30)
    buses.world.settle(0.5)
    writer.publish("t", b"after")
    assert buses.world.until(lambda: ear.payloads[-1] == b"after")
    # Whether `meanwhile` found its reader depends on who came back first.
    assert ear.payloads in ([b"before", b"after"], [b"before", b"meanwhile", b"after"])
    _, kept = buses.listener("curious", "kept")
    _, away = buses.listener("away", "other", clean_session=False)
    buses.world.settle(0.3)
    assert kept.payloads == []
    assert away.payloads == []


# --- slow consumers -----------------------------------------------------------------------------


@pytest.mark.parametrize("when_full", [WhenFull.WAIT, WhenFull.DROP_OLDEST])
def test_a_slow_consumer_loses_nothing_or_the_oldest_as_it_asked(
    buses: Buses, when_full: WhenFull
) -> None:
    got: list[int] = []
    other = Ear()
    gate = threading.Event()
    lane = buses.world.runtime.lane("slow")

    def handle(batch: list[Incoming]) -> None:
        got.extend(int(message.payload) for message in batch)

    reader = buses.client("reader", start=False)
    reader.subscribe("numbers", lane, handle, size_max=10, when_full=when_full)
    buses.begin(reader)
    buses.listener("other", "numbers")[0].subscribe(
        "numbers", buses.world.runtime.lane("quick"), other.got.extend
    )
    writer = buses.client("writer")
    if isinstance(buses.world, LiveWorld):
        lane.post(lambda: lane_waits(gate))
    assert all(writer.publish("numbers", b"%d" % number) for number in range(1_000))
    assert buses.world.until(lambda: len(unique(other.got)) == 1_000), "others are not slowed"
    gate.set()
    assert buses.world.until(lambda: bool(got) and got[-1] == 999)
    if when_full is WhenFull.WAIT:
        assert got == list(range(1_000))
    else:
        assert got[-10:] == list(range(990, 1_000))
        assert got == sorted(set(got))


def test_a_process_with_more_than_a_thousand_open_files_hears_and_speaks(buses: Buses) -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 1_100:
        pytest.skip(f"this process may open {most} files, 1100 are needed")
    with contextlib.ExitStack() as held:
        handle = 0
        while handle < 1_030:  # beyond what select() takes
            handle = os.open("/dev/null", os.O_RDONLY)
            held.callback(os.close, handle)
        _, ear = buses.listener("ear", "a")
        buses.client("mouth").publish("a", b"1")
        assert buses.world.until(lambda: ear.payloads == [b"1"])
        begun_s = time.process_time()
        buses.world.settle(1.0)
        assert time.process_time() - begun_s < 0.08, "idle clients spin"
