"""Real pseudo-terminals under a virtual clock: the kernel and pyserial carry every byte.

Linux hands bytes from one end of a pseudo-terminal to the other on a thread of its own, at a time
of its own. So each write counts its bytes and reads as many at the other end, waiting for them in
real time, before it returns; no virtual time passes meanwhile. Bytes that do not come within
REAL_WAIT_S_MAX end the run with an error that says which line and how many.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import tty
from pathlib import Path
from typing import Final

import serial

from runtime.ports import PortLostError, PortOpenError
from runtime.serial_ports import LINK_ERRORS, TooManyHandlesError, open_serial

REAL_WAIT_S_MAX: Final = 2.0
SLICE_BYTES_MAX: Final = 1_024
"""Less than the kernel holds in one direction, so that a slice can always be written whole."""


class PtyError(RuntimeError):
    """A pseudo-terminal does not do what the run relies on; the text says which, and how."""


class PtyCarrier:
    """One line: the device's end is a pseudo-terminal's master, the host's is pyserial's."""

    def __init__(self, path: str) -> None:
        self.to_host_bytes = 0
        self.to_device_bytes = 0
        self._path = path
        self._serial: serial.Serial | None = None
        self._unread_bytes = 0
        self._timeout_s = REAL_WAIT_S_MAX
        try:
            self._master, self._slave = os.openpty()
        except OSError as error:
            raise PtyError(
                f"{path}: no pseudo-terminal can be had: {error.strerror}; about 140 lines fit into"
                " one process, `lines=memory` takes any number"
            ) from error
        tty.setraw(self._slave)
        tty.setraw(self._master)
        os.set_blocking(self._master, False)
        # Handles that are only polled; pyserial's must stay below what select() takes. The own
        # handle of the host's end is held because without it the line would hang up each time the
        # host closes, which a cable does not do.
        self._watch_master = _watch(self._master, select.POLLIN)
        self._watch_slave = _watch(self._slave, select.POLLIN)
        self._link = Path(path)
        self._link.parent.mkdir(parents=True, exist_ok=True)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(self._slave))

    def open(self, baud: int) -> None:
        """Open the host's end by pyserial, exclusively; what nobody read is thrown away."""
        self._throw_away_unread()
        try:
            self._serial = open_serial(self._path, baud, self._timeout_s, self._timeout_s)
        except TooManyHandlesError as error:
            raise PtyError(
                f"{error}; about 140 lines fit into one process, `lines=memory` takes any number"
            ) from error

    def close_host(self) -> None:
        """Close the host's end."""
        opened, self._serial = self._serial, None
        if opened is not None:
            with contextlib.suppress(*LINK_ERRORS):
                opened.close()

    def to_host(self, data: bytes, *, open_end: bool) -> bytes:
        """Write at the device's end; read as many bytes at the host's, where somebody is there."""
        got = bytearray()
        for begin in range(0, len(data), SLICE_BYTES_MAX):
            part = data[begin : begin + SLICE_BYTES_MAX]
            self._write_master(part)
            if open_end and self._serial is not None:
                try:
                    got += self._serial.read(len(part))
                except LINK_ERRORS as error:
                    raise PtyError(
                        f"{self._path}: the host's end cannot be read: {error}"
                    ) from error
                missing = begin + len(part) - len(got)
                if missing:
                    raise self._stalled(missing, len(data), "the device", "the host")
            else:
                self._unread_bytes += len(part)
        self.to_host_bytes += len(data)
        return bytes(got)

    def to_device(self, data: bytes) -> bytes:
        """Write at the host's end; read as many bytes at the device's."""
        if self._serial is None:
            raise PortLostError(f"{self._path}: write failed: the port is closed")
        got = bytearray()
        for begin in range(0, len(data), SLICE_BYTES_MAX):
            part = data[begin : begin + SLICE_BYTES_MAX]
            try:
                self._serial.write(part)
            except LINK_ERRORS as error:
                raise PortLostError(f"{self._path}: write failed: {error}") from error
            wanted = begin + len(part)
            while len(got) < wanted:
                if not self._watch_master.poll(self._timeout_s * 1_000):
                    raise self._stalled(wanted - len(got), len(data), "the host", "the device")
                got += os.read(self._master, wanted - len(got))
        self.to_device_bytes += len(data)
        return bytes(got)

    def unplug(self) -> str:
        """Close the device's end; return what pyserial's read then says."""
        if self._link.is_symlink() and str(self._link.readlink()) == os.ttyname(self._slave):
            self._link.unlink()
        os.close(self._slave)
        os.close(self._master)
        if self._serial is None:
            return "the port is closed"
        try:
            self._serial.read(1)
        except LINK_ERRORS as error:
            return str(error)
        raise PtyError(f"{self._path}: the host's end still reads after the device went away")

    def _write_master(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._master, view) :]
            except BlockingIOError:
                watch = _watch(self._master, select.POLLOUT)
                if not watch.poll(self._timeout_s * 1_000):
                    raise self._stalled(len(view), len(data), "the device", "the line") from None

    def _throw_away_unread(self) -> None:
        """Read what came while nobody had the line open; not what a stranger has it open for."""
        try:
            fcntl.flock(self._slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # pyserial refuses the line now, in its own words
        fcntl.flock(self._slave, fcntl.LOCK_UN)
        while self._unread_bytes:
            if not self._watch_slave.poll(self._timeout_s * 1_000):
                raise self._stalled(
                    self._unread_bytes, self._unread_bytes, "the device", "the line"
                )
            self._unread_bytes -= len(os.read(self._slave, self._unread_bytes))

    def _stalled(self, missing: int, written: int, writer: str, reader: str) -> PtyError:
        return PtyError(
            f"{self._path}: {missing} of {written} bytes that {writer} wrote did not reach {reader}"
            f" within {self._timeout_s} s: does another program read this line, or stop it?"
        )


class PtyCarriers:
    """Lines on pseudo-terminals."""

    def make(self, path: str) -> PtyCarrier:
        """Return a new pseudo-terminal; its host's end appears at `path`."""
        return PtyCarrier(path)

    def refuse(self, path: str, baud: int) -> PortOpenError:
        """Return why pyserial cannot open `path`; a real device is refused, it knows no clock."""
        try:
            open_serial(path, baud, REAL_WAIT_S_MAX, REAL_WAIT_S_MAX).close()
        except PortOpenError as error:
            return error
        return PortOpenError(
            f"{path}: cannot be opened: expected a simulated device, under a virtual clock a real"
            " one cannot be waited for"
        )


def _watch(handle: int, events: int) -> select.poll:
    watch = select.poll()
    watch.register(handle, events)
    return watch
