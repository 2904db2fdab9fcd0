"""The line that paho reads from: bytes come in pieces of any size, and none is lost."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from types import CellType

import pytest
from paho.mqtt.enums import CallbackAPIVersion

from runtime import mqtt_line
from runtime.mqtt_line import READ_BYTES, BufferedClient, BufferedLine, Network


@pytest.fixture
def ends() -> Iterator[tuple[BufferedLine, socket.socket]]:
    ours, theirs = socket.socketpair()
    line = BufferedLine(ours)
    line.setblocking(flag=False)
    yield line, theirs
    line.close()
    theirs.close()


def test_bytes_are_handed_out_as_they_are_asked_for(
    ends: tuple[BufferedLine, socket.socket],
) -> None:
    line, broker = ends
    broker.sendall(b"\x40\x02\x00\x07")
    assert [line.recv(1), line.held(), line.recv(1), line.recv(10)] == [
        b"\x40",
        3,
        b"\x02",
        b"\0\7",
    ]
    assert line.held() == 0
    with pytest.raises(BlockingIOError):
        line.recv(1)


def test_what_does_not_fit_into_one_piece_comes_with_the_next(
    ends: tuple[BufferedLine, socket.socket],
) -> None:
    line, broker = ends
    sent = bytes(range(256)) * (READ_BYTES // 256 + 2)
    broker.settimeout(5)
    got = b""
    broker.sendall(sent[:READ_BYTES])
    while len(got) < READ_BYTES:
        got += line.recv(1_000)
    broker.sendall(sent[READ_BYTES:])
    while len(got) < len(sent):
        got += line.recv(7)
    assert got == sent


def test_an_end_is_told_after_all_that_came_before(
    ends: tuple[BufferedLine, socket.socket],
) -> None:
    line, broker = ends
    broker.sendall(b"last")
    broker.close()
    assert [line.recv(4), line.recv(4)] == [b"last", b""]


def test_this_paho_takes_its_connections_from_where_they_are_buffered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = BufferedClient(CallbackAPIVersion.VERSION2, client_id="a")
        client.connect_async("127.0.0.1", server.getsockname()[1])
        client.reconnect()
        assert isinstance(client.socket(), BufferedLine)
        client.reinitialise()


def test_this_paho_leaves_no_rings_of_objects_behind_messages() -> None:
    client = BufferedClient(CallbackAPIVersion.VERSION2, client_id="a")
    heard: list[bytes] = []
    client.on_message = lambda _client, _data, message: heard.append(bytes(message.payload))
    packet = b"\x00\x01a\x00\x07body"
    gc.collect()
    gc.disable()
    try:
        before = cells_held()
        for _ in range(500):
            client._in_packet |= {"command": 0x32, "packet": bytearray(packet)}
            client._packet_handle()
        left = cells_held() - before
    finally:
        gc.enable()
    assert heard == [b"body"] * 500
    assert left < 500, "paho's own way leaves a generator's three cells behind each message"


def cells_held() -> int:
    """Return how many variables of closures are held; what else threads leave is not of this."""
    return sum(isinstance(held, CellType) for held in gc.get_objects())


def wait_until(what: Callable[[], bool]) -> None:
    """Wait for a thread, for a while."""
    for _ in range(500):
        if what():
            return
        threading.Event().wait(0.01)


def test_a_message_goes_at_once_after_the_thread_was_woken_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt_line, "LOOK_S", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = BufferedClient(CallbackAPIVersion.VERSION2, client_id="a")
        client.connect_async("127.0.0.1", server.getsockname()[1])
        connected = threading.Event()
        client.on_connect = lambda *_: connected.set()
        network = Network(client, name="net", wait_s=(1.0, 1.0), on_unreached=lambda _: None)
        network.start()
        broker, _ = server.accept()
        with broker:
            broker.settimeout(10)
            assert broker.recv(1_000)[0] == 0x10  # CONNECT
            broker.sendall(b"\x20\x02\x00\x00")
            assert connected.wait(10)
            for number in range(20):
                client._call_socket_register_write()  # what was to be written is gone already
                wait_until(lambda: not client._registered_write)
                client.publish("a", str(number))
                assert broker.recv(1_000).endswith(str(number).encode())
        network.close(1.0)
        client.reinitialise()
