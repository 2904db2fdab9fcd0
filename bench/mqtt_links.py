"""Many MQTT 3.1.1 connections from one thread: what a load sends must not cost more than its peer.

Each link publishes at QoS 1 on one topic and hears one other. The packets are made by hand: a
client library takes as long for a message as the program that is measured.
"""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Final

from stockhelm.bench import BenchError

CONNECT: Final = 0x10
CONNACK: Final = 0x20
PUBLISH: Final = 0x30
PUBACK: Final = 0x40
SUBSCRIBE: Final = 0x82
SUBACK: Final = 0x90
QOS_1: Final = 0x02
HEADER_BYTES_MIN: Final = 2
READ_BYTES: Final = 1 << 16
PACKET_IDS: Final = 65_535
READY_S_MAX: Final = 10.0
SELECTED_MAX: Final = 100
Hear = Callable[["Link", bytes], None]


class Link:
    """One device's connection."""

    def __init__(
        self, name: str, *, port: int, sends_on: str, hears: str, tls: ssl.SSLContext | None
    ) -> None:
        self.name = name
        self._topic = _text(sends_on)
        self._packet_id = 0
        self._out = bytearray()
        self._in = bytearray()
        line = socket.create_connection(("127.0.0.1", port), timeout=READY_S_MAX)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line = tls.wrap_socket(line, server_hostname="localhost") if tls else line
        self._ask(CONNECT, _text("MQTT") + b"\x04\x02\x00\x00" + _text(name), CONNACK)
        self._ask(SUBSCRIBE, b"\x00\x01" + _text(hears) + b"\x01", SUBACK)
        self.line.setblocking(False)  # noqa: FBT003 - as the standard library has it

    @property
    def wants_to_write(self) -> bool:
        """Return whether something waits for the socket."""
        return bool(self._out)

    def publish(self, payload: bytes) -> None:
        """Send a message as far as the socket takes it now."""
        self._packet_id = self._packet_id % PACKET_IDS + 1
        body = len(self._topic) + 2 + len(payload)
        self._out += bytes((PUBLISH | QOS_1,)) + _length(body) + self._topic
        self._out += self._packet_id.to_bytes(2, "big") + payload
        self.flush()

    def flush(self) -> None:
        """Send what waits."""
        while self._out:
            try:
                sent = self.line.send(self._out)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            del self._out[:sent]

    def read(self) -> list[bytes]:
        """Return the payloads that came; each is acknowledged."""
        while True:
            try:
                chunk = self.line.recv(READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            if not chunk:
                raise BenchError(f"the broker closed the connection of {self.name}")
            self._in += chunk
            if not isinstance(self.line, ssl.SSLSocket) and len(chunk) < READ_BYTES:
                break
        return [payload for payload in map(self._heard, self._packets()) if payload is not None]

    def close(self) -> None:
        """End the connection."""
        self.line.close()

    def _ask(self, kind: int, body: bytes, answer: int) -> None:
        self.line.sendall(bytes((kind,)) + _length(len(body)) + body)
        said = self.line.recv(4)
        if not said or said[0] != answer or (answer == CONNACK and said[3]):
            raise BenchError(f"the broker refused {self.name}: {said.hex()}")
        if answer == SUBACK and len(said) < said[1] + 2:
            self.line.recv(said[1] + 2 - len(said))

    def _packets(self) -> Iterable[tuple[int, bytes]]:
        """Yield (first byte, body) of each whole packet that is here."""
        begin, found = 0, self._in
        while len(found) - begin >= HEADER_BYTES_MIN:
            length = shift = 0
            at = begin + 1
            while at < len(found):
                length |= (found[at] & 0x7F) << shift
                shift += 7
                at += 1
                if not found[at - 1] & 0x80:
                    break
            else:
                break
            if len(found) < at + length:
                break
            yield found[begin], bytes(found[at : at + length])
            begin = at + length
        del found[:begin]

    def _heard(self, packet: tuple[int, bytes]) -> bytes | None:
        kind, body = packet
        if kind & 0xF0 != PUBLISH:
            return None
        begin = 2 + int.from_bytes(body[:2], "big")
        if not kind & QOS_1:
            return body[begin:]
        self._out += bytes((PUBACK, 2)) + body[begin : begin + 2]
        self.flush()
        return body[begin + 2 :]


class Links:
    """All links of a load."""

    def __init__(self, links: list[Link]) -> None:
        self.links = links
        # epoll waits in whole milliseconds: what is due in 0.2 ms would go out 0.8 ms too late.
        few = len(links) <= SELECTED_MAX
        self._selector = selectors.SelectSelector() if few else selectors.DefaultSelector()
        self._writing: set[Link] = set()
        for link in links:
            self._selector.register(link.line, selectors.EVENT_READ, link)

    def turn(self, hear: Hear, timeout_s: float) -> None:
        """Let `hear` have what came within the time; send what sockets take."""
        for key, events in self._selector.select(timeout_s):
            link: Link = key.data
            if events & selectors.EVENT_WRITE:
                link.flush()
            if events & selectors.EVENT_READ:
                for payload in link.read():
                    hear(link, payload)
        for link in self.links:
            if link.wants_to_write != (link in self._writing):
                self._watch(link)

    def _watch(self, link: Link) -> None:
        events = selectors.EVENT_READ
        self._writing.discard(link)
        if link.wants_to_write:
            events |= selectors.EVENT_WRITE
            self._writing.add(link)
        self._selector.modify(link.line, events, link)

    def close(self) -> None:
        """End all connections."""
        self._selector.close()
        for link in self.links:
            link.close()


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _length(length: int) -> bytes:
    """Return a remaining length as MQTT 3.1.1 has it (section 2.2.3)."""
    found = bytearray()
    while True:
        length, low = divmod(length, 128)
        found.append(low | (0x80 if length else 0))
        if not length:
            return bytes(found)
