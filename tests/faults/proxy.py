"""A TCP proxy between one process and the broker: cut, half open, reset, late and slow lines.

It also knows where MQTT packets begin, so that a test can act at the very packet it waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Self

from stockhelm.broker import free_port

Way = Literal["up", "down"]
"""`up` is from the process to the broker."""
CHUNK_BYTES: Final = 4_096
LOOK_S: Final = 0.01
PUBLISH: Final = 3
PUBACK: Final = 4


@dataclass(frozen=True, slots=True)
class Packet:
    """One MQTT packet: its kind (PUBLISH 3, PUBACK 4), and topic and id where it has them."""

    kind: int
    topic: str = ""
    packet_id: int = 0


@dataclass(slots=True)
class Packets:
    """Bytes of one way in, whole packets out. Source of the layout: MQTT 3.1.1, 2.2 and 3.3."""

    _rest: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that are whole now."""
        self._rest += data
        found = []
        while (sizes := self._sizes()) is not None:
            head, body = sizes
            found.append(_packet(self._rest[0], bytes(self._rest[head : head + body])))
            del self._rest[: head + body]
        return found

    def _sizes(self) -> tuple[int, int] | None:
        """Return the lengths of the first packet's header and rest, None where it is not whole."""
        length = 0
        for place in range(1, min(len(self._rest), 5)):
            length |= (self._rest[place] & 0x7F) << 7 * (place - 1)
            if not self._rest[place] & 0x80:
                head = place + 1
                return (head, length) if len(self._rest) >= head + length else None
        return None


def _packet(first: int, body: bytes) -> Packet:
    kind = first >> 4
    if kind == PUBACK:
        return Packet(kind, packet_id=int.from_bytes(body[:2], "big"))
    if kind != PUBLISH:
        return Packet(kind)
    end = 2 + int.from_bytes(body[:2], "big")
    packet_id = int.from_bytes(body[end : end + 2], "big") if first & 0x06 else 0
    return Packet(kind, body[2:end].decode(errors="replace"), packet_id)


class Proxy:
    """Listens on a free port of its own and hands on to the broker's, on a thread of its own.

    What a test sets holds for lines that exist and for new ones.
    """

    def __init__(self, broker_port: int) -> None:
        self.port = free_port()
        self.latency_s = 0.0
        self.bytes_per_s = 0.0
        """0: as fast as it goes."""
        self.held: frozenset[Way] = frozenset()
        """Ways on which nothing passes; nobody is told."""
        self.refuses = False
        """Whether new lines are closed at once."""
        self.on_packet: Callable[[Way, Packet], None] = lambda _way, _packet: None
        self.lines_made = 0
        self._broker_port = broker_port
        self._lines: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        """The process's end of each line, and the broker's."""
        self._stuck: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}")
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10.0)
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    def reset(self) -> None:
        """Break all lines with a TCP reset, to both sides."""
        asyncio.run_coroutine_threadsafe(self._reset(), self._loop).result(10.0)

    def half_open(self) -> None:
        """Close the broker's ends of all lines that there are; the process is not told."""
        asyncio.run_coroutine_threadsafe(self._half_open(), self._loop).result(10.0)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.refuses:
                await self._hand_on(reader, writer)
        except OSError:
            pass  # one side is gone: both are
        finally:
            self._tasks.discard(task)
            self._lines.pop(writer, None)
            self._stuck.discard(writer)
            writer.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
        up_writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines_made += 1
        self._lines[writer] = up_writer
        ways = {
            asyncio.create_task(self._pump("up", reader, up_writer, writer)),
            asyncio.create_task(self._pump("down", up_reader, writer, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            up_writer.close()

    async def _pump(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        line: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        packets = Packets()
        while True:
            try:
                data = await reader.read(CHUNK_BYTES)
            except OSError:
                data = b""
            while way in self.held or line in self._stuck:  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(LOOK_S)
            if not data:
                return
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            if self.bytes_per_s:
                await asyncio.sleep(len(data) / self.bytes_per_s)
            for packet in packets.feed(data):
                self.on_packet(way, packet)
            writer.write(data)
            await writer.drain()

    async def _reset(self) -> None:
        for pair in list(self._lines.items()):
            for line in pair:
                sock = line.get_extra_info("socket")
                if sock is not None:
                    with contextlib.suppress(OSError):
                        linger = struct.pack("ii", 1, 0)  # closing sends a reset
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                line.transport.abort()

    async def _half_open(self) -> None:
        for line, upstream in self._lines.items():
            self._stuck.add(line)
            upstream.transport.abort()

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
