"""Lots, serial numbers and containers in the ledger: what events say beside the balances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, insert, select, union_all

from central.ledger.core import PlaceGtin
from central.store import insert_returning, upsert
from central.tables import (
    container_move,
    container_place,
    lot,
    lot_balance,
    movement,
    serial_place,
    task_short,
)
from wire.messages import ContainerMoved, Movement, TaskClosed

GtinLotPlace = tuple[str, str, str]
"""(GTIN-14, lot, place)."""


def lot_changes(moves: Iterable[Movement]) -> dict[GtinLotPlace, int]:
    """Return what these movements add to each (gtin, lot, place)."""
    changes: Counter[GtinLotPlace] = Counter()
    for move in moves:
        if move.lot:
            changes[move.gtin, move.lot, move.from_place] -= move.units
            changes[move.gtin, move.lot, move.to_place] += move.units
    return {key: units for key, units in changes.items() if units}


def apply_details(conn: Connection, moves: Sequence[Movement]) -> None:
    """Write what these movements, new to the ledger, say of lots and serial numbers."""
    named = [move for move in moves if move.lot or move.serial]
    if not named:
        return
    changes = lot_changes(named)
    rows = [_lot_row(key, units) for key, units in sorted(changes.items())]
    if rows:
        upsert(conn, lot_balance, rows, add=("units",))
    for table, details in _last_said(named).items():
        if details:
            upsert(conn, table, details, replace=_REPLACED[table])


def apply_containers(conn: Connection, events: Iterable[ContainerMoved]) -> list[ContainerMoved]:
    """Write where containers are now; return the events that were new to the ledger."""
    moves = {event.event_id: event for event in events}
    rows = [
        {
            "event_id": move.event_id,
            "sscc": move.container,
            "from_place": move.from_place,
            "to_place": move.to_place,
            "observed_at_ns": move.observed_at_ns,
        }
        for move in moves.values()
    ]
    new = [moves[i] for i in insert_returning(conn, container_move, rows, _MOVE_ID)]
    places = {move.container: move.to_place for move in new}
    if places:
        stands = [{"sscc": sscc, "place": place} for sscc, place in sorted(places.items())]
        upsert(conn, container_place, stands, replace=("place",))
    return new


def apply_closed(conn: Connection, events: Iterable[TaskClosed]) -> list[TaskClosed]:
    """Write which tasks people closed short, and what they took back (negative).

    Return the events that were new to the ledger.
    """
    ends = {event.event_id: event for event in events}
    rows = [
        {
            "event_id": end.event_id,
            "task_id": end.task_id,
            "short_units": -end.short_units if end.undone else end.short_units,
            "person_id": end.person_id,
            "observed_at_ns": end.observed_at_ns,
        }
        for end in ends.values()
    ]
    return [ends[i] for i in insert_returning(conn, task_short, rows, task_short.c.event_id)]


_MOVE_ID: Final = container_move.c.event_id
_REPLACED: Final = {lot: ("expires_on",), serial_place: ("place", "lot")}


def _lot_row(key: GtinLotPlace, units: int) -> dict[str, Any]:
    return {"gtin": key[0], "lot": key[1], "place": key[2], "units": units}


def _last_said(moves: Iterable[Any]) -> dict[Table, list[dict[str, Any]]]:
    """Return the rows of lots and serial numbers after these movements, in their order."""
    days: dict[tuple[str, str], str] = {}
    units: dict[tuple[str, str], tuple[str, str]] = {}
    for move in moves:
        if move.lot and move.expires_on:
            days[move.gtin, move.lot] = move.expires_on
        if move.serial:
            units[move.gtin, move.serial] = (move.to_place, move.lot)
    return {
        lot: [{"gtin": g, "lot": name, "expires_on": d} for (g, name), d in sorted(days.items())],
        serial_place: [
            {"gtin": g, "serial": s, "place": place, "lot": of_lot}
            for (g, s), (place, of_lot) in sorted(units.items())
        ],
    }


def wrong_lots(conn: Connection) -> list[tuple[PlaceGtin, int, int]]:
    """Return ((place, article and lot), units kept, sum of the movements) where these differ."""
    kept = {(r.gtin, r.lot, r.place): int(r.units) for r in conn.execute(select(lot_balance))}
    summed = _sum_lots(conn)
    return [
        ((key[2], f"{key[0]} lot {key[1]}"), kept.get(key, 0), summed.get(key, 0))
        for key in sorted(kept.keys() | summed.keys())
        if kept.get(key, 0) != summed.get(key, 0)
    ]


def wrong_serials(conn: Connection) -> list[tuple[PlaceGtin, int, int]]:
    """Return ((place, article and serial), 1 or 0 kept, 1 or 0 by its last movement)."""
    kept = {(r.place, f"{r.gtin} serial {r.serial}") for r in conn.execute(select(serial_place))}
    rows = _last_said(_said(conn))[serial_place]
    should = {(row["place"], f"{row['gtin']} serial {row['serial']}") for row in rows}
    return [(key, int(key in kept), int(key in should)) for key in sorted(kept ^ should)]


def wrong_containers(conn: Connection) -> list[tuple[PlaceGtin, int, int]]:
    """Return ((place, SSCC), 1 or 0 kept, 1 or 0 by its last move) where these differ."""
    kept = {(r.place, f"container {r.sscc}") for r in conn.execute(select(container_place))}
    should = {(place, f"container {sscc}") for sscc, place in _container_places(conn).items()}
    return [(key, int(key in kept), int(key in should)) for key in sorted(kept ^ should)]


def rebuild_details(conn: Connection) -> None:
    """Make lots, serial numbers and places of containers again from what was moved."""
    details = _last_said(_said(conn))
    details[lot_balance] = [_lot_row(key, units) for key, units in _sum_lots(conn).items()]
    places = _container_places(conn)
    details[container_place] = [{"sscc": s, "place": p} for s, p in sorted(places.items())]
    for table, rows in details.items():
        conn.execute(delete(table))
        if rows:
            conn.execute(insert(table), rows)


def _container_places(conn: Connection) -> dict[str, str]:
    moves = conn.execute(select(container_move).order_by(container_move.c.id))
    return {row.sscc: row.to_place for row in moves}


def _said(conn: Connection) -> Iterable[Any]:
    """Return the movements that name a lot or a serial number, as they came into the ledger."""
    named = (movement.c.lot != "") | (movement.c.serial != "")
    return conn.execute(select(movement).where(named).order_by(movement.c.id))


def _sum_lots(conn: Connection) -> dict[GtinLotPlace, int]:
    columns = (movement.c.gtin, movement.c.lot)
    sides = union_all(
        select(*columns, movement.c.to_place.label("place"), movement.c.units).where(
            movement.c.lot != ""
        ),
        select(*columns, movement.c.from_place, -movement.c.units).where(movement.c.lot != ""),
    ).subquery()
    by = (sides.c.gtin, sides.c.lot, sides.c.place)
    rows = conn.execute(select(*by, func.sum(sides.c.units)).group_by(*by))
    return {(gtin, name, place): int(units) for gtin, name, place, units in rows}
