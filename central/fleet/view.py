"""Robots as the fleet sees them, for pages and figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from central.fleet.book import Entry
from central.fleet.traffic import Traffic
from central.fleet.vehicle import Vehicle
from central.robot_pause import Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotView:
    """A robot as the fleet sees it, for pages and figures."""

    robot_id: str
    node_id: str
    job_id: str
    stop_index: int
    order_id: str
    base: tuple[str, ...]
    """Its nodes: where it is and where it may drive."""
    planned: tuple[str, ...]
    available: bool
    detail: str
    """Why it gets no nodes, why it has its job, or what it does without one."""
    battery_charge: float
    last_state_at_ns: int
    """UTC; 0: never."""
    version: str = ""
    """Of VDA 5050, as it speaks; empty: it has not said anything yet."""
    remarks: tuple[str, ...] = ()
    """In what it departs from the standard, as far as that was noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseView:
    """That all robots are to stand, as people see it."""

    why: str
    since_ns: int
    unconfirmed: tuple[str, ...]
    """Robots that have not said yet that they stand."""


def pause_view(pause: Pause | None, vehicles: Sequence[Vehicle]) -> PauseView | None:
    """Return how a pause stands."""
    if pause is None:
        return None
    unconfirmed = tuple(v.robot_id for v in vehicles if not v.is_paused)
    return PauseView(why=pause.why, since_ns=pause.since_ns, unconfirmed=unconfirmed)


def view_of(
    vehicle: Vehicle,
    traffic: Traffic,
    *,
    entry: Entry | None,
    why: str,
    idle: str,
    now_ns: int,
    utc_ns: int,
) -> RobotView:
    """Return how a robot stands.

    `entry`: its job; `why`: why it gets no nodes; empty: it does; `idle`: what it does without job.
    """
    number, ids = vehicle.number, traffic.graph.ids
    names = tuple(ids[node] for node in traffic.path(number))
    owned = len(traffic.base(number))
    state = vehicle.state
    return RobotView(
        robot_id=vehicle.robot_id,
        node_id=names[0] if names else "",
        job_id=vehicle.job_id,
        stop_index=entry.stop_index if entry else 0,
        order_id=vehicle.memory.order_id if vehicle.has_order else "",
        base=names[:owned],
        planned=names[owned:],
        available=not why,
        detail=why or (entry.reason if entry else idle),
        battery_charge=state.battery_state.battery_charge if state else 0.0,
        version=vehicle.memory.version,
        remarks=vehicle.remarks,
        last_state_at_ns=utc_ns - (now_ns - vehicle.state_at_ns) if state else 0,
    )
