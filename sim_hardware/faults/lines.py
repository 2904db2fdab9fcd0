"""Faults of serial lines: what cables, plugs and bad grounds do to bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from runtime.seeds import Random
from sim_hardware.devices.line import Direction, Line, LineEffect
from sim_hardware.faults.model import Begin, End, FaultKind, Parameter, Stage, Values, word
from sim_hardware.faults.reach import line_of

BOTH: Final = "both"
BYTE_VALUES: Final = 256
NOISE_BYTES_MAX: Final = 4
Pieces = list[tuple[float, bytes]]

DIRECTION: Final = word(
    BOTH,
    (BOTH, Direction.FROM_DEVICE.value, Direction.TO_DEVICE.value),
    "which way the bytes go that it happens to",
)


def share(default: float, text: str) -> Parameter:
    """Return a parameter that is a share of something."""
    return Parameter("share", default, 0.0, 1.0, text)


@dataclass(frozen=True, slots=True)
class Drop:
    """Bytes that do not arrive."""

    chance: Random
    share: float

    def apply(self, data: bytes) -> Pieces:
        """Return `data` without some of its bytes."""
        return [(0.0, bytes(b for b in data if self.chance.random() >= self.share))]


@dataclass(frozen=True, slots=True)
class Flip:
    """Bytes that arrive with one bit turned over."""

    chance: Random
    share: float

    def apply(self, data: bytes) -> Pieces:
        """Return `data` with single bits flipped."""
        return [(0.0, bytes(self._flip(b) for b in data))]

    def _flip(self, value: int) -> int:
        if self.chance.random() >= self.share:
            return value
        return value ^ (1 << self.chance.randrange(8))


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Bytes that arrive twice."""

    chance: Random
    share: float

    def apply(self, data: bytes) -> Pieces:
        """Return `data` with some of its bytes doubled."""
        doubled = bytearray()
        for value in data:
            doubled += bytes([value]) * (2 if self.chance.random() < self.share else 1)
        return [(0.0, bytes(doubled))]


@dataclass(frozen=True, slots=True)
class Delay:
    """Bytes that arrive later, each chunk by another time."""

    chance: Random
    seconds: float

    def apply(self, data: bytes) -> Pieces:
        """Return all of `data`, later."""
        return [(self.chance.uniform(0.0, self.seconds), data)]


@dataclass(frozen=True, slots=True)
class Split:
    """Chunks that arrive in pieces with a pause between."""

    chance: Random
    pause_s: float

    def apply(self, data: bytes) -> Pieces:
        """Return `data` cut at one to three places."""
        cuts = {self.chance.randrange(1, len(data)) for _ in range(3)} if len(data) > 1 else set()
        edges = [0, *sorted(cuts), len(data)]
        parts = pairwise(edges)
        return [(i * self.pause_s, data[a:b]) for i, (a, b) in enumerate(parts)]


@dataclass(frozen=True, slots=True)
class Half:
    """Lines of which only the beginning arrives."""

    chance: Random
    share: float

    def apply(self, data: bytes) -> Pieces:
        """Return all or the beginning of `data`."""
        if self.chance.random() >= self.share:
            return [(0.0, data)]
        return [(0.0, data[: self.chance.randrange(len(data))])]


@dataclass(frozen=True, slots=True)
class Garble:
    """Every byte read at another speed than it was sent with."""

    chance: Random

    def apply(self, data: bytes) -> Pieces:
        """Return other bytes, fewer or more than came: bits are cut at the wrong places."""
        count = max(1, round(len(data) * self.chance.uniform(0.5, 1.5)))
        return [(0.0, bytes(self.chance.randrange(BYTE_VALUES) | 0x80 for _ in range(count)))]


@dataclass(slots=True)
class Cut:
    """The device loses its power in the middle of what it says next."""

    chance: Random
    go_dark: Callable[[], None]
    done: bool = False

    def apply(self, data: bytes) -> Pieces:
        """Return the beginning of `data` and let the device go dark, once."""
        if self.done:
            return []
        self.done = True
        self.go_dark()
        return [(0.0, data[: self.chance.randrange(len(data))])]


def _directions(values: Values) -> tuple[Direction, ...]:
    chosen = values.word("direction")
    return tuple(way for way in Direction if chosen in (BOTH, way.value))


