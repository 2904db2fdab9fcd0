"""What was written since a phase last ran, by id: the phase looks at that alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, select

from central.statement import LIST_MAX, Row, Statement, Values, parts_of, values_of
from central.tables import task

_TASK: Final = "task"
_ORDER: Final = "order"
_PROPOSAL: Final = "proposal"
_NAMED_BY: Final = {
    "movement": (_TASK, ("task_id",)),
    "observation": (_TASK, ("task_id",)),
    "task_short": (_TASK, ("task_id",)),
    "mission_end": (_TASK, ("mission_id",)),
    "task": (_TASK, ("of_task", "task_id")),
    "task_end": (_TASK, ("of_task", "task_id")),
    "reservation": (_TASK, ("of_task", "to_task", "task_id", "task_ids")),
    "edge_command": (_TASK, ("of_task", "task_id")),
    "customer_order": (_ORDER, ("of_order", "order_id")),
    "order_line": (_ORDER, ("of_order", "order_id")),
    "proposal": (_PROPOSAL, ("of_proposal", "proposal_id")),
}
"""By table: whose id its rows have, and under which names statements are given it."""


_ORDERS: Final = Statement(
    select(task.c.order_id).where(task.c.task_id.in_(bindparam("ids"))).distinct()
)
_PROPOSALS: Final = Statement(
    select(task.c.proposal_id).where(task.c.task_id.in_(bindparam("ids"))).distinct()
)


def _ids_of(conn: Connection, statement: Statement, tasks: list[str]) -> Iterator[str]:
    for part in parts_of(tasks):
        yield from statement.scalars(conn, {"ids": part})


def ids_in(table: str, rows: Sequence[Values]) -> tuple[str, AbstractSet[Any] | None]:
    """Return of what kind the ids in these rows are, and which; None where one has no id."""
    kind, names = _NAMED_BY.get(table, ("", ()))
    found = values_of(rows, names)
    if found is None:
        return kind, None
    if any(isinstance(value, list) for value in found):
        return kind, {one for many in found for one in (many if isinstance(many, list) else [many])}
    return kind, set(found)


class News:
    """Ids of tasks, orders and proposals about which something was written."""

    __slots__ = ("_ids", "everything")

    def __init__(self) -> None:
        self.everything = True
        """Whether there may be anything else: at a start, or where a statement names no id."""
        self._ids: dict[str, set[str]] = {_TASK: set(), _ORDER: set(), _PROPOSAL: set()}

    def note(self, table: str, rows: Sequence[Values]) -> None:
        """Note that these rows were written, given as to the statement that did it."""
        self.add(*ids_in(table, rows))

    def add(self, kind: str, ids: AbstractSet[Any] | None) -> None:
        """Note that something of these ids was written; None: nobody knows of which."""
        if self.everything:
            return
        if ids is None:
            self.everything = True
        elif ids:
            mine = self._ids[kind]
            mine |= ids
            self.everything = len(mine) > LIST_MAX

    def tasks(self) -> list[str] | None:
        """Return the ids of tasks; None: of any."""
        return None if self.everything else sorted(self._ids[_TASK] - {""})

    def orders(self) -> list[str] | None:
        """Return the ids of orders; None: of any."""
        return None if self.everything else sorted(self._ids[_ORDER] - {""})

    def orders_with_tasks(self, conn: Connection) -> list[str] | None:
        """Return the ids of orders, also those of the tasks; None: of any."""
        tasks, orders = self.tasks(), self.orders()
        if tasks is None or orders is None:
            return None
        return sorted({*orders, *_ids_of(conn, _ORDERS, tasks)} - {""})

    def proposals_with_tasks(self, conn: Connection) -> list[str] | None:
        """Return the ids of proposals, also those of the tasks; None: of any."""
        tasks = self.tasks()
        if tasks is None:
            return None
        return sorted({*self._ids[_PROPOSAL], *_ids_of(conn, _PROPOSALS, tasks)} - {""})


class Narrowed:
    """A query that asks for all there is, or only for what has one of some ids."""

    def __init__(self, query: Callable[..., Select[Any]], column: ColumnElement[str]) -> None:
        """Take the `query` that is made with conditions, and the column that the ids are of."""
        self._whole = Statement(query())
        self._part = Statement(query(column.in_(bindparam("ids"))))

    def all(self, conn: Connection, ids: Sequence[str] | None) -> list[Row]:
        """Return the rows of these ids, or all where they are None."""
        if ids is None:
            return self._whole.all(conn)
        return [row for part in parts_of(ids) for row in self._part.all(conn, {"ids": part})]


def no_news() -> News:
    """Return news of nothing."""
    news = News()
    news.everything = False
    return news
