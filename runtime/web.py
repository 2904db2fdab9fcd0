"""A web server on a thread of its own: an ASGI application served by uvicorn."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import structlog
import uvicorn

from runtime.errors import StartError
from runtime.web_clients import CONNECTIONS_MAX, REQUEST_S_MAX, Clients, http_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, MutableMapping

    Scope = MutableMapping[str, Any]
    Asgi = Callable[
        [Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]
    ]

BACKLOG_MAX: Final = 128
START_S_MAX: Final = 10.0
GOODBYE_S_MAX: Final = 1
"""How long open requests may go on after `stop`; uvicorn takes whole seconds."""
STOP_S_MAX: Final = 3.0
MESSAGE_BYTES_MAX: Final = 4_096
"""The longest WebSocket message that is taken from a client."""
PING_S: Final = 20.0
log = structlog.get_logger()


class WebServerError(StartError):
    """The server cannot run; the text says where and what to do."""


class WebServer:
    """Serves `app` on one address. `start` returns when connections are accepted.

    A client whose request does not come whole within `request_s_max` is cut off; where all
    connections are taken, the one that waits longest without a request makes room. With a
    certificate it speaks TLS, and nothing else.
    """

    def __init__(
        self,
        app: Asgi,
        host: str,
        port: int,
        *,
        count: Callable[[str], None] = lambda _name: None,
        request_s_max: float = REQUEST_S_MAX,
        certificate: str = "",
        key: str = "",
    ) -> None:
        if certificate:
            _check_certificate(certificate, key)
        self._host = host
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun = threading.Event()
        self._socket: socket.socket | None = None
        self._error: BaseException | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="asyncio",
                http=http_for(Clients(count, request_s_max)),
                ws="websockets-sansio",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS_MAX,
                ws_max_size=MESSAGE_BYTES_MAX,
                ws_ping_interval=PING_S,
                ws_ping_timeout=PING_S,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=GOODBYE_S_MAX,
                ssl_certfile=certificate or None,
                ssl_keyfile=key or None,
                ssl_context_factory=_tls_context if certificate else None,
            ),
            self._begun,
        )
        self._thread = threading.Thread(target=self._run, name=f"web {port}", daemon=True)

    @property
    def alive(self) -> bool:
        """Return whether the server runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Listen and serve. Raises WebServerError where the port cannot be had."""
        self._socket = _listen(self._host, self._port)
        self._thread.start()
        if not self._begun.wait(START_S_MAX) or self._error is not None:
            raise WebServerError(
                f"the web server on {self._host}:{self._port} did not begin within"
                f" {START_S_MAX:.0f} s: {self._error or 'no reason is known'}"
            )

    def post(self, call: Callable[[], None]) -> bool:
        """Run `call` on the server's loop soon; False where there is none (any more)."""
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop was closed between the two lines
            return False
        return True

    def stop(self) -> None:
        """Say goodbye to every client and end, in bounded time."""
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join(STOP_S_MAX)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(STOP_S_MAX)
            log.warning("web server ended by force", ended=not self._thread.is_alive())
        if self._socket is not None:
            self._socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
            log.exception("web server ended")
        finally:
            self._loop = None
            self._begun.set()

    async def _serve(self) -> None:
        assert self._socket is not None
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[self._socket])
        # What did not end in its time was cancelled: its connections are cut, not left open.
        for connection in list(self._server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        await asyncio.sleep(0)


class _Server(uvicorn.Server):
    """Says when connections are accepted."""

    def __init__(self, config: uvicorn.Config, begun: threading.Event) -> None:
        super().__init__(config)
        self._accepting = begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await super().startup(sockets)
        self._accepting.set()


def _tls_context(_config: uvicorn.Config, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = make()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _check_certificate(certificate: str, key: str) -> None:
    """Raise WebServerError where a server cannot show this certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:
        raise WebServerError(
            f"tls.certificate = {certificate!r}, tls.key = {key!r}: expected a certificate and its"
            f" own private key (PEM): {error.strerror or str(error)}"
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that holds the address, so that nobody else can take it meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((host, port))
        held.listen(BACKLOG_MAX)
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            raise WebServerError(
                f"port {port} on {host} is busy ({error.strerror}): stop the other program"
                " or choose another port"
            ) from error
        raise WebServerError(
            f"cannot listen on port {port} of {host}: {error.strerror or error}: give an address"
            " of this machine and a port that this user may take"
        ) from error
    return held
