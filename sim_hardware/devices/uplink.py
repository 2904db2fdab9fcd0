"""A device's connection to the broker, and the trouble on it: none, unless asked for."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from runtime.bus import Bus, BusOptions, Incoming
from runtime.clock import NS_PER_S, Clock
from runtime.lanes import Lane, Timer, WhenFull
from runtime.runtime import Runtime

UNDER_WAY_MAX: Final = 10_000
"""Messages that are under way in one direction; what comes on top of them is lost."""
Handler = Callable[[list[Incoming]], None]


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way. What arrives has the QoS its topic is used with."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Passing:
    """What becomes of a message: when it goes on, and whether later ones may overtake it."""

    message: Message
    after_s: float = 0.0
    overtaken: bool = False


class MessageEffect(Protocol):
    """Something that happens to the messages of one direction."""

    def apply(self, message: Message) -> list[Passing]:
        """Return what becomes of `message`; nothing where it is lost."""


class MessageWay:
    """One direction of a connection."""

    def __init__(self, clock: Clock, lane: Lane) -> None:
        self.effects: list[MessageEffect] = []
        self.lost = 0
        self.touched = 0
        """Messages that did not arrive as they were said."""
        self._clock = clock
        self._lane = lane
        self._under_way: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._last_ns = 0
        self._timer: Timer | None = None

    @property
    def is_clear(self) -> bool:
        """Return whether messages pass as they are, at once."""
        return not (self.effects or self._under_way)

    def send(self, message: Message, deliver: Callable[[Message], None]) -> bool:
        """Let a message pass, with all that happens to it; return whether it passed now, whole."""
        passing = [Passing(message)]
        for effect in self.effects:
            passing = [
                Passing(
                    after.message, before.after_s + after.after_s,
                    before.overtaken or after.overtaken,
                )
                for before in passing
                for after in effect.apply(before.message)
            ]  # fmt: skip
        self.touched += passing != [Passing(message)]
        passed = False
        for one in passing:
            passed |= self._pass(one, deliver)
        return passed

    def clear(self) -> None:
        """Lose what is under way."""
        self._under_way.clear()

    def _pass(self, one: Passing, deliver: Callable[[Message], None]) -> bool:
        """Deliver a message or put it behind what is under way; return whether it passed."""
        now_ns = self._clock.monotonic_ns()
        due_ns = now_ns + round(one.after_s * NS_PER_S)
        if not one.overtaken:
            due_ns = self._last_ns = max(due_ns, self._last_ns)
        if due_ns <= now_ns:
            deliver(one.message)
            return True
        if len(self._under_way) >= UNDER_WAY_MAX:
            self.lost += 1
            return False
        message = one.message
        heapq.heappush(self._under_way, (due_ns, next(self._order), lambda: deliver(message)))
        self._drain()
        return False

    def _drain(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ns = self._clock.monotonic_ns()
        while self._under_way and self._under_way[0][0] <= now_ns:
            heapq.heappop(self._under_way)[2]()
        if self._under_way:
            wait_s = (self._under_way[0][0] - now_ns) / NS_PER_S
            self._timer = self._lane.call_later(wait_s, self._drain)


class Uplink:
    """A bus as a device has it. It can lose its network, and its device can boot again."""

    def __init__(
        self, runtime: Runtime, lane: Lane, options: BusOptions, *, incoming_qos: int = 1
    ) -> None:
        self.outgoing = MessageWay(runtime.clock, lane)
        self.incoming = MessageWay(runtime.clock, lane)
        self._runtime = runtime
        self._lane = lane
        self._incoming_qos = incoming_qos
        self._subscriptions: list[tuple[str, Lane, Handler, int, int, WhenFull]] = []
        self._on_connect: list[tuple[Lane, Callable[[], None]]] = []
        self._lost = 0
        self._started = False
        self._bus: Bus = runtime.bus(options)

    @property
    def connected(self) -> bool:
        """Return whether the broker is reached at this moment."""
        return self._bus.connected

    def subscribe(
        self,
        topic_filter: str,
        lane: Lane,
        handler: Handler,
        *,
        qos: int = 1,
        size_max: int = 10_000,
        when_full: WhenFull = WhenFull.WAIT,
    ) -> None:
        """Call `handler` on `lane` with what matches, after all that happens to it."""

        def arrived(batch: list[Incoming]) -> None:
            self._arrive(batch, handler)

        self._subscriptions.append((topic_filter, lane, arrived, qos, size_max, when_full))
        self._bus.subscribe(
            topic_filter, lane, arrived, qos=qos, size_max=size_max, when_full=when_full
        )

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Hand over a message; False where it did not go out (QoS 0: or not at once)."""
        if self.outgoing.is_clear:
            return self._bus.publish(topic, payload, qos=qos, retain=retain)
        passed = self.outgoing.send(Message(topic, payload, qos, retain), self._publish_now)
        return passed or qos > 0

    def on_connect(self, lane: Lane, call: Callable[[], None]) -> None:
        """Run `call` on `lane` after each (re)connect."""
        self._on_connect.append((lane, call))
        self._bus.on_connect(lane, call)

    def start(self) -> None:
        """Connect, now or as soon as there is a network."""
        self._started = True
        if not self._lost:
            self._bus.start()

    def stop(self) -> None:
        """Say goodbye."""
        self._started = False
        self._bus.stop()

    # --- what befalls it --------------------------------------------------------------------------

    def say(self, message: Message) -> None:
        """Publish what the device did not mean to say, past all effects."""
        self._publish_now(message)

    def lose(self) -> None:
        """Lose the network without a goodbye; lost twice it is to be found twice."""
        self._lost += 1
        self.outgoing.clear()
        self.incoming.clear()
        self._bus.lose()

    def find(self) -> None:
        """Have a network again."""
        self._lost -= 1
        assert self._lost >= 0, "a network was found more often than lost"
        if self._started and not self._lost:
            self._bus.start()

    def boot(self, options: BusOptions) -> None:
        """Have a network again after a loss of power: with nothing queued, and this last will."""
        self._bus.stop()
        self._bus = self._runtime.bus(options)
        for topic_filter, lane, arrived, qos, size_max, when_full in self._subscriptions:
            self._bus.subscribe(
                topic_filter, lane, arrived, qos=qos, size_max=size_max, when_full=when_full
            )
        for lane, call in self._on_connect:
            self._bus.on_connect(lane, call)
        self.find()

    def _publish_now(self, message: Message) -> None:
        self._bus.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)

    def _arrive(self, batch: list[Incoming], handler: Handler) -> None:
        if self.incoming.is_clear:
            handler(batch)
            return
        for incoming in batch:
            message = Message(incoming.topic, incoming.payload, self._incoming_qos)

            def hear(heard: Message, retained: bool = incoming.retained) -> None:  # noqa: FBT001
                now_ns = self._runtime.clock.now_ns()
                handler([Incoming(heard.topic, heard.payload, retained, now_ns)])

            self.incoming.send(message, hear)
