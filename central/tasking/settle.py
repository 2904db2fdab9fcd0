"""What the ledger says of open tasks: units moved, tasks done, tasks that lost their stock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from central.ledger.reservations import OPEN_STATUSES
from central.orders import set_status
from central.statement import Row
from central.tables import (
    customer_order,
    edge_command,
    mission_end,
    movement,
    proposal,
    purchase_order,
    reservation,
    task,
    task_short,
)
from central.tasking.counts import settle_walks
from central.tasking.ends import TO_TARGET
from central.tasking.news import Narrowed
from central.tasking.proposals import end_proposal
from central.tasking.round import Round, change_task, end_task, reopen_task

RESERVING_KINDS: Final = ("pick", "putaway", "refill", "transfer")


def settle_moves(work: Round) -> None:
    """Note what moved for each open task; a task whose units are all there is done.

    Pick tasks of orders that are not on their way yet are read again too: a person may have undone
    a scan after the task was done.
    """
    for row in _sums(work):
        net_in, net_out = int(row.net_in), int(row.net_out)
        if row.moved_units != max(net_in, 0):
            change_task(work, row.task_id, moved_units=max(net_in, 0))
        if row.status not in OPEN_STATUSES or row.kind in ("deliver", "count"):
            continue
        if net_in >= row.units:
            end_task(work, row, "done")
        elif net_out > 0 and row.status != "moving":
            change_task(work, row.task_id, status="moving")


_FROM_SOURCE: Final = case(
    (movement.c.from_place == task.c.from_place, movement.c.units),
    (movement.c.to_place == task.c.from_place, -movement.c.units),
    else_=0,
)
_OPEN_ORDERS: Final = select(customer_order.c.order_id).where(
    customer_order.c.status.in_(("accepted", "allocated"))
)


def _moved(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Return what asks for the tasks, and units come and gone, where these say something new.

    Most open tasks are as they were: the database leaves those out.
    """
    moved = (
        select(
            movement.c.task_id,
            func.sum(TO_TARGET).label("net_in"),
            func.sum(_FROM_SOURCE).label("net_out"),
        )
        .join(task, task.c.task_id == movement.c.task_id)
        .where(
            or_(task.c.status.in_(OPEN_STATUSES), task.c.order_id.in_(_OPEN_ORDERS)), *conditions
        )
        .group_by(movement.c.task_id)
        .subquery()
    )
    come = case((moved.c.net_in > 0, moved.c.net_in), else_=0)
    is_news = or_(
        task.c.moved_units != come,
        and_(
            task.c.status.in_(OPEN_STATUSES),
            task.c.kind.not_in(("deliver", "count")),
            or_(
                moved.c.net_in >= task.c.units,
                and_(moved.c.net_out > 0, task.c.status != "moving"),
            ),
        ),
    )
    return (
        select(task, moved.c.net_in, moved.c.net_out)
        .join(moved, moved.c.task_id == task.c.task_id)
        .where(is_news)
        .order_by(task.c.task_id)
    )


_MOVED: Final = Narrowed(_moved, task.c.task_id)
_MOVED_OF_ORDERS: Final = Narrowed(_moved, task.c.order_id)


def _sums(work: Round) -> list[Row]:
    """Return task, units come to its target, units gone from its source, less undone ones.

    Only of tasks of which these say something new.
    """
    tasks, orders = work.news.tasks(), work.news.orders()
    found = _MOVED.all(work.conn, tasks)
    if tasks is not None and orders:
        known = {row.task_id for row in found}
        found += [r for r in _MOVED_OF_ORDERS.all(work.conn, orders) if r.task_id not in known]
    return found


def _in_order(*columns: Any) -> Callable[..., Select[Any]]:
    """Return what asks for open tasks, the oldest first; the conditions come with each query."""

    def query(*conditions: ColumnElement[bool]) -> Select[Any]:
        return (
            select(task, *columns)
            .where(task.c.status.in_(OPEN_STATUSES), *conditions)
            .order_by(task.c.created_at_ns, task.c.task_id)
        )

    return query


def _flown(*conditions: ColumnElement[bool]) -> Select[Any]:
    return _in_order(mission_end.c.ok, mission_end.c.detail.label("said"))(*conditions).join(
        mission_end, and_(mission_end.c.mission_id == task.c.task_id, task.c.kind == "count")
    )


_FLOWN: Final = Narrowed(_flown, task.c.task_id)


def settle_counts(work: Round) -> None:
    """Close the counts that a drone flew, a camera looked or a person did."""
    for row in _FLOWN.all(work.conn, work.news.tasks()):
        end_task(work, row, "done" if row.ok else "failed", "" if row.ok else row.said)
    settle_walks(work)


