"""The thread that talks to the broker, and a line that is read in large pieces.

paho knows MQTT; its own loop costs more than that. It asks the system for a packet's first byte,
then for its length byte by byte, then for the rest, and wakes itself for each packet it queues.
Each of these calls gives the interpreter away, and another thread keeps it for a while.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode

READ_BYTES: Final = 1 << 16
LOOK_S: Final = 1.0
"""So often at least keepalive is looked at."""
WAKES_READ: Final = 4_096
READS_PER_TURN_MAX: Final = 200
"""Then what waits to be sent has its turn, however much comes in."""


class BufferedLine:
    """A connection whose bytes are fetched many at a time and handed out as they are asked for."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._held = b""
        self._at = 0

    def recv(self, size: int) -> bytes:
        """Return at most `size` bytes; empty where the other side closed."""
        if self._at >= len(self._held):
            self._held, self._at = self._line.recv(READ_BYTES), 0
        begin = self._at
        chunk = self._held[begin : begin + size]
        self._at = begin + len(chunk)
        return chunk

    def held(self) -> int:
        """Return how many bytes are here that no select will tell of."""
        waiting: Callable[[], int] | None = getattr(self._line, "pending", None)
        return len(self._held) - self._at or (waiting() if waiting else 0)

    def send(self, data: bytes | bytearray) -> int:
        """Send what the socket takes now; return how many bytes that were."""
        return self._line.send(data)

    def fileno(self) -> int:
        """Return the socket's number, -1 once closed."""
        return self._line.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as the standard library has it
        """Let calls wait, or not."""
        self._line.setblocking(flag)

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Set an option of the socket."""
        self._line.setsockopt(level, option, value)

    def shutdown(self) -> None:
        """Lose the connection without a goodbye."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._line.close()


class BufferedClient(Client):
    """A client of paho's on such lines, with one handler for all messages.

    Where a later paho knows these two methods under other names, this is slower and works all the
    same; a test says so.
    """

    def _create_socket(self) -> Any:
        line = super()._create_socket()
        return BufferedLine(line) if isinstance(line, socket.socket) else line

    def _handle_on_message(self, message: MQTTMessage) -> None:
        # paho's own looks for handlers by topic, and leaves a ring of six objects behind for each
        # message: many thousands of them stop everybody for milliseconds when they are collected.
        if self.on_message is not None:
            self.on_message(self, None, message)


class Network:
    """The network thread of one client; it connects, again and again, until it shall end."""

    def __init__(
        self, client: Client, *, name: str, wait_s: tuple[float, float],
        on_unreached: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        self._client = client
        self._wait_s_min, self._wait_s_max = wait_s
        self._on_unreached = on_unreached
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)  # noqa: FBT003 - as the standard library has it
        self._ending = threading.Event()
        self._given_up = threading.Event()
        client.on_socket_register_write = self._wants_to_write
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Connect in the background."""
        self._thread.start()

    def end(self) -> None:
        """Try no more to connect; end once the connection is closed."""
        self._ending.set()
        self._wake()

    def close(self, timeout_s: float) -> None:
        """Wait for the end; a goodbye that the broker does not take in time is given up."""
        self.end()
        if threading.current_thread() is not self._thread and self._thread.ident is not None:
            self._thread.join(timeout_s)
            self._given_up.set()
            self._wake()
            self._thread.join()
        self._wake_read.close()
        self._wake_write.close()

    def _wants_to_write(self, *_: Any) -> None:
        if threading.current_thread() is not self._thread:
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake
            self._wake_write.send(b"!")

    def _run(self) -> None:
        wait_s = self._wait_s_min
        while not self._ending.is_set():
            try:
                self._client.reconnect()
            except OSError as error:
                self._on_unreached(error)
            else:
                if self._talk():
                    wait_s = self._wait_s_min
            self._ending.wait(wait_s)
            wait_s = min(wait_s * 2, self._wait_s_max)

    def _talk(self) -> bool:
        """Serve the connection until it is gone; return whether the broker had taken it."""
        client, was_connected = self._client, False
        while not self._given_up.is_set():
            line = client.socket()
            if line is None:
                break
            if not self._turn(line):
                break
            was_connected = was_connected or client.is_connected()
        return was_connected

    def _turn(self, line: Any) -> bool:
        """Wait for something to do and do it; return False where the connection is gone."""
        client = self._client
        here = line.held() if isinstance(line, BufferedLine) else 0
        readable, woken = self._wait(line, 0.0 if here else LOOK_S)
        if woken:
            with contextlib.suppress(OSError):
                self._wake_read.recv(WAKES_READ)
        if readable or here:
            for _ in range(READS_PER_TURN_MAX):
                if client.loop_read():
                    return False
                if not (isinstance(line, BufferedLine) and line.held()):
                    break
        # Also where nothing is left to write: paho wakes us once until it knows that all is gone.
        if (woken or client.want_write()) and client.loop_write():
            return False
        return client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS

    def _wait(self, line: Any, timeout_s: float) -> tuple[bool, bool]:
        """Wait for the line or a wake-up; return whether the line, and the wake-up, has some.

        Not by select(): that refuses descriptors from 1024 on, as where an edge has many devices.
        """
        poll, number = select.poll(), line.fileno()
        if number < 0:  # closed meanwhile: reading tells so
            return True, False
        wanted = select.POLLIN | (select.POLLOUT if self._client.want_write() else 0)
        poll.register(number, wanted)
        poll.register(self._wake_read, select.POLLIN)
        events = dict(poll.poll(timeout_s * 1_000))
        return bool(events.get(number, 0) & ~select.POLLOUT), self._wake_read.fileno() in events
