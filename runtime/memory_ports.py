"""Serial ports and camera pictures in memory, for virtual time."""

from __future__ import annotations

from collections.abc import Callable

from runtime.clock import Clock
from runtime.lanes import Inbox, Lane
from runtime.ports import PortLostError, PortOpenError

_Chunk = tuple[bytes, int]


class MemoryPort:
    """One end of a line in memory."""

    def __init__(self, path: str, clock: Clock, inbox: Inbox[_Chunk]) -> None:
        self.path = path
        self.inbox = inbox
        self.peer: MemoryPort | None = None
        self.on_lost: Callable[[str], None] = lambda _reason: None
        self._clock = clock
        self.closed = False

    def write(self, data: bytes) -> None:
        """Write all of `data`. Raises PortLostError."""
        if self.closed:
            raise PortLostError(f"{self.path}: write failed: the port is closed")
        if self.peer is not None:
            self.peer.inbox.put((bytes(data), self._clock.now_ns()))

    def close(self) -> None:
        """Close this end; closing the device's end is a pulled cable."""
        self.closed = True
        if self.peer is not None:
            self.peer.peer = None
            self.peer = None


class MemoryPorts:
    """Lines in memory, by path."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._devices: dict[str, MemoryPort] = {}

    def open(
        self,
        path: str,
        baud: int,  # noqa: ARG002 - part of the interface
        lane: Lane,
        on_bytes: Callable[[list[_Chunk]], None],
        on_lost: Callable[[str], None],
    ) -> MemoryPort:
        """Open the host's end of the device at `path`. Raises PortOpenError."""
        device = self._devices.get(path)
        if device is None or device.closed:
            raise PortOpenError(f"{path}: cannot be opened: no such device")
        if device.peer is not None:
            raise PortOpenError(f"{path}: cannot be opened: it is open already")
        host = MemoryPort(path, self._clock, lane.inbox(path, on_bytes))
        host.on_lost = lambda reason: lane.post(lambda: on_lost(reason))
        host.peer, device.peer = device, host
        return host

    def create(
        self, path: str, lane: Lane, on_bytes: Callable[[list[_Chunk]], None]
    ) -> MemoryDevicePort:
        """Make a device whose host end can be opened at `path`."""
        device = MemoryDevicePort(path, self._clock, lane.inbox(path, on_bytes))
        self._devices[path] = device
        return device


class MemoryDevicePort(MemoryPort):
    """The device's end; closing it makes the host lose the line."""

    def close(self) -> None:
        """Pull the cable."""
        host = self.peer
        super().close()
        if host is not None:
            host.closed = True
            host.on_lost(f"{self.path}: read failed: the device went away")


class MemoryFrameSource:
    """One camera in memory."""

    def __init__(self, frames: MemoryFrames, url: str, lane: Lane) -> None:
        self._frames = frames
        self._url = url
        self._lane = lane

    def request(
        self, on_frame: Callable[[bytes, int], None], on_error: Callable[[str], None]
    ) -> bool:
        """Ask for one picture."""
        self._frames.render(self._url, self._lane, on_frame, on_error)
        return True

    def close(self) -> None:
        """Nothing to free."""


class MemoryFrames:
    """Pictures handed over in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cameras: dict[str, tuple[Lane, Callable[[], bytes]]] = {}

    def open(self, url: str, lane: Lane, timeout_s: float = 5.0) -> MemoryFrameSource:  # noqa: ARG002 - interface
        """Return the camera at `url`."""
        return MemoryFrameSource(self, url, lane)

    def serve(self, url: str, lane: Lane, render: Callable[[], bytes]) -> None:
        """Let `render` answer for the camera at `url`."""
        self._cameras[url] = (lane, render)

    def render(
        self,
        url: str,
        lane: Lane,
        on_frame: Callable[[bytes, int], None],
        on_error: Callable[[str], None],
    ) -> None:
        """Render on the camera's lane and answer on the asker's."""
        camera = self._cameras.get(url)
        if camera is None:
            lane.post(lambda: on_error(f"{url}: no picture: no such camera"))
            return

        def shoot() -> None:
            picture = camera[1]()
            if picture:
                lane.post(lambda: on_frame(picture, self._clock.now_ns()))
            else:
                lane.post(lambda: on_error(f"{url}: no picture: the camera is dark"))

        camera[0].post(shoot)
