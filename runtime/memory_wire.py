"""What lies between a client and the broker in memory: two ways in order, which may be disturbed.

Nothing is disturbed unless somebody asks for it, and then by draws from the random stream that
they give. A TCP connection never loses or reorders; what a network with bridges and reconnecting
clients shows to the application is what the rules here make.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, NamedTuple, Protocol

from runtime.bus import topic_matches
from runtime.clock import NS_PER_S, Clock

WAY_MESSAGES_MAX: Final = 10_000
"""So many messages are on one way at most; what comes then is refused or dropped and counted."""
DELAY_S_MAX: Final = 3_600.0
Way = Literal["up", "down"]


class Later(Protocol):
    """Where a call is put that is due later: the loop."""

    def add(self, delay_ns: int, call: Callable[[], None]) -> object:
        """Run `call` after `delay_ns`."""


class Message(NamedTuple):
    """What is published."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What happens to messages between the broker and some clients."""

    client: str = ""
    """Clients whose id begins so."""
    topic_filter: str = "#"
    way: Literal["up", "down", "both"] = "both"
    """`up` is from the client to the broker."""
    latency_s: float = 0.0
    jitter_s: float = 0.0
    """Added to the latency, drawn evenly from 0 to this. Order is kept."""
    duplicate_share: float = 0.0
    """So many arrive twice, as QoS 1 allows and a bridge does to QoS 0."""
    reorder_share: float = 0.0
    """So many are held back by up to `reorder_s`, and others overtake them."""
    reorder_s: float = 0.5
    lose_share: float = 0.0
    """So many of QoS 0 never arrive. QoS 1 is never lost."""

    def __post_init__(self) -> None:
        for name in ("duplicate_share", "reorder_share", "lose_share"):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name}: expected a share from 0 to 1, got {share}")
        for name in ("latency_s", "jitter_s", "reorder_s"):
            seconds = getattr(self, name)
            if not 0.0 <= seconds <= DELAY_S_MAX:
                raise ValueError(f"{name}: expected 0 to {DELAY_S_MAX:.0f} s, got {seconds}")

    def touches(self, client_id: str, topic: str, way: Way) -> bool:
        """Return whether this happens to such a message."""
        return (
            self.way in {"both", way}
            and client_id.startswith(self.client)
            and topic_matches(self.topic_filter, topic)
        )


class Fate(NamedTuple):
    """When copies of one message arrive, counted from now."""

    delays_ns: tuple[int, ...]
    in_order: bool


class Weather:
    """All the troubles there are at this moment."""

    def __init__(self) -> None:
        self.rules: list[tuple[Trouble, Random]] = []

    def add(self, trouble: Trouble, random: Random) -> Callable[[], None]:
        """Begin a trouble; return what ends it."""
        rule = (trouble, random)
        self.rules.append(rule)

        def end() -> None:
            self.rules = [kept for kept in self.rules if kept is not rule]

        return end

    def fate(self, client_id: str, message: Message, way: Way) -> Fate:
        """Return what becomes of one message: no copy where it is lost."""
        delays_s = [0.0]
        in_order = True
        for rule, random in self.rules:
            if not rule.touches(client_id, message.topic, way):
                continue
            if message.qos == 0 and random.random() < rule.lose_share:
                return Fate((), in_order)
            if random.random() < rule.duplicate_share:
                delays_s.append(delays_s[-1])
            if random.random() < rule.reorder_share:
                in_order = False
                delays_s = [delay_s + random.random() * rule.reorder_s for delay_s in delays_s]
            delays_s = [
                delay_s + rule.latency_s + random.random() * rule.jitter_s for delay_s in delays_s
            ]
        return Fate(tuple(round(delay_s * NS_PER_S) for delay_s in delays_s), in_order)


class Pipe:
    """One way of one connection: what is sent arrives later, in order, or not while it is cut."""

    def __init__(
        self, client_id: str, way: Way, *, clock: Clock, later: Later, weather: Weather
    ) -> None:
        self.cut = False
        self.carried = 0
        """Messages on their way, without copies."""
        self.owed = 0
        """Those of them that are sent again after a loss: QoS 1 and 2."""
        self._client_id = client_id
        self._way = way
        self._clock = clock
        self._later = later
        self._weather = weather
        self._travelling: list[tuple[int, int, Message | None, Callable[[], None]]] = []
        self._sent = 0
        self._last_due_ns = 0

    @property
    def clear(self) -> bool:
        """Return whether what is sent now arrives at once: the caller may do it itself."""
        return not (self._travelling or self.cut or self._weather.rules)

    def send(self, arrive: Callable[[], None], message: Message | None = None) -> bool:
        """Let `arrive` happen at the other end; False where the way is full.

        What carries no message (a subscription, a goodbye) is never lost, doubled or overtaken.
        """
        if message is not None and self.carried >= WAY_MESSAGES_MAX:
            return False
        now_ns = self._clock.monotonic_ns()
        fate = Fate((0,), in_order=True)
        if message is not None:
            fate = self._weather.fate(self._client_id, message, self._way)
        for number, delay_ns in enumerate(fate.delays_ns):
            due_ns = now_ns + delay_ns
            if fate.in_order:
                due_ns = self._last_due_ns = max(due_ns, self._last_due_ns)
            self._sent += 1
            kept = message if number == 0 else None  # a copy is not sent again after a loss
            self._count(kept, 1)
            heapq.heappush(self._travelling, (due_ns, self._sent, kept, arrive))
            self._later.add(due_ns - now_ns, self._flush)
        return True

    def heal(self) -> None:
        """Let arrive what was held back."""
        self.cut = False
        self._later.add(0, self._flush)

    def take_back(self) -> list[Message]:
        """End this way; return the messages of QoS 1 and 2 that did not arrive, as sent."""
        left = sorted(self._travelling, key=lambda entry: entry[1])
        self._travelling.clear()
        self.carried = self.owed = 0
        return [message for _, _, message, _ in left if message is not None and message.qos > 0]

    def _flush(self) -> None:
        now_ns = self._clock.monotonic_ns()
        while not self.cut and self._travelling and self._travelling[0][0] <= now_ns:
            _, _, message, arrive = heapq.heappop(self._travelling)
            self._count(message, -1)
            arrive()

    def _count(self, message: Message | None, change: int) -> None:
        if message is not None:
            self.carried += change
            self.owed += change if message.qos > 0 else 0