_SHORT: Final = func.sum(task_short.c.short_units)


def _closed(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        _in_order(_SHORT.label("short_units"))(*conditions)
        .join(task_short, task_short.c.task_id == task.c.task_id)
        .group_by(task.c.task_id)
        .having(_SHORT > 0)
    )


def _opened(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(task)
        .join(task_short, task_short.c.task_id == task.c.task_id)
        .where(task.c.status == "done", task.c.moved_units < task.c.units, *conditions)
        .group_by(task.c.task_id)
        .having(_SHORT == 0)
        .order_by(task.c.task_id)
    )


_CLOSED: Final = Narrowed(_closed, task.c.task_id)
_OPENED: Final = Narrowed(_opened, task.c.task_id)


def settle_short(work: Round) -> None:
    """Close the tasks of which a person said that no more is there; go on with what is undone."""
    tasks = work.news.tasks()
    for row in _CLOSED.all(work.conn, tasks):
        end_task(work, row, "done", f"{row.short_units} units did not come")
    for row in _OPENED.all(work.conn, tasks):
        reopen_task(work, row)


_UNBOOKED: Final = select(edge_command.c.command_id).where(
    edge_command.c.task_id == task.c.task_id, edge_command.c.status == "open"
)
_BOOKED: Final = select(edge_command.c.command_id).where(
    edge_command.c.task_id == task.c.task_id, edge_command.c.status == "done"
)


def _delivered(*conditions: ColumnElement[bool]) -> Select[Any]:
    return _in_order()(task.c.kind == "deliver", _BOOKED.exists(), ~_UNBOOKED.exists(), *conditions)


_DELIVERED: Final = Narrowed(_delivered, task.c.task_id)


def settle_deliveries(work: Round) -> None:
    """Close deliveries whose every line is booked out to the customer: the order is filled."""
    for row in _DELIVERED.all(work.conn, work.news.tasks()):
        end_task(work, row, "done")
        set_status(work, row.order_id, "filled", filled_at_ns=work.now_ns)


_PROMISED: Final = select(reservation.c.task_id).where(reservation.c.task_id == task.c.task_id)
_BEGUN: Final = select(movement.c.event_id).where(
    movement.c.task_id == task.c.task_id, movement.c.from_place == task.c.from_place
)


def _lost(*conditions: ColumnElement[bool]) -> Select[Any]:
    return _in_order()(
        task.c.kind.in_(RESERVING_KINDS),
        task.c.stops_done == 0,
        ~_PROMISED.exists(),
        ~_BEGUN.exists(),
        *conditions,
    )


_LOST: Final = Narrowed(_lost, task.c.task_id)


def drop_unreserved(work: Round) -> None:
    """Cancel tasks that nothing is promised to any more and that have not begun."""
    for row in _LOST.all(work.conn, work.news.tasks()):
        if row.worker_kind == "robot":
            work.effects.withdrawals.append(row.task_id)
        end_task(work, row, "cancelled", f"the stock left {row.from_place} otherwise")


_TASKS_OPEN: Final = func.sum(case((task.c.status.in_(OPEN_STATUSES), 1), else_=0))
_TASKS_DONE: Final = func.sum(case((task.c.status == "done", 1), else_=0))
_RECEIVED: Final = select(purchase_order.c.po_id).where(
    and_(
        purchase_order.c.proposal_id == proposal.c.proposal_id,
        purchase_order.c.status == "received",
    )
)


def _over(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            proposal.c.proposal_id,
            func.count(task.c.task_id).label("all"),
            _TASKS_DONE.label("ok"),
        )
        .join(task, task.c.proposal_id == proposal.c.proposal_id)
        .where(proposal.c.status == "approved", proposal.c.kind != "buy", *conditions)
        .group_by(proposal.c.proposal_id)
        .having(_TASKS_OPEN == 0)
        .order_by(proposal.c.proposal_id)
    )


def _bought(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(proposal.c.proposal_id)
        .where(
            proposal.c.status == "approved",
            proposal.c.kind == "buy",
            _RECEIVED.exists(),
            *conditions,
        )
        .order_by(proposal.c.proposal_id)
    )


_OVER: Final = Narrowed(_over, proposal.c.proposal_id)
_BOUGHT: Final = Narrowed(_bought, proposal.c.proposal_id)


def settle_proposals(work: Round) -> None:
    """Close the approved proposals whose tasks are all over, and the purchases that are here."""
    proposals = work.news.proposals_with_tasks(work.conn)
    for row in _OVER.all(work.conn, proposals):
        end_proposal(work, row.proposal_id, "done" if row.ok == row.all else "failed")
    for row in _BOUGHT.all(work.conn, proposals):
        end_proposal(work, row.proposal_id, "done")
