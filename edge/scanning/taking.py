"""Whether goods may be taken from a place: enough of them, this lot, this very unit, not expired.

What the book has of an article at a place, less its lots there, is of no known lot. A label that
names a lot takes from that lot and from those; one that names none takes from those, or from the
only lot that is there. Serial numbers likewise.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from edge.scanning.gs1 import ArticleLabel
from edge.scanning.state import (
    PACK,
    PICK,
    RECEIVE,
    REFILL,
    RELEASES,
    Arrival,
    Moved,
    Outcome,
    Work,
    not_enough,
    refuse,
)
from wire.answers import Code
from wire.ids import Gtin14
from wire.messages import PersonTask

_OURS: Final = ("bin:", "tote:", "container:", "robot:", "person:", "quarantine:")
_FRESH_ONLY: Final = frozenset({RECEIVE, REFILL, PICK, PACK, *RELEASES})
_NS_PER_S: Final = 1_000_000_000
_YEARS_AHEAD_MAX: Final = 50
"""GS1 General Specifications, 7.12: a year further ahead than this is of the last century."""


def checked(
    label: ArticleLabel,
    mode: str,
    arrival: Arrival,
    work: Work,
    task: PersonTask | None = None,
) -> ArticleLabel | Outcome:
    """Return the label with the last day that is known, or why these goods are not to be moved."""
    today = _day_of(arrival.received_at_ns)
    expires_on = _in_its_century(label.expires_on, today)
    if label.lot and not expires_on:
        expires_on = work.details.lot_expires_on(label.gtin, label.lot)
    if task is not None and label.lot != task.lot and _is_to_take(task, today, work):
        code = Code.WRONG_LOT if label.lot else Code.LOT_NEEDED
        said = f"lot {label.lot} is not asked for" if label.lot else "the label names no lot"
        return refuse(code, f"{said}: take lot {task.lot}")
    if mode in _FRESH_ONLY and expires_on and expires_on < today:
        remedy = "SH-SCRAP" if mode in RELEASES else "SH-QUARANTINE"
        if mode == RECEIVE:
            remedy = "SH-DAMAGED, then scan it again"
        return refuse(Code.EXPIRED, f"its last day was {expires_on}: put it aside with {remedy}")
    return replace(label, expires_on=expires_on)


def _is_to_take(task: PersonTask, today: str, work: Work) -> bool:
    """Return whether a task's lot must be taken: one that is used up or over stops nobody."""
    if not task.lot or task.kind == RECEIVE:
        return bool(task.lot)
    is_there = work.details.lots_at(task.from_place, task.gtin).get(task.lot, 0) > 0
    last_day = work.details.lot_expires_on(task.gtin, task.lot)
    return is_there and not (last_day and last_day < today)


def arriving(label: ArticleLabel, from_place: str, work: Work) -> Outcome | None:
    """Return the refusal of a unit that cannot come in: the book has it in the house already."""
    known = label.serial and work.details.serial_place(label.gtin, label.serial)
    if not known or known == from_place or not known.startswith(_OURS):
        return None
    text = f"serial number {label.serial} is at {known} already: it was scanned before"
    return refuse(Code.SERIAL_TWICE, text)


def take(label: ArticleLabel, place: str, work: Work) -> ArticleLabel | Outcome:
    """Return the label with the lot that the book takes it for, or why it cannot be taken."""
    book = work.book_units(place, label.gtin)
    numbered = work.details.serials_at(place, label.gtin)
    if label.serial:
        refused = _strange_serial(label, place, work, unnumbered=book - numbered)
        if refused:
            return refused
    if book < label.units:
        return not_enough(place, label.gtin, label.units, work)
    if not label.serial and numbered and book - numbered < label.units:
        text = f"{numbered} x {label.gtin} at {place} have serial numbers: scan each one's label"
        return refuse(Code.SERIAL_NEEDED, text)
    if label.serial:
        lot = work.details.serial_lot(label.gtin, label.serial)
        if label.lot and lot and label.lot != lot:
            text = f"serial number {label.serial} is of lot {lot}, not {label.lot}"
            return refuse(Code.WRONG_LOT, text)
        label = replace(label, lot=label.lot or lot)
    return _of_lot(label, place, book, work)


def lacking(row: Moved, work: Work) -> Outcome | None:
    """Return why goods cannot be taken back from where they were put; None where they can."""
    label = ArticleLabel(Gtin14(row.gtin), row.units, row.lot, serial=row.serial)
    taken = take(label, row.to_place, work)
    return taken if isinstance(taken, Outcome) else None


def _strange_serial(
    label: ArticleLabel, place: str, work: Work, *, unnumbered: int
) -> Outcome | None:
    known = work.details.serial_place(label.gtin, label.serial)
    if known == place:
        return None
    if known:
        text = f"serial number {label.serial} is at {known}, not at {place}"
        return refuse(Code.SERIAL_ELSEWHERE, text)
    if unnumbered < 1:
        text = f"serial number {label.serial} is not one of those at {place}: count the bin"
        return refuse(Code.SERIAL_ELSEWHERE, text)
    return None


def _of_lot(label: ArticleLabel, place: str, book: int, work: Work) -> ArticleLabel | Outcome:
    lots = work.details.lots_at(place, label.gtin)
    unnamed = book - sum(lots.values())
    if label.lot:
        if lots.get(label.lot, 0) + unnamed >= label.units:
            return label
        text = f"the book has {_named(lots)} at {place}, not {label.units} of lot {label.lot}"
        return refuse(Code.WRONG_LOT, text)
    if unnamed >= label.units:
        return label
    if len(lots) == 1 and unnamed <= 0:
        ((lot, _),) = lots.items()
        return replace(label, lot=lot)
    text = f"{place} has {_named(lots)}: scan a label that names the lot"
    return refuse(Code.LOT_NEEDED, text)


def _named(lots: Mapping[str, int]) -> str:
    return ", ".join(f"{n} of lot {lot}" for lot, n in sorted(lots.items())[:5]) or "no lot"


def _day_of(at_ns: int) -> str:
    return dt.datetime.fromtimestamp(at_ns // _NS_PER_S, dt.UTC).date().isoformat()


def _in_its_century(day: str, today: str) -> str:
    if not day or int(day[:4]) - int(today[:4]) <= _YEARS_AHEAD_MAX:
        return day
    return f"{int(day[:4]) - 100}{day[4:]}"
