"""The desk's page over TLS, and when it refuses to be served without."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from central.config import DeskConfig
from runtime.broker_link import BrokerConfig
from runtime.bus import TlsFiles
from runtime.clock import SystemClock
from runtime.config import ConfigError, parse_config, to_toml
from runtime.web import WebServer, WebServerError
from stockhelm.broker import free_port
from stockhelm.keyring import Keyring, Wish, init_keyring
from tests.unit.test_desk_web import app
from wire.rights import Kind

WAIT_S = 10.0
FIELDS: dict[str, Any] = {
    "site_id": "FC1", "site_dir": "s", "data_dir": "d", "database_url": "sqlite:///x",
}  # fmt: skip


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    ring = init_keyring(tmp_path / "keys", SystemClock(), ["localhost"])
    ring.enrol(Wish(name="desk", kind=Kind.DESK, hosts=("localhost",)))
    return ring


@pytest.fixture
def server(ring: Keyring) -> Iterator[WebServer]:
    certificate, key = (str(ring.issued_file("desk", ending)) for ending in ("crt", "key"))
    server = WebServer(app, "127.0.0.1", free_port(), certificate=certificate, key=key)
    server.start()
    yield server
    server.stop()


def test_a_browser_that_trusts_the_ca_gets_the_page(server: WebServer, ring: Keyring) -> None:
    trusting = ssl.create_default_context(cafile=str(ring.ca_file))
    port = server._port
    assert httpx.get(f"https://localhost:{port}/x", verify=trusting, timeout=WAIT_S).text == "/x"
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(f"https://localhost:{port}/x", timeout=WAIT_S)
    with pytest.raises(httpx.ConnectError, match="not valid for '127"):
        httpx.get(f"https://127.0.0.1:{port}/x", verify=trusting, timeout=WAIT_S)


def test_without_tls_nothing_is_answered(server: WebServer) -> None:
    with socket.create_connection(("127.0.0.1", server._port), timeout=WAIT_S) as line:
        line.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in line.recv(1_000)


def test_a_certificate_that_cannot_be_shown_is_named(ring: Keyring) -> None:
    for certificate, key in (
        ("absent.crt", "absent.key"),
        (str(ring.ca_file), str(ring.issued_file("desk", "key"))),
    ):
        with pytest.raises(WebServerError, match=r"tls\.certificate = .*: expected a certificate"):
            WebServer(app, "127.0.0.1", free_port(), certificate=certificate, key=key)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "desk.local", "::"])
def test_others_are_served_with_tls_or_where_it_is_said_aloud(host: str) -> None:
    text = to_toml(DeskConfig(**FIELDS))
    assert parse_config(text, DeskConfig, name="desk.toml").host == "127.0.0.1"
    open_text = text.replace('"127.0.0.1"', f'"{host}"', 1)
    with pytest.raises(ConfigError, match=r"desk\.toml: host = .*: expected tls beside an address"):
        parse_config(open_text, DeskConfig, name="desk.toml")
    DeskConfig(**FIELDS, host=host, plain_http=True)
    tls = '[tls]\ncertificate = "a"\nkey = "b"\n'
    with_tls = open_text.partition("[tls]")[0] + tls
    assert parse_config(with_tls, DeskConfig, name="desk.toml").tls.key == "b"


def test_half_a_certificate_is_refused() -> None:
    text = to_toml(DeskConfig(**FIELDS)).partition("[tls]")[0]
    with pytest.raises(ConfigError, match="expected certificate and key together"):
        parse_config(text + '[tls]\ncertificate = "a"\n', DeskConfig, name="desk.toml")
    with pytest.raises(ValueError, match="expected ca beside the certificate"):
        BrokerConfig(tls=TlsFiles(certificate="a", key="b"))
