"""Adjustments: a person says what a bin holds, and the edge that owns it books the difference.

Nobody edits a number. Central checks what was asked and writes a command; the edge writes a
movement between the bin and `loss:` or `found:`, with the reason and the person, and that comes
into the ledger as every other movement does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from central.store import insert_new
from central.tables import balance, decision, edge_command, lot_balance, movement, reservation
from wire.ids import bin_location
from wire.messages import LOT_MAX, LOT_SAID, UNITS_MAX, Lot, Movement, Name
from wire.site import Site

LOSS: Final = "loss:"
FOUND: Final = "found:"
QUARANTINE: Final = "quarantine:"
EVENT: Final = "adjust/"
"""What the event ids of adjustments begin with; the command's id follows."""
READ_REASONS: Final = frozenset({LOT_SAID, "opening", "robot-drop", "robot-pick", "undo"})
"""What programs take as a movement's kind: a person's word among them would hide what was booked
from the history of its bin, or count as work."""
OPEN_MAX: Final = 1_000
"""So many adjustments may wait for their edges; more are refused until those have booked some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What a person asks for. Exactly one of `to_units` and `by_units` is given."""

    command_id: str
    """Unique: a repetition gets the first answer."""
    bin_id: str
    gtin: str
    reason: str
    person_id: str
    to_units: int | None = None
    """What the bin holds."""
    by_units: int | None = None
    """What it holds more (or, negative, less) than the book says."""
    lot: str = ""
    quarantine: bool = False
    """Whether quarantine is the other side, in place of `loss:` and `found:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """What came of it."""

    ok: bool
    text: str
    """In words: what is going to be booked by whom, or why not."""
    by_units: int = 0
    edge_id: str = ""


def adjust(conn: Connection, site: Site, asked: Adjustment, now_ns: int) -> Adjusted:
    """Write the command that books an adjustment, once; return what is going to happen."""
    known = _known(conn, asked)
    if known is not None:
        return known
    refusal = _refusal(conn, site, asked)
    if refusal:
        return Adjusted(ok=False, text=refusal)
    if asked.quarantine and (asked.by_units or 0) > 0:
        asked, refusal = _put_aside_lot(conn, asked)
        if refusal:
            return Adjusted(ok=False, text=refusal)
    place = bin_location(asked.bin_id)
    booked, waiting = _expected(conn, place, asked.gtin)
    by = asked.by_units
    if by is None:
        by = (asked.to_units or 0) - booked - waiting
    holds = _holds_text(asked, booked, waiting)
    stays = booked + waiting + by
    if stays < 0:
        return Adjusted(ok=False, text=f"{holds}: it cannot hold {-by} less")
    if abs(by) > UNITS_MAX or stays > UNITS_MAX:
        return Adjusted(ok=False, text=f"{holds}: expected up to {UNITS_MAX} units, got {stays}")
    if by == 0:
        return Adjusted(ok=True, text=f"{holds} already: nothing is booked")
    edge_id = site.bins[asked.bin_id].edge_id
    answer = Adjusted(
        ok=True,
        text=f"{holds}; edge {edge_id} books {by:+d} as {asked.reason} of {asked.person_id}"
        + _promises_text(conn, place, asked.gtin, stays),
        by_units=by,
        edge_id=edge_id,
    )
    _write(conn, asked, answer, now_ns)
    return answer


def _known(conn: Connection, asked: Adjustment) -> Adjusted | None:
    """Return the answer that this command got before; None where it is new."""
    row = conn.execute(
        select(decision.c.text, edge_command.c.body, edge_command.c.edge_id)
        .select_from(decision)
        .outerjoin(edge_command, edge_command.c.command_id == decision.c.command_id)
        .where(decision.c.command_id == asked.command_id)
    ).one_or_none()
    if row is None:
        return None
    move = msgspec.json.decode(row.body, type=Movement) if row.body else None
    place = bin_location(asked.bin_id)
    if move is None or move.gtin != asked.gtin or place not in (move.from_place, move.to_place):
        text = f"command {asked.command_id} was given before, for something else: take a new id"
        return Adjusted(ok=False, text=text)
    by = move.units if move.to_place == place else -move.units
    return Adjusted(ok=True, text=row.text, by_units=by, edge_id=row.edge_id)


def _refusal(conn: Connection, site: Site, asked: Adjustment) -> str:
    """Return what is wrong with it, or nothing."""
    if (asked.to_units is None) == (asked.by_units is None):
        return "expected either what the bin holds or by how much it differs, not both or none"
    if asked.to_units is not None and asked.to_units < 0:
        return f"expected 0 units or more in the bin, got {asked.to_units}"
    for what, value in (
        ("command id", asked.command_id),
        ("reason", asked.reason),
        ("person", asked.person_id),
    ):
        if not _is_a(Name, value):
            return (
                f"{what} {value[:60]!r}: expected 1 to 40 letters, digits, dots, hyphens,"
                " underscores"
            )
    if not _is_a(Lot, asked.lot) or not _CAN_BE_READ.fullmatch(asked.lot):
        return f"lot {asked.lot[:60]!r}: expected at most {LOT_MAX} characters that can be read"
    if asked.reason in READ_REASONS:
        return f"reason {asked.reason!r} is what programs write: expected a word of your own"
    if asked.quarantine and asked.by_units is None:
        return "quarantine: expected by how many units the bin has more or less then"
    if asked.bin_id not in site.bins:
        return f"there is no bin {asked.bin_id!r} in bins.csv"
    if asked.gtin not in site.articles:
        return f"there is no article {asked.gtin!r} in articles.csv"
    waiting = select(func.count()).select_from(edge_command).where(*_WAITING)
    if conn.execute(waiting).scalar_one() >= OPEN_MAX:
        return f"{OPEN_MAX} adjustments wait for their edges: are those running?"
    return ""


_CAN_BE_READ: Final = re.compile(r"[^\x00-\x1f\x7f]*")


def _is_a(kind: Any, value: str) -> bool:
    """Return whether a value may stand in a message: what may not, no edge would take."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


