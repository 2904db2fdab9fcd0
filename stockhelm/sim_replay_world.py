"""What a replayed process is given from outside: exactly what its recording holds."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from runtime.bus import Bus, BusOptions, Incoming
from runtime.clock import Clock
from runtime.frames import FrameSource
from runtime.lanes import Inbox, Lane, WhenFull
from runtime.ports import Port, PortLostError, PortOpenError, Ports
from runtime.recorder import CAMERA, LEFT_OUT, SUBSCRIPTION
from runtime.recording import (
    AnyRecord,
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
    Recording,
    Stopping,
)
from runtime.runtime import Runtime
from runtime.seeds import Random

PREFIX: Final = "replay"
PROBE: Final = f"{PREFIX}/probe"
EARLY_MAX: Final = 100_000
"""What was handed before the replayed process asks for it waits; more of it is left out, said."""
PICTURES_WAITING_MAX: Final = 100
Named2 = tuple[str, int]
"""A topic filter or address, and how often it was named before."""


@dataclass(slots=True)
class Contents:
    """What a first reading of a recording finds: all but what is played."""

    begun_at_ns: int = 0
    begun_utc_ns: int = 0
    names: dict[tuple[str, int], Named2] = field(default_factory=dict)
    """By kind and number."""
    opens: dict[str, deque[tuple[int, str]]] = field(default_factory=lambda: defaultdict(deque))
    """By path: each try to open it, its number and why it failed."""
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    ended: bool = False
    records: int = 0
    messages: int = 0
    line_bytes: int = 0
    pictures: int = 0
    left_out: int = 0
    length_ns: int = 0
    torn: str = ""


def read_contents(recording: Recording) -> Contents:
    """Return what a recording holds. Raises RecordingError where it is damaged."""
    found = Contents(begun_utc_ns=recording.header.utc_ns)
    seen: dict[tuple[str, str], int] = {}
    for _, record in recording.records():
        found.records += 1
        found.length_ns = record.at_ns
        match record:
            case Begun():
                found.begun_at_ns, found.begun_utc_ns = record.at_ns, record.utc_ns
            case Named():
                key = (record.what, record.text)
                found.names[record.what, record.number] = (record.text, seen.get(key, 0))
                seen[key] = seen.get(key, 0) + 1
            case Opened():
                found.opens[record.path].append((record.number, record.reason))
            case Messages():
                found.messages += len(record.items)
            case Chunks():
                found.line_bytes += sum(len(data) for data, _ in record.items)
            case Picture():
                found.pictures += 1
                found.left_out += record.reason == LEFT_OUT
            case Counts():
                found.counts |= {(place, gtin): units for place, gtin, units in record.rows}
            case End():
                found.ended = True
    found.torn = recording.torn
    return found


class Carry(Protocol):
    """How messages get from the player to the process."""

    def __call__(self, topic: str, payload: bytes) -> None:
        """Publish."""


class ReplayRuntime:
    """A runtime whose messages, lines and pictures come from a recording."""

    def __init__(
        self,
        runtime: Runtime,
        player: Runtime,
        contents: Contents,
        *,
        folder: Path,
        carry: Carry | None = None,
    ) -> None:
        """`carry` sends messages through a broker; without it they are handed over directly."""
        self._runtime = runtime
        self.router = Router(runtime, contents, carry)
        self.lines = Lines(runtime, player, contents, folder)
        self.cameras = Cameras(contents)

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        return self._runtime.clock

    @property
    def ports(self) -> Ports:
        """Return the recorded serial lines."""
        return self.lines

    @property
    def frames(self) -> Cameras:
        """Return the recorded cameras."""
        return self.cameras

    def random(self, name: str) -> Random:
        """Return the random stream of `name`."""
        return self._runtime.random(name)

    def secret(self, name: str) -> bytes:
        """Return 16 bytes for `name`: not those of the recorded run."""
        return self._runtime.secret(name)

    def lane(self, name: str) -> Lane:
        """Return a new lane."""
        return self._runtime.lane(name)

    def bus(self, options: BusOptions) -> Bus:
        """Return a new connection."""
        return self.router.connect(self._runtime.bus(options))

    def run_on(self, lane: Lane, call: Callable[[], None], timeout_s: float = 5.0) -> bool:
        """Run `call` on `lane` and wait for its end."""
        return self._runtime.run_on(lane, call, timeout_s)

    def play(self, record: AnyRecord) -> None:
        """Hand on one record, or do what it tells of."""
        match record:
            case Messages():
                self.router.play(record)
            case Link():
                self.router.link(record)
            case Chunks():
                self.lines.play(record)
            case Lost():
                self.lines.lose(record)
            case Picture():
                self.cameras.play(record)
            case Begun() | Named() | Opened() | Counts() | End() | Stopping():
                pass  # known from the first reading, or the player's own affair


class Router:
    """Hands recorded messages to the subscriptions that had them."""

    def __init__(self, runtime: Runtime, contents: Contents, carry: Carry | None) -> None:
        self.sent = 0
        self.handed = 0
        self.probed = threading.Event()
        self._contents = contents
        self._carry = carry
        self._lane = runtime.lane("replay") if carry else None
        self._buses: list[ReplayBus] = []
        self._lock = threading.Lock()
        self._inboxes: dict[Named2, Inbox[Incoming]] = {}
        self._early: dict[Named2, list[Incoming]] = defaultdict(list)
        self._seen: dict[str, int] = {}

    def connect(self, bus: Bus) -> ReplayBus:
        """Return a connection of the process."""
        if self._lane is not None:
            bus.subscribe(f"{PREFIX}/#", self._lane, self._arrived, size_max=EARLY_MAX)
        replayed = ReplayBus(bus, self)
        self._buses.append(replayed)
        return replayed

    def add(self, topic_filter: str, inbox: Inbox[Incoming]) -> None:
        """Note a subscription, and hand it what came before it was there."""
        with self._lock:
            key = (topic_filter, self._seen.get(topic_filter, 0))
            self._seen[topic_filter] = key[1] + 1
            self._inboxes[key] = inbox
            early = self._early.pop(key, [])
        for message in early:
            inbox.put(message)

    def play(self, record: Messages) -> None:
        """Hand messages on, through the broker where there is one."""
        for topic, payload, retained, at_ns in record.items:
            self.sent += 1
            if self._carry is None:
                self._hand(record.number, Incoming(topic, payload, retained, at_ns))
            else:
                self._carry(f"{PREFIX}/{record.number}/{retained:d}/{at_ns}/{topic}", payload)

    def carry_no_more(self) -> None:
        """Hand on directly from now on."""
        self._carry = None

    def link(self, record: Link) -> None:
        """Let a connection be up or down."""
        if record.number < len(self._buses):
            self._buses[record.number].link(up=record.up)

    def _arrived(self, messages: list[Incoming]) -> None:
        for message in messages:
            if message.topic == PROBE:
                self.probed.set()
                continue
            _, number, retained, at_ns, topic = message.topic.split("/", 4)
            incoming = Incoming(topic, message.payload, retained == "1", int(at_ns))
            self._hand(int(number), incoming)

    def _hand(self, number: int, message: Incoming) -> None:
        self.handed += 1
        key = self._contents.names[SUBSCRIPTION, number]
        with self._lock:
            inbox = self._inboxes.get(key)
            if inbox is None and len(self._early[key]) < EARLY_MAX:
                self._early[key].append(message)
        if inbox is not None:
            inbox.put(message)

    @property
    def never_asked_for(self) -> int:
        """Return how many messages nobody subscribed to."""
        return sum(map(len, self._early.values()))


class ReplayBus:
    """One connection of the process: up and down as in the recording."""

    def __init__(self, bus: Bus, router: Router) -> None:
        self._bus = bus
        self._router = router
        self._up = False
        self._calls: list[tuple[Lane, Callable[[], None]]] = []

    @property
    def connected(self) -> bool:
        """Return whether the broker was reached at this moment."""
        return self._up

    def subscribe(
        self,
        topic_filter: str,
        lane: Lane,
        handler: Callable[[list[Incoming]], None],
        *,
        qos: int = 1,  # noqa: ARG002 - part of the interface
        size_max: int = 10_000,
        when_full: WhenFull = WhenFull.WAIT,
    ) -> None:
        """Call `handler` on `lane` with what this subscription was handed."""
        inbox = lane.inbox(topic_filter, handler, size_max=size_max, when_full=when_full)
        self._router.add(topic_filter, inbox)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Publish for nobody; False where it would not have been queued."""
        if not self._up:
            return qos > 0
        return self._bus.publish(topic, payload, qos=qos, retain=retain)

    def on_connect(self, lane: Lane, call: Callable[[], None]) -> None:
        """Run `call` on `lane` after each recorded connect."""
        self._calls.append((lane, call))
        if self._up:
            lane.post(call)

    def start(self) -> None:
        """Connect."""
        self._bus.start()

    def stop(self) -> None:
        """Say goodbye."""
        self._bus.stop()

    def lose(self) -> None:
        """Lose the connection."""
        self._bus.lose()

    def link(self, *, up: bool) -> None:
        """Be up or down from now on."""
        self._up = up
        if up:
            for lane, call in self._calls:
                lane.post(call)


