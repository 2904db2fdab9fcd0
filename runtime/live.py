"""The live runtime: lanes are threads, time is the machine's, the bus MQTT, ports pyserial's."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final, Generic, TypeVar

import structlog

from runtime.bus import Bus, BusOptions
from runtime.clock import NS_PER_S, Clock, PacedClock, SystemClock
from runtime.frames import Frames
from runtime.lanes import Lane, WhenFull
from runtime.live_frames import HttpFrames
from runtime.mqtt import MqttBus
from runtime.ports import Ports
from runtime.seeds import SECRET_BYTES, stream
from runtime.serial_ports import SerialPorts

T = TypeVar("T")
CALLS_MAX: Final = 100_000
log = structlog.get_logger()


class LiveTimer:
    """A call that is due later on a lane."""

    def __init__(self, call: Callable[[], None], period_ns: int) -> None:
        self.call = call
        self.period_ns = period_ns
        self.cancelled = False

    def cancel(self) -> None:
        """Forget the call if it has not begun."""
        self.cancelled = True


class LiveInbox(Generic[T]):
    """A bounded queue in front of a lane; any thread may put."""

    def __init__(
        self,
        lane: LiveLane,
        handler: Callable[[list[T]], None],
        size_max: int,
        batch_max: int,
        when_full: WhenFull,
    ) -> None:
        self._lane = lane
        self._handler = handler
        self._size_max = size_max
        self._batch_max = batch_max
        self._when_full = when_full
        self._items: deque[T] = deque()
        self._scheduled = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Return how many items were given up."""
        return self._dropped

    def put(self, item: T) -> bool:
        """Add `item`; may wait for room (WhenFull). False when the lane is closed."""
        lane = self._lane
        with lane.changed:
            if len(self._items) >= self._size_max:
                if self._when_full is WhenFull.DROP_OLDEST:
                    self._items.popleft()
                    self._dropped += 1
                elif threading.current_thread() is not lane.thread:
                    lane.changed.wait_for(lambda: len(self._items) < self._size_max or lane.closed)
            if lane.closed:
                return False
            self._items.append(item)
            if not self._scheduled:
                self._scheduled = True
                lane.schedule(self._drain)
        return True

    def _drain(self) -> None:
        with self._lane.changed:
            self._scheduled = False
            count = min(self._batch_max, len(self._items))
            batch = [self._items.popleft() for _ in range(count)]
            if self._items:
                self._scheduled = True
                self._lane.schedule(self._drain)
            self._lane.changed.notify_all()
        if batch:
            self._handler(batch)


class LiveLane:
    """A thread that runs calls and timers, one after the other."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        on_crash: Callable[[str, BaseException], None],
        *,
        pace: float = 1.0,
    ) -> None:
        self._name = name
        self._clock = clock
        self._on_crash = on_crash
        self._wait_ns_per_s = NS_PER_S * pace
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[int, int, LiveTimer]] = []
        self._order = itertools.count()
        self._is_running = False
        self.calls_begun = 0
        self.changed = threading.Condition()
        self.closed = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    @property
    def name(self) -> str:
        """Return the lane's name, for logs."""
        return self._name

    def inbox(
        self,
        name: str,  # noqa: ARG002 - part of the interface: the virtual lane logs it
        handler: Callable[[list[T]], None],
        *,
        size_max: int = 10_000,
        batch_max: int = 500,
        when_full: WhenFull = WhenFull.WAIT,
    ) -> LiveInbox[T]:
        """Return an inbox whose items reach `handler` on this lane in order, in batches."""
        return LiveInbox(self, handler, size_max, batch_max, when_full)

    def post(self, call: Callable[[], None]) -> None:
        """Run `call` on this lane soon; another thread waits while far too much is queued."""
        with self.changed:
            if threading.current_thread() is not self.thread:
                self.changed.wait_for(lambda: len(self._calls) < CALLS_MAX or self.closed)
            self.schedule(call)

    def schedule(self, call: Callable[[], None]) -> None:
        """Queue `call`; the caller holds `changed`."""
        self._calls.append(call)
        self.changed.notify_all()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> LiveTimer:
        """Run `call` on this lane after `delay_s` seconds."""
        return self._add_timer(LiveTimer(call, 0), round(delay_s * NS_PER_S))

    def call_every(self, period_s: float, call: Callable[[], None]) -> LiveTimer:
        """Run `call` on this lane every `period_s` seconds."""
        period_ns = round(period_s * NS_PER_S)
        return self._add_timer(LiveTimer(call, period_ns), period_ns)

    @property
    def idle(self) -> bool:
        """Return whether nothing runs and nothing is queued; timers may be due later."""
        return not (self._is_running or self._calls)

    def close(self) -> None:
        """Stop after the call that is running; queued calls are dropped."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _add_timer(self, timer: LiveTimer, delay_ns: int) -> LiveTimer:
        with self.changed:
            due_ns = self._clock.monotonic_ns() + delay_ns
            heapq.heappush(self._timers, (due_ns, next(self._order), timer))
            self.changed.notify_all()
        return timer

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next call, due timers first; None when the lane is closed."""
        with self.changed:
            self._is_running = False
            while not self.closed:
                now_ns = self._clock.monotonic_ns()
                if self._timers and self._timers[0][0] <= now_ns:
                    _, _, timer = heapq.heappop(self._timers)
                    if timer.cancelled:
                        continue
                    if timer.period_ns:
                        due_ns = now_ns + timer.period_ns
                        heapq.heappush(self._timers, (due_ns, next(self._order), timer))
                    return self._begin(timer.call)
                if self._calls:
                    return self._begin(self._calls.popleft())
                left_ns = self._timers[0][0] - now_ns if self._timers else None
                self.changed.wait(None if left_ns is None else left_ns / self._wait_ns_per_s)
        return None

    def _begin(self, call: Callable[[], None]) -> Callable[[], None]:
        self._is_running = True
        self.calls_begun += 1
        return call

    def _run(self) -> None:
        try:
            while (call := self._next()) is not None:
                call()
        except BaseException as error:  # noqa: BLE001 - the top of a thread: report, end the process
            with self.changed:
                self.closed = True
                self.changed.notify_all()
            self._on_crash(self._name, error)


