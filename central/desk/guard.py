"""What stands before the pages: only our own origin commands, bodies are short, no foreign code."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

BODY_BYTES_MAX: Final = 16 * 1024
DRAINED_BYTES_MAX: Final = 1024 * 1024
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
ANY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


class BodyTooLongError(Exception):
    """A request's body is over the limit."""


class Guard:
    """An ASGI application around another: refuses what did not come from our own page."""

    def __init__(self, app: Asgi, host: str, public_hosts: Sequence[str] = ()) -> None:
        self._app = app
        names = {host.lower(), *(name.lower() for name in public_hosts)}
        self._hosts = frozenset() if host in ANY_ADDRESS else LOOPBACK | names

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if scope["type"] not in ("http", "websocket"):
            return
        given = scope["headers"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in given}
        reason = self._reason_against(scope, headers)
        if scope["type"] == "websocket":
            if reason:
                await send({"type": "websocket.close", "code": 1008, "reason": reason[:100]})
            else:
                await self._app(scope, receive, send)
            return
        if reason:
            await _refuse(receive, send, 403, reason)
            return
        await self._bounded(scope, headers, receive, send)

    def _reason_against(self, scope: Message, headers: dict[str, str]) -> str:
        """Return why a request is not served, empty where it is.

        A page of another site may make a browser post here, and may give itself a name that leads
        to this address: so the origin must be ours, and the name one that we know.
        """
        host = headers.get("host", "")
        parts = _split(f"//{host}")
        if parts is None:
            return f"host {host[:60]!r} cannot be read: use the address that the desk printed"
        name = (parts.hostname or "").lower()
        if self._hosts and name not in self._hosts:
            return f"the desk does not serve host {name[:60]!r}: use the address that it printed"
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return ""
        origin = headers.get("origin")
        ours = None if origin is None else _split(origin)
        if origin is not None and (ours is None or ours.netloc.lower() != host.lower()):
            return f"requests from {origin[:80]!r} are refused: only this desk's own page may ask"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "requests from other sites are refused: only this desk's own page may ask"
        return ""

    async def _bounded(
        self, scope: Message, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        """Serve with a bounded body; whether the length is announced or not."""
        announced = headers.get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()) or int(announced) > BODY_BYTES_MAX:
            await _refuse(receive, send, 413, f"the body is over {BODY_BYTES_MAX} bytes")
            return
        taken = 0
        over = False

        async def receive_some() -> Message:
            nonlocal taken, over
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_BYTES_MAX:
                over = True
                raise BodyTooLongError
            return message

        async def send_safely(message: Message) -> None:
            if over:
                return  # whatever the application made of the cut body: the answer is ours
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        with contextlib.suppress(BodyTooLongError):
            await self._app(scope, receive_some, send_safely)
        if over:
            await _refuse(receive, send, 413, f"the body is over {BODY_BYTES_MAX} bytes")


def _split(address: str) -> SplitResult | None:
    """Return the parts of an address that somebody gave, or None where it has none."""
    try:
        return urlsplit(address)
    except ValueError:
        return None


async def _refuse(receive: Receive, send: Send, status: int, detail: str) -> None:
    """Answer after what still comes: a client cut off while it sends reads no answer."""
    drained = 0
    while drained < DRAINED_BYTES_MAX:
        message = await receive()
        drained += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = msgspec.json.encode({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