class Lines:
    """Recorded serial lines: a device of ours stands at the other end of each."""

    def __init__(self, runtime: Runtime, player: Runtime, contents: Contents, folder: Path) -> None:
        self.unheard_bytes = 0
        """Bytes that came when the process had closed the line."""
        self._ports = runtime.ports
        self._player = player
        self._lane = player.lane("devices")
        self._folder = folder
        self._opens = {path: deque(tries) for path, tries in contents.opens.items()}
        self._lock = threading.Lock()
        self._devices: dict[int, _Line] = {}
        self._early: dict[int, list[bytes]] = defaultdict(list)
        self._gone: set[int] = set()

    @property
    def all_heard(self) -> bool:
        """Return whether the process was handed all that came on the lines it has open."""
        with self._lock:
            lines = list(self._devices.values())
        return all(line.all_heard for line in lines)

    def open(
        self,
        path: str,
        baud: int,
        lane: Lane,
        on_bytes: Callable[[list[tuple[bytes, int]]], None],
        on_lost: Callable[[str], None],
    ) -> Port:
        """Open a line with the success that this try had. Raises PortOpenError."""
        with self._lock:
            tries = self._opens.get(path)
            if not tries:
                raise PortOpenError(f"{path}: cannot be opened: the recording tells nothing of it")
            number, reason = tries.popleft()
            if reason:
                raise PortOpenError(reason)
            local = str(self._folder / f"line-{number}")
            line = _Line(self._player.ports.create(local, self._lane, lambda _chunks: None))
            line.host = self._ports.open(local, baud, lane, line.hearing(on_bytes), on_lost)
            self._devices[number] = line
            for data in self._early.pop(number, ()):
                line.say(data)
            if number in self._gone:
                line.unplug()
            return line

    def create(
        self, path: str, lane: Lane, on_bytes: Callable[[list[tuple[bytes, int]]], None]
    ) -> Port:
        """Make a device."""
        return self._ports.create(path, lane, on_bytes)

    def play(self, record: Chunks) -> None:
        """Let the device say what it said."""
        with self._lock:
            line = self._devices.get(record.number)
            if line is None:
                self._early[record.number] += [data for data, _ in record.items]
                return
        for data, _ in record.items:
            try:
                line.say(data)
            except PortLostError:
                self.unheard_bytes += len(data)

    def lose(self, record: Lost) -> None:
        """Pull the cable."""
        with self._lock:
            self._gone.add(record.number)
            line = self._devices.get(record.number)
        if line is not None:
            line.unplug()


