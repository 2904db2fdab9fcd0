"""Modes that need no task: move, pack, return, quarantine. What is there in the book decides.

| mode | takes from | puts into |
|---|---|---|
| move | the bin or container scanned first | the bin or container scanned after the article |
| pack | the tote of the order | the container scanned last, else the customer |
| return | the customer of the order, else any | the bin scanned last, else quarantine |
| quarantine | the bin or container scanned first | quarantine |
| release-good, release-error | quarantine | the bin scanned first |
| scrap | quarantine | damaged goods |
"""

from __future__ import annotations

from typing import Final

import msgspec

from edge.scanning.containers import nest, unload
from edge.scanning.gs1 import ArticleLabel, ContainerLabel, OrderLabel
from edge.scanning.state import (
    CONTAINER,
    MOVE,
    PACK,
    QUARANTINE,
    RELEASES,
    RETURN,
    SCRAP,
    Arrival,
    Floor,
    LastMove,
    Moved,
    Outcome,
    Session,
    Step,
    Work,
    events_of,
    refuse,
    tick,
)
from edge.scanning.taking import arriving, checked, take
from wire.answers import Code, Sound
from wire.ids import BinId, Gtin14, bin_location, bin_of, location

FREE_MODES: Final = frozenset({MOVE, PACK, RETURN, QUARANTINE, SCRAP, *RELEASES})
_FIRST: Final = {
    MOVE: "scan the bin or the container to take from",
    PACK: "scan the order's label",
    RETURN: "scan the order's label, the returns bin, or the article",
    QUARANTINE: "scan the bin or the container to take from",
    "release-good": "scan the bin to put it into",
    "release-error": "scan the bin to put it into",
    SCRAP: "scan the article",
}
_replace = msgspec.structs.replace


def begin(mode: str) -> Outcome:
    """Return what to scan first in a mode."""
    return tick(f"{mode}: {_FIRST[mode]}")


def bin_scanned(state: Session, bin_id: BinId, arrival: Arrival, work: Work) -> Step:
    """Return the session after a bin's label in one of these modes."""
    if state.mode == PACK:
        return state, refuse(Code.WRONG_MODE, "pack: scan the order's label, a parcel or articles")
    if state.mode == SCRAP:
        return state, refuse(Code.WRONG_MODE, "scrap: scan the article in quarantine")
    if state.mode == MOVE and state.gtin:
        return _put(state, bin_location(bin_id), arrival, work)
    if state.mode == MOVE and state.is_carried:
        return _put_container(state, bin_location(bin_id), arrival, work)
    here = _replace(state, bin_id=bin_id, container="", is_carried=False, is_fresh=False)
    return here, tick(f"{state.mode} at {bin_id}: scan the article")


def container_scanned(state: Session, label: ContainerLabel, arrival: Arrival, work: Work) -> Step:
    """Return the session after the SSCC of a pallet, tote or parcel."""
    sscc = label.sscc
    if state.mode not in (MOVE, PACK, QUARANTINE):
        text = f"container {sscc}: scan SH-MOVE, SH-PACK or SH-QUARANTINE first"
        return state, refuse(Code.WRONG_MODE, text)
    if state.mode == MOVE and state.gtin:
        return _put(state, location("container", sscc), arrival, work)
    held = _replace(state, bin_id="", container=sscc, is_carried=True, is_fresh=False)
    if state.mode == PACK:
        packing = _replace(state, container=sscc, is_fresh=False)
        return packing, tick(f"pack into {sscc}: scan the articles")
    if state.mode == QUARANTINE:
        after, outcome = _put_container(held, location("quarantine"), arrival, work)
        return after if outcome.ok else state, outcome
    if state.is_carried and state.container != sscc:
        return _nest(state, sscc, arrival, work)
    return held, tick(f"container {sscc}: scan where it goes, or an article to take out of it")


def order_scanned(state: Session, label: OrderLabel) -> Step:
    """Return the session after an order's label."""
    if state.mode not in (PACK, RETURN):
        text = f"order {label.order_id}: scan SH-PACK or SH-RETURN first"
        return state, refuse(Code.WRONG_MODE, text)
    here = _replace(state, order_id=label.order_id, container="", is_fresh=False)
    return here, tick(f"{state.mode} of order {label.order_id}: scan the article")


