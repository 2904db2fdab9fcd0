"""A broker in memory with MQTT 3.1.1 semantics, for virtual time.

It does what mosquitto does where the standard leaves a choice: a message reaches each client once
however many of its filters match, a retained one once per matching subscription; a client that
takes another's name ends its connection; a full queue gives up the newest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from runtime.bus import BusOptions, Incoming, topic_matches
from runtime.clock import NS_PER_S, Clock
from runtime.lanes import Inbox, Lane, WhenFull
from runtime.memory_wire import WAY_MESSAGES_MAX, Later, Message, Pipe, Trouble, Weather
from runtime.topic_tree import TopicTree

SESSION_MESSAGES_MAX: Final = 10_000
RECONNECT_S_MIN: Final = 1.0
RECONNECT_S_MAX: Final = 10.0
BROKER_PATIENCE: Final = 1.5
"""So many keepalives of silence end a client for the broker. Source: MQTT 3.1.1, 3.1.2.10."""
CLIENT_PATIENCE: Final = 2.0
"""So many keepalives after the last sign of life a client gives up: its ping was not answered."""


@dataclass(slots=True, eq=False)
class _Session:
    """What the broker keeps for one client id."""

    clean: bool
    connection: Connection | None = None
    filters: dict[str, None] = field(default_factory=dict)
    waiting: deque[Message] = field(default_factory=deque)
    dropped: int = 0

    def keep(self, message: Message) -> None:
        """Let a message wait for the client; the newest is given up where too many wait."""
        if len(self.waiting) >= SESSION_MESSAGES_MAX:
            self.dropped += 1
        else:
            self.waiting.append(message)


class Connection:
    """One connection of a client; each side may believe in it when the other does not any more."""

    def __init__(self, client: MemoryBus, session: _Session, up: Pipe, down: Pipe) -> None:
        self.client = client
        self.session = session
        self.up = up
        self.down = down
        self.cuts = 0
        self.broker_open = True
        self.client_open = True

    @property
    def is_cut(self) -> bool:
        """Return whether nothing passes."""
        return self.up.cut


class MemoryBroker:
    """The broker. `fail` takes it down with all its sessions, as a kill without a disk does."""

    def __init__(self, clock: Clock, later: Later) -> None:
        self._clock = clock
        self._later = later
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, Message] = {}
        self._subscribers: TopicTree[_Session] = TopicTree()
        self._connections: dict[Connection, None] = {}
        self._cut_prefixes: list[str] = []
        self._weather = Weather()
        self.up = True

    # --- what a test or a fault may do ------------------------------------------------------------

    def connect(self, options: BusOptions, clock: Clock | None = None) -> MemoryBus:
        """Return a client that has not started yet; `clock` tells when messages reach it."""
        return MemoryBus(self, options, clock or self._clock, self._later)

    def fail(self) -> None:
        """Go down: every connection, session and retained message is lost, no will is said."""
        self.up = False
        self._sessions.clear()
        self._retained.clear()
        self._subscribers = TopicTree()
        for connection in list(self._connections):
            connection.broker_open = False
            connection.down.take_back()
            self._tell_lost(connection)

    def recover(self) -> None:
        """Come up again, empty; clients find it at their next try."""
        self.up = True

    def cut(self, client: str) -> None:
        """Part all clients whose id begins with `client` from the broker, both ways.

        Neither side is told. The broker says the last will after 1.5 keepalives, the client takes
        the connection for lost after 2 and tries on. Healed before, nothing is lost; after, QoS 0
        is, and QoS 1 is sent again (by the broker only to a lasting session).
        """
        self._cut_prefixes.append(client)
        self.check_cuts()

    def heal(self, client: str) -> None:
        """Join what `cut` of the same `client` parted. Raises ValueError where nothing did."""
        if client not in self._cut_prefixes:
            raise ValueError(f"heal {client!r}: expected one of {self._cut_prefixes}")
        self._cut_prefixes.remove(client)
        self.check_cuts()

    def disturb(self, trouble: Trouble, random: Random) -> Callable[[], None]:
        """Begin a trouble whose draws come from `random`; return what ends it."""
        return self._weather.add(trouble, random)

    # --- connections, for the clients -------------------------------------------------------------

    def parts(self, client: MemoryBus) -> bool:
        """Return whether a cut lies between this client and the broker."""
        name = client.options.client_id
        return client.parted or any(name.startswith(prefix) for prefix in self._cut_prefixes)

    def check_cuts(self) -> None:
        """Cut and heal connections until they are as the cuts say."""
        for connection in list(self._connections):
            parted = self.parts(connection.client)
            if parted and not connection.is_cut:
                self._cut(connection)
            elif not parted and connection.is_cut:
                self._heal(connection)

    def attach(self, client: MemoryBus) -> Connection:
        """Give `client` its session; an older connection of the same id ends.

        Its will is said where the session ends too; where it goes on nobody is gone (mosquitto).
        """
        options = client.options
        old = self._sessions.get(options.client_id)
        if old is not None and old.connection is not None:
            self._close(old.connection, say_will=old.clean or options.clean_session)
        session = self._sessions.get(options.client_id)
        if session is None or options.clean_session or session.clean:
            self._discard(options.client_id)
            session = _Session(options.clean_session)
            self._sessions[options.client_id] = session
        up, down = (
            Pipe(
                options.client_id, way, clock=self._clock, later=self._later, weather=self._weather
            )
            for way in ("up", "down")
        )
        connection = session.connection = Connection(client, session, up, down)
        self._connections[connection] = None
        self._send_waiting(session)
        return connection

    def hang_up(self, connection: Connection, *, say_will: bool) -> None:
        """Let the broker learn, after what is on its way, that the client has left."""

        def learn() -> None:
            self._close(connection, say_will=say_will)

        connection.client_open = False
        if connection.up.clear:
            learn()
        else:
            connection.up.send(learn)

    def subscribe(self, connection: Connection, topic_filter: str, qos: int) -> None:
        """Note the subscription and send what is retained."""

        def arrive() -> None:
            if not connection.broker_open:
                return
            session = connection.session
            session.filters[topic_filter] = None
            self._subscribers.add(topic_filter, session, qos)
            for topic, kept in sorted(self._retained.items()):
                if topic_matches(topic_filter, topic):
                    self._send(session, kept._replace(qos=min(qos, kept.qos)))

        if connection.up.clear:
            arrive()
        else:
            connection.up.send(arrive)

    def publish(self, connection: Connection, message: Message) -> bool:
        """Take a message from a client; False where too much is on its way already."""
        if connection.up.clear:
            self._route(message)
            return True

        def arrive() -> None:
            if connection.broker_open:
                self._route(message)

        return connection.up.send(arrive, message)

    # --- inside -----------------------------------------------------------------------------------

    def _route(self, message: Message) -> None:
        """Give a message to every session that subscribed, once."""
        topic, payload, qos, retain = message
        if retain:
            if payload:
                self._retained[topic] = message
            else:
                self._retained.pop(topic, None)
        for session, granted in self._subscribers.find(topic):
            self._send(session, Message(topic, payload, min(qos, granted), retain=False))

    def _send(self, session: _Session, message: Message) -> None:
        connection = session.connection
        if connection is None:
            if message.qos > 0 and not session.clean:
                session.keep(message)
        elif connection.down.clear and connection.client_open:
            connection.client.deliver(message)
        else:

            def arrive() -> None:
                if connection.client_open:
                    connection.client.deliver(message)
                elif message.qos > 0 and not session.clean:
                    session.keep(message)

            if not connection.down.send(arrive, message):
                session.dropped += 1

    def _send_waiting(self, session: _Session) -> None:
        """Send what came for a lasting session while its client was away."""
        waiting, session.waiting = session.waiting, deque()
        for message in waiting:
            self._send(session, message)

    def _close(self, connection: Connection, *, say_will: bool) -> None:
        """End a connection on the broker's side; the session stays unless it is a clean one."""
        if not connection.broker_open:
            return
        connection.broker_open = False
        session, options = connection.session, connection.client.options
        session.connection = None
        session.waiting.extendleft(reversed(connection.down.take_back()))
        if session.clean:
            self._discard(options.client_id)
        will = options.will
        if say_will and will is not None:
            self._route(Message(will.topic, will.payload, will.qos, will.retain))
        self._tell_lost(connection)

    def _discard(self, client_id: str) -> None:
        session = self._sessions.pop(client_id, None)
        if session is not None:
            for topic_filter in session.filters:
                self._subscribers.remove(topic_filter, session)

    def _tell_lost(self, connection: Connection) -> None:
        """Let the client learn that the broker closed, unless a cut lies between."""
        if connection.is_cut and connection.client_open:
            return
        self._connections.pop(connection, None)
        connection.client.handle_lost(connection)

    def _cut(self, connection: Connection) -> None:
        connection.up.cut = connection.down.cut = True
        connection.cuts += 1
        number, keepalive_s = connection.cuts, connection.client.options.keepalive_s

        def still() -> bool:
            return connection.is_cut and connection.cuts == number

        def broker_gives_up() -> None:
            if still():
                self._close(connection, say_will=True)

        def client_gives_up() -> None:
            if still():
                connection.client.handle_lost(connection)
                self._connections.pop(connection, None)

        if keepalive_s:
            self._later.add(round(BROKER_PATIENCE * keepalive_s * NS_PER_S), broker_gives_up)
            self._later.add(round(CLIENT_PATIENCE * keepalive_s * NS_PER_S), client_gives_up)

    def _heal(self, connection: Connection) -> None:
        connection.up.heal()
        connection.down.heal()
        if not connection.broker_open:
            self._tell_lost(connection)


