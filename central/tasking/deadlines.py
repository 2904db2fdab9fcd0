"""Deadlines: what happens when a task is not done in time. Nothing waits for ever."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from central.ledger.reservations import OPEN_STATUSES
from central.statement import Row, Statement
from central.tables import task
from central.tasking.news import Narrowed
from central.tasking.people import hand_on
from central.tasking.robots import ROBOT_TRIES_MAX, fail_move
from central.tasking.round import NEVER_NS, Round, change_task, end_task

WITHDRAWN_GRACE_S: Final = 30.0
OUT_OF_TOUCH_S: Final = 10.0
"""So much longer a person has for what was due while central reached no broker: it may be done."""


_OVERDUE: Final = Statement(
    select(task)
    .where(task.c.status.in_(OPEN_STATUSES), task.c.due_at_ns <= bindparam("now_ns"))
    .order_by(task.c.created_at_ns, task.c.task_id)
)


def _first(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(func.min(task.c.due_at_ns)).where(task.c.status.in_(OPEN_STATUSES), *conditions)


_FIRST: Final = Narrowed(_first, task.c.task_id)


class Deadlines:
    """Looks after tasks whose time is over. Remembers before when there is none."""

    def __init__(self) -> None:
        self._next_at_ns = 0

    def next_at_ns(self, _work: Round) -> int:
        """Return when the time of the next task is over, or sooner."""
        return self._next_at_ns

    def watch(self, work: Round) -> None:
        """Take the next step for every task whose time is over."""
        ids = work.news.tasks()
        self._next_at_ns = min(self._next_at_ns, 0 if ids is None else _earliest(work, ids))
        if work.now_ns < self._next_at_ns:
            return
        for row in _OVERDUE.all(work.conn, {"now_ns": work.now_ns}):
            _take_next_step(work, row)
        self._next_at_ns = _earliest(work, None)


def _earliest(work: Round, ids: list[str] | None) -> int:
    found = [at_ns for (at_ns,) in _FIRST.all(work.conn, ids) if at_ns is not None]
    return min(found, default=NEVER_NS)


def _take_next_step(work: Round, row: Row) -> None:
    if row.worker_kind == "person" and not work.in_touch:
        change_task(work, row.task_id, due_at_ns=work.later_ns(OUT_OF_TOUCH_S))
    elif row.worker_kind == "person":
        hand_on(work, row)
    elif row.worker_kind == "robot":
        _robot_is_late(work, row)
    else:
        end_task(
            work, row, "failed", f"no word from {row.worker_kind} {row.worker_id or '(none free)'}"
        )


def _robot_is_late(work: Round, row: Row) -> None:
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
