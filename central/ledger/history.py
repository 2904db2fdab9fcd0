"""What happened in a bin: every movement with who, why and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from central.ledger.adjust import waiting_adjustments
from central.ledger.segments import SEEN, newest_moves
from central.tables import movement
from wire.ids import bin_location

ROWS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BinMove:
    """One movement as the bin sees it."""

    event_id: str
    gtin: str
    by_units: int
    """What it had more afterwards; negative: less. 0 where it went from the bin into the bin."""
    other_place: str
    reason: str
    person_id: str
    device_id: str
    task_id: str
    lot: str
    observed_at_ns: int
    committed_at_ns: int
    """0: the edge has not booked it yet."""


def bin_history(
    conn: Connection,
    bin_id: str,
    *,
    gtin: str | None = None,
    since_ns: int = 0,
    until_ns: int | None = None,
    limit: int = 100,
) -> list[BinMove]:
    """Return the bin's latest movements, the newest first, before them what waits to be booked.

    With `until_ns` only what was observed up to then.
    """
    place = bin_location(bin_id)
    m = movement.c
    wanted = [since_ns <= SEEN]
    if gtin is not None:
        wanted.append(m.gtin == gtin)
    if until_ns is not None:
        wanted.append(until_ns >= SEEN)
    rows = newest_moves(conn, place, wanted, min(limit, ROWS_MAX))
    waiting = [
        _seen(move, place, 0)
        for move in waiting_adjustments(conn, place)
        if gtin in (None, move.gtin) and (until_ns is None or move.observed_at_ns <= until_ns)
    ]
    return [*waiting, *(_seen(row, place, row.committed_at_ns) for row in rows)]


def _seen(move: Any, place: str, committed_at_ns: int) -> BinMove:
    """Return a movement (or a row with its columns) as `place` sees it."""
    came, left = move.to_place == place, move.from_place == place
    return BinMove(
        event_id=move.event_id,
        gtin=move.gtin,
        by_units=(came - left) * move.units,
        other_place=move.from_place if came else move.to_place,
        reason=move.reason,
        person_id=move.person_id,
        device_id=move.device_id,
        task_id=move.task_id,
        lot=move.lot,
        observed_at_ns=move.observed_at_ns,
        committed_at_ns=committed_at_ns,
    )
