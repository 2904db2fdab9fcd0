"""How tasks left people's lists: what a screen says to somebody who heard no beep.

Tables say it, not a memory of what was published: a restart of central must not forget it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    select,
    update,
)

from central.ledger.reservations import OPEN_STATUSES
from central.statement import Row, Statement
from central.store import upsert
from central.tables import movement, task, task_end
from central.tasking.news import Narrowed
from wire.ids import location
from wire.messages import ENDED_TASKS_MAX, EndedTask

DONE: Final = "done"
WITHDRAWN: Final = "withdrawn"
HANDED_ON: Final = "handed_on"
PASSED: Final = "passed"
"""Handed on, and somebody else did it: on a screen that is `handed_on` too."""

_OF_OTHERS: Final = Statement(
    update(task_end)
    .where(task_end.c.task_id == bindparam("of_task"), task_end.c.end == HANDED_ON)
    .values(end=bindparam("to_end"))
)
_BACK: Final = Statement(
    delete(task_end).where(
        task_end.c.task_id == bindparam("of_task"), task_end.c.person_id == bindparam("of_person")
    )
)


def note_end(conn: Connection, row: Row, *, is_done: bool, at_ns: int) -> None:
    """Write that a task is over, for who had it and for all who had it before."""
    if row.worker_id:
        _write(conn, row.task_id, row.worker_id, DONE if is_done else WITHDRAWN, at_ns)
    if row.tries > 1:
        to_end = PASSED if is_done else WITHDRAWN
        _OF_OTHERS.run(conn, {"of_task": row.task_id, "to_end": to_end})


def forget_end(conn: Connection, row: Row) -> None:
    """Forget that a task was over for who has it: it goes on."""
    if row.worker_id:
        _BACK.run(conn, {"of_task": row.task_id, "of_person": row.worker_id})


def note_handed_on(conn: Connection, row: Row, to_person: str, *, at_ns: int) -> None:
    """Write that a task left one person's list for another one's."""
    if row.worker_id in ("", to_person):
        return
    _write(conn, row.task_id, row.worker_id, HANDED_ON, at_ns)
    _BACK.run(conn, {"of_task": row.task_id, "of_person": to_person})


def _write(conn: Connection, task_id: str, person_id: str, end: str, at_ns: int) -> None:
    values = {"task_id": task_id, "person_id": person_id, "end": end, "at_ns": at_ns}
    upsert(conn, task_end, [values], replace=("end", "at_ns"))


def _handed_on(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            task_end.c.person_id, task_end.c.at_ns, task.c.task_id, task.c.kind, task.c.gtin,
            task.c.units, task.c.moved_units, task.c.from_place, task.c.to_place, task.c.order_id,
            task.c.due_at_ns, task.c.detail,
            # Whatever lot is in somebody's hands already is counted.
            literal_column("''").label("lot"),
        )
        .join(task, task.c.task_id == task_end.c.task_id)
        .where(task_end.c.end == HANDED_ON, task.c.status.in_(OPEN_STATUSES), *conditions)
        .order_by(task.c.task_id, task_end.c.person_id)
    )  # fmt: skip


_HANDED_ON: Final = Narrowed(_handed_on, task.c.task_id)


class HandedOn:
    """The open tasks that were somebody's and are somebody else's, as they were last read."""

    def __init__(self) -> None:
        self._of_task: dict[str, list[Row]] = {}
        self._of_person: defaultdict[str, dict[str, Row]] = defaultdict(dict)

    def read(self, conn: Connection, ids: list[str] | None) -> set[str]:
        """Read those of these tasks, or all; return the people whose they were."""
        if ids is None:
            self._of_task.clear()
            self._of_person.clear()
        before = [row for task_id in ids or () for row in self._of_task.pop(task_id, ())]
        for row in before:
            del self._of_person[row.person_id][row.task_id]
        found = _HANDED_ON.all(conn, ids)
        for row in found:
            self._of_task.setdefault(row.task_id, []).append(row)
            self._of_person[row.person_id][row.task_id] = row
        return {row.person_id for row in (*before, *found)}

    def by(self, person_id: str) -> list[Row]:
        """Return the tasks that this person had, newest first; as many as a message holds."""
        rows = self._of_person.get(person_id, {}).values()
        return sorted(rows, key=lambda row: (-row.at_ns, row.task_id))[:ENDED_TASKS_MAX]


_DAMAGED: Final = location("damaged")
TO_TARGET: Final = case(
    (movement.c.to_place == task.c.to_place, movement.c.units),
    (movement.c.from_place == task.c.to_place, -movement.c.units),
    # What came broken is part of a receipt: nobody has to wait for it any more.
    (and_(task.c.kind == "receive", movement.c.to_place == _DAMAGED), movement.c.units),
    (and_(task.c.kind == "receive", movement.c.from_place == _DAMAGED), -movement.c.units),
    else_=0,
)
"""Units that a movement brought to where its task wants them; taken back: negative."""
_OWN: Final = (
    select(
        func.coalesce(
            func.sum(TO_TARGET),
            0,
        )
    )
    .where(movement.c.task_id == task.c.task_id, movement.c.person_id == task_end.c.person_id)
    .correlate(task, task_end)
    .scalar_subquery()
)
_ENDED: Final = Statement(
    select(task_end.c.task_id, task_end.c.end, _OWN.label("own"))
    .join(task, task.c.task_id == task_end.c.task_id)
    .where(task_end.c.person_id == bindparam("of_person"))
    .order_by(task_end.c.at_ns.desc(), task_end.c.task_id)
    .limit(ENDED_TASKS_MAX)
)


def ended_of(conn: Connection, person_id: str) -> tuple[EndedTask, ...]:
    """Return the last tasks that left a person's list, newest first."""
    return tuple(
        EndedTask(
            task_id=row.task_id,
            end=HANDED_ON if row.end == PASSED else row.end,
            own_units=max(int(row.own), 0),
        )
        for row in _ENDED.all(conn, {"of_person": person_id})
    )
