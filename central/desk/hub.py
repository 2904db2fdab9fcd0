"""The open pages: frames from the lanes go to each page's bounded queue on the server's loop."""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from runtime.metrics import Metrics

PAGES_MAX: Final = 64
FRAMES_WAITING_MAX: Final = 300
"""A page that is so many frames behind is closed; it connects again and gets everything anew."""
TOO_SLOW: Final = 4008
TOO_MANY: Final = 1013  # RFC 6455 registry: try again later


class Channel(enum.Enum):
    """Who makes a frame. A page joins each channel when it has got that channel's full state."""

    FLOOR = "robots and connections, from the lane that hears the bus"
    TABLES = "rows and bins, from the lane that reads the books"


class Page:
    """One open page: what it still has to be sent."""

    def __init__(self) -> None:
        self.joined: set[Channel] = set()
        self.too_slow = False
        self._frames: deque[bytes] = deque()
        self._changed = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Queue a frame, or give the page up where too many wait."""
        if len(self._frames) >= FRAMES_WAITING_MAX:
            self.too_slow = True
        else:
            self._frames.append(frame)
        self._changed.set()

    async def next(self) -> list[bytes]:
        """Return the frames that wait, at least one; none where the page is too slow."""
        while not (self._frames or self.too_slow):
            self._changed.clear()
            await self._changed.wait()
        if self.too_slow:
            return []
        frames = list(self._frames)
        self._frames.clear()
        return frames


class Hub:
    """All open pages. Lanes call `broadcast` and `welcome`; the rest is called on the loop."""

    def __init__(self, post: Callable[[Callable[[], None]], bool], metrics: Metrics) -> None:
        self._post = post
        self._metrics = metrics
        self._pages: set[Page] = set()
        self._greeters: list[Callable[[Page], None]] = []

    @property
    def watched(self) -> bool:
        """Return whether any page is open: nobody needs frames otherwise."""
        return bool(self._pages)

    def greet_with(self, greeter: Callable[[Page], None]) -> None:
        """Let `greeter` welcome each new page: on its own lane, by calling `welcome`."""
        self._greeters.append(greeter)

    def broadcast(self, channel: Channel, frame: bytes) -> None:
        """Send a frame to every page that has joined the channel. Any thread may call."""

        def send() -> None:
            for page in self._pages:
                if channel in page.joined:
                    page.put(frame)

        if self._pages:
            self._post(send)

    def welcome(self, page: Page, channel: Channel, frames: Sequence[bytes]) -> None:
        """Send a channel's full state to a new page, which joins it. Any thread may call."""

        def send() -> None:
            for frame in frames:
                page.put(frame)
            page.joined.add(channel)

        self._post(send)

    def open(self) -> Page | None:
        """Return a new page, or None where too many are open."""
        if len(self._pages) >= PAGES_MAX:
            self._metrics.count("desk_pages_refused")
            return None
        page = Page()
        self._pages.add(page)
        self._metrics.count("desk_pages_opened")
        for greeter in self._greeters:
            greeter(page)
        return page

    def close(self, page: Page) -> None:
        """Forget a page."""
        self._pages.discard(page)
        if page.too_slow:
            self._metrics.count("desk_pages_too_slow")