def put_on(line: Line, directions: tuple[Direction, ...], effect: LineEffect) -> End:
    """Let an effect act on a line; return what takes it away."""
    for direction in directions:
        line.ways[direction].effects.append(effect)

    def end() -> None:
        for direction in directions:
            line.ways[direction].effects.remove(effect)

    return end


def _effect(make: Callable[[Random, Values], LineEffect]) -> Begin:
    """Return what begins a fault that is one effect on the bytes of a line."""

    def begin(stage: Stage, target: str, values: Values, chance: Random) -> End:
        line = line_of(stage.floor, target)
        return put_on(line, _directions(values), make(chance, values))

    return begin


def _stall(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    line = line_of(stage.floor, target)
    ways = [line.ways[direction] for direction in _directions(values)]
    for way in ways:
        way.stalls += 1

    def end() -> None:
        for way in ways:
            way.stalls -= 1
            way.drain()

    return end


def _noise(stage: Stage, target: str, values: Values, chance: Random) -> End:
    line = line_of(stage.floor, target)
    directions = _directions(values)

    def crackle() -> None:
        for direction in directions:
            count = chance.randint(1, NOISE_BYTES_MAX)
            line.inject(direction, bytes(chance.randrange(BYTE_VALUES) for _ in range(count)))

    timer = stage.lane.call_every(1.0 / values.number("rate"), crackle)
    return timer.cancel


def _unplug(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    line = line_of(stage.floor, target)
    line.pull()
    return line.plug


KINDS: Final = (
    FaultKind(
        name="serial-drop", group="wire", target="serial device",
        text="bytes of its line are lost", parts_books_from_world=True,
        parameters={"share": share(0.02, "of all bytes"), "direction": DIRECTION},
        begin=_effect(lambda chance, v: Drop(chance, v.number("share"))),
    ),
    FaultKind(
        name="serial-flip", group="wire", target="serial device",
        text="bytes of its line arrive with a flipped bit", parts_books_from_world=True,
        parameters={"share": share(0.02, "of all bytes"), "direction": DIRECTION},
        begin=_effect(lambda chance, v: Flip(chance, v.number("share"))),
    ),
    FaultKind(
        name="serial-duplicate", group="wire", target="serial device",
        text="bytes of its line arrive twice", parts_books_from_world=True,
        parameters={"share": share(0.02, "of all bytes"), "direction": DIRECTION},
        begin=_effect(lambda chance, v: Duplicate(chance, v.number("share"))),
    ),
    FaultKind(
        name="serial-delay", group="wire", target="serial device",
        text="what it says and hears comes late",
        parameters={
            "delay": Parameter("s", 1.0, 0.0, 10.0, "the longest"), "direction": DIRECTION,
        },
        begin=_effect(lambda chance, v: Delay(chance, v.number("delay"))),
    ),
    FaultKind(
        name="serial-split", group="wire", target="serial device",
        text="its lines arrive in pieces with a pause between",
        parameters={
            "pause": Parameter("s", 0.05, 0.0, 5.0, "between two pieces"), "direction": DIRECTION,
        },
        begin=_effect(lambda chance, v: Split(chance, v.number("pause"))),
    ),
    FaultKind(
        name="serial-stall", group="wire", target="serial device",
        text="nothing passes its line; at the end all of it comes at once (also scans whose person"
        " gave up long ago)", parts_books_from_world=True,
        parameters={"direction": DIRECTION}, begin=_stall,
    ),
    FaultKind(
        name="serial-noise", group="wire", target="serial device",
        text="random bytes arrive between its lines",
        parameters={
            "rate": Parameter("/s", 2.0, 0.01, 100.0, "bursts"), "direction": DIRECTION,
        },
        begin=_noise,
    ),
    FaultKind(
        name="half-line", group="wire", target="serial device",
        text="of some lines only the beginning arrives",
        parameters={"share": share(0.5, "of all lines"), "direction": DIRECTION},
        begin=_effect(lambda chance, v: Half(chance, v.number("share"))),
    ),
    FaultKind(
        name="baud-mismatch", group="wire", target="serial device",
        text="it speaks at another speed: every byte is garbled, both ways",
        parameters={"direction": DIRECTION},
        begin=_effect(lambda chance, _v: Garble(chance)),
    ),
    FaultKind(
        name="unplug", group="wire", target="serial device",
        text="its cable is pulled; at the end it is plugged in again", begin=_unplug,
    ),
)  # fmt: skip
