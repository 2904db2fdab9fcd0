"""The line that paho reads from: bytes come in pieces of any size, and none is lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from paho.mqtt.enums import CallbackAPIVersion

from runtime.mqtt_line import READ_BYTES, BufferedClient, BufferedLine


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
