"""Serial ports: the host's end that a driver opens, the device's end that a simulated one makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from runtime.lanes import Lane


class PortError(Exception):
    """Something is wrong with a serial port."""


class PortOpenError(PortError):
    """The port is absent, busy, or refuses its settings: retry later."""


class PortLostError(PortError):
    """The port went away while it was open: reconnect."""


class Port(Protocol):
    """One open end of a serial line."""

    def write(self, data: bytes) -> None:
        """Write all of `data` in bounded time. Raises PortLostError."""

    def close(self) -> None:
        """Close; nothing is called any more."""


class Ports(Protocol):
    """Where serial ports are opened and, for simulated devices, made."""

    def open(
        self,
        path: str,
        baud: int,
        lane: Lane,
        on_bytes: Callable[[list[tuple[bytes, int]]], None],
        on_lost: Callable[[str], None],
    ) -> Port:
        """Open the host's end, exclusively. `on_bytes` gets (bytes, UTC ns of arrival) on `lane`.

        `on_lost` is called once, on `lane`, with the reason. Raises PortOpenError.
        """

    def create(
        self, path: str, lane: Lane, on_bytes: Callable[[list[tuple[bytes, int]]], None]
    ) -> Port:
        """Make a device whose host end appears at `path`; return the device's end."""
