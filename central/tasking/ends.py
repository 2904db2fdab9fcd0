"""How tasks left people's lists: what a screen says to somebody who heard no beep.

Tables say it, not a memory of what was published: a restart of central must not forget it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, case, delete, func, select, update

from central.ledger.reservations import OPEN_STATUSES
from central.store import upsert_statement
from central.tables import movement, task, task_end
from wire.messages import ENDED_TASKS_MAX, EndedTask

DONE: Final = "done"
WITHDRAWN: Final = "withdrawn"
HANDED_ON: Final = "handed_on"
PASSED: Final = "passed"
"""Handed on, and somebody else did it: on a screen that is `handed_on` too."""

_OF_OTHERS: Final = (
    update(task_end)
    .where(task_end.c.task_id == bindparam("of_task"), task_end.c.end == HANDED_ON)
    .values(end=bindparam("to_end"))
)
_BACK: Final = delete(task_end).where(
    task_end.c.task_id == bindparam("of_task"), task_end.c.person_id == bindparam("of_person")
)


def note_end(conn: Connection, row: Row[Any], *, is_done: bool, at_ns: int) -> None:
    """Write that a task is over, for who had it and for all who had it before."""
    if row.worker_id:
        _write(conn, row.task_id, row.worker_id, DONE if is_done else WITHDRAWN, at_ns)
    if row.tries > 1:
        to_end = PASSED if is_done else WITHDRAWN
        conn.execute(_OF_OTHERS, {"of_task": row.task_id, "to_end": to_end})


def note_handed_on(conn: Connection, row: Row[Any], to_person: str, *, at_ns: int) -> None:
    """Write that a task left one person's list for another one's."""
    if row.worker_id in ("", to_person):
        return
    _write(conn, row.task_id, row.worker_id, HANDED_ON, at_ns)
    conn.execute(_BACK, {"of_task": row.task_id, "of_person": to_person})


def _write(conn: Connection, task_id: str, person_id: str, end: str, at_ns: int) -> None:
    values = {"task_id": task_id, "person_id": person_id, "end": end, "at_ns": at_ns}
    conn.execute(upsert_statement(conn, task_end, replace=("end", "at_ns")), values)


_HANDED_ON: Final[Select[Any]] = (
    select(
        task_end.c.person_id, task.c.task_id, task.c.kind, task.c.gtin, task.c.units,
        task.c.moved_units, task.c.from_place, task.c.to_place, task.c.order_id, task.c.due_at_ns,
    )
    .join(task, task.c.task_id == task_end.c.task_id)
    .where(task_end.c.end == HANDED_ON, task.c.status.in_(OPEN_STATUSES))
    .order_by(task_end.c.at_ns.desc(), task_end.c.task_id)
)  # fmt: skip


def handed_on(conn: Connection) -> dict[str, list[Row[Any]]]:
    """Return by person the open tasks that were theirs and are somebody else's, newest first."""
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in conn.execute(_HANDED_ON):
        if len(found[row.person_id]) < ENDED_TASKS_MAX:
            found[row.person_id].append(row)
    return found


_OWN: Final = (
    select(
        func.coalesce(
            func.sum(
                case(
                    (movement.c.to_place == task.c.to_place, movement.c.units),
                    (movement.c.from_place == task.c.to_place, -movement.c.units),
                    else_=0,
                )
            ),
            0,
        )
    )
    .where(movement.c.task_id == task.c.task_id, movement.c.person_id == task_end.c.person_id)
    .correlate(task, task_end)
    .scalar_subquery()
)
_ENDED: Final = (
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
        for row in conn.execute(_ENDED, {"of_person": person_id})
    )
