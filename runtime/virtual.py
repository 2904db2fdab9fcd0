"""The virtual runtime: one loop, a clock that jumps to the next thing due, everything in memory.

All lanes share the loop, so a whole site runs single-threaded and the same every time. What is
due at the same nanosecond happens in the order in which it was asked for.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final, Generic, TypeVar

from runtime.bus import Bus, BusOptions
from runtime.clock import NS_PER_S, Clock, ShiftedClock, VirtualClock
from runtime.frames import Frames
from runtime.lanes import Lane, WhenFull
from runtime.memory_bus import MemoryBroker, MemoryBus
from runtime.memory_ports import MemoryFrames, MemoryPorts
from runtime.ports import Port, Ports
from runtime.seeds import stream

T = TypeVar("T")
EVENTS_PER_RUN_MAX: Final = 50_000_000
KEEPALIVES_TO_GONE: Final = 1.5
"""A broker takes a client that is silent for so long for gone. Source: MQTT 3.1.1, 3.1.2.10."""


class Life:
    """Whether a process runs: once it was killed, nothing of it happens any more."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False


class VirtualTimer:
    """A call that is due later."""

    def __init__(self, call: Callable[[], None], period_ns: int, life: Life) -> None:
        self.call = call
        self.period_ns = period_ns
        self.life = life
        self.cancelled = False

    def cancel(self) -> None:
        """Forget the call if it has not begun."""
        self.cancelled = True


class VirtualLoop:
    """What is due, in order of time and then of asking."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._due: list[tuple[int, int, VirtualTimer]] = []
        self._order = itertools.count()
        self._always = Life()

    def add(
        self,
        delay_ns: int,
        call: Callable[[], None],
        period_ns: int = 0,
        life: Life | None = None,
    ) -> VirtualTimer:
        """Run `call` after `delay_ns`, and every `period_ns` after that where it is not 0.

        It is dropped where the process it belongs to has ended by then.
        """
        timer = VirtualTimer(call, period_ns, life or self._always)
        self._push(self.clock.now_ns() + max(delay_ns, 0), timer)
        return timer

    def run_until(self, end_ns: int, stop: Callable[[], bool] | None = None) -> bool:
        """Run all that is due up to `end_ns`; return whether `stop` said so before."""
        for _ in range(EVENTS_PER_RUN_MAX):
            if stop is not None and stop():
                return True
            if not self._due or self._due[0][0] > end_ns:
                self.clock.move_to(max(end_ns, self.clock.now_ns()))
                return False
            at_ns, _, timer = heapq.heappop(self._due)
            if timer.cancelled or timer.life.over:
                continue
            self.clock.move_to(max(at_ns, self.clock.now_ns()))
            if timer.period_ns:
                self._push(self.clock.now_ns() + timer.period_ns, timer)
            timer.call()
        raise RuntimeError(
            f"over {EVENTS_PER_RUN_MAX} events in one run: something repeats at once for ever"
        )

    def _push(self, at_ns: int, timer: VirtualTimer) -> None:
        heapq.heappush(self._due, (at_ns, next(self._order), timer))


class VirtualInbox(Generic[T]):
    """A bounded queue in front of a lane. A single thread cannot wait: WAIT grows and counts it."""

    def __init__(
        self,
        loop: VirtualLoop,
        life: Life,
        handler: Callable[[list[T]], None],
        size_max: int,
        batch_max: int,
        when_full: WhenFull,
    ) -> None:
        self._loop = loop
        self._life = life
        self._handler = handler
        self._size_max = size_max
        self._batch_max = batch_max
        self._when_full = when_full
        self._items: deque[T] = deque()
        self._scheduled = False
        self._dropped = 0
        self.overfull = 0

    @property
    def dropped(self) -> int:
        """Return how many items were given up."""
        return self._dropped

    def put(self, item: T) -> bool:
        """Add `item`."""
        if len(self._items) >= self._size_max:
            if self._when_full is WhenFull.DROP_OLDEST:
                self._items.popleft()
                self._dropped += 1
            else:
                self.overfull += 1
        self._items.append(item)
        self._schedule()
        return True

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.add(0, self._drain, life=self._life)

    def _drain(self) -> None:
        self._scheduled = False
        batch = [self._items.popleft() for _ in range(min(self._batch_max, len(self._items)))]
        if self._items:
            self._schedule()
        if batch:
            self._handler(batch)


class VirtualLane:
    """A lane on the shared loop."""

    def __init__(self, name: str, loop: VirtualLoop, life: Life | None = None) -> None:
        self._name = name
        self._loop = loop
        self._life = life or Life()

    @property
    def name(self) -> str:
        """Return the lane's name."""
        return self._name

    def inbox(
        self,
        name: str,  # noqa: ARG002 - part of the interface
        handler: Callable[[list[T]], None],
        *,
        size_max: int = 10_000,
        batch_max: int = 500,
        when_full: WhenFull = WhenFull.WAIT,
    ) -> VirtualInbox[T]:
        """Return an inbox whose items reach `handler` in order, in batches."""
        return VirtualInbox(self._loop, self._life, handler, size_max, batch_max, when_full)

    def post(self, call: Callable[[], None]) -> None:
        """Run `call` soon."""
        self._loop.add(0, call, life=self._life)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> VirtualTimer:
        """Run `call` after `delay_s` seconds."""
        return self._loop.add(round(delay_s * NS_PER_S), call, life=self._life)

    def call_every(self, period_s: float, call: Callable[[], None]) -> VirtualTimer:
        """Run `call` every `period_s` seconds."""
        period_ns = round(period_s * NS_PER_S)
        return self._loop.add(period_ns, call, period_ns, self._life)


