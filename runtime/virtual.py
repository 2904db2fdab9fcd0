"""The virtual runtime: one loop, a clock that jumps to the next thing due, a broker in memory.

Serial lines are in memory too, or on real pseudo-terminals (`lines="pty"`).

All lanes share the loop, so a whole site runs single-threaded and the same every time. What is
due at the same nanosecond happens in the order in which it was asked for.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final, Generic, Literal, TypeVar

from runtime.bus import Bus, BusOptions
from runtime.clock import NS_PER_S, Clock, ShiftedClock, VirtualClock
from runtime.frames import Frames
from runtime.lanes import Lane, WhenFull
from runtime.memory_bus import MemoryBroker, MemoryBus
from runtime.memory_frames import MemoryFrames
from runtime.ports import Ports
from runtime.pty_lines import PtyCarriers
from runtime.seeds import SECRET_BYTES, stream
from runtime.virtual_ports import MemoryCarriers, VirtualPorts

T = TypeVar("T")
EVENTS_PER_RUN_MAX: Final = 50_000_000
Lines = Literal["memory", "pty"]


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


class VirtualRuntime:
    """A process's surroundings in virtual time; several processes may share one loop and broker."""

    def __init__(
        self, seed: int = 0, shared: VirtualRuntime | None = None, *, lines: Lines = "memory"
    ) -> None:
        """Share the loop of `shared`, where there is one, and its broker, lines and cameras."""
        self._seed = seed
        self._life = Life()
        self._buses: list[MemoryBus] = []
        self._parted = False
        if shared is None:
            self._time = VirtualClock()
            self._clock = ShiftedClock(self._time)
            self.loop = VirtualLoop(self._time)
            self.broker = MemoryBroker(self._time, self.loop)
            carriers = PtyCarriers() if lines == "pty" else MemoryCarriers()
            self._ports = VirtualPorts(self._clock, carriers)
            self._frames = MemoryFrames(self._clock)
        else:
            self._time = shared._time  # noqa: SLF001 - same class
            self._clock = ShiftedClock(self._time)
            self.loop = shared.loop
            self.broker = shared.broker
            self._ports = shared._ports.of(self._clock)  # noqa: SLF001 - same class
            self._frames = shared._frames.of(self._clock)  # noqa: SLF001 - same class

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        return self._clock

    @property
    def ports(self) -> Ports:
        """Return serial ports: in memory, or on pseudo-terminals."""
        return self._ports

    @property
    def frames(self) -> Frames:
        """Return pictures in memory."""
        return self._frames

    def random(self, name: str) -> Random:
        """Return the random stream of `name`."""
        return stream(self._seed, name)

    def secret(self, name: str) -> bytes:
        """Return 16 bytes of the stream of `name`: a run is repeated to the byte."""
        return stream(self._seed, name).randbytes(SECRET_BYTES)

    def lane(self, name: str) -> VirtualLane:
        """Return a new lane on the shared loop."""
        return VirtualLane(name, self.loop, self._life)

    def bus(self, options: BusOptions) -> Bus:
        """Return a new connection to the broker in memory."""
        bus = self.broker.connect(options, self._clock)
        bus.part(parted=self._parted)
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
        """Part this process from the broker (see MemoryBroker.cut)."""
        self._parted = True
        for bus in self._buses:
            bus.part(parted=True)

    def heal(self) -> None:
        """Join this process and the broker again."""
        self._parted = False
        for bus in self._buses:
            bus.part(parted=False)

    def shift_clock(self, seconds: float) -> None:
        """Move this process's UTC by `seconds`; its durations stay right."""
        self._clock.ahead_ns += round(seconds * NS_PER_S)

    def close(self) -> None:
        """Close the lines of this process; only pseudo-terminals need it."""
        self._ports.close()

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
