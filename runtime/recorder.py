"""A runtime that writes down what it hands on: the process inside it does not know.

Recorded is what each subscription, serial line and camera handed to its lane, in that order, and
whether something waited already when something else was handed on: so a replay can let the same
things come into the same batch.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from random import Random
from typing import Any, Final, Generic, TypeVar

from runtime.bus import Bus, BusOptions, Incoming
from runtime.clock import Clock
from runtime.frames import Frames, FrameSource
from runtime.lanes import Inbox, Lane, Timer, WhenFull
from runtime.ports import Port, PortLostError, PortOpenError, Ports
from runtime.recording import (
    Begun,
    Chunks,
    Counts,
    End,
    Link,
    Lost,
    Messages,
    Named,
    Opened,
    Picture,
    RecordingFile,
    Stopping,
)
from runtime.runtime import Runtime

T = TypeVar("T")
PICTURES_BYTES_MAX: Final = 1024 * 1024 * 1024
"""So much of a recording may be pictures; later ones are left out, and the replay says so."""
COUNTS_PER_RECORD_MAX: Final = 10_000
LEFT_OUT: Final = "this picture was left out of the recording: there were too many before"
SUBSCRIPTION: Final = "subscription"
CAMERA: Final = "camera"
UP: Final = (True,)


class Recorder:
    """Gives numbers and moments to records and writes them; from any thread."""

    def __init__(self, file: RecordingFile, clock: Clock, begun_ns: int) -> None:
        self._file = file
        self._clock = clock
        self._begun_ns = begun_ns
        self._lock = threading.Lock()
        self._order = itertools.count(1)
        self._numbers: dict[str, int] = {}
        self._pictures_bytes = 0

    def ticket(self) -> int:
        """Return the next place in the order of all that waits or is handed on."""
        with self._lock:
            return next(self._order)

    def number(self, what: str) -> int:
        """Return the next number of a kind of thing."""
        with self._lock:
            number = self._numbers[what] = self._numbers.get(what, -1) + 1
            return number

    def add(self, kind: Callable[..., Any], *fields: Any, queued: int = 0) -> None:
        """Write a record of this moment; `queued` where it waited before."""
        with self._lock:
            order = next(self._order)
            at_ns = self._clock.monotonic_ns() - self._begun_ns
            self._file.add(kind(at_ns, self._clock.now_ns(), queued or order, order, *fields))

    def add_picture(self, number: int, data: bytes, taken_at_ns: int, reason: str) -> None:
        """Write what a camera answered, without the picture where there were too many."""
        self._pictures_bytes += len(data)
        if self._pictures_bytes > PICTURES_BYTES_MAX:
            data, reason = b"", LEFT_OUT
        self.add(Picture, number, data, taken_at_ns, reason)

    def stopping(self) -> None:
        """Write that the process begins to stop."""
        self.add(Stopping)

    def end(self, counts: list[tuple[str, str, int]]) -> None:
        """Write the final counts: the process ended well. Close the file."""
        for begin in range(0, len(counts), COUNTS_PER_RECORD_MAX):
            self.add(Counts, counts[begin : begin + COUNTS_PER_RECORD_MAX])
        self.add(End, len(counts))
        self.close()

    def close(self) -> None:
        """Close the file without a word: as when the process was killed."""
        self._file.close()


class RecordingRuntime:
    """Another runtime, with everything that it hands to a process written down."""

    def __init__(self, runtime: Runtime, recorder: Recorder) -> None:
        self._runtime = runtime
        self._recorder = recorder
        self._clock = _Clock(runtime.clock, recorder)
        self._ports = _Ports(runtime.ports, recorder)
        self._frames = _Frames(runtime.frames, recorder)

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
        """Return where camera pictures come from."""
        return self._frames

    def random(self, name: str) -> Random:
        """Return the random stream of `name`: the seed stands in the header."""
        return self._runtime.random(name)

    def secret(self, name: str) -> bytes:
        """Return 16 bytes that nobody can guess; they are not recorded."""
        return self._runtime.secret(name)

    def lane(self, name: str) -> Lane:
        """Return a new lane."""
        return self._runtime.lane(name)

    def bus(self, options: BusOptions) -> Bus:
        """Return a new connection to the broker."""
        return _Bus(self._runtime.bus(options), self._recorder)

    def run_on(self, lane: Lane, call: Callable[[], None], timeout_s: float = 5.0) -> bool:
        """Run `call` on `lane` and wait for its end; False where it did not end."""
        return self._runtime.run_on(lane, call, timeout_s)


class _Clock:
    """Writes down the first look: what a process calls its start is taken from it."""

    def __init__(self, clock: Clock, recorder: Recorder) -> None:
        self._clock = clock
        self._recorder = recorder
        self._looked = False

    def now_ns(self) -> int:
        if self._looked:
            return self._clock.now_ns()
        self._looked = True
        now_ns = self._clock.now_ns()
        self._recorder.add(lambda at_ns, _, *places: Begun(at_ns, now_ns, *places))
        return now_ns

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()


class _StampedInbox(Generic[T]):
    """Writes on each item when it began to wait."""

    def __init__(self, inbox: Inbox[tuple[int, T]], recorder: Recorder) -> None:
        self._inbox = inbox
        self._recorder = recorder

    @property
    def dropped(self) -> int:
        return self._inbox.dropped

    def put(self, item: T) -> bool:
        return self._inbox.put((self._recorder.ticket(), item))


class _StampedLane:
    """A lane as transports are given it: what they put in its inboxes is written down."""

    def __init__(
        self, lane: Lane, recorder: Recorder, write: Callable[[int, list[Any]], None]
    ) -> None:
        self._lane = lane
        self._recorder = recorder
        self._write = write

    @property
    def name(self) -> str:
        return self._lane.name

    def inbox(
        self,
        name: str,
        handler: Callable[[list[T]], None],
        *,
        size_max: int = 10_000,
        batch_max: int = 500,
        when_full: WhenFull = WhenFull.WAIT,
    ) -> Inbox[T]:
        def hand(batch: list[tuple[int, T]]) -> None:
            items = [item for _, item in batch]
            self._write(batch[0][0], items)
            handler(items)

        inner: Inbox[tuple[int, T]] = self._lane.inbox(
            name, hand, size_max=size_max, batch_max=batch_max, when_full=when_full
        )
        return _StampedInbox(inner, self._recorder)

    def post(self, call: Callable[[], None]) -> None:
        self._lane.post(call)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        return self._lane.call_later(delay_s, call)

    def call_every(self, period_s: float, call: Callable[[], None]) -> Timer:
        return self._lane.call_every(period_s, call)


class _Bus:
    def __init__(self, bus: Bus, recorder: Recorder) -> None:
        self._bus = bus
        self._recorder = recorder
        self._number = recorder.number("bus")
        self._told = False
        self._asked = False
        """Whether somebody wants to be called after each connect: the first of them tells of it."""

    @property
    def connected(self) -> bool:
        up = self._bus.connected
        self._tell(up=up)
        return up

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
        number = self._recorder.number(SUBSCRIPTION)
        self._recorder.add(Named, SUBSCRIPTION, number, topic_filter)

        def write(queued: int, batch: list[Any]) -> None:
            items = [(m.topic, m.payload, m.retained, m.received_at_ns) for m in batch]
            self._recorder.add(Messages, number, items, queued=queued)

        stamped = _StampedLane(lane, self._recorder, write)
        self._bus.subscribe(
            topic_filter, stamped, handler, qos=qos, size_max=size_max, when_full=when_full
        )

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        return self._bus.publish(topic, payload, qos=qos, retain=retain)

    def on_connect(self, lane: Lane, call: Callable[[], None]) -> None:
        def connected() -> None:
            # Each time: a connection that came back before anybody looked is a new one.
            self._told = True
            self._recorder.add(Link, self._number, *UP)
            call()

        self._bus.on_connect(lane, call if self._asked else connected)
        self._asked = True

    def start(self) -> None:
        self._bus.start()

    def stop(self) -> None:
        self._bus.stop()

    def lose(self) -> None:
        self._bus.lose()

    def _tell(self, *, up: bool) -> None:
        if up != self._told:
            self._told = up
            if not (up and self._asked):
                self._recorder.add(Link, self._number, up)


class _Ports:
    def __init__(self, ports: Ports, recorder: Recorder) -> None:
        self._ports = ports
        self._recorder = recorder

    def open(
        self,
        path: str,
        baud: int,
        lane: Lane,
        on_bytes: Callable[[list[tuple[bytes, int]]], None],
        on_lost: Callable[[str], None],
    ) -> Port:
        recorder = self._recorder
        number = recorder.number("port")

        def write(queued: int, chunks: list[Any]) -> None:
            recorder.add(Chunks, number, chunks, queued=queued)

        def lost(reason: str) -> None:
            recorder.add(Lost, number, reason)
            on_lost(reason)

        stamped = _StampedLane(lane, recorder, write)
        try:
            port = self._ports.open(path, baud, stamped, on_bytes, lost)
        except PortOpenError as error:
            recorder.add(Opened, number, path, str(error) or "refused")
            raise
        recorder.add(Opened, number, path, "")
        return _Port(port, recorder, number)

    def create(
        self, path: str, lane: Lane, on_bytes: Callable[[list[tuple[bytes, int]]], None]
    ) -> Port:
        return self._ports.create(path, lane, on_bytes)


class _Port:
    def __init__(self, port: Port, recorder: Recorder, number: int) -> None:
        self._port = port
        self._recorder = recorder
        self._number = number

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except PortLostError as error:
            self._recorder.add(Lost, self._number, str(error))
            raise

    def close(self) -> None:
        self._port.close()


class _Frames:
    def __init__(self, frames: Frames, recorder: Recorder) -> None:
        self._frames = frames
        self._recorder = recorder

    def open(self, url: str, lane: Lane, timeout_s: float = 5.0) -> FrameSource:
        number = self._recorder.number(CAMERA)
        self._recorder.add(Named, CAMERA, number, url)
        return _FrameSource(self._frames.open(url, lane, timeout_s), self._recorder, number)

    def serve(self, url: str, lane: Lane, render: Callable[[], bytes]) -> None:
        self._frames.serve(url, lane, render)


class _FrameSource:
    def __init__(self, source: FrameSource, recorder: Recorder, number: int) -> None:
        self._source = source
        self._recorder = recorder
        self._number = number

    def request(
        self, on_frame: Callable[[bytes, int], None], on_error: Callable[[str], None]
    ) -> bool:
        def frame(data: bytes, at_ns: int) -> None:
            self._recorder.add_picture(self._number, data, at_ns, "")
            on_frame(data, at_ns)

        def failed(reason: str) -> None:
            self._recorder.add_picture(self._number, b"", 0, reason or "no picture")
            on_error(reason)

        return self._source.request(frame, failed)

    def close(self) -> None:
        self._source.close()
