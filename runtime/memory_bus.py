"""A broker in memory with MQTT 3.1.1 semantics, for virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from runtime.bus import BusOptions, Incoming, topic_matches
from runtime.clock import Clock
from runtime.lanes import Inbox, Lane, WhenFull

SESSION_MESSAGES_MAX: Final = 10_000


@dataclass(slots=True)
class _Session:
    """What the broker keeps for one client id."""

    client: MemoryBus | None = None
    subscriptions: dict[str, int] = field(default_factory=dict)
    waiting: deque[tuple[str, bytes]] = field(
        default_factory=lambda: deque(maxlen=SESSION_MESSAGES_MAX)
    )


class MemoryBroker:
    """The broker. `fail` takes it down with all its sessions, as a kill without a disk does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, bytes] = {}
        self._clients: list[MemoryBus] = []
        self.up = True

    def connect(self, options: BusOptions) -> MemoryBus:
        """Return a client that has not started yet."""
        client = MemoryBus(self, options)
        self._clients.append(client)
        return client

    def fail(self) -> None:
        """Go down: every connection, session and retained message is lost."""
        self.up = False
        for client in self._clients:
            client.handle_lost()
        self._sessions.clear()
        self._retained.clear()

    def recover(self) -> None:
        """Come up again, empty; clients connect again."""
        self.up = True
        for client in self._clients:
            client.connect()

    def attach(self, client: MemoryBus) -> None:
        """Give `client` its session; an older connection of the same id ends."""
        options = client.options
        session = self._sessions.get(options.client_id)
        if session is None or options.clean_session:
            session = self._sessions[options.client_id] = _Session()
        elif session.client is not None and session.client is not client:
            session.client.handle_lost()
        session.client = client

    def detach(self, client: MemoryBus, *, say_will: bool) -> None:
        """Let `client` go; its session stays unless it was a clean one."""
        session = self._sessions.get(client.options.client_id)
        if session is None or session.client is not client:
            return
        session.client = None
        if client.options.clean_session:
            del self._sessions[client.options.client_id]
        will = client.options.will
        if say_will and will is not None:
            self.route(will.topic, will.payload, will.qos, retain=will.retain)

    def subscribe(self, client: MemoryBus, topic_filter: str, qos: int) -> None:
        """Note the subscription and deliver what is retained."""
        session = self._sessions[client.options.client_id]
        session.subscriptions[topic_filter] = qos
        for topic, payload in sorted(self._retained.items()):
            if topic_matches(topic_filter, topic):
                client.deliver(_incoming(topic, payload, self._clock, retained=True), topic_filter)

    def forget(self, client: MemoryBus) -> None:
        """Forget a client whose process has ended."""
        self._clients.remove(client)

    def deliver_waiting(self, client: MemoryBus) -> None:
        """Deliver what came for a lasting session while its client was away."""
        session = self._sessions[client.options.client_id]
        while session.waiting:
            topic, payload = session.waiting.popleft()
            client.deliver(_incoming(topic, payload, self._clock))

    def route(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """Give a message to every session that subscribed."""
        if retain:
            if payload:
                self._retained[topic] = payload
            else:
                self._retained.pop(topic, None)
        for session in list(self._sessions.values()):
            granted = [q for f, q in session.subscriptions.items() if topic_matches(f, topic)]
            if not granted:
                continue
            if session.client is not None and not session.client.is_cut:
                session.client.deliver(_incoming(topic, payload, self._clock))
            elif min(qos, max(granted)) > 0:
                session.waiting.append((topic, payload))


class MemoryBus:
    """One client of the broker in memory."""

    def __init__(self, broker: MemoryBroker, options: BusOptions) -> None:
        self.options = options
        self._broker = broker
        self._subscriptions: list[tuple[str, int, Inbox[Incoming]]] = []
        self._on_connect_calls: list[tuple[Lane, Callable[[], None]]] = []
        self._queued: deque[tuple[str, bytes, int, bool]] = deque()
        self._connected = False
        self._started = False
        self._cuts = 0
        self.is_cut = False
        """Whether nothing passes between this client and the broker, and neither knows it."""

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
        """Call `handler` on `lane` with what matches."""
        inbox = lane.inbox(topic_filter, handler, size_max=size_max, when_full=when_full)
        self._subscriptions.append((topic_filter, qos, inbox))
        if self._connected:
            self._broker.subscribe(self, topic_filter, qos)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Hand over a message; QoS 1 waits for the broker up to the queue's limit."""
        if self._connected and not self.is_cut:
            self._broker.route(topic, payload, qos, retain=retain)
            return True
        if qos == 0 or len(self._queued) >= self.options.queued_messages_max:
            return False
        self._queued.append((topic, payload, qos, retain))
        return True

    def on_connect(self, lane: Lane, call: Callable[[], None]) -> None:
        """Run `call` on `lane` after each (re)connect."""
        self._on_connect_calls.append((lane, call))
        if self._connected:
            lane.post(call)

    def start(self) -> None:
        """Connect now or as soon as the broker is up."""
        self._started = True
        self.connect()

    def connect(self) -> None:
        """Connect if the broker is up."""
        if not self._started or self._connected or self.is_cut or not self._broker.up:
            return
        self._broker.attach(self)
        self._connected = True
        for topic_filter, qos, _ in self._subscriptions:
            self._broker.subscribe(self, topic_filter, qos)
        self._broker.deliver_waiting(self)
        for lane, call in self._on_connect_calls:
            lane.post(call)
        self._send_queued()

    def _send_queued(self) -> None:
        while self._queued:
            topic, payload, qos, retain = self._queued.popleft()
            self._broker.route(topic, payload, qos, retain=retain)

    def cut(self) -> int:
        """Let nothing pass any more; return the number of this cut, for `expire`.

        What is sent at QoS 1 waits, what is sent at QoS 0 is lost.
        """
        if not self.is_cut:
            self.is_cut = True
            self._cuts += 1
        return self._cuts

    def expire(self, cut: int) -> None:
        """Let both sides take the other for gone, where that cut still parts them."""
        if self.is_cut and self._connected and self._cuts == cut:
            self.drop()

    def heal(self) -> None:
        """Let everything pass again, what waited first; parted for too long, connect anew."""
        if not self.is_cut:
            return
        self.is_cut = False
        if self._connected:
            self._broker.deliver_waiting(self)
            self._send_queued()
        else:
            self.connect()

    def end(self) -> None:
        """Be gone for good without a goodbye: the process has ended."""
        if self._connected:
            self.drop()
        self._started = False
        self._queued.clear()
        self._broker.forget(self)

    def stop(self) -> None:
        """Say goodbye: no last will."""
        self._started = False
        if self._connected:
            self._connected = False
            self._broker.detach(self, say_will=False)

    def drop(self) -> None:
        """Lose the connection without a goodbye: the broker says the last will."""
        self._connected = False
        self._broker.detach(self, say_will=True)

    def handle_lost(self) -> None:
        """Note that the broker or a client of the same id ended this connection."""
        self._connected = False

    def deliver(self, message: Incoming, only: str = "") -> None:
        """Put a message into every matching inbox (or only that of one subscription)."""
        for topic_filter, _, inbox in self._subscriptions:
            if (not only or topic_filter == only) and topic_matches(topic_filter, message.topic):
                inbox.put(message)


def _incoming(topic: str, payload: bytes, clock: Clock, *, retained: bool = False) -> Incoming:
    return Incoming(topic, payload, retained, clock.now_ns())
