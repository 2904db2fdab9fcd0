"""Counting rounds: bins that a drone flies to, a camera looks at, or a person walks to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import bindparam, func, select

from central.ledger.reservations import OPEN_STATUSES
from central.statement import Row, Statement, parts_of
from central.tables import balance, edge_command, observation, task
from central.tasking.commands import command_look
from central.tasking.news import Narrowed
from central.tasking.round import Round, add_task, change_task, end_task
from wire.ids import bin_location, bin_of
from wire.messages import COUNT_STOPS_MAX, STOP_ARTICLES_MAX, CountStop

FAR_EYES: Final = {"drone": "fly", "camera": "look"}
"""Who is sent by a command, and its kind."""


def start_count(work: Round, row: Row) -> bool:
    """Make the counting tasks of a proposal; False where nobody can count its bins.

    A round is one task. Where the proposal names no eye: a drone's where one flies at that edge,
    else of the people who count there.
    """
    numbers = msgspec.json.decode(row.numbers)
    bins_at: dict[str, list[str]] = defaultdict(list)
    for bin_id in str(numbers.get("bins", "")).split():
        found = work.floor.site.bins.get(bin_id)
        if found is not None:
            bins_at[found.edge_id].append(bin_id)
    made = 0
    for edge_id, bins in bins_at.items():
        eye = numbers.get("eye") or ("drone" if edge_id in work.floor.drones else "person")
        if eye == "person":
            made += _add_walks(work, row, edge_id, bins)
        elif eye == "camera" or edge_id in work.floor.drones:
            worker_id = str(numbers.get("eye_name", "")) if eye == "camera" else ""
            _add_count(work, row, eye, bins, " ".join(bins), worker_id=worker_id)
            made += 1
    return made > 0


def _add_walks(work: Round, row: Row, edge_id: str, bins: list[str]) -> int:
    if not work.floor.workers.get(("count", edge_id)):
        return 0
    parts = [bins[i : i + COUNT_STOPS_MAX] for i in range(0, len(bins), COUNT_STOPS_MAX)]
    for part in parts:
        _add_count(work, row, "person", part, stops_text(_stops(work, part)))
    return len(parts)


def _add_count(
    work: Round, row: Row, worker_kind: str, bins: list[str], detail: str, *, worker_id: str = ""
) -> None:
    add_task(
        work,
        "count",
        worker_kind,
        units=len(bins),
        from_place=bin_location(bins[0]),
        to_place=bin_location(bins[0]),
        proposal_id=row.proposal_id,
        detail=detail,
        worker_id=worker_id,
    )


_HELD: Final = Statement(
    select(balance.c.place, balance.c.gtin)
    .where(balance.c.place.in_(bindparam("places")), balance.c.units > 0)
    .order_by(balance.c.place, balance.c.gtin)
)


def _stops(work: Round, bins: Sequence[str]) -> list[CountStop]:
    """Return what is to be counted in each bin: what the book has there, else what is slotted."""
    held: dict[str, list[str]] = defaultdict(list)
    for part in parts_of([bin_location(bin_id) for bin_id in bins]):
        for place, gtin in _HELD.tuples(work.conn, {"places": part}):
            held[str(bin_of(place))].append(gtin)
    slots = {bin_id: work.floor.site.bins[bin_id].gtin for bin_id in bins}
    return [
        CountStop(
            bin_id=bin_id,
            gtins=tuple((held[bin_id] or [*filter(None, [slots[bin_id]])])[:STOP_ARTICLES_MAX]),
        )
        for bin_id in bins
    ]


def stops_text(stops: Sequence[CountStop]) -> str:
    """Return a round's stops as a task keeps them: "A-01:04006381333931,... A-02"."""
    return " ".join(
        f"{stop.bin_id}:{','.join(stop.gtins)}" if stop.gtins else stop.bin_id for stop in stops
    )


def stops_of(detail: str) -> tuple[CountStop, ...]:
    """Return the stops that a person's counting task still has to go to."""
    found = []
    for word in detail.split():
        bin_id, _, gtins = word.partition(":")
        found.append(CountStop(bin_id=bin_id, gtins=tuple(filter(None, gtins.split(",")))))
    return tuple(found)


_COUNTED_OF: Final = Statement(
    select(observation.c.bin_id, observation.c.gtin)
    .where(observation.c.task_id == bindparam("task_id"), observation.c.kind == "counted")
    .distinct()
)
_WALKED: Final = Narrowed(
    lambda *conditions: (
        select(task)
        .where(
            task.c.kind == "count",
            task.c.worker_kind == "person",
            task.c.status.in_(OPEN_STATUSES),
            select(func.count())
            .where(observation.c.task_id == task.c.task_id, observation.c.kind == "counted")
            .scalar_subquery()
            > 0,
            *conditions,
        )
        .order_by(task.c.created_at_ns, task.c.task_id)
    ),
    task.c.task_id,
)


def settle_walks(work: Round) -> None:
    """Strike the stops that a person counted off their round; without any left it is done."""
    for row in _WALKED.all(work.conn, work.news.tasks()):
        stops = stops_of(row.detail)
        said = set(_COUNTED_OF.tuples(work.conn, {"task_id": row.task_id}))
        left = [stop for stop in stops if not _is_counted(stop, said)]
        if not left:
            end_task(work, row, "done")
        elif len(left) < len(stops):
            place = bin_location(left[0].bin_id)
            change_task(
                work, row.task_id, detail=stops_text(left), from_place=place, to_place=place,
                moved_units=max(row.units - len(left), 0),
            )  # fmt: skip


def _is_counted(stop: CountStop, said: set[tuple[str, str]]) -> bool:
    if stop.gtins:
        return all((stop.bin_id, gtin) in said for gtin in stop.gtins)
    return any(bin_id == stop.bin_id for bin_id, _ in said)


_LOOKS: Final = Statement(
    select(edge_command.c.command_id)
    .where(
        edge_command.c.kind == bindparam("kind"),
        edge_command.c.status == "open",
        edge_command.c.drone_id == bindparam("eye_id"),
    )
    .limit(1)
)
_WAITING: Final = Statement(
    select(task)
    .where(
        task.c.kind == "count",
        task.c.worker_kind == bindparam("eye"),
        task.c.status == "open",
    )
    .order_by(task.c.created_at_ns, task.c.task_id)
)


def send_eyes(work: Round) -> None:
    """Send each idle drone and camera on its oldest waiting count; each does one at a time."""
    for eye, kind in FAR_EYES.items():
        sent: set[str] = set()
        for row in _WAITING.all(work.conn, {"eye": eye}):
            edge_id = work.floor.edge_of(row.from_place)
            eye_id = row.worker_id or work.floor.drones.get(edge_id, "")
            if not eye_id or eye_id in sent:
                continue
            sent.add(eye_id)
            if _LOOKS.first(work.conn, {"kind": kind, "eye_id": eye_id}) is None:
                _send(work, row, edge_id, eye_id, kind)


def _send(work: Round, row: Row, edge_id: str, eye_id: str, kind: str) -> None:
    command_look(
        work, edge_id, eye_id, kind=kind, task_id=row.task_id, bins=row.detail,
        expires_at_ns=row.due_at_ns,
    )  # fmt: skip
    change_task(work, row.task_id, status="assigned", worker_id=eye_id, assigned_at_ns=work.now_ns)
