"""Scanners of a bench: real pseudo-terminals and MQTT clients that time every answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Final, Protocol

from runtime.bus import Bus, BusOptions, Incoming
from runtime.clock import Clock
from runtime.lanes import Lane
from runtime.live import LiveRuntime
from wire.codec import decode, encode
from wire.messages import DeviceScan, ScanFeedback
from wire.topics import DEVICE_FEEDBACK, DEVICE_SCAN

GOOD: Final = 0x06
BAD: Final = 0x07
NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One scan and its answer, as the device saw them."""

    device_id: str
    seq: int
    sent_ns: int
    """UTC."""
    latency_ms: float
    """Until its answer, from when somebody wanted to scan."""
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """What a person scans: how they begin, and what they then repeat."""

    opening: tuple[str, ...]
    round: tuple[str, ...]
    moves_per_round: int
    """How many movements a round makes; counts are events, and no movements."""

    def texts(self) -> Iterator[str]:
        """Yield the labels in order, without end."""
        yield from self.opening
        yield from cycle(self.round)


class Device(Protocol):
    """One scanner in a person's hand."""

    device_id: str

    @property
    def unanswered(self) -> int:
        """Return how many scans wait for their answer."""

    def scan(self, text: str, *, waited_ns: int = 0) -> None:
        """Read one barcode, which somebody wanted to do `waited_ns` ago: that counts too."""


class SerialDevice:
    """A scanner at the end of a pseudo-terminal; answers come in the order of the scans."""

    def __init__(
        self, device_id: str, path: str, *, runtime: LiveRuntime, lane: Lane,
        on_sample: Callable[[Sample], None],
    ) -> None:  # fmt: skip
        self.device_id = device_id
        self._clock: Clock = runtime.clock
        self._on_sample = on_sample
        self._waiting: deque[tuple[int, int, int]] = deque()
        self._seq = 0
        self._words = bytearray()
        self._is_bad = False
        self._port = runtime.ports.create(path, lane, self._receive)

    @property
    def unanswered(self) -> int:
        """Return how many scans wait for their answer."""
        return len(self._waiting)

    def scan(self, text: str, *, waited_ns: int = 0) -> None:
        """Send one line."""
        self._seq += 1
        begun_ns = self._clock.monotonic_ns() - waited_ns
        self._waiting.append((self._seq, self._clock.now_ns(), begun_ns))
        self._port.write(text.encode("ascii") + b"\r\n")

    def _receive(self, chunks: list[tuple[bytes, int]]) -> None:
        now_ns = self._clock.monotonic_ns()
        for byte in b"".join(data for data, _ in chunks):
            if byte == BAD:
                self._is_bad = True
            elif byte == GOOD and not self._is_bad:
                self._answered(now_ns, ok=True)
            elif byte == ord("\n"):
                self._answered(now_ns, ok=False)
                self._is_bad = False
            else:
                self._words.append(byte)

    def _answered(self, now_ns: int, *, ok: bool) -> None:
        seq, sent_ns, begun_ns = self._waiting.popleft()
        text, self._words = self._words.decode("ascii").strip(), bytearray()
        late_ms = (now_ns - begun_ns) / NS_PER_MS
        self._on_sample(Sample(self.device_id, seq, sent_ns, late_ms, ok, text))


class MqttDevice:
    """A scanner with a network of its own: one MQTT connection each."""

    def __init__(
        self, device_id: str, *, site_id: str, port: int, runtime: LiveRuntime, lane: Lane,
        on_sample: Callable[[Sample], None],
    ) -> None:  # fmt: skip
        self.device_id = device_id
        self._clock: Clock = runtime.clock
        self._on_sample = on_sample
        self._waiting: dict[int, tuple[int, int]] = {}
        self._seq = 0
        self._epoch = runtime.clock.now_ns() // NS_PER_US
        self._topic = DEVICE_SCAN.of(site=site_id, device=device_id)
        self.bus: Bus = runtime.bus(BusOptions(client_id=device_id, port=port))
        answers = DEVICE_FEEDBACK.of(site=site_id, device=device_id)
        self.bus.subscribe(answers, lane, self._receive)
        self.bus.start()

    @property
    def unanswered(self) -> int:
        """Return how many scans wait for their answer."""
        return len(self._waiting)

    def scan(self, text: str, *, waited_ns: int = 0) -> None:
        """Publish one scan."""
        self._seq += 1
        now_ns = self._clock.now_ns()
        self._waiting[self._seq] = (now_ns, self._clock.monotonic_ns() - waited_ns)
        message = DeviceScan(
            device_id=self.device_id, boot_epoch=self._epoch, seq=self._seq, text=text,
            scanned_at_ns=now_ns,
        )  # fmt: skip
        self.bus.publish(self._topic, encode(message))

    def _receive(self, messages: list[Incoming]) -> None:
        now_ns = self._clock.monotonic_ns()
        for message in messages:
            told = decode(message.payload, ScanFeedback)
            waiting = self._waiting.pop(told.seq, None)
            if waiting is None:
                continue
            sent_ns, begun_ns = waiting
            late_ms = (now_ns - begun_ns) / NS_PER_MS
            self._on_sample(Sample(self.device_id, told.seq, sent_ns, late_ms, told.ok, told.text))
