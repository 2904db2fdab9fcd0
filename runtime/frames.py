"""Camera pictures: fetched as JPEG snapshots from an address, and served by simulated cameras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from runtime.lanes import Lane

FRAME_BYTES_MAX = 8 * 1024 * 1024


class FrameSource(Protocol):
    """One camera. At most one picture is on its way at a time."""

    def request(
        self, on_frame: Callable[[bytes, int], None], on_error: Callable[[str], None]
    ) -> bool:
        """Ask for one picture (JPEG, UTC ns when complete); False while one is on its way."""

    def close(self) -> None:
        """Stop; nothing is called any more."""


class Frames(Protocol):
    """Where pictures come from and go to."""

    def open(self, url: str, lane: Lane, timeout_s: float = 5.0) -> FrameSource:
        """Return the camera at `url`; its answers are called on `lane`."""

    def serve(self, url: str, lane: Lane, render: Callable[[], bytes]) -> None:
        """Serve the JPEG that `render` returns (called on `lane`) at `url`: a simulated camera."""