def article_scanned(
    state: Session, label: ArticleLabel, arrival: Arrival, floor: Floor, work: Work
) -> Step:
    """Return the session after an article's label in one of these modes."""
    source = _source(state, work)
    if isinstance(source, Outcome):
        return state, source
    known = checked(label, state.mode, arrival, work)
    if isinstance(known, Outcome):
        return state, known
    if state.mode == RETURN:
        refused = arriving(known, source, work)
        if refused:
            return state, refused
        to_place = bin_location(state.bin_id) if state.bin_id else location("quarantine")
        return _book(state, known, source, to_place, arrival, work)
    taken = take(known, source, work)
    if isinstance(taken, Outcome):
        return state, taken
    if state.mode == MOVE:
        held = _replace(
            state, gtin=taken.gtin, units=taken.units, lot=known.lot, serial=taken.serial,
            expires_on=taken.expires_on, is_carried=False, is_fresh=False,
        )  # fmt: skip
        return held, tick(f"{taken.units} x {floor.article_name[taken.gtin]}: scan where it goes")
    to_place = location("quarantine")
    if state.mode in RELEASES:
        to_place = bin_location(state.bin_id)
    elif state.mode == SCRAP:
        to_place = location("damaged")
    elif state.mode == PACK:
        goal = location("container", state.container)
        to_place = goal if state.container else location("customer", state.order_id)
    return _book(state, taken, source, to_place, arrival, work)


def _source(state: Session, work: Work) -> str | Outcome:
    """Return where the goods of a scan come from."""
    if state.mode == SCRAP or (state.mode in RELEASES and state.bin_id):
        return location("quarantine")
    if state.mode == PACK and not state.order_id:
        return refuse(Code.NO_ORDER, "pack: scan the order's label first")
    if state.mode == PACK:
        return location("tote", state.order_id)
    if state.mode == RETURN:
        return location("customer", state.order_id)
    if state.container:
        stands_at = work.details.container_place(state.container)
        in_it = not work.details.goods_with(state.container, 1)
        return CONTAINER + state.container if in_it or not bin_of(stands_at) else stands_at
    if not state.bin_id:
        return refuse(Code.NO_BIN, f"an article: {_FIRST[state.mode]} first")
    return bin_location(state.bin_id)


def _put(state: Session, to_place: str, arrival: Arrival, work: Work) -> Step:
    """Return the session after the article in hand was put into a bin or container."""
    label = ArticleLabel(Gtin14(state.gtin), state.units, state.lot, state.expires_on, state.serial)
    source = _source(state, work)
    assert isinstance(source, str), "an article is in hand only after its place"
    if to_place == source:
        text = f"it was taken from {source}: scan where it goes, or SH-UNDO"
        return state, refuse(Code.WRONG_BIN, text)
    taken = take(label, source, work)
    if isinstance(taken, Outcome):
        return state, taken
    free = _replace(state, gtin="", units=0, lot="", expires_on="", serial="")
    return _book(free, taken, source, to_place, arrival, work)


def _book(
    state: Session, label: ArticleLabel, from_place: str, to_place: str, arrival: Arrival,
    work: Work,
) -> Step:  # fmt: skip
    row = Moved(
        gtin=label.gtin, units=label.units, lot=label.lot, expires_on=label.expires_on,
        serial=label.serial, from_place=from_place, to_place=to_place,
    )  # fmt: skip
    text = f"{label.units} x {label.gtin} from {from_place} to {to_place}"
    return _booked(state, (row,), text, arrival, work)


def _put_container(state: Session, to_place: str, arrival: Arrival, work: Work) -> Step:
    rows = unload(state.container, to_place, work)
    units = 0 if isinstance(rows, Outcome) else sum(row.units for row in rows)
    text = f"container {state.container} with {units} units to {to_place}"
    return _carried(state, rows, text, arrival, work)


def _nest(state: Session, into: str, arrival: Arrival, work: Work) -> Step:
    text = f"container {state.container} is in {into} now"
    return _carried(state, nest(state.container, into, work), text, arrival, work)


def _carried(
    state: Session, rows: tuple[Moved, ...] | Outcome, text: str, arrival: Arrival, work: Work
) -> Step:
    if isinstance(rows, Outcome):
        return state, rows
    return _booked(_replace(state, container="", is_carried=False), rows, text, arrival, work)


def _booked(
    state: Session, rows: tuple[Moved, ...], text: str, arrival: Arrival, work: Work
) -> Step:
    outcome = Outcome(
        ok=True, code=Code.BOOKED, text=text, sound=Sound.GOOD,
        events=events_of(rows, arrival, work, reason=state.mode),
    )  # fmt: skip
    return _replace(state, last=LastMove(moved=rows), is_fresh=True), outcome
