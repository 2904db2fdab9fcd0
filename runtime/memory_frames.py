"""Camera pictures in memory, for virtual time."""

from __future__ import annotations

from collections.abc import Callable

from runtime.clock import Clock
from runtime.lanes import Lane


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

    def of(self, clock: Clock) -> MemoryFrames:
        """Return the same cameras as a process with another clock has them."""
        other = MemoryFrames(clock)
        other._cameras = self._cameras
        return other

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
