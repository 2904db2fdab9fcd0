"""What stockhelm relies on in a broker, on each broker that it starts."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import pytest
from paho.mqtt.client import Client, MQTTMessage, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion

from stockhelm.broker import (
    MESSAGE_BYTES_MAX,
    BrokerConfig,
    BrokerProcess,
    answers_mqtt,
    find_mosquitto,
    free_port,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from paho.mqtt.client import ConnectFlags
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

WAIT_S = 10.0


class Peer:
    """A paho client that keeps what it gets."""

    def __init__(self, port: int, name: str, *, clean: bool = True, keepalive_s: int = 30) -> None:
        self.inbox: queue.Queue[MQTTMessage] = queue.Queue()
        self.session_present = False
        self._connected = threading.Event()
        self._acknowledged: queue.Queue[int] = queue.Queue()
        self._port = port
        self._keepalive_s = keepalive_s
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean)
        self.client.max_inflight_messages_set(200)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *values: self._acknowledged.put(values[2])
        self.client.on_message = lambda _client, _data, message: self.inbox.put(message)

    def connect(self) -> None:
        self.client.connect("127.0.0.1", self._port, keepalive=self._keepalive_s)
        self.client.loop_start()
        assert self._connected.wait(WAIT_S)

    def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        _, asked = self.client.subscribe(topic_filter, qos)
        assert asked is not None
        assert self._acknowledged.get(timeout=WAIT_S) == asked

    def publish(
        self, topic: str, payload: bytes = b"x", qos: int = 1, *, retain: bool = False
    ) -> None:
        self.client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(WAIT_S)

    def next(self) -> MQTTMessage:
        return self.inbox.get(timeout=WAIT_S)

    def payloads(self, count: int) -> list[bytes]:
        return [bytes(self.next().payload) for _ in range(count)]

    def until(self, payload: bytes) -> list[MQTTMessage]:
        """Return what comes before this payload: the proof that nothing else was on its way."""
        before = []
        while (message := self.next()).payload != payload:
            before.append(message)
        return before

    def vanish(self) -> None:
        """Lose the connection without a goodbye, as a device without power does."""
        self.client.loop_stop()
        held = self.client.socket()
        assert isinstance(held, socket.socket)
        held.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(
        self,
        _client: Client,
        _data: object,
        flags: ConnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self.session_present = flags.session_present
        self._connected.set()


class Broker:
    """A running broker and the clients of one test."""

    def __init__(self, process: BrokerProcess) -> None:
        self.process = process
        self.port = process.port
        self._peers: list[Peer] = []

    def peer(self, name: str, *, clean: bool = True, keepalive_s: int = 30) -> Peer:
        peer = Peer(self.port, name, clean=clean, keepalive_s=keepalive_s)
        self._peers.append(peer)
        peer.connect()
        return peer

    def say_goodbye(self) -> None:
        for peer in self._peers:
            peer.leave()


@contextmanager
def running(kind: Literal["mosquitto", "embedded"], directory: Path) -> Iterator[Broker]:
    if kind == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    with BrokerProcess(
        BrokerConfig(kind=kind, port=free_port(), directory=str(directory))
    ) as process:
        broker = Broker(process)
        try:
            yield broker
        finally:
            broker.say_goodbye()


@pytest.fixture(params=["mosquitto", "embedded"])
def any_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    with running(request.param, tmp_path) as broker:
        yield broker


def test_messages_arrive_once_in_order_at_each_quality(any_broker: Broker) -> None:
    taker = any_broker.peer("taker")
    giver = any_broker.peer("giver")
    for qos in (0, 1, 2):
        taker.subscribe(f"order/{qos}", qos)
        sent = [f"{qos}-{i}".encode() for i in range(50)]
        for payload in sent:
            giver.publish(f"order/{qos}", payload, qos)
        assert taker.payloads(50) == sent
    assert taker.inbox.empty()


def test_two_hundred_messages_a_second_from_eight_clients_arrive_complete(
    any_broker: Broker,
) -> None:
    taker = any_broker.peer("taker")
    taker.subscribe("load/+/scan")
    givers = [any_broker.peer(f"giver-{i}") for i in range(8)]
    sent = [b"%d/%d" % (giver, i) for i in range(75) for giver in range(8)]
    waiting = [
        givers[int(payload.split(b"/")[0])].client.publish(
            f"load/{payload.split(b'/')[0].decode()}/scan", payload, qos=1
        )
        for payload in sent
    ]
    assert sorted(taker.payloads(len(sent))) == sorted(sent)
    for info in waiting:
        info.wait_for_publish(WAIT_S)
    assert all(info.is_published() for info in waiting)
    assert taker.inbox.empty()


@pytest.mark.parametrize(
    "topic_filter", ["a/b/c", "a/+/c", "a/#", "#", "+/b/+", "a/b/c/#", "b/#", "a/+", "+"]
)
def test_wildcards_match_as_in_the_standard(any_broker: Broker, topic_filter: str) -> None:
    taker = any_broker.peer("taker")
    giver = any_broker.peer("giver")
    taker.subscribe(topic_filter)
    taker.subscribe("end")
    topics = ["a/b/c", "a/b", "a", "b", "a/x/c", "a/b/c/d", "/a/b/c", "b/b/b"]
    for topic in topics:
        giver.publish(topic)
    giver.publish("end", b"end")
    got = [message.topic for message in taker.until(b"end")]
    wanted = [topic for topic in topics if topic_matches_sub(topic_filter, topic)]
    assert got == wanted


def test_overlapping_filters_of_one_client_lose_nothing(any_broker: Broker) -> None:
    taker = any_broker.peer("taker")
    taker.subscribe("a/+")
    taker.subscribe("a/b")
    taker.subscribe("end")
    giver = any_broker.peer("giver")
    giver.publish("a/b", b"1")
    giver.publish("end", b"end")
    assert {message.payload for message in taker.until(b"end")} == {b"1"}


def test_a_retained_message_meets_who_subscribes_later_and_nobody_else(
    any_broker: Broker,
) -> None:
    giver = any_broker.peer("giver")
    early = any_broker.peer("early")
    early.subscribe("state/#")
    giver.publish("state/scanner-1", b"old", retain=True)
    giver.publish("state/scanner-1", b"new", retain=True)
    assert [early.next().retain, early.next().retain] == [False, False]
    late = any_broker.peer("late")
    late.subscribe("other/#")
    late.subscribe("state/+")
    message = late.next()
    assert (message.payload, message.retain) == (b"new", True)
    giver.publish("other/end", b"end")
    assert late.until(b"end") == []


def test_an_empty_retained_message_forgets(any_broker: Broker) -> None:
    giver = any_broker.peer("giver")
    giver.publish("state/x", b"there", retain=True)
    giver.publish("state/x", b"", retain=True)
    late = any_broker.peer("late")
    late.subscribe("state/#")
    giver.publish("state/end", b"end")
    assert late.until(b"end") == []


def test_the_last_will_is_said_and_retained_when_a_client_vanishes(any_broker: Broker) -> None:
    watcher = any_broker.peer("watcher")
    watcher.subscribe("birth/#")
    device = Peer(any_broker.port, "device")
    device.client.will_set("birth/device", b"offline", qos=1, retain=True)
    device.connect()
    device.publish("birth/device", b"online", retain=True)
    assert watcher.next().payload == b"online"
    device.vanish()
    assert watcher.next().payload == b"offline"
    late = any_broker.peer("late")
    late.subscribe("birth/+")
    message = late.next()
    assert (message.payload, message.retain) == (b"offline", True)


def test_the_last_will_is_not_said_after_a_goodbye(any_broker: Broker) -> None:
    watcher = any_broker.peer("watcher")
    watcher.subscribe("birth/#")
    device = Peer(any_broker.port, "device")
    device.client.will_set("birth/device", b"offline", qos=1)
    device.connect()
    device.leave()
    any_broker.peer("giver").publish("birth/end", b"end")
    assert watcher.until(b"end") == []


def test_the_last_will_is_said_of_a_client_that_falls_silent(any_broker: Broker) -> None:
    watcher = any_broker.peer("watcher")
    watcher.subscribe("birth/#")
    device = Peer(any_broker.port, "device", keepalive_s=1)
    device.client.will_set("birth/device", b"offline", qos=1)
    device.connect()
    device.client.loop_stop()  # the connection stays open, and nobody speaks on it
    assert watcher.next().payload == b"offline"
    device.client.disconnect()


def test_a_kept_session_gets_what_came_while_it_was_away(any_broker: Broker) -> None:
    giver = any_broker.peer("giver")
    first = any_broker.peer("keeper", clean=False)
    first.subscribe("journal/#")
    giver.publish("journal/a", b"before")
    assert first.next().payload == b"before"
    first.leave()
    for i in range(30):
        giver.publish("journal/a", b"away-%d" % i)
    second = any_broker.peer("keeper", clean=False)
    assert second.session_present
    got = [second.next() for _ in range(30)]
    assert [message.payload for message in got] == [b"away-%d" % i for i in range(30)]
    assert not any(message.retain for message in got)
    giver.publish("journal/a", b"after")
    assert second.next().payload == b"after"


def test_a_clean_session_gets_nothing_of_what_came_while_it_was_away(any_broker: Broker) -> None:
    giver = any_broker.peer("giver")
    first = any_broker.peer("forgetful")
    first.subscribe("journal/#")
    first.leave()
    giver.publish("journal/a", b"away")
    second = any_broker.peer("forgetful")
    assert not second.session_present
    second.subscribe("journal/#")
    giver.publish("journal/a", b"end")
    assert second.until(b"end") == []


def test_a_second_client_of_the_same_name_takes_over(any_broker: Broker) -> None:
    gone = threading.Event()
    first = Peer(any_broker.port, "twin")
    first.client.on_disconnect = lambda *_: gone.set()
    first.client.reconnect_delay_set(60, 60)
    first.connect()
    first.subscribe("twin/#")
    second = any_broker.peer("twin")
    second.subscribe("twin/#")
    assert gone.wait(WAIT_S)
    any_broker.peer("giver").publish("twin/x", b"1")
    assert second.next().payload == b"1"
    first.leave()
    assert first.inbox.empty()


def test_an_unsubscribed_topic_is_silent(any_broker: Broker) -> None:
    taker = any_broker.peer("taker")
    taker.subscribe("a")
    taker.subscribe("end")
    done = threading.Event()
    taker.client.on_unsubscribe = lambda *_: done.set()
    taker.client.unsubscribe("a")
    assert done.wait(WAIT_S)
    giver = any_broker.peer("giver")
    giver.publish("a", b"1")
    giver.publish("end", b"end")
    assert taker.until(b"end") == []


def test_what_is_longer_than_we_take_still_reaches_who_refuses_it(any_broker: Broker) -> None:
    taker = any_broker.peer("taker")
    taker.subscribe("big")
    any_broker.peer("giver").publish("big", bytes(200_000))
    assert len(taker.next().payload) == 200_000


def test_a_huge_message_costs_only_its_sender(any_broker: Broker) -> None:
    taker = any_broker.peer("taker")
    taker.subscribe("big")
    giver = any_broker.peer("giver")
    other = Peer(any_broker.port, "other")
    other.connect()
    other.client.publish("big", bytes(4 * MESSAGE_BYTES_MAX), qos=0)
    giver.publish("big", b"end")
    assert taker.until(b"end") == []
    other.leave()


def test_random_bytes_cost_only_their_sender(any_broker: Broker) -> None:
    taker = any_broker.peer("taker")
    taker.subscribe("a")
    giver = any_broker.peer("giver")
    for junk in (
        b"\x00" * 64,
        b"\xff" * 64,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\x7f",
        b"",
    ):
        with socket.create_connection(("127.0.0.1", any_broker.port), timeout=WAIT_S) as connection:
            connection.sendall(junk)
    giver.publish("a", b"1")
    assert taker.next().payload == b"1"


def test_clients_that_come_and_go_at_once_are_all_served(any_broker: Broker) -> None:
    giver = any_broker.peer("giver")
    for i in range(20):
        giver.publish(f"state/{i}", b"%d" % i, retain=True)
    peers = [Peer(any_broker.port, f"crowd-{i}") for i in range(20)]
    threads = [threading.Thread(target=peer.connect) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    for i, peer in enumerate(peers):
        peer.client.subscribe(f"state/{i}", 1)
    for i, peer in enumerate(peers):
        assert peer.next().payload == b"%d" % i
        peer.leave()


def test_it_ends_when_asked_with_clients_connected(any_broker: Broker) -> None:
    any_broker.peer("a").subscribe("#")
    any_broker.process.stop()
    assert any_broker.process.pid is None
    assert not answers_mqtt("127.0.0.1", any_broker.port)
