"""What a scan session remembers, what a scan is checked against, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from edge.counting.core import Content
from wire.answers import Code, Sound
from wire.ids import bin_of
from wire.messages import ContainerMoved, DeviceScan, Movement, PersonTask, StockEvent

RECEIVE: Final = "receive"
PUTAWAY: Final = "putaway"
REFILL: Final = "refill"
PICK: Final = "pick"
COUNT: Final = "count"
MOVE: Final = "move"
PACK: Final = "pack"
RETURN: Final = "return"
QUARANTINE: Final = "quarantine"
RELEASES: Final = frozenset({"release-good", "release-error"})
"""Out of quarantine into a bin: looked at and good, or put aside by mistake."""
SCRAP: Final = "scrap"
"""Out of quarantine for good."""
TASK_MODES: Final = frozenset({RECEIVE, PUTAWAY, REFILL, PICK})
"""What is done for a task only."""
TWO_STEPS: Final = frozenset({PUTAWAY, REFILL, MOVE})
"""Booked when the goods are where they go: an article, then its place."""
CONTAINER: Final = "container:"
RECEIPTS_MAX: Final = 8
"""Receipts that a session remembers; the oldest is forgotten, and SH-OVER no longer finds it."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """Units that were moved, or a container (no article) that was."""

    gtin: str = ""
    units: int = 0
    lot: str = ""
    expires_on: str = ""
    serial: str = ""
    container: str = ""
    from_place: str
    to_place: str


class LastMove(msgspec.Struct, frozen=True, kw_only=True):
    """What SH-UNDO takes back: all that one scan moved."""

    moved: tuple[Moved, ...]
    task_id: str = ""
    short_units: int = 0
    """What SH-SHORT said does not come; nothing was moved then."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Where one scanner's person stands: mode, place, and the article that waits for its place."""

    mode: str = ""
    bin_id: str = ""
    container: str = ""
    """SSCC scanned last: what SH-MOVE carries or takes from, what SH-PACK packs into."""
    is_carried: bool = False
    """Whether the container as a whole waits for its place."""
    order_id: str = ""
    gtin: str = ""
    units: int = 0
    lot: str = ""
    expires_on: str = ""
    serial: str = ""
    armed: str = ""
    """`over` or `damaged`: what the next article of a receipt is."""
    recounts: tuple[str, ...] = ()
    """Counts at this bin that were asked for once more: article, lot and serial."""
    since_ns: int = 0
    """When the look began whose count comes next, by the edge's clock."""
    last: LastMove | None = None
    receipts: tuple[PersonTask, ...] = ()
    """Receipts that were scanned for last, the newest first: SH-OVER may name one that is over and
    in nobody's list any more."""
    is_fresh: bool = False
    """Whether nothing was taken since `last` was booked: only then the same scan is that again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What stays the same while people work: the site's number, bins by owner, articles by name."""

    gln: str
    edge_id: str
    bin_owner: Mapping[str, str]
    article_name: Mapping[str, str]


class Details(Protocol):
    """What the book knows of lots, serial numbers and containers."""

    def lots_at(self, place: str, gtin: str) -> Mapping[str, int]:
        """Return the units of each lot at a place; only lots that are there."""

    def serials_at(self, place: str, gtin: str) -> int:
        """Return how many units at a place are known by their serial numbers."""

    def serial_place(self, gtin: str, serial: str) -> str:
        """Return where a unit is, empty where it is not known."""

    def serial_lot(self, gtin: str, serial: str) -> str:
        """Return a unit's lot, empty where it is not known."""

    def lot_expires_on(self, gtin: str, lot: str) -> str:
        """Return the last day of a lot, empty where it is not known."""

    def container_place(self, sscc: str) -> str:
        """Return where a container stands, empty where it is not known."""

    def contents(self, place: str, rows_max: int) -> Sequence[Content]:
        """Return what is at a place, alike units together."""

    def inside(self, place: str, rows_max: int) -> Sequence[str]:
        """Return the containers that stand in this place."""

    def goods_with(self, sscc: str, rows_max: int) -> Sequence[Content]:
        """Return what a container was put into a bin with."""