class LiveRuntime:
    """Threads, the machine's clock, MQTT, pyserial, HTTP pictures."""

    def __init__(self, seed: int = 0, *, clock: PacedClock | None = None) -> None:
        """`clock`: another than the machine's; lanes then wait as long as it says."""
        self._clock: Clock = clock or SystemClock()
        self._pace = clock.pace if clock else 1.0
        self._seed = seed
        self._lanes: list[LiveLane] = []
        self._buses: list[MqttBus] = []
        self._ports = SerialPorts(self._clock)
        self._frames = HttpFrames(self._clock)
        # A pipe, not an Event: a signal handler may write to it whatever lock its thread holds.
        self._wake_read, self._wake_write = os.pipe()
        self._stop_asked = False
        self.crash: tuple[str, BaseException] | None = None

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        return self._clock

    @property
    def ports(self) -> Ports:
        """Return the serial ports."""
        return self._ports

    @property
    def frames(self) -> Frames:
        """Return where camera pictures come from and go to."""
        return self._frames

    def random(self, name: str) -> Random:
        """Return the random stream of `name`."""
        return stream(self._seed, name)

    def secret(self, _name: str) -> bytes:
        """Return 16 bytes from the system: a seed that is known would give them away."""
        return os.urandom(SECRET_BYTES)

    def lane(self, name: str) -> LiveLane:
        """Return a new lane: a thread."""
        lane = LiveLane(name, self._clock, self._on_crash, pace=self._pace)
        self._lanes.append(lane)
        return lane

    def bus(self, options: BusOptions) -> Bus:
        """Return a new MQTT connection."""
        bus = MqttBus(options, self._clock)
        self._buses.append(bus)
        return bus

    @property
    def idle(self) -> bool:
        """Return whether every lane has done all that was queued for it."""
        # Looked at twice: what one lane gave to another meanwhile has begun another call.
        begun = sum(lane.calls_begun for lane in self._lanes)
        all_idle = all(lane.idle for lane in self._lanes) and all(lane.idle for lane in self._lanes)
        return all_idle and begun == sum(lane.calls_begun for lane in self._lanes)

    def request_stop(self) -> None:
        """Let `wait` return; may be called from a signal handler and from any thread."""
        self._stop_asked = True
        self.wake()

    def wake(self) -> None:
        """Let `wait` look up once; may be called from a signal handler."""
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"!")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a stop, a crash or a `wake`; return whether the process shall stop."""
        if not self._stop_asked:
            ready, _, _ = select.select([self._wake_read], [], [], timeout_s)
            if ready:
                os.read(self._wake_read, 64)
        return self._stop_asked

    def run_on(self, lane: Lane, call: Callable[[], None], timeout_s: float = 5.0) -> bool:
        """Run `call` on `lane` and wait for its end; False where it did not end in time."""
        done = threading.Event()

        def run() -> None:
            call()
            done.set()

        lane.post(run)
        return done.wait(timeout_s)

    def close(self) -> None:
        """Close ports, pictures, buses and lanes, in that order, in bounded time."""
        self._ports.close()
        self._frames.close()
        for bus in self._buses:
            bus.stop()
        for bus in self._buses:
            bus.close()
        for lane in self._lanes:
            lane.close()
        for lane in self._lanes:
            if lane.thread is not threading.current_thread():
                lane.thread.join(timeout=2.0)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _on_crash(self, lane: str, error: BaseException) -> None:
        self.crash = self.crash or (lane, error)
        log.error("lane crashed; the process ends", lane=lane, exc_info=error)
        self.request_stop()