_WAITING: Final = (edge_command.c.status == "open", edge_command.c.event_id.startswith(EVENT))


def waiting_adjustments(conn: Connection, place: str) -> list[Movement]:
    """Return the adjustments of a bin that its edge has not booked yet, as far as is known."""
    written = select(movement.c.event_id).where(movement.c.event_id == edge_command.c.event_id)
    rows = conn.execute(
        select(edge_command.c.body)
        .where(*_WAITING, ~written.exists())
        .order_by(edge_command.c.command_id)
    ).scalars()
    moves = (msgspec.json.decode(body, type=Movement) for body in rows)
    return [move for move in moves if place in (move.from_place, move.to_place)]


def _expected(conn: Connection, place: str, gtin: str) -> tuple[int, int]:
    """Return the units in the book, and by how much they are going to be adjusted already."""
    at_place = (balance.c.place == place, balance.c.gtin == gtin)
    booked = conn.execute(select(func.sum(balance.c.units)).where(*at_place)).scalar()
    waiting = sum(
        move.units if move.to_place == place else -move.units
        for move in waiting_adjustments(conn, place)
        if move.gtin == gtin
    )
    return int(booked or 0), waiting


def _put_aside_lot(conn: Connection, asked: Adjustment) -> tuple[Adjustment, str]:
    """Return what is to come out of quarantine with its lot; or why it cannot."""
    held = (lot_balance.c.place == QUARANTINE, lot_balance.c.gtin == asked.gtin)
    rows = conn.execute(
        select(lot_balance.c.lot, lot_balance.c.units).where(*held, lot_balance.c.units > 0)
    )
    lots = {row.lot: int(row.units) for row in rows}
    booked, waiting = _expected(conn, QUARANTINE, asked.gtin)
    unnamed = booked - sum(lots.values())
    if not asked.lot and len(lots) == 1 and unnamed <= 0:
        asked = replace(asked, lot=next(iter(lots)))
    named = f" of lot {asked.lot}" if asked.lot else " of no known lot" if lots else ""
    there = lots.get(asked.lot, 0) if asked.lot else unnamed
    there += sum(
        move.units if move.to_place == QUARANTINE else -move.units
        for move in waiting_adjustments(conn, QUARANTINE)
        if (move.gtin, move.lot) == (asked.gtin, asked.lot)
    )
    there = min(there, booked + waiting)
    if there < (asked.by_units or 0):
        text = (
            f"{max(there, 0)} x {asked.gtin}{named} are in quarantine, {asked.by_units} asked for"
        )
        others = ", ".join(f"{units} of lot {lot}" for lot, units in sorted(lots.items())[:5])
        return asked, text + (f": there are {others}" if others else "")
    return asked, ""


def _holds_text(asked: Adjustment, booked: int, waiting: int) -> str:
    coming = f" ({waiting:+d} is under way)" if waiting else ""
    return f"{asked.bin_id} holds {booked} x {asked.gtin}{coming}"


def _promises_text(conn: Connection, place: str, gtin: str, stays: int) -> str:
    at_place = (reservation.c.place == place, reservation.c.gtin == gtin)
    promised = conn.execute(select(func.sum(reservation.c.units)).where(*at_place)).scalar()
    over = int(promised or 0) - stays
    return f"; {over} units too many are promised there: the newest tasks lose them" * (over > 0)


def _write(conn: Connection, asked: Adjustment, answer: Adjusted, now_ns: int) -> None:
    place = bin_location(asked.bin_id)
    is_more = answer.by_units > 0
    more_from, less_to = (QUARANTINE, QUARANTINE) if asked.quarantine else (FOUND, LOSS)
    move = Movement(
        event_id=EVENT + asked.command_id,
        gtin=asked.gtin,
        units=abs(answer.by_units),
        from_place=more_from if is_more else place,
        to_place=place if is_more else less_to,
        reason=asked.reason,
        device_id="central",
        observed_at_ns=now_ns,
        received_at_ns=now_ns,
        person_id=asked.person_id,
        lot=asked.lot,
    )
    command: Mapping[str, object] = {
        "command_id": asked.command_id,
        "kind": "record",
        "status": "open",
        "edge_id": answer.edge_id,
        "task_id": "",
        "event_id": move.event_id,
        "body": msgspec.json.encode(move).decode(),
        "next_at_ns": 0,  # at once, also where central's clock is behind the one here
    }
    told: Mapping[str, object] = {
        "command_id": asked.command_id,
        "proposal_id": "",
        "person_id": asked.person_id,
        "ok": 1,
        "text": answer.text,
        "at_ns": now_ns,
    }
    insert_new(conn, edge_command, [command])
    insert_new(conn, decision, [told])
