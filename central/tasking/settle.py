"""What the ledger says of open tasks: units moved, tasks done, tasks that lost their stock."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row, and_, case, func, or_, select

from central.ledger.reservations import OPEN_STATUSES
from central.orders import set_status
from central.tables import (
    customer_order,
    edge_command,
    mission_end,
    movement,
    observation,
    proposal,
    purchase_order,
    reservation,
    task,
)
from central.tasking.proposals import end_proposal
from central.tasking.round import Round, change_task, end_task

RESERVING_KINDS: Final = ("pick", "putaway", "refill", "transfer")


def settle_moves(work: Round) -> None:
    """Note what moved for each open task; a task whose units are all there is done.

    Pick tasks of orders that are not on their way yet are read again too: a person may have undone
    a scan after the task was done.
    """
    for row, net_in, net_out in _sums(work):
        if row.moved_units != max(net_in, 0):
            change_task(work, row.task_id, moved_units=max(net_in, 0))
        if row.status not in OPEN_STATUSES or row.kind in ("deliver", "count"):
            continue
        if net_in >= row.units:
            end_task(work, row, "done")
        elif net_out > 0 and row.status != "moving":
            change_task(work, row.task_id, status="moving")


_TO_TARGET: Final = case(
    (movement.c.to_place == task.c.to_place, movement.c.units),
    (movement.c.from_place == task.c.to_place, -movement.c.units),
    else_=0,
)
_FROM_SOURCE: Final = case(
    (movement.c.from_place == task.c.from_place, movement.c.units),
    (movement.c.to_place == task.c.from_place, -movement.c.units),
    else_=0,
)
_OPEN_ORDERS: Final = select(customer_order.c.order_id).where(
    customer_order.c.status.in_(("accepted", "allocated"))
)
_MOVED: Final = (
    select(
        movement.c.task_id,
        func.sum(_TO_TARGET).label("net_in"),
        func.sum(_FROM_SOURCE).label("net_out"),
    )
    .join(task, task.c.task_id == movement.c.task_id)
    .where(or_(task.c.status.in_(OPEN_STATUSES), task.c.order_id.in_(_OPEN_ORDERS)))
    .group_by(movement.c.task_id)
    .subquery()
)
_COME: Final = case((_MOVED.c.net_in > 0, _MOVED.c.net_in), else_=0)
_IS_NEWS: Final = or_(
    task.c.moved_units != _COME,
    and_(
        task.c.status.in_(OPEN_STATUSES),
        task.c.kind.not_in(("deliver", "count")),
        or_(
            _MOVED.c.net_in >= task.c.units,
            and_(_MOVED.c.net_out > 0, task.c.status != "moving"),
        ),
    ),
)
_SUMS: Final = (
    select(task, _MOVED.c.net_in, _MOVED.c.net_out)
    .join(_MOVED, _MOVED.c.task_id == task.c.task_id)
    .where(_IS_NEWS)
)
"""Most open tasks are as they were: the database leaves those out."""


def _sums(work: Round) -> list[tuple[Row[Any], int, int]]:
    """Return (task, units come to its target, units gone from its source), less undone ones.

    Only of tasks of which these say something new.
    """
    rows = work.conn.execute(_SUMS)
    return [(row, int(row.net_in), int(row.net_out)) for row in rows]


_FLOWN: Final = (
    select(task, mission_end.c.ok, mission_end.c.detail.label("said"))
    .join(mission_end, mission_end.c.mission_id == task.c.task_id)
    .where(task.c.kind == "count", task.c.status.in_(OPEN_STATUSES))
)
_COUNT_OF_TASK: Final = select(observation.c.event_id).where(
    observation.c.task_id == task.c.task_id, observation.c.kind == "counted"
)
_COUNTED: Final = select(task).where(
    task.c.kind == "count",
    task.c.worker_kind == "person",
    task.c.status.in_(OPEN_STATUSES),
    _COUNT_OF_TASK.exists(),
)


def settle_counts(work: Round) -> None:
    """Close the counts that a drone flew or a person did."""
    for row in work.conn.execute(_FLOWN).all():
        end_task(work, row, "done" if row.ok else "failed", "" if row.ok else row.said)
    for row in work.conn.execute(_COUNTED).all():
        end_task(work, row, "done")


_UNBOOKED: Final = select(edge_command.c.command_id).where(
    edge_command.c.task_id == task.c.task_id, edge_command.c.status == "open"
)
_BOOKED: Final = select(edge_command.c.command_id).where(
    edge_command.c.task_id == task.c.task_id, edge_command.c.status == "done"
)
_DELIVERED: Final = select(task).where(
    task.c.kind == "deliver",
    task.c.status.in_(OPEN_STATUSES),
    _BOOKED.exists(),
    ~_UNBOOKED.exists(),
)


def settle_deliveries(work: Round) -> None:
    """Close deliveries whose every line is booked out to the customer: the order is filled."""
    for row in work.conn.execute(_DELIVERED).all():
        end_task(work, row, "done")
        set_status(work, row.order_id, "filled", filled_at_ns=work.now_ns)


_PROMISED: Final = select(reservation.c.task_id).where(reservation.c.task_id == task.c.task_id)
_BEGUN: Final = select(movement.c.event_id).where(
    movement.c.task_id == task.c.task_id, movement.c.from_place == task.c.from_place
)
_LOST: Final = select(task).where(
    task.c.kind.in_(RESERVING_KINDS),
    task.c.status.in_(OPEN_STATUSES),
    task.c.stops_done == 0,
    ~_PROMISED.exists(),
    ~_BEGUN.exists(),
)


def drop_unreserved(work: Round) -> None:
    """Cancel tasks that nothing is promised to any more and that have not begun."""
    for row in work.conn.execute(_LOST).all():
        if row.worker_kind == "robot":
            work.effects.withdrawals.append(row.task_id)
        end_task(work, row, "cancelled", f"the stock left {row.from_place} otherwise")


_TASKS_OPEN: Final = func.sum(case((task.c.status.in_(OPEN_STATUSES), 1), else_=0))
_TASKS_DONE: Final = func.sum(case((task.c.status == "done", 1), else_=0))
_OVER: Final = (
    select(
        proposal.c.proposal_id,
        func.count(task.c.task_id).label("all"),
        _TASKS_DONE.label("ok"),
    )
    .join(task, task.c.proposal_id == proposal.c.proposal_id)
    .where(proposal.c.status == "approved", proposal.c.kind != "buy")
    .group_by(proposal.c.proposal_id)
    .having(_TASKS_OPEN == 0)
)
_RECEIVED: Final = select(purchase_order.c.po_id).where(
    and_(
        purchase_order.c.proposal_id == proposal.c.proposal_id,
        purchase_order.c.status == "received",
    )
)
_BOUGHT: Final = select(proposal.c.proposal_id).where(
    proposal.c.status == "approved", proposal.c.kind == "buy", _RECEIVED.exists()
)


def settle_proposals(work: Round) -> None:
    """Close the approved proposals whose tasks are all over, and the purchases that are here."""
    for row in work.conn.execute(_OVER).all():
        end_proposal(work, row.proposal_id, "done" if row.ok == row.all else "failed")
    for proposal_id in work.conn.execute(_BOUGHT).scalars().all():
        end_proposal(work, proposal_id, "done")
