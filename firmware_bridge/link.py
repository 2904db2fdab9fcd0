"""A serial link that stays: opened, lost, opened again for ever; every byte passes one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import structlog

from firmware_bridge.errors import LinkLostError, LinkOpenError
from runtime.clock import Clock
from runtime.lanes import Lane, Timer
from runtime.ports import Port, PortLostError, PortOpenError, Ports

RETRY_S_MIN: Final = 0.2
RETRY_S_MAX: Final = 5.0
WRITE_BYTES_MAX: Final = 64 * 1024
_NS_PER_US: Final = 1_000
Chunk = tuple[bytes, int]
log = structlog.get_logger()


class Direction(Enum):
    """Which way bytes went."""

    FROM_DEVICE = "<"
    TO_DEVICE = ">"


Tap = Callable[[Direction, bytes, int], None]
"""Sees every byte of a link in both directions with its UTC ns: where a recorder listens."""


@dataclass(slots=True)
class LinkCounters:
    """What happened on a link since the start."""

    opened: int = 0
    open_failures: int = 0
    lost: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    writes_refused: int = 0


class SerialLink:
    """One device's line. Lives on one lane; knows ports and bytes, nothing of what they mean.

    `on_up` gets the boot epoch (UTC microseconds of this opening, never the same twice); `on_down`
    the reason. Between the two, `on_bytes` gets what arrived.
    """

    def __init__(
        self,
        name: str,
        path: str,
        baud: int,
        *,
        ports: Ports,
        clock: Clock,
        lane: Lane,
        on_bytes: Callable[[list[Chunk]], None],
        on_up: Callable[[int], None] = lambda _epoch: None,
        on_down: Callable[[str], None] = lambda _reason: None,
        tap: Tap | None = None,
    ) -> None:
        self.name = name
        self.counters = LinkCounters()
        self._path = path
        self._baud = baud
        self._ports = ports
        self._clock = clock
        self._lane = lane
        self._on_bytes = on_bytes
        self._on_up = on_up
        self._on_down = on_down
        self._tap = tap
        self._port: Port | None = None
        self._epoch = 0
        self._retry_s = RETRY_S_MIN
        self._retry: Timer | None = None
        self._reason = "not opened yet"
        self._stopped = False

    @property
    def up(self) -> bool:
        """Return whether the line is open at this moment."""
        return self._port is not None

    @property
    def reason(self) -> str:
        """Return why the line is down; empty while it is up."""
        return self._reason

    def start(self) -> None:
        """Open the line on its lane, now or as soon as the device is there."""
        self._stopped = False
        self._lane.post(self._try_open)

    def stop(self) -> None:
        """Close the line for good; to be called on its lane."""
        self._stopped = True
        if self._retry is not None:
            self._retry.cancel()
        if self._port is not None:
            self._close("stopped")

    def write(self, data: bytes) -> None:
        """Send all of `data` in bounded time. Raises LinkOpenError while down, LinkLostError."""
        if self._port is None:
            self.counters.writes_refused += 1
            raise LinkOpenError(
                f"{self.name}: nothing is sent while the line is down: {self._reason}"
            )
        if len(data) > WRITE_BYTES_MAX:
            self.counters.writes_refused += 1
            raise ValueError(f"{self.name}: {len(data)} bytes: at most {WRITE_BYTES_MAX} at once")
        if self._tap is not None:
            self._tap(Direction.TO_DEVICE, data, self._clock.now_ns())
        try:
            self._port.write(data)
        except PortLostError as error:
            self._lose(str(error))
            raise LinkLostError(f"{self.name}: {error}") from error
        self.counters.bytes_out += len(data)

    def _try_open(self) -> None:
        self._retry = None
        if self._stopped or self._port is not None:
            return
        epoch = max(self._clock.now_ns() // _NS_PER_US, self._epoch + 1)

        def received(chunks: list[Chunk]) -> None:
            if self._port is not None and self._epoch == epoch:
                self._receive(chunks)

        def lost(reason: str) -> None:
            if self._port is not None and self._epoch == epoch:
                self._lose(reason)

        try:
            port = self._ports.open(self._path, self._baud, self._lane, received, lost)
        except PortOpenError as error:
            self.counters.open_failures += 1
            if self._reason != str(error):
                log.warning("device not reached; trying on", device=self.name, reason=str(error))
            self._reason = str(error)
            self._retry_later()
            return
        self._port, self._epoch, self._reason = port, epoch, ""
        self.counters.opened += 1
        log.info("device reached", device=self.name, path=self._path)
        self._on_up(epoch)

    def _receive(self, chunks: list[Chunk]) -> None:
        # Bytes are the proof that the device lives: only they make the next retry quick again.
        self._retry_s = RETRY_S_MIN
        self.counters.bytes_in += sum(len(data) for data, _ in chunks)
        if self._tap is not None:
            for data, at_ns in chunks:
                self._tap(Direction.FROM_DEVICE, data, at_ns)
        self._on_bytes(chunks)

    def _lose(self, reason: str) -> None:
        self.counters.lost += 1
        log.warning("device lost; reconnecting", device=self.name, reason=reason)
        self._close(reason)
        self._retry_later()

    def _close(self, reason: str) -> None:
        assert self._port is not None
        port, self._port = self._port, None
        self._reason = reason
        port.close()
        self._on_down(reason)

    def _retry_later(self) -> None:
        if not self._stopped:
            self._retry = self._lane.call_later(self._retry_s, self._try_open)
            self._retry_s = min(self._retry_s * 2, RETRY_S_MAX)