class _Line:
    """One line that the process opened: its port, with the device at the other end."""

    host: Port

    def __init__(self, device: Port) -> None:
        self._device = device
        self._is_over = False
        self._said_bytes = 0
        self._heard_bytes = 0

    @property
    def all_heard(self) -> bool:
        return self._is_over or self._heard_bytes >= self._said_bytes

    def hearing(
        self, on_bytes: Callable[[list[tuple[bytes, int]]], None]
    ) -> Callable[[list[tuple[bytes, int]]], None]:
        """Return `on_bytes`, with what it is handed counted."""

        def heard(chunks: list[tuple[bytes, int]]) -> None:
            on_bytes(chunks)
            self._heard_bytes += sum(len(data) for data, _ in chunks)

        return heard

    def say(self, data: bytes) -> None:
        """Let the device say something. Raises PortLostError."""
        self._device.write(data)
        self._said_bytes += len(data)

    def unplug(self) -> None:
        """Pull the cable."""
        self._is_over = True
        self._device.close()

    def write(self, data: bytes) -> None:
        """Write to the device. Raises PortLostError."""
        self.host.write(data)

    def close(self) -> None:
        """Close the process's end."""
        self._is_over = True
        self.host.close()


class Cameras:
    """Recorded cameras."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._lock = threading.Lock()
        self._sources: dict[Named2, _Source] = defaultdict(_Source)
        self._seen: dict[str, int] = {}

    def open(self, url: str, lane: Lane, timeout_s: float = 5.0) -> FrameSource:  # noqa: ARG002
        """Return the camera at `url`."""
        with self._lock:
            key = (url, self._seen.get(url, 0))
            self._seen[url] = key[1] + 1
            source = self._sources[key]
        source.lane = lane
        return source

    def serve(self, url: str, lane: Lane, render: Callable[[], bytes]) -> None:
        """Serve nothing: a recorded process fetches pictures only."""

    def play(self, record: Picture) -> None:
        """Let a camera answer what it answered."""
        with self._lock:
            source = self._sources[self._contents.names[CAMERA, record.number]]
        source.answer(record)

    @property
    def never_asked_for(self) -> int:
        """Return how many pictures nobody fetched."""
        return sum(source.waiting for source in self._sources.values())


class _Source:
    """One camera: an answer waits for its question, a question for its answer."""

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self._lock = threading.Lock()
        self._answers: deque[Picture] = deque(maxlen=PICTURES_WAITING_MAX)
        self._asked: tuple[Callable[[bytes, int], None], Callable[[str], None]] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        return len(self._answers)

    def request(
        self, on_frame: Callable[[bytes, int], None], on_error: Callable[[str], None]
    ) -> bool:
        """Ask for one picture; False while one is on its way."""
        with self._lock:
            if self._asked is not None or self._closed:
                return False
            self._asked = (on_frame, on_error)
        self._match()
        return True

    def close(self) -> None:
        """Stop; nothing is called any more."""
        self._closed = True

    def answer(self, picture: Picture) -> None:
        """Answer the question that waits, or the next one."""
        self._answers.append(picture)
        self._match()

    def _match(self) -> None:
        with self._lock:
            if self._asked is None or not self._answers or self.lane is None:
                return
            (on_frame, on_error), self._asked = self._asked, None
            picture = self._answers.popleft()

        def tell() -> None:
            if self._closed:
                return
            if picture.reason:
                on_error(picture.reason)
            else:
                on_frame(picture.data, picture.taken_at_ns)

        self.lane.post(tell)


def bursts(records: Iterable[tuple[int, AnyRecord]]) -> Iterable[list[AnyRecord]]:
    """Yield records in groups: all of a group waited already when its first was handed on."""
    group: list[AnyRecord] = []
    for _, record in records:
        if group and record.queued >= group[0].order:
            yield group
            group = []
        group.append(record)
    if group:
        yield group
