"""An MQTT broker inside Python (amqtt), for machines where mosquitto cannot be had.

    python -m stockhelm.embedded_broker --port 1883

It listens on the loopback only, asks nobody for a name and keeps nothing across a restart. What
amqtt 0.12 does against MQTT 3.1.1, and the rest of stockhelm would notice, is put right here and
held by the contract tests over both brokers.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig
from amqtt.errors import BrokerError
from amqtt.plugins.base import BaseAuthPlugin

if TYPE_CHECKING:
    from _collections_abc import dict_items
    from collections.abc import Iterator, Sequence

    from amqtt.adapters import ReaderAdapter, WriterAdapter
    from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
    from amqtt.session import Session

HOST: Final = "127.0.0.1"
PACKET_BYTES_MAX: Final = 1 << 20  # sixteen times what stockhelm sends, see stockhelm/broker.py
CONNECT_S_MAX: Final = 10.0  # from the TCP connection to the CONNECT packet
KEEP_ALIVE_GRACE: Final = 1.5  # MQTT 3.1.1, 3.1.2.10
SESSION_KEPT_S: Final = 24 * 3_600
SHUTDOWN_S_MAX: Final = 2.0
QUEUED_MESSAGES_MAX: Final = 10_000  # per absent client
log = logging.getLogger(__name__)


class EveryoneOnThisMachine(BaseAuthPlugin):
    """Lets everybody in. amqtt's own plugin for that forgets the session of whom it let in."""

    async def authenticate(self, *, session: Session) -> bool | None:
        """Return True: only this machine reaches the loopback."""
        del session
        return True


class Calm(dict[str, Any]):
    """A dict that can be changed while somebody walks it.

    amqtt awaits inside such loops; a client that subscribes meanwhile would end the walk with an
    error, and the walker (a client that connects, or a message under way) would be lost.
    """

    def __iter__(self) -> Iterator[str]:
        """Walk the keys there are now."""
        return iter(list(super().keys()))

    def items(self) -> dict_items[str, Any]:
        """Return the pairs there are now."""
        return self.copy().items()


class WatchedReader(StreamReaderAdapter):
    """Reads a connection, and ends it where the client is silent for too long or says too much."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self.silence_s_max: float | None = CONNECT_S_MAX

    async def read(self, n: int = -1) -> bytes:
        """Return exactly `n` bytes."""
        if n > PACKET_BYTES_MAX:
            raise ConnectionError(f"packet of {n} bytes: at most {PACKET_BYTES_MAX} are taken")
        try:
            async with asyncio.timeout(self.silence_s_max):
                return await super().read(n)
        except TimeoutError:
            raise ConnectionError(f"client silent for {self.silence_s_max} s") from None


class EmbeddedBroker(Broker):
    """amqtt's broker with the rules of MQTT 3.1.1 that stockhelm relies on."""

    def __init__(self, port: int) -> None:
        super().__init__(
            BrokerConfig.from_dict(
                {
                    "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
                    "session_expiry_interval": SESSION_KEPT_S,
                    "plugins": {"stockhelm.embedded_broker.EveryoneOnThisMachine": {}},
                }
            )
        )
        self._subscriptions = Calm()
        self._retained_messages = Calm()
        self._taken_over: set[BrokerProtocolHandler] = set()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one connection to its end."""
        await self._client_connected(
            listener_name, WatchedReader(reader), StreamWriterAdapter(writer)
        )

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        """Return handler and session; the keep-alive (MQTT 3.1.2.10) is watched by the reader."""
        handler, session = await super()._initialize_client_session(
            reader, writer, remote_address, remote_port
        )
        if isinstance(reader, WatchedReader):
            reader.silence_s_max = session.keep_alive * KEEP_ALIVE_GRACE or None
            session.keep_alive = 0  # amqtt's own watch gives a timeout to nobody
        held, older = self._sessions.get(session.client_id or "", (None, None))
        if held is session and older is not None and session.transitions.is_connected():
            self._taken_over.add(older)
        return handler, session

    async def _handle_disconnect(
        self, client_session: Session, handler: BrokerProtocolHandler, disconnect_waiter: Any
    ) -> None:
        """End a connection; not the session, where another connection has taken it over (3.1.4-2).

        amqtt would end both: what is for the new connection would wait in a queue until the next.
        """
        if handler in self._taken_over:
            self._taken_over.discard(handler)
            await self._stop_handler(handler)
        else:
            await super()._handle_disconnect(client_session, handler, disconnect_waiter)

    async def _delete_session(self, client_id: str) -> None:
        """Forget a session and end its connection: a client identifier connects once (3.1.4-2)."""
        _, handler = self._sessions.get(client_id, (None, None))
        await super()._delete_session(client_id)
        if handler is not None:
            await self._stop_handler(handler)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Send what is retained to whom subscribed to it, not to everybody who connects."""
        holders = self._subscriptions.get(subscription[0], [])
        if any(holder is session for holder, _ in holders):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def _retain_broadcast_message(
        self, broadcast: dict[str, Any], qos: int, target_session: Session
    ) -> None:
        """Queue a message for a client that is away, up to the limit; beyond it the newest goes."""
        if target_session.retained_messages.qsize() >= QUEUED_MESSAGES_MAX:
            log.warning("queue of %s is full: message dropped", target_session.client_id)
            return
        await super()._retain_broadcast_message(broadcast, qos, target_session)

    async def _publish_session_retained_messages(self, session: Session) -> None:
        """Send what waited for the client, in order and not marked as retained (3.3.1-9)."""
        handler = self._get_handler(session)
        if handler is None:
            return
        waiting = []
        while not session.retained_messages.empty():
            message = session.retained_messages.get_nowait()
            waiting.append(
                asyncio.ensure_future(
                    handler.mqtt_publish(message.topic, message.data, message.qos, retain=False)
                )
            )
        if waiting:
            await asyncio.wait(waiting)


async def serve(port: int) -> None:
    """Serve until the process is asked to end."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    broker = EmbeddedBroker(port)
    await broker.start()
    await asked.wait()
    await asyncio.wait_for(broker.shutdown(), timeout=SHUTDOWN_S_MAX)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 after a requested end, 1 where the broker could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m stockhelm.embedded_broker", description="MQTT broker on the loopback"
    )
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(serve(options.port))
    except BrokerError as error:
        log.error("%s", error)  # noqa: TRY400 - the text says it all
        return 1
    except TimeoutError:
        log.warning("connections still open after %s s: ended without them", SHUTDOWN_S_MAX)
    return 0


if __name__ == "__main__":
    sys.exit(main())
