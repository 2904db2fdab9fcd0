"""Serial lines under a virtual clock: in memory, or on real pseudo-terminals.

What one write wrote arrives at once, as one chunk, and before the write returns: so no later event
can come before it, and lines that are written at the same instant arrive in the order of writing.
What carries the bytes changes nothing of that.

The line's stated answers. A device whose host is not there, or does not read, may write
UNREAD_BYTES_MAX more bytes; then its writes fail. A host that opens the line begins with what is
written after. A pulled cable ends the host's port: it is told once, and its writes fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from runtime.clock import Clock
from runtime.lanes import Inbox, Lane
from runtime.ports import PortLostError, PortOpenError

UNREAD_BYTES_MAX: Final = 4_096
Chunk = tuple[bytes, int]
OnBytes = Callable[[list[Chunk]], None]


class Carrier(Protocol):
    """What carries the bytes of one line. A host is there between `open` and `close_host`."""

    def open(self, baud: int) -> None:
        """Open the host's end, exclusively. Raises PortOpenError."""

    def close_host(self) -> None:
        """Close the host's end."""

    def to_host(self, data: bytes, *, open_end: bool) -> bytes:
        """Carry what the device wrote; return what the host reads, nothing without a host."""

    def to_device(self, data: bytes) -> bytes:
        """Carry what the host wrote; return what the device reads. Raises PortLostError."""

    def unplug(self) -> str:
        """Take the line away; return what the host's next read fails with."""


class Carriers(Protocol):
    """Where carriers come from."""

    def make(self, path: str) -> Carrier:
        """Return the carrier of a new line whose host's end appears at `path`."""

    def refuse(self, path: str, baud: int) -> PortOpenError:
        """Return why no line can be opened at `path`, where no device was made."""


class Line:
    """One line: a device at one end and at most one host at the other."""

    def __init__(self, path: str, carrier: Carrier, clock: Clock, to_device: Inbox[Chunk]) -> None:
        self.path = path
        self.carrier = carrier
        self.clock = clock
        """The device's; each end dates what it reads by its own."""
        self.to_device = to_device
        self.host: HostEnd | None = None
        self.unread_bytes = 0
        self.plugged = True


class HostEnd:
    """The host's end."""

    def __init__(
        self,
        line: Line,
        clock: Clock,
        lane: Lane,
        on_bytes: OnBytes,
        on_lost: Callable[[str], None],
    ) -> None:
        self.closed = False
        self._line = line
        self._clock = clock
        self._lane = lane
        self._on_lost = on_lost

        def receive(chunks: list[Chunk]) -> None:
            if not self.closed:
                on_bytes(chunks)

        self._inbox = lane.inbox(line.path, receive)

    def take(self, data: bytes) -> None:
        """Hand on what arrived."""
        self._inbox.put((data, self._clock.now_ns()))

    def lose(self, reason: str) -> None:
        """Tell that the device went away."""
        self._lane.post(lambda: None if self.closed else self._on_lost(reason))

    def write(self, data: bytes) -> None:
        """Write all of `data`. Raises PortLostError."""
        line = self._line
        if self.closed:
            raise PortLostError(f"{line.path}: write failed: the port is closed")
        got = line.carrier.to_device(bytes(data))
        if got:
            line.to_device.put((got, line.clock.now_ns()))

    def close(self) -> None:
        """Close; the device does not notice."""
        if not self.closed:
            self.closed = True
            self._line.host = None
            self._line.carrier.close_host()


class DeviceEnd:
    """The device's end; closing it is pulling the cable."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def closed(self) -> bool:
        """Return whether the cable was pulled."""
        return not self._line.plugged

    def write(self, data: bytes) -> None:
        """Write all of `data`. PortLostError where the host does not read."""
        line = self._line
        if not line.plugged:
            raise PortLostError(f"{line.path}: write failed: the port is closed")
        if line.host is None:
            if line.unread_bytes + len(data) > UNREAD_BYTES_MAX:
                raise PortLostError(
                    f"{line.path}: the host does not read: {line.unread_bytes} bytes wait,"
                    f" at most {UNREAD_BYTES_MAX} can"
                )
            line.unread_bytes += len(data)
        got = line.carrier.to_host(bytes(data), open_end=line.host is not None)
        if line.host is not None and got:
            line.host.take(got)

    def close(self) -> None:
        """Pull the cable: the host loses its port and the path disappears."""
        line = self._line
        if not line.plugged:
            return
        line.plugged = False
        reason = line.carrier.unplug()
        if line.host is not None:
            line.host.lose(f"{line.path}: read failed: {reason}")


class VirtualPorts:
    """Ports as one process has them; the lines are shared by all processes of one loop."""

    def __init__(self, clock: Clock, carriers: Carriers) -> None:
        self._clock = clock
        self._carriers = carriers
        self._lines: dict[str, Line] = {}
        self._mine: list[HostEnd | DeviceEnd] = []

    def of(self, clock: Clock) -> VirtualPorts:
        """Return the same lines as another process, with its own clock, has them."""
        other = VirtualPorts(clock, self._carriers)
        other._lines = self._lines
        return other

    def open(
        self,
        path: str,
        baud: int,
        lane: Lane,
        on_bytes: OnBytes,
        on_lost: Callable[[str], None],
    ) -> HostEnd:
        """Open the host's end of the device at `path`, exclusively. Raises PortOpenError."""
        line = self._lines.get(path)
        if line is None or not line.plugged:
            raise self._carriers.refuse(path, baud)
        line.carrier.open(baud)
        line.unread_bytes = 0
        host = line.host = HostEnd(line, self._clock, lane, on_bytes, on_lost)
        self._keep(host)
        return host

    def create(self, path: str, lane: Lane, on_bytes: OnBytes) -> DeviceEnd:
        """Make a device whose host end can be opened at `path`."""
        inbox = lane.inbox(path, on_bytes)
        line = self._lines[path] = Line(path, self._carriers.make(path), self._clock, inbox)
        device = DeviceEnd(line)
        self._keep(device)
        return device

    def close(self) -> None:
        """Close all that this process opened, as the kernel does when it ends."""
        for port in self._mine:
            port.close()
        self._mine.clear()

    def _keep(self, port: HostEnd | DeviceEnd) -> None:
        """Remember what is open; a line that comes and goes for ever leaves nothing behind."""
        self._mine = [kept for kept in self._mine if not kept.closed]
        self._mine.append(port)


class MemoryCarrier:
    """Carries nothing anywhere: what was written is what is read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._opened = False
        self._plugged = True

    def open(self, baud: int) -> None:  # noqa: ARG002 - a line in memory has no speed
        """Open the host's end."""
        if self._opened:
            raise PortOpenError(f"{self._path}: cannot be opened: it is open already")
        self._opened = True

    def close_host(self) -> None:
        """Close the host's end."""
        self._opened = False

    def to_host(self, data: bytes, *, open_end: bool) -> bytes:
        """Return what the device wrote, where a host is there."""
        return data if open_end else b""

    def to_device(self, data: bytes) -> bytes:
        """Return what the host wrote."""
        if not self._plugged:
            raise PortLostError(f"{self._path}: write failed: the device went away")
        return data

    def unplug(self) -> str:
        """Take the line away."""
        self._plugged = False
        return "the device went away"


class MemoryCarriers:
    """Lines in memory."""

    def make(self, path: str) -> MemoryCarrier:
        """Return a new line."""
        return MemoryCarrier(path)

    def refuse(self, path: str, baud: int) -> PortOpenError:  # noqa: ARG002 - part of the interface
        """Return that there is no such device."""
        return PortOpenError(f"{path}: cannot be opened: no such device")
