"""The web server of a process: begins, says what is wrong with its port, ends in bounded time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from runtime.web import WebServer, WebServerError
from stockhelm.broker import free_port


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/slow":
        await asyncio.sleep(60)
    if scope["path"] == "/broken":
        raise RuntimeError("broken on purpose")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer(app, "127.0.0.1", free_port())
    server.start()
    yield server
    server.stop()


def get(server: WebServer, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{server._port}{path}", timeout=10)


def is_alive(server: WebServer) -> bool:
    return server.alive


def test_it_serves_when_start_returns_and_not_after_stop(server: WebServer) -> None:
    assert get(server, "/x").text == "/x"
    assert is_alive(server)
    server.stop()
    assert not is_alive(server)
    with pytest.raises(httpx.ConnectError):
        get(server, "/x")


def test_its_port_is_free_again_at_once(server: WebServer) -> None:
    assert get(server, "/x").text == "/x"
    server.stop()
    again = WebServer(app, "127.0.0.1", server._port)
    again.start()
    assert get(again, "/y").text == "/y"
    again.stop()


def test_an_error_in_the_application_costs_one_request(server: WebServer) -> None:
    assert get(server, "/broken").status_code == 500
    assert get(server, "/x").status_code == 200


def test_calls_run_on_its_loop_while_it_lives(server: WebServer) -> None:
    where: list[str] = []
    done = threading.Event()

    def call() -> None:
        asyncio.get_running_loop()
        where.append(threading.current_thread().name)
        done.set()

    assert server.post(call)
    assert done.wait(5)
    assert where == [f"web {server._port}"]
    server.stop()
    assert not server.post(call)
    assert len(where) == 1


def test_it_ends_in_time_though_a_request_does_not(server: WebServer) -> None:
    ended = threading.Event()

    def ask() -> None:
        try:
            get(server, "/slow")
        except httpx.HTTPError:
            ended.set()

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(500):
        if server._server.server_state.tasks:
            break
        time.sleep(0.01)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 4
    assert not is_alive(server)
    asking.join(5)
    assert ended.is_set()


def test_random_bytes_cost_only_their_connection(server: WebServer) -> None:
    for junk in (b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x" * 100_000):
        with socket.create_connection(("127.0.0.1", server._port), timeout=5) as connection:
            connection.sendall(junk)
    assert get(server, "/x").status_code == 200


def test_a_busy_port_is_named_with_the_way_out(server: WebServer) -> None:
    with pytest.raises(WebServerError) as busy:
        WebServer(app, "127.0.0.1", server._port).start()
    assert str(busy.value) == (
        f"port {server._port} on 127.0.0.1 is busy (Address already in use): stop the other"
        " program or choose another port"
    )


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(WebServerError, match=r"cannot listen on port 8000 of 192\.0\.2\.1"):
        WebServer(app, "192.0.2.1", 8000).start()


def test_a_server_that_never_began_can_be_stopped() -> None:
    WebServer(app, "127.0.0.1", free_port()).stop()
