"""The web server's clients: each must ask in time, and none that only waits keeps others out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX: Final = 512
REQUEST_S_MAX: Final = 10.0
"""From a connection's begin, or the end of its last answer, to the end of its request."""


class Clients:
    """Who is connected and has not asked yet, in the order of their coming."""

    def __init__(self, count: Callable[[str], None], request_s_max: float) -> None:
        self.request_s_max = request_s_max
        self.waiting: dict[HttpClient, None] = {}
        self._count = count

    def late(self, client: HttpClient) -> None:
        """Cut off a client whose request did not come in time."""
        self._count("web_clients_late")
        client.cut_off()

    def displace_oldest(self, newcomer: HttpClient) -> None:
        """Cut off the one that waits longest, so that a newcomer may ask."""
        oldest = next((client for client in self.waiting if client is not newcomer), None)
        if oldest is not None:
            self._count("web_clients_displaced")
            oldest.cut_off()


class HttpClient(H11Protocol):
    """One connection. uvicorn itself waits for a begun request for ever."""

    clients: ClassVar[Clients]
    _deadline: asyncio.TimerHandle | None = None
    _is_upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base class has it
        """Count the client's time from now on; make room for it."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) >= CONNECTIONS_MAX:
            self.clients.displace_oldest(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes; more of them buy no more time."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Count the time to the next request."""
        super().on_response_complete()
        self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over: from now on it is asked for signs of life."""
        self._is_upgraded = True
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._asked()
        super().connection_lost(exc)

    def cut_off(self) -> None:
        """Close without a word: who did not ask waits for no answer."""
        self._asked()
        self.connections.discard(self)
        self.transport.abort()

    def _watch(self) -> None:
        """Let the time run while a request is not there as a whole."""
        is_partial = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if self._is_upgraded or self.transport.is_closing() or not is_partial:
            self._asked()
        elif self._deadline is None:
            clients = self.clients
            clients.waiting[self] = None
            self._deadline = self.loop.call_later(clients.request_s_max, clients.late, self)

    def _asked(self) -> None:
        self.clients.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def http_for(clients: Clients) -> type[HttpClient]:
    """Return the class of connections that `clients` knows."""
    return type("HttpClient", (HttpClient,), {"clients": clients})
