"""What an event does to the counts: pure, so that the journal alone gives the same table again.

Counts are kept for every place that a movement names; what comes to one place left another, so
the counts of an article sum to zero over all places. Scans may not take more than the book holds
(the scan session refuses them before). Facts are booked whatever the book says: a robot's finished
pick or central's command happened, so a count of a bin may go negative. That is a discrepancy: it
is counted as one, and somebody should look at the bin.

Lots and serials are kept beside the counts where an event names them. A lot's units sum to zero
over all places like the article's. What the counts of a place have above its lots is of no known
lot; units of a lot that the place did not have came out of that, so a lot may be negative there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from wire.messages import ContainerMoved, Movement, StockEvent, TaskClosed

SCAN_REASONS: Final = frozenset({"receive", "damaged", "putaway", "refill", "pick"})
UNDO_REASON: Final = "undo"
_CONTAINER: Final = "container:"


class Content(NamedTuple):
    """Units at a place that are alike."""

    gtin: str
    units: int
    lot: str
    serial: str


Delta = tuple[str, str, int]
"""Place, article, units more."""
LotDelta = tuple[str, str, str, int]
"""Place, article, lot, units more."""


def deltas(event: StockEvent) -> tuple[Delta, ...]:
    """Return what an event changes in the counts; an observation changes nothing."""
    if not isinstance(event, Movement):
        return ()
    return (
        (event.from_place, event.gtin, -event.units),
        (event.to_place, event.gtin, event.units),
    )


def lot_deltas(event: StockEvent) -> tuple[LotDelta, ...]:
    """Return what an event changes in the counts of a lot; nothing where it names no lot."""
    if not isinstance(event, Movement) or not event.lot:
        return ()
    return (
        (event.from_place, event.gtin, event.lot, -event.units),
        (event.to_place, event.gtin, event.lot, event.units),
    )


def lot_expiry(event: StockEvent) -> tuple[str, str, str] | None:
    """Return article, lot and its last day where an event says all of them."""
    if isinstance(event, Movement) and event.lot and event.expires_on:
        return event.gtin, event.lot, event.expires_on
    return None


def serial_place(event: StockEvent) -> tuple[str, str, str, str] | None:
    """Return article, serial number, where that one unit is now and the lot that was said."""
    if isinstance(event, Movement) and event.serial:
        return event.gtin, event.serial, event.to_place, event.lot
    return None


def container_place(event: StockEvent) -> tuple[str, str] | None:
    """Return the SSCC of a container that was moved and where it is now."""
    if isinstance(event, ContainerMoved):
        return event.container, event.to_place
    return None


def container_goods(event: StockEvent) -> tuple[str, str, str, str, int] | None:
    """Return container, article, lot, serial number and the units of it that it stands with now.

    What was in a container is counted in the bin where it was put. It is remembered whose it was,
    so that the container can be lifted again with it; lifted, it has its goods in it: 0.
    """
    if not isinstance(event, Movement) or not event.container:
        return None
    what = (event.gtin, event.lot, event.serial)
    if event.to_place.startswith(_CONTAINER):
        return event.to_place.removeprefix(_CONTAINER), *what, 0
    if event.from_place.startswith(_CONTAINER):
        return event.from_place.removeprefix(_CONTAINER), *what, event.units
    return event.container, *what, event.units


def task_units(event: StockEvent) -> tuple[str, int] | None:
    """Return the task that a person's scan worked on and the units done (taken back: negative).

    What a person says will not come is done too: nobody has to do it any more.
    """
    if isinstance(event, TaskClosed):
        return event.task_id, -event.short_units if event.undone else event.short_units
    if not isinstance(event, Movement) or not event.task_id or not event.person_id:
        return None
    if event.reason in SCAN_REASONS:
        return event.task_id, event.units
    if event.reason == UNDO_REASON:
        return event.task_id, -event.units
    return None


def split(
    gtin: str, units: int, lots: Mapping[str, int], serials: Mapping[str, str]
) -> list[Content]:
    """Return `units` of one place by lot and serial; `serials`: the lot of each one."""
    left = dict(lots)
    found = []
    for serial, lot in list(serials.items())[:units]:
        found.append(Content(gtin, 1, lot, serial))
        left[lot] = left.get(lot, 0) - 1
    rest = units - len(found)
    for lot, of_lot in sorted(left.items()):
        part = min(of_lot, rest) if lot else 0
        if part > 0:
            found.append(Content(gtin, part, lot, ""))
            rest -= part
    return [*found, Content(gtin, rest, "", "")] if rest > 0 else found


class Fold:
    """The counts, lots, serials, containers and task progress that a journal adds up to."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.task_units: dict[str, int] = {}
        self.lot_counts: dict[tuple[str, str, str], int] = {}
        self.lots: dict[tuple[str, str], str] = {}
        self.serials: dict[tuple[str, str], tuple[str, str]] = {}
        self.containers: dict[str, str] = {}
        self.container_goods: dict[tuple[str, str, str, str], int] = {}

    def add(self, events: Iterable[StockEvent]) -> Fold:
        """Add events in journal order; return this fold."""
        for event in events:
            for place, gtin, units in deltas(event):
                self.counts[place, gtin] = self.counts.get((place, gtin), 0) + units
            done = task_units(event)
            if done is not None:
                self.task_units[done[0]] = self.task_units.get(done[0], 0) + done[1]
            self._add_details(event)
        return self

    def _add_details(self, event: StockEvent) -> None:
        for place, gtin, lot, units in lot_deltas(event):
            self.lot_counts[place, gtin, lot] = self.lot_counts.get((place, gtin, lot), 0) + units
        if expiry := lot_expiry(event):
            self.lots[expiry[:2]] = expiry[2]
        if unit := serial_place(event):
            self.serials[unit[:2]] = unit[2:]
        if moved := container_place(event):
            self.containers[moved[0]] = moved[1]
        if goods := container_goods(event):
            self.container_goods[goods[:4]] = goods[4]
