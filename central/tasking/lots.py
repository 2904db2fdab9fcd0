"""Lots that robots brought from one zone into another: named in the bin where they stand now.

The edge of the goal reads no label and knows nothing of what another edge booked with the pick.
Once both ends are in the ledger, whichever came first, it is told by two movements: the units with
their lot from the robot, and as many without one back to it. Units stay what they are. A
command that is written already is not written again: its event id is unique.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, or_, select

from central.ledger.origin import CENTRAL_DEVICE
from central.statement import Row, Statement
from central.tables import movement
from central.tasking.commands import command_record
from central.tasking.news import Narrowed
from central.tasking.round import Round
from wire.ids import bin_of
from wire.messages import LOT_SAID, Movement

LOT_EVENT: Final = "lot/"
"""What the ids of these movements begin with; the id of the drop follows."""
LOOK_BACK_S: Final = 7 * 86_400.0
"""At a start, drops that were booked before are not looked at any more."""
_PICK: Final = movement.alias("pick")
_DROP: Final = movement.alias("dropped")
_TOLD: Final = LOT_EVENT + _DROP.c.event_id


def _picks(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Return what asks for the picks with a lot or serial number whose drop has none."""
    return (
        select(
            _PICK.c.event_id,
            _PICK.c.task_id,
            _PICK.c.gtin,
            _PICK.c.units,
            _PICK.c.lot,
            _PICK.c.serial,
            _PICK.c.expires_on,
            _DROP.c.event_id.label("drop_id"),
            _DROP.c.units.label("dropped_units"),
            _DROP.c.from_place,
            _DROP.c.to_place,
            _DROP.c.observed_at_ns,
            _DROP.c.committed_at_ns,
        )
        .select_from(_PICK)
        .join(_DROP, _DROP.c.task_id == _PICK.c.task_id)
        .where(
            _PICK.c.reason == "robot-pick",
            or_(_PICK.c.lot != "", _PICK.c.serial != ""),
            _DROP.c.reason == "robot-drop",
            _DROP.c.from_place == _PICK.c.to_place,
            _DROP.c.gtin == _PICK.c.gtin,
            _DROP.c.lot == "",
            _DROP.c.serial == "",
            ~exists().where(movement.c.event_id == _TOLD),
            *conditions,
        )
        .order_by(_DROP.c.id, _PICK.c.id)
    )


_UNNAMED: Final = Narrowed(_picks, _PICK.c.task_id)


_PICKED: Final = Statement(
    select(func.sum(movement.c.units)).where(
        movement.c.task_id == bindparam("of_task"), movement.c.reason == "robot-pick"
    )
)


def name_lots(work: Round) -> None:
    """Tell the edges the lots of what robots brought them from other zones."""
    tasks = work.news.tasks()
    rows = _UNNAMED.all(work.conn, tasks)
    since_ns = work.later_ns(-LOOK_BACK_S)
    by_drop: dict[str, list[Row]] = {}
    for row in rows:
        if tasks is not None or row.committed_at_ns >= since_ns:
            by_drop.setdefault(row.drop_id, []).append(row)
    for drop_id, picks in by_drop.items():
        _tell(work, drop_id, picks)


def _tell(work: Round, drop_id: str, picks: list[Row]) -> None:
    drop = picks[0]
    units = sum(pick.units for pick in picks)
    row = work.floor.site.bins.get(bin_of(drop.to_place) or "")
    if units > drop.dropped_units or row is None:
        return
    if _PICKED.scalar(work.conn, {"of_task": drop.task_id}) < drop.dropped_units:
        return  # a part of the pick is in a batch that is still to come
    told = f"{LOT_EVENT}{drop_id}"
    for number, pick in enumerate(picks, start=1):
        named = {"lot": pick.lot, "serial": pick.serial, "expires_on": pick.expires_on}
        ends = (drop.from_place, drop.to_place)
        _command(work, row.edge_id, f"{told}/{number}", drop, pick.units, ends, **named)
    _command(work, row.edge_id, told, drop, units, (drop.to_place, drop.from_place))


def _command(
    work: Round, edge_id: str, event_id: str, drop: Row, units: int, ends: tuple[str, str],
    **named: str,
) -> None:  # fmt: skip
    move = Movement(
        event_id=event_id,
        gtin=drop.gtin,
        units=units,
        from_place=ends[0],
        to_place=ends[1],
        reason=LOT_SAID,
        device_id=CENTRAL_DEVICE,
        observed_at_ns=drop.observed_at_ns,
        received_at_ns=work.now_ns,
        **named,
    )
    command_record(work, edge_id, move, after_s=0.0)
