"""The bus over MQTT by paho: its network thread only fills bounded queues."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from runtime.bus import BusOptions, Incoming, TlsFiles
from runtime.clock import Clock
from runtime.errors import StartError
from runtime.lanes import Inbox, Lane, WhenFull
from runtime.mqtt_line import BufferedClient, BufferedLine, Network
from runtime.topic_tree import TopicTree

INFLIGHT_MAX: Final = 200
RECONNECT_S_MIN: Final = 1
RECONNECT_S_MAX: Final = 10
GOODBYE_S_MAX: Final = 1.0
log = structlog.get_logger()


class MqttBus:
    """One MQTT connection."""

    def __init__(self, options: BusOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._wanted: list[tuple[str, int]] = []
        self._inboxes: TopicTree[Inbox[Incoming]] = TopicTree()
        self._inboxes_lock = threading.Lock()
        self._on_connect_calls: list[tuple[Lane, Callable[[], None]]] = []
        self._connected = False
        self._asked: dict[int, list[str]] = {}
        """What was subscribed to and not answered yet, by message id: 65 535 at most."""
        self._idle = threading.Condition()
        self._unsent = 0
        self._told_unreached = False
        self._started = False
        self._away = False
        self.refused_publishes = 0
        self._network: Network | None = None
        self._client = self._make_client()

    @property
    def connected(self) -> bool:
        """Return whether the broker is reached at this moment."""
        return self._connected

    def subscribe(
        self,
        topic_filter: str,
        lane: Lane,
        handler: Callable[[list[Incoming]], None],
        *,
        qos: int = 1,
        size_max: int = 10_000,
        when_full: WhenFull = WhenFull.WAIT,
    ) -> None:
        """Call `handler` on `lane` with what matches; subscribed again after each reconnect."""
        inbox = lane.inbox(topic_filter, handler, size_max=size_max, when_full=when_full)
        with self._inboxes_lock:
            self._inboxes.add(topic_filter, inbox, qos)
        self._wanted.append((topic_filter, qos))
        if self._connected:
            self._ask_for([(topic_filter, qos)])

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Hand over a message; False where nothing was queued.

        That is where the outgoing queue is full, and at QoS 0 while the broker is not reached.
        """
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        if qos == 0 and info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            self.refused_publishes += 1
            return False
        with self._idle:
            # paho tells of QoS 0 too once it is written. What a lost connection takes with it is
            # never told: then `stop` waits its whole time.
            self._unsent += 1
        return True

    def on_connect(self, lane: Lane, call: Callable[[], None]) -> None:
        """Run `call` on `lane` after each (re)connect, once subscriptions are sent."""
        self._on_connect_calls.append((lane, call))
        if self._connected:
            lane.post(call)

    def start(self) -> None:
        """Connect in the background; never fails because the broker is absent."""
        self._away = False
        if self._started:
            return  # its network thread tries on
        self._started = True
        options = self._options
        self._client.connect_async(options.host, options.port, keepalive=options.keepalive_s)
        self._network = Network(
            self._client, name=f"mqtt-{options.client_id}",
            wait_s=(RECONNECT_S_MIN, RECONNECT_S_MAX), on_unreached=self._handle_no_connection,
        )  # fmt: skip
        self._network.start()

    def stop(self) -> None:
        """Send what is queued (for a bounded time) and say goodbye."""
        if self._connected:
            with self._idle:
                self._idle.wait_for(lambda: self._unsent <= 0, timeout=GOODBYE_S_MAX)
        if self._network is not None:
            self._network.end()
        self._client.disconnect()
        self._started = False

    def lose(self) -> None:
        """Lose the connection without a goodbye and stay away until `start`.

        After it, the next try to connect comes after paho's usual delay.
        """
        self._away = True
        self._connected = False
        line = self._client.socket()
        if isinstance(line, BufferedLine):
            line.shutdown()

    def _check_not_away(self, _client: Client, _userdata: object) -> None:
        if self._away:
            raise ConnectionRefusedError("this client shall stay away")

    def close(self) -> None:
        """Free everything, after `stop`; waits until the goodbye is sent, for a bounded time."""
        if self._network is not None:
            self._network.close(GOODBYE_S_MAX)
            self._network = None
        self._client.reinitialise()  # closes its sockets now, not when it is collected

    def _make_client(self) -> Client:
        options = self._options
        client = BufferedClient(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            clean_session=options.clean_session,
        )
        client.max_queued_messages_set(options.queued_messages_max)
        client.max_inflight_messages_set(INFLIGHT_MAX)
        if options.tls:
            client.tls_set_context(tls_context(options.tls))
        if options.username:
            client.username_pw_set(options.username, options.password)
        if options.will:
            will = options.will
            client.will_set(will.topic, will.payload, qos=will.qos, retain=will.retain)
        client.on_pre_connect = self._check_not_away
        client.on_connect = self._handle_connect
        client.on_disconnect = self._handle_disconnect
        client.on_message = self._handle_message
        client.on_publish = self._handle_published
        client.on_subscribe = self._handle_subscribed
        client.on_socket_open = _no_delay
        return client

    def _handle_connect(
        self,
        _client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            log.warning("broker refused the connection", reason=str(reason))
            return
        # In this order: what another thread subscribes meanwhile is sent twice, not never.
        self._connected = True
        if self._told_unreached:
            self._told_unreached = False
            log.info("broker reached")
        if self._wanted:
            self._ask_for(list(self._wanted))
        for lane, call in self._on_connect_calls:
            lane.post(call)

    def _ask_for(self, wanted: list[tuple[str, int]]) -> None:
        _, mid = self._client.subscribe(wanted)
        if mid is not None:
            self._asked[mid] = [topic_filter for topic_filter, _ in wanted]

    def _handle_subscribed(
        self,
        _client: Client,
        _userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        wanted = self._asked.pop(mid, [])
        refused = [
            wanted[i] if i < len(wanted) else "?" for i, r in enumerate(reasons) if r.is_failure
        ]
        if refused:
            log.warning(
                "broker refused subscriptions: is this name enrolled as what it is?",
                topics=refused,
            )

    def _handle_no_connection(self, error: BaseException) -> None:
        if not self._told_unreached:
            self._told_unreached = True
            log.warning(
                "broker not reached; trying on",
                host=self._options.host,
                port=self._options.port,
                reason=str(error),
            )

    def _handle_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._connected = False
        if reason.is_failure:
            log.warning("broker lost; reconnecting", reason=str(reason))

    def _handle_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        incoming = Incoming(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=message.retain,
            received_at_ns=self._clock.now_ns(),
        )
        with self._inboxes_lock:
            found = self._inboxes.find(incoming.topic)
        for inbox, _ in found:
            inbox.put(incoming)

    def _handle_published(self, *_: Any) -> None:
        with self._idle:
            self._unsent -= 1
            self._idle.notify_all()


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Return how we speak TLS to a broker. Raises StartError where a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(files.ca)
    except OSError as error:  # also what is no certificate: SSLError
        raise StartError(
            f"tls.ca = {files.ca!r}: expected the CA's certificate (PEM): {_why(error)}"
        ) from error
    if files.certificate:
        try:
            context.load_cert_chain(files.certificate, files.key)
        except OSError as error:
            raise StartError(
                f"tls.certificate = {files.certificate!r}, tls.key = {files.key!r}: expected a"
                f" certificate and its own private key (PEM): {_why(error)}"
            ) from error
    return context


def _why(error: OSError) -> str:
    return error.strerror or str(error) or "it is no PEM file"


def _no_delay(_client: Client, _userdata: object, sock: Any) -> None:
    """Small messages go at once: Nagle's algorithm would hold them back for 40 ms."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
