"""Reservations: units of a bin that are promised to one task. Never more than the bin holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)

from central.ledger.core import PlaceGtin, to_release
from central.tables import balance, movement, reservation, task

OPEN_STATUSES: Final = ("open", "assigned", "moving")


def available_units(conn: Connection, place: str, gtin: str) -> int:
    """Return the units at `place` that nobody is promised."""
    return int(conn.execute(select(_free(place, gtin))).scalar_one())


def reserve(conn: Connection, task_id: str, place: str, gtin: str, units: int) -> bool:
    """Promise `units` at `place` to `task_id`; False (and nothing done) where fewer are free.

    One statement looks and writes. SQLite lets one writer in at a time; elsewhere the row of the
    balance is locked first, so that two callers cannot both see the same units free.
    """
    assert units > 0, "a reservation is of at least one unit"
    row = and_(balance.c.place == place, balance.c.gtin == gtin)
    if conn.dialect.name != "sqlite":
        conn.execute(select(balance.c.units).where(row).with_for_update())
    promised = select(literal(task_id), literal(place), literal(gtin), literal(units)).where(
        _free(place, gtin) >= units
    )
    done = conn.execute(
        insert(reservation).from_select(["task_id", "place", "gtin", "units"], promised)
    )
    return done.rowcount == 1


def release(conn: Connection, task_id: str) -> None:
    """Give back everything promised to `task_id`."""
    conn.execute(delete(reservation).where(reservation.c.task_id == task_id))


def settle_reservations(conn: Connection, task_ids: Collection[str]) -> None:
    """Shrink the reservations of these tasks to what they have not yet taken out of the bin."""
    if not task_ids:
        return
    taken = func.coalesce(
        func.sum(
            case(
                (movement.c.from_place == task.c.from_place, movement.c.units),
                (movement.c.to_place == task.c.from_place, -movement.c.units),
                else_=0,
            )
        ),
        0,
    )
    rows = conn.execute(
        select(task.c.task_id, task.c.units - taken)
        .join(movement, movement.c.task_id == task.c.task_id)
        .where(task.c.task_id.in_(task_ids), task.c.status.in_(OPEN_STATUSES))
        .group_by(task.c.task_id, task.c.units)
    ).all()
    left = [{"of_task": task_id, "left": units} for task_id, units in rows if units > 0]
    gone = [task_id for task_id, units in rows if units <= 0]
    if left:
        conn.execute(
            update(reservation)
            .where(reservation.c.task_id == bindparam("of_task"))
            .values(units=bindparam("left")),
            left,
        )
    if gone:
        conn.execute(delete(reservation).where(reservation.c.task_id.in_(gone)))


def cut_to_balance(conn: Connection, places: Iterable[PlaceGtin]) -> list[str]:
    """Release the newest reservations where a place holds less than is promised there.

    Returns the tasks that lost theirs. That happens where stock left a bin without the task: the
    promise of the older tasks stays good, and what is promised never exceeds what is there.
    """
    keys = list(places)
    if not keys:
        return []
    reserved = func.sum(reservation.c.units)
    held = func.coalesce(func.max(balance.c.units), 0)
    over = conn.execute(
        select(reservation.c.place, reservation.c.gtin, held)
        .outerjoin(
            balance,
            and_(balance.c.place == reservation.c.place, balance.c.gtin == reservation.c.gtin),
        )
        .where(tuple_(reservation.c.place, reservation.c.gtin).in_(keys))
        .group_by(reservation.c.place, reservation.c.gtin)
        .having(reserved > held)
    ).all()
    lost: list[str] = []
    for place, gtin, units in over:
        at_place = and_(reservation.c.place == place, reservation.c.gtin == gtin)
        rows = conn.execute(
            select(reservation.c.task_id, reservation.c.units)
            .outerjoin(task, task.c.task_id == reservation.c.task_id)
            .where(at_place)
            .order_by(task.c.created_at_ns.desc(), reservation.c.task_id.desc())
        ).all()
        losers = to_release(units, {row[0]: row[1] for row in rows}, [row[0] for row in rows])
        conn.execute(delete(reservation).where(at_place, reservation.c.task_id.in_(losers)))
        lost += losers
    return lost


def _free(place: str, gtin: str) -> ColumnElement[int]:
    """Return units there less units promised, as an expression."""
    held = select(func.coalesce(func.sum(balance.c.units), 0)).where(
        balance.c.place == place, balance.c.gtin == gtin
    )
    promised = select(func.coalesce(func.sum(reservation.c.units), 0)).where(
        reservation.c.place == place, reservation.c.gtin == gtin
    )
    free: ColumnElement[int] = held.scalar_subquery() - promised.scalar_subquery()
    return free
