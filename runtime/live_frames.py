"""Camera pictures over HTTP, as network cameras give them: one JPEG per GET."""

from __future__ import annotations

import functools
import http.client
import http.server
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from runtime.clock import Clock
from runtime.frames import FRAME_BYTES_MAX
from runtime.lanes import Lane

RENDER_S_MAX: Final = 5.0


class HttpFrameSource:
    """One camera: a thread that fetches one picture when asked."""

    def __init__(self, url: str, lane: Lane, timeout_s: float, clock: Clock) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"camera address {url!r}: expected http:// or https://")
        self._url = url
        self._lane = lane
        self._timeout_s = timeout_s
        self._clock = clock
        self._closing = False
        self._busy = False
        self._asked: queue.SimpleQueue[
            tuple[Callable[[bytes, int], None], Callable[[str], None]] | None
        ] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"camera {url}", daemon=True)
        self._thread.start()

    def request(
        self, on_frame: Callable[[bytes, int], None], on_error: Callable[[str], None]
    ) -> bool:
        """Ask for one picture; False while one is on its way."""
        if self._busy or self._closing:
            return False
        self._busy = True
        self._asked.put((on_frame, on_error))
        return True

    def close(self) -> None:
        """Stop; nothing is called any more."""
        self._closing = True
        self._asked.put(None)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            on_frame, on_error = asked
            try:
                picture = self._fetch()
            except (OSError, ValueError, http.client.HTTPException) as error:
                reason = f"{self._url}: no picture: {error}"
                self._answer(functools.partial(on_error, reason))
            else:
                self._answer(functools.partial(on_frame, picture, self._clock.now_ns()))

    def _answer(self, call: Callable[[], None]) -> None:
        self._busy = False
        if not self._closing:
            self._lane.post(call)

    def _fetch(self) -> bytes:
        with urllib.request.urlopen(self._url, timeout=self._timeout_s) as answer:  # noqa: S310 - checked above
            picture: bytes = answer.read(FRAME_BYTES_MAX + 1)
        if len(picture) > FRAME_BYTES_MAX:
            raise ValueError(f"a picture of over {FRAME_BYTES_MAX} bytes")
        return picture


class HttpFrames:
    """Fetches pictures from cameras, and serves those of simulated ones."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sources: list[HttpFrameSource] = []
        self._servers: dict[tuple[str, int], _FrameServer] = {}

    def open(self, url: str, lane: Lane, timeout_s: float = 5.0) -> HttpFrameSource:
        """Return the camera at `url`; its answers are called on `lane`."""
        source = HttpFrameSource(url, lane, timeout_s, self._clock)
        self._sources.append(source)
        return source

    def serve(self, url: str, lane: Lane, render: Callable[[], bytes]) -> None:
        """Serve the JPEG that `render` returns (called on `lane`) at `url`."""
        parts = urlsplit(url)
        address = (parts.hostname or "127.0.0.1", parts.port or 80)
        if address not in self._servers:
            self._servers[address] = _FrameServer(address)
        self._servers[address].pictures[parts.path] = (lane, render)

    def close(self) -> None:
        """Stop fetching and serving."""
        for source in self._sources:
            source.close()
        for server in self._servers.values():
            server.shutdown()
            server.server_close()
        self._servers.clear()


class _FrameServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _FrameHandler)
        self.pictures: dict[str, tuple[Lane, Callable[[], bytes]]] = {}
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="pictures", daemon=True
        ).start()


class _FrameHandler(http.server.BaseHTTPRequestHandler):
    server: _FrameServer

    def do_GET(self) -> None:
        """Answer with one picture, rendered on the camera's own lane."""
        found = self.server.pictures.get(urlsplit(self.path).path)
        if found is None:
            self.send_error(404, "no such camera")
            return
        lane, render = found
        answer: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        lane.post(lambda: answer.put(render()))
        try:
            picture = answer.get(timeout=RENDER_S_MAX)
        except queue.Empty:
            self.send_error(503, "the camera is busy")
            return
        if not picture:
            self.send_error(503, "the camera is dark")
            return
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(picture)))
        self.end_headers()
        self.wfile.write(picture)

    def log_message(self, *_: Any) -> None:
        """Say nothing: every picture would be a line."""