class MemoryBus:
    """One client of the broker in memory; it reconnects with paho's delays."""

    def __init__(
        self, broker: MemoryBroker, options: BusOptions, clock: Clock, later: Later
    ) -> None:
        self.options = options
        self.parted = False
        """Whether this client is cut off, whatever the broker's own cuts say."""
        self._broker = broker
        self._clock = clock
        self._later = later
        self._subscriptions: list[tuple[str, int, Inbox[Incoming]]] = []
        self._inboxes: TopicTree[Inbox[Incoming]] = TopicTree()
        self._on_connect_calls: list[tuple[Lane, Callable[[], None]]] = []
        self._queued: deque[Message] = deque()
        self._queued_max = min(options.queued_messages_max, WAY_MESSAGES_MAX)
        self._connection: Connection | None = None
        self._started = False
        self._retry_s = RECONNECT_S_MIN
        self._retrying = False

    @property
    def connected(self) -> bool:
        """Return whether this client takes the broker for reached at this moment."""
        return self._connection is not None

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
        self._inboxes.add(topic_filter, inbox, qos)
        if self._connection is not None:
            self._broker.subscribe(self._connection, topic_filter, qos)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Hand over a message; QoS 1 waits for the broker up to the queue's limit."""
        if not topic or "+" in topic or "#" in topic:
            raise ValueError(f"publish to {topic!r}: expected a topic without wildcards")
        message = Message(topic, bytes(payload), qos, retain)
        connection = self._connection
        if connection is None:
            if qos == 0 or len(self._queued) >= self._queued_max:
                return False
            self._queued.append(message)
            return True
        if qos and connection.up.owed >= self._queued_max:
            return False
        return self._broker.publish(connection, message)

    def on_connect(self, lane: Lane, call: Callable[[], None]) -> None:
        """Run `call` on `lane` after each (re)connect."""
        self._on_connect_calls.append((lane, call))
        if self._connection is not None:
            lane.post(call)

    def start(self) -> None:
        """Connect now or as soon as the broker is up."""
        self._started = True
        self._connect()

    def stop(self) -> None:
        """Say goodbye after what is on its way: no last will."""
        self._leave(say_will=False)

    def end(self) -> None:
        """Be gone for good without a goodbye: the process has ended."""
        self._leave(say_will=True)
        self._queued.clear()

    def lose(self) -> None:
        """Lose the connection without a goodbye and stay away until `start`."""
        self._started = False
        self.drop()

    def drop(self) -> None:
        """Lose the connection without a goodbye: the broker says the will; connect anew later."""
        connection = self._connection
        if connection is not None:
            self.handle_lost(connection)
            self._broker.hang_up(connection, say_will=True)

    def part(self, *, parted: bool) -> None:
        """Cut this client off from the broker, or join it again: see MemoryBroker.cut."""
        self.parted = parted
        self._broker.check_cuts()

    def handle_lost(self, connection: Connection) -> None:
        """Note that a connection is over; try again later."""
        if self._connection is not connection:
            return
        connection.client_open = False
        self._connection = None
        self._queued.extendleft(reversed(connection.up.take_back()))
        self._retry_later()

    def deliver(self, message: Message) -> None:
        """Put a message into every matching inbox."""
        incoming = Incoming(message.topic, message.payload, message.retain, self._clock.now_ns())
        for inbox, _ in self._inboxes.find(message.topic):
            inbox.put(incoming)

    def _connect(self) -> None:
        if not self._started or self._connection is not None:
            return
        if not self._broker.up or self._broker.parts(self):
            self._retry_later()
            return
        self._retry_s = RECONNECT_S_MIN
        connection = self._connection = self._broker.attach(self)
        for topic_filter, qos, _ in self._subscriptions:
            self._broker.subscribe(connection, topic_filter, qos)
        for lane, call in self._on_connect_calls:
            lane.post(call)
        while self._queued:
            self._broker.publish(connection, self._queued.popleft())

    def _leave(self, *, say_will: bool) -> None:
        self._started = False
        connection, self._connection = self._connection, None
        if connection is not None:
            self._broker.hang_up(connection, say_will=say_will)

    def _retry_later(self) -> None:
        if not self._started or self._retrying:
            return
        self._retrying = True
        self._later.add(round(self._retry_s * NS_PER_S), self._try_again)
        self._retry_s = min(self._retry_s * 2, RECONNECT_S_MAX)

    def _try_again(self) -> None:
        self._retrying = False
        self._connect()
