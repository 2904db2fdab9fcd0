"""Tasks of people: who does which, and the list that stands on each person's screen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, select

from central.ledger.reservations import OPEN_STATUSES
from central.statement import Row
from central.tables import lot, lot_balance, task
from central.tasking.counts import stops_of
from central.tasking.ends import HandedOn, ended_of, note_handed_on
from central.tasking.news import Narrowed
from central.tasking.round import Round, change_task, end_task
from wire.messages import PersonTask, PersonTasks
from wire.topics import PERSON_TASKS

PERSON_TRIES_MAX: Final = 3
LIST_MAX: Final = 50
"""As many as a message holds; the rest comes up when these are done."""


Lists = tuple[list[Row], list[Row]]
"""Rows of the tasks that one person has, and of those that somebody else has now."""


class OpenTasks:
    """The open tasks of people, as they stood when this was last brought up to date."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._of_person: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        self._load: dict[str, int] = {}
        """How many tasks each person has."""
        self._of_order: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By order how many of its tasks each person has."""

    def read(self, work: Round) -> set[str]:
        """Read what is news, or all; return the people of whom it is."""
        ids = work.news.tasks()
        if ids is None:
            self._rows.clear()
            self._of_person.clear()
            self._of_order.clear()
            self._load = dict.fromkeys(work.floor.site.people, 0)
        concerned = {self._leave(task_id) for task_id in ids or ()}
        for row in _OPEN_TASKS.all(work.conn, ids):
            self._enter(row)
            concerned.add(row.worker_id)
        return concerned

    def unassigned(self) -> list[Row]:
        """Return the tasks that nobody has, the oldest first."""
        return sorted(self._of_person[""].values(), key=_age)

    def of_person(self, person_id: str) -> list[Row]:
        """Return the tasks of a person, the oldest first."""
        return sorted(self._of_person[person_id].values(), key=_age)

    def choose(self, row: Row, candidates: Mapping[str, None], most: int) -> str | None:
        """Return the person for a task: who fills the tote already, else who has least to do.

        None where all of the `candidates`, who stand in the order of their ids, have `most` tasks.
        """
        least = min(candidates, key=self._load.__getitem__, default=None)
        if least is None or self._load[least] >= most:
            return None
        fill = [p for p in self._of_order.get(row.order_id, ()) if p in candidates]
        ranks = [(self._load[p], p) for p in fill if self._load[p] < most]
        return min(ranks)[1] if ranks else least

    def assign(self, row: Row, person_id: str) -> None:
        """Note that this task is that person's now."""
        self._leave(row.task_id)
        self._enter(row._replace(worker_id=person_id))

    def _enter(self, row: Row) -> None:
        person_id = row.worker_id
        self._rows[row.task_id] = row
        self._of_person[person_id][row.task_id] = row
        self._load[person_id] = self._load.get(person_id, 0) + 1
        if row.order_id:
            self._of_order[row.order_id][person_id] += 1

    def _leave(self, task_id: str) -> str:
        """Forget a task; return whose it was."""
        row = self._rows.pop(task_id, None)
        if row is None:
            return ""
        person_id = str(row.worker_id)
        del self._of_person[person_id][task_id]
        self._load[person_id] -= 1
        if row.order_id:
            people = self._of_order[row.order_id]
            people[person_id] -= 1
            if not people[person_id]:
                del people[person_id]
            if not people:
                del self._of_order[row.order_id]
        return person_id


def _age(row: Row) -> tuple[int, str]:
    return row.created_at_ns, row.task_id


