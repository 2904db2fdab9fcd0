"""Goods that no robot brings anywhere any more: somebody is asked to take them off it.

A drop that failed, or a robot that was lost with its load, leaves units at `robot:X` in the book.
A person receives them at a dock like goods of a supplier, and from there they are put away. Who
finds the robot empty says that no more is there (SH-SHORT): the book then has them as lost, and
counts of the bins that are in doubt find them again.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, func, select

from central.ledger.origin import CENTRAL_DEVICE
from central.ledger.reservations import OPEN_STATUSES
from central.statement import Row, Statement, parts_of
from central.tables import balance, edge_command, movement, task, task_short
from central.tasking.commands import command_record
from central.tasking.round import Round, add_task, end_task, log
from wire.ids import bin_location, location
from wire.messages import Movement

LOOK_S: Final = 15.0
LEFT_AFTER_S: Final = 60.0
"""What a robot has done is in the book by then; what is still on it stays on it."""
EMPTY_WITHIN_S: Final = 300.0
"""What somebody did not find on a robot so lately is what is left on it in the book."""
ASK_AGAIN_S: Final = 1_800.0
"""Nobody came: it is asked for again after this."""

_ON_ROBOTS: Final = Statement(
    select(balance.c.place, balance.c.gtin, balance.c.units)
    .where(balance.c.place.in_(bindparam("robots")), balance.c.units > 0)
    .order_by(balance.c.place, balance.c.gtin)
)
_BROUGHT: Final = Statement(
    select(task.c.worker_id, task.c.gtin, func.sum(task.c.units).label("units"))
    .where(task.c.worker_kind == "robot", task.c.status.in_(OPEN_STATUSES), task.c.worker_id != "")
    .group_by(task.c.worker_id, task.c.gtin)
)
"""What robots are still to bring to where it belongs."""
_BOOKED_SOON: Final = Statement(
    select(task.c.worker_id, task.c.gtin)
    .join(edge_command, edge_command.c.task_id == task.c.task_id)
    .where(
        task.c.worker_kind == "robot",
        edge_command.c.kind == "record",
        edge_command.c.status == "open",
    )
)
"""What an edge is told to book: until then the book is behind."""


def _of_robots(*columns: Any) -> Select[Any]:
    return select(*columns).where(
        task.c.kind == "receive", task.c.from_place.in_(bindparam("robots"))
    )


_ASKED: Final = Statement(
    _of_robots(
        task.c.from_place,
        task.c.gtin,
        func.sum(task.c.units - task.c.moved_units).label("units"),
    )
    .where(task.c.status.in_(OPEN_STATUSES))
    .group_by(task.c.from_place, task.c.gtin)
)
_LATELY_FAILED: Final = Statement(
    _of_robots(task.c.from_place, task.c.gtin).where(
        task.c.status == "failed", task.c.done_at_ns > bindparam("failed_after_ns")
    )
)
_SHORT_UNITS: Final = func.sum(task_short.c.short_units)
_EMPTY: Final = Statement(
    _of_robots(task, _SHORT_UNITS.label("short_units"))
    .join(task_short, task_short.c.task_id == task.c.task_id)
    .where(task.c.status == "done", task.c.done_at_ns > bindparam("done_after_ns"))
    .group_by(task.c.task_id)
    .having(_SHORT_UNITS > 0)
    .order_by(task.c.task_id)
)
_GONE: Final = Statement(
    _of_robots(task)
    .outerjoin(balance, and_(balance.c.place == task.c.from_place, balance.c.gtin == task.c.gtin))
    .where(
        task.c.status.in_(OPEN_STATUSES),
        task.c.units - task.c.moved_units > func.coalesce(balance.c.units, 0),
    )
)
_IN_THE_BOOK: Final = Statement(
    select(movement.c.event_id).where(movement.c.event_id == bindparam("event_id"))
)
_TOLD: Final = Statement(
    select(edge_command.c.event_id).where(edge_command.c.event_id == bindparam("event_id"))
)
_Key = tuple[str, str]


class Unloading:
    """Looks after what is left on robots. Remembers since when: after a restart it waits anew."""

    def __init__(self) -> None:
        self._next_at_ns = 0
        self._since_ns: dict[_Key, int] = {}

    def next_at_ns(self, _work: Round) -> int:
        """Return when it looks again."""
        return self._next_at_ns

    def ask(self, work: Round) -> None:
        """Ask somebody to take off what has been left on a robot for a while."""
        if work.now_ns < self._next_at_ns or not work.floor.docks:
            return
        self._next_at_ns = work.later_ns(LOOK_S)
        robots = [location("robot", robot.serial) for robot in work.floor.site.robots]
        left: dict[_Key, int] = {}
        for part in parts_of(robots):
            left |= _left_on(work, part)
        self._since_ns = {key: self._since_ns.get(key, work.now_ns) for key in left}
        for key, units in left.items():
            if work.now_ns - self._since_ns[key] >= LEFT_AFTER_S * 1e9:
                _ask_for(work, *key, units=units)


def _left_on(work: Round, robots: list[str]) -> dict[_Key, int]:
    """Return the units that nobody brings or takes away, by robot's place and article."""
    for row in _GONE.all(work.conn, {"robots": robots}):
        end_task(work, row, "cancelled", f"it is no longer on {row.from_place}")
    rows = _ON_ROBOTS.all(work.conn, {"robots": robots})
    if not rows:
        return {}
    known: Counter[_Key] = Counter()
    for row in _BROUGHT.all(work.conn):
        known[_place_of(row.worker_id), row.gtin] += int(row.units)
    for row in _ASKED.all(work.conn, {"robots": robots}):
        known[row.from_place, row.gtin] += int(row.units)
    left = {(row.place, row.gtin): int(row.units) - known[row.place, row.gtin] for row in rows}
    lately = {"robots": robots, "done_after_ns": work.later_ns(-EMPTY_WITHIN_S)}
    for row in _EMPTY.all(work.conn, lately):
        key = row.from_place, row.gtin
        lost = min(int(row.short_units), left.get(key, 0))
        if lost > 0:
            _book_as_lost(work, row, lost)
            left[key] -= lost
    behind = {(_place_of(row.worker_id), row.gtin) for row in _BOOKED_SOON.all(work.conn)}
    times = {"robots": robots, "failed_after_ns": work.later_ns(-ASK_AGAIN_S)}
    behind |= {(row.from_place, row.gtin) for row in _LATELY_FAILED.all(work.conn, times)}
    return {key: units for key, units in left.items() if units > 0 and key not in behind}


