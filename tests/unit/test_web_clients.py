"""Clients that do not ask in time are cut off, and do not keep others out meanwhile."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from runtime.web import WebServer
from runtime.web_clients import CONNECTIONS_MAX
from stockhelm.broker import free_port

HALF = b"GET /x HTT"
WHOLE = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
BEGUN_BODY = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Echo a body; hold a WebSocket and send it what it says."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (heard := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": heard["text"]})
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body or b"asked"})


class Site:
    """A server whose clients have half a second."""

    def __init__(self, request_s_max: float) -> None:
        self.counted: Counter[str] = Counter()
        self.port = free_port()

        def count(name: str) -> None:
            self.counted[name] += 1

        self.server = WebServer(
            app, "127.0.0.1", self.port, count=count, request_s_max=request_s_max
        )
        self.server.start()

    def client(self, said: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        client.sendall(said)
        return client

    def get(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}/", timeout=5).text


@pytest.fixture
def quick() -> Iterator[Site]:
    site = Site(request_s_max=0.5)
    yield site
    site.server.stop()


@pytest.fixture
def patient() -> Iterator[Site]:
    site = Site(request_s_max=60)
    yield site
    site.server.stop()


def is_cut(client: socket.socket) -> bool:
    """Return whether the other side ends the connection without a word."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", HALF, WHOLE[:-2], BEGUN_BODY])
def test_who_does_not_ask_in_time_is_cut_off(quick: Site, said: bytes) -> None:
    with quick.client(said) as client:
        assert is_cut(client)
    assert quick.counted == {"web_clients_late": 1}
    assert quick.get() == "asked"


def test_a_byte_now_and_then_buys_no_time(quick: Site) -> None:
    with quick.client(HALF) as client:
        client.settimeout(0.1)
        cut = False
        for _ in range(100):
            try:
                client.sendall(b"a")
                cut = client.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                cut = True
            break
        assert cut


def test_who_asked_and_half_asks_again_is_cut_off_too(quick: Site) -> None:
    with quick.client(WHOLE + HALF) as client:
        answer = b""
        while more := client.recv(4_096):
            answer += more
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1") == 1


def test_who_asks_in_time_keeps_the_connection(quick: Site) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{quick.port}") as client:
        sent = [client.post("/", content=b"x" * 10_000).text for _ in range(20)]
    assert sent == ["x" * 10_000] * 20
    assert not quick.counted


def test_a_websocket_outlives_the_time_to_ask(quick: Site) -> None:
    address = f"ws://127.0.0.1:{quick.port}/"
    with connect(address, proxy=None) as page, quick.client(HALF) as late:
        assert is_cut(late)  # a time has passed in which one who does not ask is cut off
        with quick.client(HALF) as later:
            assert is_cut(later)
        page.send("still here")
        assert page.recv(timeout=5) == "still here"
    assert quick.counted == {"web_clients_late": 2}


def test_clients_that_only_wait_make_room_for_who_asks(patient: Site) -> None:
    with ExitStack() as held, connect(f"ws://127.0.0.1:{patient.port}/", proxy=None) as page:
        waiting = [held.enter_context(patient.client(HALF)) for _ in range(CONNECTIONS_MAX + 8)]
        for _ in range(3):
            assert patient.get() == "asked"
        assert all(is_cut(client) for client in waiting[:8])  # who waited longest went
        waiting[-1].sendall(WHOLE[len(HALF) :])
        assert waiting[-1].recv(12) == b"HTTP/1.1 200"
        page.send("still here")
        assert page.recv(timeout=5) == "still here"
    assert patient.counted["web_clients_displaced"] >= 8
    assert patient.counted["web_clients_late"] == 0
