"""Serial ports live: pyserial and a reader thread for the host, pseudo-terminals for devices."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Final

import serial

from runtime.clock import Clock
from runtime.lanes import Inbox, Lane
from runtime.ports import PortLostError, PortOpenError

READ_BYTES_MAX: Final = 4096
READ_TIMEOUT_S: Final = 0.2
WRITE_TIMEOUT_S: Final = 1.0
CHUNKS_MAX: Final = 1_000
# What pyserial and the kernel are known to raise when a device goes away.
LINK_ERRORS: Final = (serial.SerialException, OSError, TypeError, termios.error)
SELECT_HANDLES_MAX: Final = 1_024
"""Handles from this number on cannot be waited for by pyserial, which uses select()."""
_Chunk = tuple[bytes, int]


class TooManyHandlesError(PortOpenError):
    """So much is open in this process that pyserial cannot wait for another port."""


def open_serial(path: str, baud: int, read_s: float, write_s: float) -> serial.Serial:
    """Return `path` opened exclusively by pyserial, its waits in seconds. Raises PortOpenError."""
    try:
        opened = serial.Serial(path, baud, timeout=read_s, write_timeout=write_s, exclusive=True)
    except (*LINK_ERRORS, ValueError) as error:
        raise PortOpenError(f"{path}: cannot be opened at {baud} baud: {error}") from error
    # pyserial waits for the port and for two pipes of its own, by which a wait is ended early.
    handle = max(opened.fd, opened.pipe_abort_read_r, opened.pipe_abort_write_r)
    if handle >= SELECT_HANDLES_MAX:
        opened.close()
        raise TooManyHandlesError(
            f"{path}: cannot be opened: it needs handle {handle}, pyserial can wait for those below"
            f" {SELECT_HANDLES_MAX}: close other files, or use a second process"
        )
    return opened


class HostPort:
    """The host's end: opened by pyserial, read by a thread of its own."""

    def __init__(
        self,
        path: str,
        baud: int,
        clock: Clock,
        inbox: Inbox[_Chunk],
        on_lost: Callable[[str], None],
    ) -> None:
        self._serial = open_serial(path, baud, READ_TIMEOUT_S, WRITE_TIMEOUT_S)
        self._path = path
        self._clock = clock
        self._inbox = inbox
        self._on_lost = on_lost
        self._closing = False
        self._thread = threading.Thread(target=self._read, name=f"read {path}", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Return whether this end was closed."""
        return self._closing

    def write(self, data: bytes) -> None:
        """Write all of `data` in bounded time. Raises PortLostError."""
        try:
            self._serial.write(data)
        except LINK_ERRORS as error:
            raise PortLostError(f"{self._path}: write failed: {error}") from error

    def close(self) -> None:
        """Close; nothing is called any more."""
        self._closing = True
        with contextlib.suppress(*LINK_ERRORS):
            self._serial.cancel_read()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * READ_TIMEOUT_S)
        with contextlib.suppress(*LINK_ERRORS):
            self._serial.close()

    def _read(self) -> None:
        while not self._closing:
            try:
                data = self._serial.read(1)
                if data:
                    data += self._serial.read(min(self._serial.in_waiting, READ_BYTES_MAX))
            except LINK_ERRORS as error:
                if not self._closing:
                    self._on_lost(f"{self._path}: read failed: {error}")
                return
            if data and not self._inbox.put((data, self._clock.now_ns())):
                return


class DevicePort:
    """The device's end of a pseudo-terminal; `path` is a link to the host's end."""

    def __init__(self, path: str, clock: Clock, inbox: Inbox[_Chunk]) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        tty.setraw(self._master)
        os.set_blocking(self._master, False)
        # The device's own handle of the host's end stays open: without it the line would
        # hang up each time the host closes, which a cable does not do.
        self._slave = slave
        self._link = Path(path)
        self._link.parent.mkdir(parents=True, exist_ok=True)
        self._link.unlink(missing_ok=True)
        self._name = os.ttyname(slave)
        self._link.symlink_to(self._name)
        self._clock = clock
        self._inbox = inbox
        self._closing = False
        self._thread = threading.Thread(target=self._read, name=f"device {path}", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Return whether this end was closed."""
        return self._closing

    def write(self, data: bytes) -> None:
        """Write all of `data` in bounded time. PortLostError where the host does not read."""
        view = memoryview(data)
        while view:
            try:
                _, writable, _ = select.select([], [self._master], [], WRITE_TIMEOUT_S)
                if not writable:
                    raise PortLostError(f"{self._link}: the host does not read")
                view = view[os.write(self._master, view) :]
            except (OSError, ValueError) as error:
                raise PortLostError(f"{self._link}: write failed: {error}") from error

    def close(self) -> None:
        """Pull the cable: the host's end hangs up and its path disappears. Closed: do nothing."""
        if self._closing:
            return  # its handles may be somebody else's by now
        self._closing = True
        # Another device may have taken the path since.
        if self._link.is_symlink() and str(self._link.readlink()) == self._name:
            self._link.unlink()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * READ_TIMEOUT_S)
        for handle in (self._slave, self._master):
            with contextlib.suppress(OSError):
                os.close(handle)

    def _read(self) -> None:
        while not self._closing:
            readable, _, _ = select.select([self._master], [], [], READ_TIMEOUT_S)
            if not readable:
                continue
            try:
                data = os.read(self._master, READ_BYTES_MAX)
            except OSError:
                return
            if data and not self._inbox.put((data, self._clock.now_ns())):
                return


class SerialPorts:
    """Ports of this machine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: list[HostPort | DevicePort] = []

    def open(
        self,
        path: str,
        baud: int,
        lane: Lane,
        on_bytes: Callable[[list[_Chunk]], None],
        on_lost: Callable[[str], None],
    ) -> HostPort:
        """Open the host's end, exclusively. Raises PortOpenError."""
        port: HostPort | None = None

        def receive(chunks: list[_Chunk]) -> None:
            if port is None or not port.closed:
                on_bytes(chunks)

        def lost(reason: str) -> None:
            lane.post(lambda: None if port is not None and port.closed else on_lost(reason))

        inbox = lane.inbox(path, receive, size_max=CHUNKS_MAX)
        port = HostPort(path, baud, self._clock, inbox, lost)
        self._keep(port)
        return port

    def create(self, path: str, lane: Lane, on_bytes: Callable[[list[_Chunk]], None]) -> DevicePort:
        """Make a pseudo-terminal whose host end appears at `path`."""
        port = DevicePort(path, self._clock, lane.inbox(path, on_bytes, size_max=CHUNKS_MAX))
        self._keep(port)
        return port

    def _keep(self, port: HostPort | DevicePort) -> None:
        """Remember what is open; a line that comes and goes for ever leaves nothing behind."""
        self._open = [kept for kept in self._open if not kept.closed]
        self._open.append(port)

    def close(self) -> None:
        """Close every port."""
        for port in self._open:
            port.close()
        self._open.clear()
