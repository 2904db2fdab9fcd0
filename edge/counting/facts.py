"""Facts that name no lot: robots read no labels, so the book says which units they moved.

| what is moved | what it is taken for |
|---|---|
| what a robot sets down | the lots and serial numbers that this edge booked with its pick |
| all there is of an article | just that: each lot and each serial number |
| a part of it | first what is of no known lot, then the lots whose last day comes first |
| more than the book has | units of no lot: nobody knows |

A robot that takes a part of units with serial numbers says nothing of which ones: those numbers
stay where they were until somebody scans or counts them. What was picked in another zone is named
by central once both ends are in its ledger (`LOT_SAID`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from edge.counting.core import Content, split
from wire.messages import LOT_SAID, Movement, StockEvent

if TYPE_CHECKING:
    from edge.counting.store import Transaction

LOTS_KEPT_AT: Final = ("bin:", "tote:", "container:")
ROBOT: Final = "robot:"
_NO_DAY: Final = "9999-12-31"


def append_facts(tx: Transaction, events: Sequence[StockEvent]) -> None:
    """Write events and their counts, but those that are known; what names no lot gets its lots."""
    if not (tx.knows_lots() or any(_names_lot(event) for event in events)):
        tx.append_all(events)
        return
    for event in events:
        for part in with_lots(tx, event):
            tx.append(part)


def _names_lot(event: StockEvent) -> bool:
    return isinstance(event, Movement) and bool(event.lot or event.serial)


def with_lots(tx: Transaction, event: StockEvent) -> Sequence[StockEvent]:
    """Return the event, or one for each lot and serial number that it moved."""
    if not isinstance(event, Movement) or event.lot or event.serial or event.reason == LOT_SAID:
        return (event,)
    if tx.has_event(event.event_id):
        return (event,)
    if event.from_place.startswith(ROBOT):
        return _split(tx, event, _picked(tx, event))
    if not event.from_place.startswith(LOTS_KEPT_AT):
        return (event,)
    lots = tx.lots_at(event.from_place, event.gtin)
    serials = tx.lots_of_serials(event.from_place, event.gtin)
    if not (lots or serials):
        return (event,)
    days = {lot: tx.lot_expires_on(event.gtin, lot) or _NO_DAY for lot in lots}
    first = {lot: lots[lot] for lot in sorted(lots, key=lambda lot: (days[lot], lot))}
    book = tx.book_units(event.from_place, event.gtin)
    return _split(tx, event, taken(event.gtin, event.units, book, first, serials))


def taken(
    gtin: str, units: int, book: int, lots: Mapping[str, int], serials: Mapping[str, str]
) -> list[Content]:
    """Return what `units` of a place are taken for; `lots`: the one to go first, first."""
    if units > book:
        return []
    if units == book:
        return split(gtin, units, lots, serials)
    found: list[Content] = []
    rest = units - max(book - sum(lots.values()), 0)
    for lot, of_lot in lots.items():
        part = min(of_lot, rest)
        if part > 0:
            found.append(Content(gtin, part, lot, ""))
            rest -= part
    left = units - sum(part.units for part in found)
    return [*found, Content(gtin, left, "", "")] if left > 0 else found


def _picked(tx: Transaction, drop: Movement) -> list[Content]:
    """Return what the robot took for the same task, as it was booked here."""
    if not drop.task_id:
        return []
    picks = [
        event
        for event in tx.events_from(f"pick/{drop.task_id}/")
        if isinstance(event, Movement) and (event.to_place, event.gtin) == (
            drop.from_place, drop.gtin,
        )
    ]  # fmt: skip
    return [Content(pick.gtin, pick.units, pick.lot, pick.serial) for pick in picks]


def _split(tx: Transaction, move: Movement, parts: Sequence[Content]) -> Sequence[Movement]:
    """Return the movement by these parts: the first has its id, the others that and a number."""
    if sum(part.units for part in parts) != move.units:
        return (move,)
    return [
        msgspec.structs.replace(
            move, units=part.units, lot=part.lot, serial=part.serial,
            event_id=move.event_id if number == 1 else f"{move.event_id}#{number}",
            expires_on=tx.lot_expires_on(part.gtin, part.lot) if part.lot else "",
        )
        for number, part in enumerate(parts, start=1)
    ]  # fmt: skip
