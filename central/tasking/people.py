"""Tasks of people: who does which, and the list that stands on each person's screen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Row, select

from central.ledger.reservations import OPEN_STATUSES
from central.tables import task
from central.tasking.ends import ended_of, handed_on, note_handed_on
from central.tasking.round import Round, change_task, end_task
from wire.messages import PersonTask, PersonTasks
from wire.site import PersonRow
from wire.topics import PERSON_TASKS

PERSON_TRIES_MAX: Final = 3
LIST_MAX: Final = 50
"""As many as a message holds; the rest comes up when these are done."""


Lists = tuple[list[Row[Any]], list[Row[Any]]]
"""Rows of the tasks that one person has, and of those that somebody else has now."""


class PeopleBoard:
    """Gives open tasks to people and publishes what changed. Remembers only what it sent last."""

    def __init__(self) -> None:
        self._sent: dict[str, PersonTasks] = {}
        self._sent_rows: dict[str, Lists] = {}
        """What the lists were made from: most are as they were, and need not be made."""
        self._seen: tuple[Round, list[Row[Any]]] | None = None
        """What `assign` read and did not change, for `publish` in the same round."""

    def forget_sent(self) -> None:
        """Publish every list again: the broker may have lost what it kept."""
        self._sent.clear()
        self._sent_rows.clear()

    def assign(self, work: Round) -> None:
        """Give each task that nobody has to a person of its role and zone with little to do."""
        rows = _open_tasks(work)
        self._seen = (work, rows)
        if all(row.worker_id for row in rows):
            return
        load: Counter[str] = Counter(row.worker_id for row in rows if row.worker_id)
        has_order = {(row.worker_id, row.order_id) for row in rows if row.order_id}
        for row in rows:
            if row.worker_id:
                continue
            person = _choose(work, row, load, has_order)
            if person is None:
                continue
            load[person] += 1
            has_order.add((person, row.order_id))
            self._seen = None
            change_task(
                work,
                row.task_id,
                status="assigned" if row.status == "open" else row.status,
                worker_id=person,
                assigned_at_ns=work.now_ns,
                detail=row.detail if row.kind == "count" else "",
            )

    def publish(self, work: Round) -> None:
        """Publish the list of every person whose list is not what was sent last."""
        seen, self._seen = self._seen, None
        rows = seen[1] if seen is not None and seen[0] is work else _open_tasks(work)
        lists: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in rows:
            if row.worker_id:
                lists[row.worker_id].append(row)
        gone = handed_on(work.conn)
        for person_id in work.floor.site.people:
            own = lists.get(person_id, [])[:LIST_MAX], gone.get(person_id, [])
            if self._sent_rows.get(person_id) == own:
                continue
            message = PersonTasks(
                person_id=person_id,
                tasks=tuple(map(_person_task, own[0])),
                ended=ended_of(work.conn, person_id),
                handed_on=tuple(map(_person_task, own[1])),
            )
            work.effects.calls.append(self._note_sent(message, own))
            if self._sent.get(person_id) != message:
                work.publish(PERSON_TASKS, message, person=person_id)

    def _note_sent(self, message: PersonTasks, rows: Lists) -> Callable[[], None]:
        def note() -> None:
            self._sent[message.person_id] = message
            self._sent_rows[message.person_id] = rows

        return note


_OPEN_TASKS: Final = (
    select(
        task.c.task_id, task.c.kind, task.c.gtin, task.c.units, task.c.moved_units,
        task.c.from_place, task.c.to_place, task.c.order_id, task.c.due_at_ns, task.c.worker_id,
        task.c.status, task.c.detail,
    )
    .where(task.c.worker_kind == "person", task.c.status.in_(OPEN_STATUSES))
    .order_by(task.c.created_at_ns, task.c.task_id)
)  # fmt: skip


def _open_tasks(work: Round) -> list[Row[Any]]:
    return list(work.conn.execute(_OPEN_TASKS))


def _person_task(row: Row[Any]) -> PersonTask:
    return PersonTask(
        task_id=row.task_id,
        kind=row.kind,
        gtin=row.gtin,
        units=max(row.units - row.moved_units, 0),
        from_place=row.from_place,
        to_place=row.to_place,
        order_id=row.order_id,
        due_at_ns=row.due_at_ns,
        done_units=row.moved_units,
    )


def _candidates(work: Round, row: Row[Any]) -> tuple[PersonRow, ...]:
    places = (row.to_place, row.from_place) if row.kind == "receive" else (row.from_place,)
    return work.floor.workers.get((row.kind, work.floor.edge_of(*places)), ())


def _choose(
    work: Round, row: Row[Any], load: Counter[str], has_order: set[tuple[str, str]]
) -> str | None:
    """Return the person for a task: who fills the tote already, else who has the least to do."""
    most = work.config.tasking.open_tasks_per_person_max
    free = [p.person_id for p in _candidates(work, row) if load[p.person_id] < most]
    if not free:
        return None
    return min(
        free, key=lambda p: (not row.order_id or (p, row.order_id) not in has_order, load[p], p)
    )


def hand_on(work: Round, row: Row[Any]) -> None:
    """Give an overdue task to somebody else of the role, or the same again; in the end it fails."""
    if row.tries >= PERSON_TRIES_MAX:
        who = row.worker_id or "nobody"
        end_task(
            work, row, "failed", f"given out {row.tries} times, last to {who}: not done in time"
        )
        return
    others = [p.person_id for p in _candidates(work, row) if p.person_id != row.worker_id]
    load = Counter(r.worker_id for r in _open_tasks(work) if r.worker_id)
    person = min(others, key=lambda p: (load[p], p), default=row.worker_id)
    most = work.config.tasking.open_tasks_per_person_max
    if load[person] >= most:
        person = row.worker_id
    note_handed_on(work.conn, row, person, at_ns=work.now_ns)
    change_task(
        work,
        row.task_id,
        worker_id=person,
        tries=row.tries + 1,
        due_at_ns=work.later_ns(work.config.tasking.task_due_s),
        assigned_at_ns=work.now_ns,
    )
    work.count("tasks_overdue", row.kind)