class PeopleBoard:
    """Gives open tasks to people and publishes what changed.

    It remembers what it sent last, and the open tasks; both are begun anew where there is news of
    everything.
    """

    def __init__(self) -> None:
        self._sent: dict[str, PersonTasks] = {}
        self._sent_rows: dict[str, Lists] = {}
        """What the lists were made from: most are as they were, and need not be made."""
        self._open = OpenTasks()
        self._handed_on = HandedOn()
        self._shown: set[str] | None = None
        """Of whom there is news since the lists were last published; None: of all."""

    def forget_sent(self) -> None:
        """Publish every list again: the broker may have lost what it kept."""
        self._sent.clear()
        self._sent_rows.clear()
        self._shown = None

    def assign(self, work: Round) -> None:
        """Give each task that nobody has to a person of its role and zone with little to do."""
        self._note_news(work, self._open.read(work))
        most = work.config.tasking.open_tasks_per_person_max
        busy: set[tuple[str, str]] = set()
        for row in self._open.unassigned():
            group = _group(work, row)
            if group in busy:
                continue
            person = self._open.choose(row, work.floor.worker_ids.get(group, {}), most)
            if person is None:
                busy.add(group)
                continue
            self._open.assign(row, person)
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
        handed_on = self._handed_on.read(work.conn, work.news.tasks())
        self._note_news(work, self._open.read(work) | handed_on)
        concerned, self._shown = self._shown, set()
        for person_id in work.floor.in_order(concerned):
            own = self._open.of_person(person_id)[:LIST_MAX], self._handed_on.by(person_id)
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

    def _note_news(self, work: Round, concerned: set[str]) -> None:
        if work.news.everything or self._shown is None:
            self._shown = None
        else:
            self._shown |= concerned

    def _note_sent(self, message: PersonTasks, rows: Lists) -> Callable[[], None]:
        def note() -> None:
            self._sent[message.person_id] = message
            self._sent_rows[message.person_id] = rows

        return note


_FIRST_TO_EXPIRE: Final = func.coalesce(
    select(lot_balance.c.lot)
    .join(lot, and_(lot.c.gtin == lot_balance.c.gtin, lot.c.lot == lot_balance.c.lot))
    .where(
        lot_balance.c.place == task.c.from_place,
        lot_balance.c.gtin == task.c.gtin,
        lot_balance.c.units > 0,
        task.c.kind.in_(("pick", "refill")),
    )
    .order_by(lot.c.expires_on, lot_balance.c.lot)
    .limit(1)
    .correlate(task)
    .scalar_subquery(),
    "",
)
"""The lot with the earliest last day where the goods are taken from; empty: none has one."""


def _open_tasks(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            task.c.task_id, task.c.kind, task.c.gtin, task.c.units, task.c.moved_units,
            task.c.from_place, task.c.to_place, task.c.order_id, task.c.due_at_ns,
            task.c.worker_id, task.c.status, task.c.detail, task.c.created_at_ns,
            _FIRST_TO_EXPIRE.label("lot"),
        )
        .where(task.c.worker_kind == "person", task.c.status.in_(OPEN_STATUSES), *conditions)
        .order_by(task.c.created_at_ns, task.c.task_id)
    )  # fmt: skip


_OPEN_TASKS: Final = Narrowed(_open_tasks, task.c.task_id)


def _person_task(row: Row) -> PersonTask:
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
        lot=row.lot,
        stops=stops_of(row.detail) if row.kind == "count" else (),
    )


def _group(work: Round, row: Row) -> tuple[str, str]:
    """Return the (role, edge) of those who may do a task."""
    places = (row.to_place, row.from_place) if row.kind == "receive" else (row.from_place,)
    return (row.kind, work.floor.edge_of(*places))


def hand_on(work: Round, row: Row) -> None:
    """Give an overdue task to somebody else of the role, or the same again; in the end it fails."""
    if row.tries >= PERSON_TRIES_MAX:
        who = row.worker_id or "nobody"
        end_task(
            work, row, "failed", f"given out {row.tries} times, last to {who}: not done in time"
        )
        return
    candidates = work.floor.workers.get(_group(work, row), ())
    others = [p.person_id for p in candidates if p.person_id != row.worker_id]
    load = Counter(r.worker_id for r in _OPEN_TASKS.all(work.conn, None) if r.worker_id)
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
