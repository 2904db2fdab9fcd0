"""What the fleet must not forget: ids and nodes sent to each robot, written before each publish."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, create_engine, delete, event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from central.database_url import parse_database_url
from central.fleet.jobs import TransportJob
from central.postgres import server_engine
from central.robot_pause import Pause, pause_now
from central.store import insert_new, upsert
from central.tables import fleet_pause, job_end, metadata, robot_order

BUSY_TIMEOUT_MS: Final = 5_000
NO_STOP: Final = -1
GHOST: Final = -1
_encode = msgspec.json.Encoder().encode


class SentNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node of the running order. `stop_index`: the stop of the job whose action is done there.

    `update_id` GHOST: it was sent, given up, and stays reserved until the vehicle is past it.
    """

    node_id: str
    sequence_id: int
    update_id: int
    stop_index: int = NO_STOP
    beside_m: float = 0.0
    """How far from it the vehicle stood when its order began there; 0: on it."""


class KeptJob(msgspec.Struct, frozen=True, kw_only=True):
    """A robot's job. It stays after its end until the next one."""

    job: TransportJob
    ended: str = ""  # done, failed, handed_back; empty: still going on
    detail: str = ""


class JobEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a job of which a robot may have done something ended. Nobody does it again."""

    job_id: str
    robot_id: str
    event: Literal["done", "failed"]
    stops_done: int
    detail: str
    ended_at_ns: int


class Memory(msgspec.Struct, kw_only=True):
    """One row of `robot_order`. Header ids are those of the last message; -1: there was none."""

    robot_id: str
    order_id: str = ""
    """Empty: it has no order, or that was given up."""
    order_update_id: int = 0
    order_header_id: int = -1
    actions_header_id: int = -1
    kept: KeptJob | None = None
    stops_done: int = 0
    nodes: tuple[SentNode, ...] = ()
    """The base from the last reported node on; without an order only that node."""
    ghosts: tuple[str, ...] = ()
    """Nodes that were sent and given up."""
    sent_at_ns: int = 0
    version: str = ""
    """The version of VDA 5050 that it speaks; empty: it has not said anything yet."""
    major: str = ""
    """The version in its topics."""
    responses_sent: int = 0
    """How many messages went out on its topic `responses`: the next header id there."""
    held: bool = False
    """Whether it was told to pause with all others, and not to go on yet."""

    @property
    def was_acknowledged(self) -> bool:
        """Return whether the vehicle is past the start of the last message: it has it, then."""
        first = self.nodes[0] if self.nodes else None
        if first is None or first.sequence_id == 0:
            return False
        return first.update_id == self.order_update_id

    @property
    def action_is_sent(self) -> bool:
        """Return whether the order's base ends with an action."""
        return bool(self.nodes) and self.nodes[-1].stop_index != NO_STOP


class MemoryBusyError(Exception):
    """The database did not take the rows in time; try again later."""


class OrderMemory:
    """The tables `robot_order` and `job_end`, through a connection of the fleet's own."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        metadata.create_all(self._engine, tables=[robot_order, job_end, fleet_pause])
        self._connection: Connection = self._engine.connect()

    def load(self) -> dict[str, Memory]:
        """Return what was kept, by robot id."""
        with self._connection.begin():
            rows = self._connection.execute(select(robot_order)).mappings().all()
        return {row["robot_id"]: _from_row(row) for row in rows}

    def forget_ends(self, before_ns: int) -> None:
        """Forget how jobs ended before a time. No task is open for that long."""
        with self._connection.begin():
            self._connection.execute(delete(job_end).where(job_end.c.ended_at_ns < before_ns))

    def end_of(self, job_id: str) -> JobEnd | None:
        """Return how a job ended, None where it did not yet, or nobody knows it."""
        with self._connection.begin():
            found = self._connection.execute(select(job_end).where(job_end.c.job_id == job_id))
            row = found.mappings().one_or_none()
        return JobEnd(**row) if row is not None else None

    def pause(self) -> Pause | None:
        """Return why all robots are to stand; None where they are not."""
        with self._connection.begin():
            return pause_now(self._connection)

    def save(self, memories: Iterable[Memory], ends: Sequence[JobEnd] = ()) -> None:
        """Write these rows in one transaction, durable on return. Raises MemoryBusyError."""
        rows = [_to_row(memory) for memory in memories]
        try:
            with self._connection.begin():
                self._write(rows)
                if ends:
                    rows_of_ends = [msgspec.to_builtins(end) for end in ends]
                    insert_new(self._connection, job_end, rows_of_ends)
        except OperationalError as error:
            raise MemoryBusyError(f"robot_order: cannot be written: {error.orig}") from error

    def _write(self, rows: list[dict[str, str | int]]) -> None:
        changed = [column.name for column in robot_order.columns if not column.primary_key]
        upsert(self._connection, robot_order, rows, replace=changed)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._engine.dispose()


def _from_row(row: RowMapping) -> Memory:
    sent = msgspec.json.decode(row["sent_nodes"], type=tuple[SentNode, ...])
    return Memory(
        robot_id=row["robot_id"],
        order_id=row["order_id"],
        order_update_id=row["order_update_id"],
        order_header_id=row["order_header_id"],
        actions_header_id=row["actions_header_id"],
        kept=msgspec.json.decode(row["job"], type=KeptJob) if row["job"] else None,
        stops_done=row["stops_done"],
        nodes=tuple(node for node in sent if node.update_id != GHOST),
        ghosts=tuple(node.node_id for node in sent if node.update_id == GHOST),
        sent_at_ns=row["changed_at_ns"],
        version=row["version"],
        major=row["major"],
        responses_sent=row["responses_header_id"],
        held=bool(row["held"]),
    )


def _to_row(memory: Memory) -> dict[str, str | int]:
    nodes: Sequence[SentNode] = memory.nodes
    if memory.ghosts:
        ghosts = (SentNode(node_id=n, sequence_id=0, update_id=GHOST) for n in memory.ghosts)
        nodes = (*nodes, *ghosts)
    kept = memory.kept
    return {
        "robot_id": memory.robot_id,
        "order_id": memory.order_id,
        "order_update_id": memory.order_update_id,
        "order_header_id": memory.order_header_id,
        "actions_header_id": memory.actions_header_id,
        "job_id": kept.job.job_id if kept else "",
        "job": _encode(kept).decode() if kept else "",
        "stops_done": memory.stops_done,
        "sent_nodes": _encode(nodes).decode(),
        "changed_at_ns": memory.sent_at_ns,
        "version": memory.version,
        "major": memory.major,
        "responses_header_id": memory.responses_sent,
        "held": int(memory.held),
    }


def _engine(url: str) -> Engine:
    target = parse_database_url(url)
    if target.get_backend_name() != "sqlite":
        return server_engine(target)
    # Made on the main thread, used on the fleet's lane: one after the other, never together.
    engine = create_engine(url, connect_args={"check_same_thread": False}, poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def durable(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
