"""One round of work on the store lane: a transaction, what it looks up, what follows the commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from central.config import CentralConfig
from central.fleet.jobs import TransportJob
from central.ledger.reservations import release, reserve
from central.statement import Row, Statement
from central.store import next_numbers
from central.tables import task, task_pin
from central.tasking.ends import forget_end, note_end
from central.tasking.floor import Floor
from central.tasking.news import News
from runtime.clock import NS_PER_S
from runtime.metrics import Metrics
from wire.codec import encode
from wire.topics import Topic

NEVER_NS: Final = 2**63 - 1
log = structlog.get_logger()
TaskRow = Row


@dataclass(slots=True)
class Effects:
    """What happens once the transaction is committed. What a crash loses is made again."""

    publishes: list[tuple[str, bytes, bool, int]] = field(default_factory=list)
    """(topic, payload, retain, QoS)."""
    submits: list[TransportJob] = field(default_factory=list)
    withdrawals: list[str] = field(default_factory=list)
    pins: list[tuple[str, str, str]] = field(default_factory=list)
    """(job, the one robot that may have it, who says so)."""
    calls: list[Callable[[], None]] = field(default_factory=list)
    """What the metrics count, only of what is committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What every function that changes orders, proposals and tasks is given."""

    conn: Connection
    now_ns: int
    config: CentralConfig
    floor: Floor
    metrics: Metrics
    birth: str
    """Mark of this database in all ids."""
    command_key: bytes = b""
    """What the nonces of this database's commands are made with."""
    in_touch: bool = True
    """Whether edges are heard, and have been for long enough to say what was done before."""
    effects: Effects = field(default_factory=Effects)
    news: News = field(default_factory=News)
    """What was written since the running phase last ran; of everything, for who is no phase."""
    doubts: list[tuple[str, str, str]] = field(default_factory=list)
    """(place, why, task): bins that seem to hold something else than the book says."""

    def later_ns(self, seconds: float) -> int:
        """Return the time in `seconds` from now."""
        return self.now_ns + round(seconds * NS_PER_S)

    def new_id(self, kind: str) -> str:
        """Return an id that was never given out: kind, database, number."""
        (number,) = next_numbers(self.conn, "id", 1)
        return f"{kind}-{self.birth}-{number}"

    def publish(self, topic: Topic, message: msgspec.Struct, **parts: str) -> None:
        """Send `message` after the commit."""
        name = topic.of(site=self.config.site_id, **parts)
        self.effects.publishes.append((name, encode(message), topic.retain, topic.qos))

    def count(self, name: str, label: str = "", by: int = 1) -> None:
        """Add to a counter after the commit."""
        self.effects.calls.append(lambda: self.metrics.count(name, label, by))


_ADD_TASK: Final = Statement(insert(task))


def add_task(
    work: Round,
    kind: str,
    worker_kind: str,
    *,
    units: int,
    from_place: str,
    to_place: str,
    reserved: bool = False,
    **columns: Any,
) -> str | None:
    """Make a task, with its reservation where `reserved`; None where too little is free."""
    task_id = work.new_id(kind)
    gtin = columns.get("gtin", "")
    if reserved and not reserve(work.conn, task_id, from_place, gtin, units):
        return None
    row = {
        "task_id": task_id,
        "kind": kind,
        "status": "open",
        "worker_kind": worker_kind,
        "gtin": "",
        "units": units,
        "from_place": from_place,
        "to_place": to_place,
        "created_at_ns": work.now_ns,
        "due_at_ns": work.later_ns(work.config.tasking.task_due_s),
    }
    _ADD_TASK.run(work.conn, row | columns)
    work.count("tasks_created", kind)
    return task_id


_CHANGE_TASK: Final = Statement(update(task).where(task.c.task_id == bindparam("of_task")))


def change_task(work: Round, task_id: str, **columns: Any) -> None:
    """Write these columns of a task."""
    assert all(name in task.c for name in columns), (
        f"not all are columns of a task: {sorted(columns)}"
    )
    _CHANGE_TASK.run(work.conn, {"of_task": task_id} | columns)


_UNPIN: Final = Statement(delete(task_pin).where(task_pin.c.task_id == bindparam("of_task")))


def forget_pin(work: Round, task_id: str) -> None:
    """Let any robot have a task, or none any more."""
    _UNPIN.run(work.conn, {"of_task": task_id})


def end_task(work: Round, row: TaskRow, status: str, detail: str = "") -> None:
    """Close a task: its reservation goes back, and its proposal hears of it."""
    release(work.conn, row.task_id)
    columns: dict[str, Any] = {"status": status, "done_at_ns": work.now_ns}
    if detail or (row.worker_kind == "robot" and status == "done"):
        columns["detail"] = detail  # a robot's: why it had the task
    change_task(work, row.task_id, **columns)
    if row.worker_kind == "robot":
        forget_pin(work, row.task_id)
    if row.worker_kind == "person":
        note_end(work.conn, row, is_done=status == "done", at_ns=work.now_ns)
    work.count(f"tasks_{status}", row.kind)
    if status == "failed":
        log.warning("task failed", task=row.task_id, kind=row.kind, why=detail)


def reopen_task(work: Round, row: TaskRow) -> None:
    """Go on with a person's task that was done too early; it is on their list again."""
    change_task(
        work,
        row.task_id,
        status="assigned" if row.worker_id else "open",
        detail="",
        assigned_at_ns=work.now_ns if row.worker_id else 0,
        done_at_ns=0,
        due_at_ns=work.later_ns(work.config.tasking.task_due_s),
    )
    forget_end(work.conn, row)


def earliest(work: Round, query: Statement) -> int:
    """Return the time that a query asks for; where it finds none, a time that never comes."""
    found: int | None = query.scalar(work.conn)
    return NEVER_NS if found is None else found


_FIND_TASK: Final = Statement(select(task).where(task.c.task_id == bindparam("task_id")))


def find_task(work: Round, task_id: str) -> TaskRow | None:
    """Return the task, or None where there is none of this id."""
    return _FIND_TASK.first(work.conn, {"task_id": task_id})
