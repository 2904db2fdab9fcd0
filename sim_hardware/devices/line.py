"""A device's end of a serial line, and the trouble that may lie on it: none, unless asked for."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from runtime.clock import NS_PER_S
from runtime.lanes import Lane, Timer
from runtime.ports import Port, PortLostError
from runtime.runtime import Runtime

PIECES_MAX: Final = 10_000
"""Pieces of bytes that are under way in one direction; what comes on top of them is lost."""
Chunk = tuple[bytes, int]


class Direction(enum.Enum):
    """Which way bytes go."""

    FROM_DEVICE = "from-device"
    TO_DEVICE = "to-device"


class LineEffect(Protocol):
    """Something that happens to the bytes of one direction."""

    def apply(self, data: bytes) -> list[tuple[float, bytes]]:
        """Return what becomes of `data`: (seconds later, bytes), in their order."""


class Way:
    """One direction of a line. Bytes never overtake each other, whatever delays them."""

    def __init__(self, runtime: Runtime, lane: Lane, deliver: Callable[[bytes], None]) -> None:
        self.effects: list[LineEffect] = []
        self.stalls = 0
        """How many troubles hold everything back at this moment."""
        self.lost = 0
        self.touched = 0
        """Chunks that did not arrive as they were said, or that nobody said."""
        self._clock = runtime.clock
        self._lane = lane
        self._deliver = deliver
        self._under_way: deque[tuple[int, bytes]] = deque()
        self._timer: Timer | None = None

    @property
    def is_clear(self) -> bool:
        """Return whether bytes pass as they are, at once."""
        return not (self.effects or self.stalls or self._under_way)

    def send(self, data: bytes) -> None:
        """Let bytes pass, with all that happens to them. Raises PortLostError where at once."""
        if self.is_clear:
            self._deliver(data)
            return
        pieces = [(0.0, data)]
        for effect in self.effects:
            pieces = [
                (after_s + more_s, part)
                for after_s, whole in pieces
                for more_s, part in effect.apply(whole)
                if part
            ]
        self.touched += bool(self.stalls) or pieces != [(0.0, data)]
        for after_s, part in pieces:
            self.put(after_s, part)
        self.drain()

    def put(self, after_s: float, part: bytes) -> None:
        """Let bytes arrive after a while, behind all that is under way."""
        if len(self._under_way) >= PIECES_MAX:
            self.lost += 1
            return
        due_ns = self._clock.monotonic_ns() + round(after_s * NS_PER_S)
        if self._under_way:
            due_ns = max(due_ns, self._under_way[-1][0])
        self._under_way.append((due_ns, part))

    def drain(self) -> None:
        """Deliver what is due; come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ns = self._clock.monotonic_ns()
        while self._under_way and not self.stalls and self._under_way[0][0] <= now_ns:
            _, part = self._under_way.popleft()
            try:
                self._deliver(part)
            except PortLostError:
                self.lost += 1  # its sender has gone on long ago
        if self._under_way and not self.stalls:
            wait_s = (self._under_way[0][0] - now_ns) / NS_PER_S
            self._timer = self._lane.call_later(wait_s, self.drain)

    def clear(self) -> None:
        """Lose what is under way."""
        self._under_way.clear()


class Line:
    """A serial line seen from its device: opened once, pulled and plugged as often as one likes."""

    def __init__(
        self,
        runtime: Runtime,
        lane: Lane,
        path: str,
        on_bytes: Callable[[list[Chunk]], None],
    ) -> None:
        self.ways = {
            Direction.FROM_DEVICE: Way(runtime, lane, self._write_now),
            Direction.TO_DEVICE: Way(runtime, lane, self._hear_now),
        }
        self._runtime = runtime
        self._lane = lane
        self._path = path
        self._on_bytes = on_bytes
        self._port: Port | None = None
        self._wanted = False
        self._pulled = 0

    @property
    def plugged(self) -> bool:
        """Return whether the host can see the device."""
        return self._port is not None

    def open(self) -> None:
        """Let the line appear at its path, unless its cable is pulled."""
        self._wanted = True
        if self._port is None and not self._pulled:
            self._port = self._runtime.ports.create(self._path, self._lane, self._receive)

    def close(self) -> None:
        """Let the line go: the host loses it."""
        self._wanted = False
        self._go()

    def pull(self) -> None:
        """Pull the cable; pulled twice it is to be plugged twice."""
        self._pulled += 1
        self._go()

    def plug(self) -> None:
        """Plug the cable in again."""
        self._pulled -= 1
        assert self._pulled >= 0, f"{self._path}: plugged more often than pulled"
        if self._wanted:
            self.open()

    def write(self, data: bytes) -> None:
        """Say something. Raises PortLostError where the line is not there."""
        if self._port is None:
            raise PortLostError(f"{self._path}: write failed: the line is not plugged in")
        self.ways[Direction.FROM_DEVICE].send(data)

    def inject(self, direction: Direction, data: bytes) -> None:
        """Let bytes arrive that nobody sent."""
        if self._port is not None:
            way = self.ways[direction]
            way.touched += 1
            way.put(0.0, data)
            way.drain()

    def _go(self) -> None:
        for way in self.ways.values():
            way.clear()
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _receive(self, chunks: list[Chunk]) -> None:
        if self._port is None:
            return
        way = self.ways[Direction.TO_DEVICE]
        if way.is_clear:
            self._on_bytes(chunks)
            return
        for data, _ in chunks:
            way.send(data)

    def _write_now(self, data: bytes) -> None:
        if self._port is None:
            raise PortLostError(f"{self._path}: write failed: the line is not plugged in")
        self._port.write(data)

    def _hear_now(self, data: bytes) -> None:
        self._on_bytes([(data, self._runtime.clock.now_ns())])
