"""Deadlines: what happens when a task is not done in time. Nothing waits for ever."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select

from central.ledger.reservations import OPEN_STATUSES
from central.tables import task
from central.tasking.people import hand_on
from central.tasking.robots import ROBOT_TRIES_MAX, fail_move
from central.tasking.round import Round, change_task, earliest, end_task

WITHDRAWN_GRACE_S: Final = 30.0
OUT_OF_TOUCH_S: Final = 10.0
"""So much longer a person has for what was due while central reached no broker: it may be done."""


_OVERDUE: Final = select(task).where(
    task.c.status.in_(OPEN_STATUSES), task.c.due_at_ns <= bindparam("now_ns")
)


_NEXT_DEADLINE: Final = select(func.min(task.c.due_at_ns)).where(task.c.status.in_(OPEN_STATUSES))


def next_deadline_at_ns(work: Round) -> int:
    """Return when the time of the next task is over."""
    return earliest(work, _NEXT_DEADLINE)


def watch_deadlines(work: Round) -> None:
    """Take the next step for every task whose time is over."""
    for row in work.conn.execute(_OVERDUE, {"now_ns": work.now_ns}).all():
        if row.worker_kind == "person" and not work.in_touch:
            change_task(work, row.task_id, due_at_ns=work.later_ns(OUT_OF_TOUCH_S))
        elif row.worker_kind == "person":
            hand_on(work, row)
        elif row.worker_kind == "robot":
            _robot_is_late(work, row)
        else:
            end_task(work, row, "failed", f"no word from drone {row.worker_id or '(none free)'}")


def _robot_is_late(work: Round, row: Row[Any]) -> None:
    """Give a late robot more time; then take the job back; then give it up.

    A job past its time goes before all others in the fleet, so time is what helps at first.
    """
    work.count("tasks_overdue", row.kind)
    if row.tries < ROBOT_TRIES_MAX:
        due_at_ns = work.later_ns(work.config.tasking.task_due_s)
        change_task(work, row.task_id, tries=row.tries + 1, due_at_ns=due_at_ns)
    elif row.tries == ROBOT_TRIES_MAX:
        work.effects.withdrawals.append(row.task_id)
        due_at_ns = work.later_ns(WITHDRAWN_GRACE_S)
        change_task(work, row.task_id, tries=row.tries + 1, due_at_ns=due_at_ns)
    else:
        fail_move(work, row, f"not done in {row.tries - 1} times the time allowed")