class OwnPorts:
    """Ports as one process has them: it remembers what it opened, to be closed when it ends."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._opened: list[Port] = []

    def open(
        self,
        path: str,
        baud: int,
        lane: Lane,
        on_bytes: Callable[[list[tuple[bytes, int]]], None],
        on_lost: Callable[[str], None],
    ) -> Port:
        """Open the host's end of a line. Raises PortOpenError."""
        port = self._ports.open(path, baud, lane, on_bytes, on_lost)
        self._opened.append(port)
        return port

    def create(
        self, path: str, lane: Lane, on_bytes: Callable[[list[tuple[bytes, int]]], None]
    ) -> Port:
        """Make a device whose host end appears at `path`; return the device's end."""
        port = self._ports.create(path, lane, on_bytes)
        self._opened.append(port)
        return port

    def close(self) -> None:
        """Close all of them, as the kernel does when a process ends."""
        for port in self._opened:
            port.close()
        self._opened.clear()


class VirtualRuntime:
    """A process's surroundings in virtual time; several processes may share one loop and broker."""

    def __init__(self, seed: int = 0, shared: VirtualRuntime | None = None) -> None:
        self._seed = seed
        self._time: VirtualClock = shared._time if shared else VirtualClock()  # noqa: SLF001 - same class
        self._clock = ShiftedClock(self._time)
        self._life = Life()
        self._buses: list[MemoryBus] = []
        self.loop: VirtualLoop = shared.loop if shared else VirtualLoop(self._time)
        self.broker: MemoryBroker = shared.broker if shared else MemoryBroker(self._time)
        self._lines: MemoryPorts = shared._lines if shared else MemoryPorts(self._time)  # noqa: SLF001 - same class
        self._ports = OwnPorts(self._lines)
        self._frames: MemoryFrames = shared._frames if shared else MemoryFrames(self._time)  # noqa: SLF001 - same class

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        return self._clock

    @property
    def ports(self) -> Ports:
        """Return serial ports in memory."""
        return self._ports

    @property
    def frames(self) -> Frames:
        """Return pictures in memory."""
        return self._frames

    def random(self, name: str) -> Random:
        """Return the random stream of `name`."""
        return stream(self._seed, name)

    def lane(self, name: str) -> VirtualLane:
        """Return a new lane on the shared loop."""
        return VirtualLane(name, self.loop, self._life)

    def bus(self, options: BusOptions) -> Bus:
        """Return a new connection to the broker in memory."""
        bus = self.broker.connect(options)
        self._buses.append(bus)
        return bus

    # --- what befalls a process from outside ------------------------------------------------------

    def kill(self) -> None:
        """End everything of this process at once, as SIGKILL does.

        What it had planned or had queued never happens; its lines are closed; the broker says its
        last wills. What it gave to others before (a message, bytes on a line) arrives.
        """
        self._life.over = True
        for bus in self._buses:
            bus.end()
        self._buses.clear()
        self._ports.close()

    def cut(self) -> None:
        """Part this process from the broker: neither hears that the other is gone."""
        for bus in self._buses:
            expire = functools.partial(bus.expire, bus.cut())
            silent_ns = round(bus.options.keepalive_s * KEEPALIVES_TO_GONE * NS_PER_S)
            self.loop.add(silent_ns, expire, life=self._life)

    def heal(self) -> None:
        """Join this process and the broker again."""
        for bus in self._buses:
            bus.heal()

    def shift_clock(self, seconds: float) -> None:
        """Move this process's UTC by `seconds`; its durations stay right."""
        self._clock.ahead_ns += round(seconds * NS_PER_S)

    # --- time -------------------------------------------------------------------------------------

    def run_on(
        self,
        lane: Lane,  # noqa: ARG002 - part of the interface: all lanes share the loop
        call: Callable[[], None],
        timeout_s: float = 5.0,  # noqa: ARG002 - part of the interface
    ) -> bool:
        """Run `call` at once: there is only one thread."""
        call()
        return True

    def run_for(self, seconds: float) -> None:
        """Run everything due in the next `seconds`."""
        self.loop.run_until(self._time.now_ns() + round(seconds * NS_PER_S))

    def run_until(self, reached: Callable[[], bool], timeout_s: float = 60.0) -> bool:
        """Run until `reached` says so; return whether it did within `timeout_s` virtual seconds."""
        return self.loop.run_until(self._time.now_ns() + round(timeout_s * NS_PER_S), reached)