def _place_of(worker_id: str) -> str:
    return location("robot", worker_id.rpartition("/")[2])


def _ask_for(work: Round, place: str, gtin: str, *, units: int) -> None:
    """Ask somebody to receive the units of an article at the dock that most people work at."""
    staffed = {
        dock.bin_id: len(work.floor.workers.get(("receive", dock.edge_id), ()))
        for dock in work.floor.docks
    }
    dock = min(staffed, key=lambda bin_id: (-staffed[bin_id], bin_id))
    task_id = add_task(
        work, "receive", "person", units=units, from_place=place, to_place=bin_location(dock),
        gtin=gtin,
    )  # fmt: skip
    work.count("robots_unloaded")
    log.warning("goods are to be taken off a robot", robot=place, units=units, task=task_id)


def _book_as_lost(work: Round, row: Row, units: int) -> None:
    """Have the units that somebody did not find on the robot booked as lost, once."""
    event_id = f"{row.task_id}/empty"
    known = {"event_id": event_id}
    if _IN_THE_BOOK.first(work.conn, known) or _TOLD.first(work.conn, known):
        return
    move = Movement(
        event_id=event_id,
        gtin=row.gtin,
        units=units,
        from_place=row.from_place,
        to_place=location("loss"),
        reason="robot-empty",
        device_id=CENTRAL_DEVICE,
        observed_at_ns=work.now_ns,
        received_at_ns=work.now_ns,
        task_id=row.task_id,
    )
    command_record(work, work.floor.edge_of(row.to_place), move, after_s=0.0)
