"""Who and what can look at bins, as the books have it: cameras, drones, people who count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from central.belief.books import MOVES_FOR_BELIEF_MAX
from central.ledger.reservations import OPEN_STATUSES
from central.replenish.counting import Eye
from central.replenish.planner import COUNTED_KINDS
from central.statement import Statement
from central.tables import edge_command, mission_end, movement, task
from central.tasking.floor import Floor
from wire.ids import bin_location

BLIND_ROUNDS_MAX: Final = 3
"""After so many rounds of a camera in which it read nothing of a bin it is not asked of it again
until something is booked there, or somebody looks at it; then for one round more."""
ROUNDS_READ_MAX: Final = 500
"""Rounds of cameras that are looked back at; what was before them is forgotten."""

_COUNTING: Final = Statement(
    select(task.c.worker_kind, task.c.from_place, task.c.worker_id).where(
        task.c.kind == "count", task.c.status.in_(OPEN_STATUSES)
    )
)


def read_eyes(conn: Connection, floor: Floor, seen: Mapping[str, int]) -> tuple[Eye, ...]:
    """Return who and what can look at bins: cameras, drones, and the people of each edge.

    `seen` says when a bin was last looked at.
    """
    counting = {
        (kind, floor.edge_of(place) if kind == "person" else worker)
        for kind, place, worker in _COUNTING.tuples(conn)
    }
    bins: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in floor.site.bins.values():
        bins[row.edge_id, row.kind].append(row.bin_id)
    blind = _blind(conn, seen)
    found = [
        Eye(
            kind="camera", name=camera.camera_id, edge_id=camera.edge_id,
            bins=frozenset(camera.bins) - blind[camera.camera_id],
            busy=("camera", camera.camera_id) in counting,
        )
        for camera in floor.cameras.values()
    ]  # fmt: skip
    for edge_id, drone_id in sorted(floor.drones.items()):
        waits = {("drone", drone_id), ("drone", "")} & counting
        reserves = frozenset(bins[edge_id, "reserve"])
        found.append(
            Eye(kind="drone", name=drone_id, edge_id=edge_id, bins=reserves, busy=bool(waits))
        )
    for role, edge_id in sorted(floor.workers):
        if role == "count":
            own = frozenset(bin_id for kind in COUNTED_KINDS for bin_id in bins[edge_id, kind])
            busy = ("person", edge_id) in counting
            found.append(Eye(kind="person", name="", edge_id=edge_id, bins=own, busy=busy))
    return tuple(found)


_CAMERA_ROUNDS: Final = Statement(
    select(
        edge_command.c.drone_id,
        edge_command.c.body,
        mission_end.c.bins_seen,
        mission_end.c.observed_at_ns,
    )
    .join(mission_end, mission_end.c.mission_id == edge_command.c.event_id)
    .where(edge_command.c.kind == "look")
    .order_by(mission_end.c.observed_at_ns.desc(), mission_end.c.event_id)
    .limit(ROUNDS_READ_MAX)
)


_BOOKED_SINCE: Final = Statement(
    select(movement.c.id)
    .where(
        movement.c.id > select(func.coalesce(func.max(movement.c.id), 0)).scalar_subquery()
        - MOVES_FOR_BELIEF_MAX,
        movement.c.observed_at_ns > bindparam("after_ns"),
        (movement.c.from_place == bindparam("place")) | (movement.c.to_place == bindparam("place")),
    )
    .limit(1)
)  # fmt: skip


def _blind(conn: Connection, seen: Mapping[str, int]) -> dict[str, set[str]]:
    """Return by camera the bins of which it read nothing in its newest rounds."""
    failed: dict[tuple[str, str], list[int]] = defaultdict(list)
    read_once: set[tuple[str, str]] = set()
    for camera_id, asked, read, at_ns in _CAMERA_ROUNDS.tuples(conn):
        got = set(msgspec.json.decode(read, type=list[str]))
        for bin_id in str(asked).split():
            key = (str(camera_id), bin_id)
            if bin_id in got:
                read_once.add(key)
            elif key not in read_once:
                failed[key].append(at_ns)
    blind: dict[str, set[str]] = defaultdict(set)
    for (camera_id, bin_id), times_ns in failed.items():
        if len(times_ns) < BLIND_ROUNDS_MAX or seen.get(bin_id, 0) > times_ns[0]:
            continue
        since = {"after_ns": times_ns[0], "place": bin_location(bin_id)}
        if _BOOKED_SINCE.first(conn, since) is None:
            blind[camera_id].add(bin_id)
    return blind
