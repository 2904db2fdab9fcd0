"""A folder of keys, a guarded broker, and clients that connect as whom they are enrolled."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from runtime.bus import TlsFiles
from runtime.clock import SystemClock
from runtime.mqtt import tls_context
from stockhelm.broker import BrokerConfig, BrokerProcess, find_mosquitto, free_port
from stockhelm.broker_rules import find_plugin
from stockhelm.keyring import Keyring, Wish, init_keyring
from wire.rights import Kind

WAIT_S = 10.0
DENIED = "Not authorized"


class Guarded:
    """A running broker with TLS, and its keys."""

    def __init__(self, ring: Keyring, process: BrokerProcess) -> None:
        self.ring = ring
        self.process = process
        self._clients: list[EnrolledClient] = []

    def enrol(self, name: str, kind: Kind, **wish: Any) -> None:
        self.ring.enrol(Wish(name=name, kind=kind, **wish))

    def tls(self, name: str = "", ring: Keyring | None = None) -> TlsFiles:
        """Return what `name` shows; without a name only whom it trusts."""
        ca = str(self.ring.ca_file)
        if not name:
            return TlsFiles(ca=ca)
        ring = ring or self.ring
        certificate, key = (str(ring.issued_file(name, ending)) for ending in ("crt", "key"))
        return TlsFiles(ca=ca, certificate=certificate, key=key)

    def password(self, name: str) -> str:
        return self.ring.issued_file(name, "password").read_text().strip()

    def client(self, name: str, *, ring: Keyring | None = None, **ways: Any) -> EnrolledClient:
        """Return a client that has not connected yet."""
        made = EnrolledClient(
            self.process.port,
            tls_context(self.tls(name, ring)),
            ways.pop("client_id", name),
            **ways,
        )
        self._clients.append(made)
        return made

    def client_by_password(self, name: str, password: str, **ways: Any) -> EnrolledClient:
        made = EnrolledClient(
            self.process.config.password_port,
            tls_context(self.tls()),
            ways.pop("client_id", name),
            login=(name, password),
            **ways,
        )
        self._clients.append(made)
        return made

    def connected(self, name: str, **ways: Any) -> EnrolledClient:
        client = self.client(name, **ways)
        assert client.connect() == "Success"
        return client

    def close(self) -> None:
        for client in self._clients:  # all at once: each may sleep up to a second
            client.client.disconnect()
        for client in self._clients:
            client.client.loop_stop()


class EnrolledClient:
    """A paho client of MQTT 5: there the broker says what it denies."""

    def __init__(
        self,
        port: int,
        context: ssl.SSLContext | None,
        client_id: str,
        *,
        login: tuple[str, str] | None = None,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
    ) -> None:
        self.port = port
        self.inbox: queue.Queue[MQTTMessage] = queue.Queue()
        self.gone = threading.Event()
        self._said: queue.Queue[str] = queue.Queue()
        self._done: dict[int, str] = {}
        self._changed = threading.Condition()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
        self.client.reconnect_delay_set(60, 60)
        if context is not None:
            self.client.tls_set_context(context)
        if login:
            self.client.username_pw_set(*login)
        self.client.on_connect = lambda *v: self._said.put(str(v[3]))
        self.client.on_disconnect = self._disconnected
        self.client.on_message = lambda _c, _d, message: self.inbox.put(message)
        self.client.on_publish = lambda *v: self._answered(v[2], str(v[3]))
        self.client.on_subscribe = lambda *v: self._answered(v[2], str(v[3][0]))

    def connect(self, host: str = "localhost") -> str:
        """Return what the broker answered, or what TLS says against it."""
        try:
            self.client.connect(host, self.port, keepalive=30)
        except OSError as error:
            return f"{type(error).__name__}: {error}"
        self.client.loop_start()
        return self._said.get(timeout=WAIT_S)

    def publish(self, topic: str, payload: bytes = b"x", **ways: Any) -> str:
        """Return the broker's reason code."""
        return self._reason(self.client.publish(topic, payload, qos=1, **ways).mid)

    def publish_all(self, topics: Sequence[str]) -> dict[str, str]:
        sent = {topic: self.client.publish(topic, b"x", qos=1).mid for topic in topics}
        return {topic: self._reason(mid) for topic, mid in sent.items()}

    def subscribe(self, topic_filter: str) -> str:
        """Return the broker's reason code."""
        mid = self.client.subscribe(topic_filter, qos=1)[1]
        assert mid is not None
        return self._reason(mid)

    def subscribe_all(self, filters: Sequence[str]) -> dict[str, str]:
        asked = {text: self.client.subscribe(text, qos=1)[1] for text in filters}
        return {text: self._reason(mid or 0) for text, mid in asked.items()}

    def next(self) -> MQTTMessage:
        return self.inbox.get(timeout=WAIT_S)

    def vanish(self) -> None:
        """Lose the connection without a goodbye."""
        self.client.loop_stop()
        held = self.client.socket()
        assert isinstance(held, socket.socket)
        held.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _disconnected(self, *_: Any) -> None:
        self.gone.set()
        self._said.put("disconnected")

    def _answered(self, mid: int, reason: str) -> None:
        with self._changed:
            self._done[mid] = reason
            self._changed.notify_all()

    def _reason(self, mid: int) -> str:
        with self._changed:
            assert self._changed.wait_for(lambda: mid in self._done, WAIT_S)
            return self._done.pop(mid)


@contextmanager
def guarded(folder: Path) -> Iterator[Guarded]:
    """Run a broker with keys of its own: `broker` alone is enrolled."""
    if find_mosquitto() is None or find_plugin() is None:
        pytest.skip("mosquitto with its dynamic-security plugin is not installed")
    ring = init_keyring(folder / "keys", SystemClock(), ["localhost", "127.0.0.1"])
    config = BrokerConfig(
        directory=str(folder / "broker"), port=free_port(), keys=str(folder / "keys"),
        password_port=free_port(),
    )  # fmt: skip
    with BrokerProcess(config) as process:
        running = Guarded(ring, process)
        try:
            yield running
        finally:
            running.close()