class NothingKnown:
    """A book without lots, serial numbers and containers."""

    def lots_at(self, _place: str, _gtin: str) -> Mapping[str, int]:
        """Return no lot."""
        return {}

    def serials_at(self, _place: str, _gtin: str) -> int:
        """Return 0."""
        return 0

    def serial_place(self, _gtin: str, _serial: str) -> str:
        """Return nothing."""
        return ""

    def serial_lot(self, _gtin: str, _serial: str) -> str:
        """Return nothing."""
        return ""

    def lot_expires_on(self, _gtin: str, _lot: str) -> str:
        """Return nothing."""
        return ""

    def container_place(self, _sscc: str) -> str:
        """Return nothing."""
        return ""

    def contents(self, _place: str, _rows_max: int) -> Sequence[Content]:
        """Return nothing."""
        return ()

    def inside(self, _place: str, _rows_max: int) -> Sequence[str]:
        """Return nothing."""
        return ()

    def goods_with(self, _sscc: str, _rows_max: int) -> Sequence[Content]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a scan is checked against at this moment."""

    person_id: str
    tasks: Sequence[PersonTask]
    handed_on: Sequence[PersonTask]
    """Tasks that were this person's and are somebody else's now. Nobody is sent to them, but what
    is in this person's hands already counts: goods that moved are never refused for their name."""
    done_units: Callable[[str], int]
    """Units already booked for a task of this id."""
    book_units: Callable[[str, str], int]
    """Units in the book at a place, of an article."""
    details: Details = field(default_factory=NothingKnown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answer to one scan and, where stock moved or was counted, its events."""

    ok: bool
    code: Code
    text: str
    sound: Sound
    events: tuple[StockEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One scan as it came in."""

    scan: DeviceScan
    received_at_ns: int

    @property
    def event_id(self) -> str:
        """Return the id of the event that this scan may become."""
        return f"{self.scan.device_id}/{self.scan.boot_epoch}/{self.scan.seq}"


Step = tuple[Session, Outcome]


def tick(text: str) -> Outcome:
    """Return that a scan was noted."""
    return Outcome(ok=True, code=Code.NEXT, text=text, sound=Sound.TICK)


def refuse(code: Code, text: str) -> Outcome:
    """Return that a scan was not taken, and why."""
    return Outcome(ok=False, code=code, text=text, sound=Sound.BAD)


def not_enough(place: str, gtin: str, units: int, work: Work) -> Outcome:
    """Return the refusal of more units than the book has at a place."""
    book = work.book_units(place, gtin)
    remedy = "count the bin" if bin_of(place) else "look for the rest"
    if place.startswith(("quarantine:", "tote:")):
        remedy += "; this edge knows what its own zone put there, the desk knows all"
    text = f"the book has {book} x {gtin} at {place}, {units} scanned: {remedy}"
    return refuse(Code.NOT_ENOUGH, text)


def events_of(
    moved: Sequence[Moved], arrival: Arrival, work: Work, *, reason: str, task_id: str = ""
) -> tuple[StockEvent, ...]:
    """Return the events of what one scan moved: the scan's id, for all but the first with a number.

    A container that was scanned for all that is in it stands in each movement of its goods.
    """
    return tuple(
        _event(row, arrival, work, number=number, reason=reason, task_id=task_id)
        for number, row in enumerate(moved, start=1)
    )


def _event(
    row: Moved, arrival: Arrival, work: Work, *, number: int, reason: str, task_id: str
) -> StockEvent:
    event_id = arrival.event_id if number == 1 else f"{arrival.event_id}/{number}"
    if not row.gtin:
        return ContainerMoved(
            event_id=event_id, container=row.container, from_place=row.from_place,
            to_place=row.to_place, device_id=arrival.scan.device_id,
            observed_at_ns=arrival.scan.scanned_at_ns, received_at_ns=arrival.received_at_ns,
            person_id=work.person_id,
        )  # fmt: skip
    return Movement(
        event_id=event_id, gtin=row.gtin, units=row.units, from_place=row.from_place,
        to_place=row.to_place, reason=reason, device_id=arrival.scan.device_id,
        observed_at_ns=arrival.scan.scanned_at_ns, received_at_ns=arrival.received_at_ns,
        person_id=work.person_id, task_id=task_id, lot=row.lot, expires_on=row.expires_on,
        serial=row.serial, container=row.container,
    )  # fmt: skip
