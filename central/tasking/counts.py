"""Cycle counts: bins that a drone flies to, or a person where no drone belongs to the edge."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import msgspec
from sqlalchemy import bindparam, select

from central.statement import Row, Statement
from central.tables import edge_command, task
from central.tasking.commands import command_mission
from central.tasking.round import Round, add_task, change_task
from wire.ids import bin_location


def start_count(work: Round, row: Row) -> bool:
    """Make the counting tasks of a proposal; False where nobody can count its bins.

    One task per drone that can fly there; one per bin for people.
    """
    bins_at: dict[str, list[str]] = defaultdict(list)
    for bin_id in str(msgspec.json.decode(row.numbers).get("bins", "")).split():
        found = work.floor.site.bins.get(bin_id)
        if found is not None:
            bins_at[found.edge_id].append(bin_id)
    made = 0
    for edge_id, bins in bins_at.items():
        if edge_id in work.floor.drones:
            _add_count(work, row, "drone", bins)
            made += 1
        elif work.floor.workers.get(("count", edge_id)):
            for bin_id in bins:
                _add_count(work, row, "person", [bin_id])
            made += len(bins)
    return made > 0


def _add_count(work: Round, row: Row, worker_kind: str, bins: list[str]) -> None:
    add_task(
        work,
        "count",
        worker_kind,
        units=len(bins),
        from_place=bin_location(bins[0]),
        to_place=bin_location(bins[0]),
        proposal_id=row.proposal_id,
        detail=" ".join(bins),
    )


_FLIES: Final = Statement(
    select(edge_command.c.command_id)
    .where(
        edge_command.c.kind == "fly",
        edge_command.c.status == "open",
        edge_command.c.drone_id == bindparam("drone_id"),
    )
    .limit(1)
)
_WAITING: Final = Statement(
    select(task)
    .where(task.c.kind == "count", task.c.worker_kind == "drone", task.c.status == "open")
    .order_by(task.c.created_at_ns, task.c.task_id)
)


def fly_missions(work: Round) -> None:
    """Send each idle drone on its oldest waiting count; a drone flies one mission at a time."""
    for edge_id, drone_id in work.floor.drones.items():
        busy = _FLIES.first(work.conn, {"drone_id": drone_id})
        if busy is not None:
            continue
        waiting = _WAITING.all(work.conn)
        row = next((r for r in waiting if work.floor.edge_of(r.from_place) == edge_id), None)
        if row is None:
            continue
        command_mission(
            work,
            edge_id,
            drone_id,
            task_id=row.task_id,
            bins=row.detail,
            expires_at_ns=row.due_at_ns,
        )
        change_task(
            work,
            row.task_id,
            status="assigned",
            worker_id=drone_id,
            assigned_at_ns=work.now_ns,
        )
