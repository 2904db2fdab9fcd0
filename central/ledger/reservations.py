"""Reservations: units of a bin that are promised to one task. Never more than the bin holds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from central.ledger.core import PlaceGtin, to_release
from central.statement import LIST_MAX, Statement, parts_of
from central.tables import balance, movement, reservation, task

OPEN_STATUSES: Final = ("open", "assigned", "moving")

_HELD: Final = select(func.coalesce(func.sum(balance.c.units), 0)).where(
    balance.c.place == bindparam("at_place"), balance.c.gtin == bindparam("of_gtin")
)
_PROMISED: Final = select(func.coalesce(func.sum(reservation.c.units), 0)).where(
    reservation.c.place == bindparam("at_place"), reservation.c.gtin == bindparam("of_gtin")
)
_FREE: Final = _HELD.scalar_subquery() - _PROMISED.scalar_subquery()
_AVAILABLE: Final = Statement(select(_FREE))


def available_units(conn: Connection, place: str, gtin: str) -> int:
    """Return the units at `place` that nobody is promised."""
    return int(_AVAILABLE.scalar(conn, {"at_place": place, "of_gtin": gtin}))


_LOCK_BALANCE: Final = Statement(
    select(balance.c.units)
    .where(balance.c.place == bindparam("at_place"), balance.c.gtin == bindparam("of_gtin"))
    .with_for_update()
)
_WANTED: Final = bindparam("wanted", type_=reservation.c.units.type)
_PROMISE: Final = Statement(
    insert(reservation).from_select(
        ["task_id", "place", "gtin", "units"],
        select(
            bindparam("to_task", type_=reservation.c.task_id.type),
            bindparam("at_place", type_=reservation.c.place.type),
            bindparam("of_gtin", type_=reservation.c.gtin.type),
            _WANTED,
        ).where(_FREE >= _WANTED),
    )
)


def reserve(conn: Connection, task_id: str, place: str, gtin: str, units: int) -> bool:
    """Promise `units` at `place` to `task_id`; False (and nothing done) where fewer are free.

    One statement looks and writes. SQLite lets one writer in at a time; elsewhere the row of the
    balance is locked first, so that two callers cannot both see the same units free.
    """
    assert units > 0, "a reservation is of at least one unit"
    row = {"at_place": place, "of_gtin": gtin}
    if conn.dialect.name != "sqlite":
        _LOCK_BALANCE.all(conn, row)
    return _PROMISE.run(conn, row | {"to_task": task_id, "wanted": units}) == 1


_RELEASE: Final = Statement(
    delete(reservation).where(reservation.c.task_id == bindparam("task_id"))
)


def release(conn: Connection, task_id: str) -> None:
    """Give back everything promised to `task_id`."""
    _RELEASE.run(conn, {"task_id": task_id})


_TAKEN: Final = func.coalesce(
    func.sum(
        case(
            (movement.c.from_place == task.c.from_place, movement.c.units),
            (movement.c.to_place == task.c.from_place, -movement.c.units),
            else_=0,
        )
    ),
    0,
)
_LEFT_TO_TAKE: Final = Statement(
    select(task.c.task_id, task.c.units - _TAKEN)
    .join(movement, movement.c.task_id == task.c.task_id)
    .where(task.c.task_id.in_(bindparam("task_ids")), task.c.status.in_(OPEN_STATUSES))
    .group_by(task.c.task_id, task.c.units)
)
_SHRINK: Final = Statement(
    update(reservation)
    .where(reservation.c.task_id == bindparam("of_task"))
    .values(units=bindparam("left"))
)
_RELEASE_ALL: Final = Statement(
    delete(reservation).where(reservation.c.task_id.in_(bindparam("task_ids")))
)


def settle_reservations(conn: Connection, task_ids: Collection[str]) -> None:
    """Shrink the reservations of these tasks to what they have not yet taken out of the bin."""
    for part in parts_of(sorted(task_ids)):
        rows = _LEFT_TO_TAKE.all(conn, {"task_ids": part})
        left = [{"of_task": task_id, "left": units} for task_id, units in rows if units > 0]
        gone = [task_id for task_id, units in rows if units <= 0]
        _SHRINK.many(conn, left)
        if gone:
            _RELEASE_ALL.run(conn, {"task_ids": gone})


_HELD_THERE: Final = func.coalesce(func.max(balance.c.units), 0)
_PROMISED_TOO_MUCH: Final = (
    select(reservation.c.place, reservation.c.gtin, _HELD_THERE)
    .outerjoin(
        balance,
        and_(balance.c.place == reservation.c.place, balance.c.gtin == reservation.c.gtin),
    )
    .group_by(reservation.c.place, reservation.c.gtin)
    .having(func.sum(reservation.c.units) > _HELD_THERE)
)
_OVERPROMISED: Final = Statement(
    _PROMISED_TOO_MUCH.where(tuple_(reservation.c.place, reservation.c.gtin).in_(bindparam("keys")))
)
_OVERPROMISED_ANYWHERE: Final = Statement(_PROMISED_TOO_MUCH)


def cut_to_balance(conn: Connection, places: Collection[PlaceGtin]) -> list[str]:
    """Release the newest reservations where a place holds less than is promised there.

    Returns the tasks that lost theirs. That happens where stock left a bin without the task: the
    promise of the older tasks stays good, and what is promised never exceeds what is there.
    """
    if len(places) > LIST_MAX:
        # Promises are few beside so many places: to look at all of them is one question, not many.
        over = [row for row in _OVERPROMISED_ANYWHERE.all(conn) if (row[0], row[1]) in places]
    else:
        over = [row for part in parts_of(places) for row in _OVERPROMISED.all(conn, {"keys": part})]
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
