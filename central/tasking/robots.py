"""Tasks of robots: handed to the fleet as jobs, followed by what the fleet tells.

The ledger decides when a move is done: the edges book what robots did from the robots' own states.
What the fleet saw done and no edge booked in time is sent to the edge as a command.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from sqlalchemy import bindparam, case, func, select, union_all

from central.fleet.jobs import JobProgress, Stop, TransportJob
from central.ledger.origin import CENTRAL_DEVICE
from central.ledger.reservations import OPEN_STATUSES
from central.orders import set_status
from central.statement import Row, Statement
from central.tables import balance, edge_command, movement, task
from central.tasking.commands import command_record
from central.tasking.pinning import NO_PIN, Pin, pin_of
from central.tasking.round import Round, TaskRow, add_task, change_task, end_task, find_task, log
from wire.ids import Gtin14, bin_of, location
from wire.messages import Movement
from wire.site import BinRow
from wire.vda5050.action_ids import StockAction

ROBOT_TRIES_MAX: Final = 3
MOVE_STOPS: Final = 2


def start_move(work: Round, row: Row, units: int) -> bool:
    """Make the task of an approved refill or transfer; False where the units are not free."""
    task_id = add_task(
        work,
        row.kind,
        "robot",
        units=units,
        from_place=row.from_place,
        to_place=row.to_place,
        reserved=True,
        gtin=row.gtin,
        proposal_id=row.proposal_id,
    )
    if task_id is None:
        return False
    submit(work, task_id)
    return True


def submit(work: Round, task_id: str, pin: Pin = NO_PIN) -> None:
    """Give the task to the fleet once it is committed."""
    row = find_task(work, task_id)
    assert row is not None, "a task is written before it is submitted"
    _give_to_fleet(work, row, pin)


_OPEN: Final = Statement(
    select(task)
    .where(task.c.worker_kind == "robot", task.c.status.in_(OPEN_STATUSES))
    .order_by(task.c.created_at_ns, task.c.task_id)
)


def submit_open_tasks(work: Round) -> None:
    """Give every open robot task to the fleet again, as at a start; it knows the running ones."""
    for row in _OPEN.all(work.conn):
        _give_to_fleet(work, row, pin_of(work, row.task_id))


def _give_to_fleet(work: Round, row: TaskRow, pin: Pin) -> None:
    """Submit the task's job after the commit; a task whose bins the site no longer has fails."""
    gone = [place for place in (row.from_place, row.to_place) if work.floor.bin_at(place) is None]
    if row.stops_done >= MOVE_STOPS:
        return  # the robot is done; what the edges have not booked is on its way as a command
    if gone:
        end_task(work, row, "failed", f"{gone[0]} is no longer in bins.csv")
    else:
        work.effects.submits.append(job_of(work, row, pin))


def job_of(work: Round, row: TaskRow, pin: Pin = NO_PIN) -> TransportJob:
    """Return the fleet's job for a task: the same row gives the same job, also after a restart."""
    if row.kind == "deliver":
        stops = (
            _tote_stop(work, row, row.from_place, "load", "pick"),
            _tote_stop(work, row, row.to_place, "unload", "drop"),
        )
    else:
        stops = (
            _stock_stop(work, row, row.from_place, "pick"),
            _stock_stop(work, row, row.to_place, "drop"),
        )
    # One priority for all: the fleet takes what is due first. A kind that always went first would
    # starve the others while robots are few: totes leave, and the faces they came from stay empty.
    return TransportJob(
        job_id=row.task_id,
        stops=stops,
        due_at_ns=row.due_at_ns,
        pinned_to=pin.robot_id,
        pinned_by=pin.person_id,
    )


def _bin(work: Round, place: str) -> BinRow:
    row = work.floor.bin_at(place)
    assert row is not None, f"{place}: robots move between bins of the site"
    return row


def _tote_stop(work: Round, row: TaskRow, place: str, verb: str, action_type: str) -> Stop:
    stands = _bin(work, place)
    return Stop(
        node_id=stands.node_id,
        action_type=action_type,
        action_id=f"{verb}/{row.task_id}",
        parameters={
            "stationType": "bin",
            "stationName": stands.bin_id,
            "loadType": "tote",
            "loadId": location("tote", row.order_id),
        },
    )


def _stock_stop(work: Round, row: TaskRow, place: str, verb: Literal["pick", "drop"]) -> Stop:
    stands = _bin(work, place)
    return Stop(
        node_id=stands.node_id,
        action_type=verb,
        action_id=_stock_action(row, place, verb).action_id,
        parameters={
            "stationType": "bin",
            "stationName": stands.bin_id,
            "loadType": "carton",
            "loadId": row.gtin,
            "gtin": row.gtin,
            "units": row.units,
        },
    )


def _stock_action(row: TaskRow, place: str, verb: Literal["pick", "drop"]) -> StockAction:
    bin_id = bin_of(place)
    assert bin_id is not None, f"{place}: robots move between bins"
    return StockAction(verb, row.task_id, bin_id, Gtin14(row.gtin), row.units)


def follow_job(work: Round, progress: JobProgress) -> None:
    """Write down what the fleet told about a job; too late, only what the robot did counts."""
    row = find_task(work, progress.job_id)
    if row is None:
        return
    if row.status not in OPEN_STATUSES:
        _expect_late_booking(work, row, progress)
        return
    if progress.event == "assigned":
        change_task(
            work,
            row.task_id,
            status="assigned" if row.stops_done == 0 else row.status,
            worker_id=progress.robot_id,
            assigned_at_ns=work.now_ns,
            detail=progress.detail,  # why this robot
        )
    elif progress.event == "waits":
        changed: dict[str, Any] = {"detail": progress.detail}
        if progress.robot_id and progress.robot_id == row.worker_id and row.stops_done == 0:
            changed |= {"status": "open", "worker_id": ""}
        change_task(work, row.task_id, **changed)
    elif progress.event == "stop_done":
        _stops_done(work, row, progress, progress.stop_index + 1)
    elif progress.event == "done":
        _stops_done(work, row, progress, MOVE_STOPS)
    elif progress.event == "failed":
        fail_move(work, row, f"{progress.robot_id}: {progress.detail}")
    else:
        _handed_back(work, row, progress.detail)


def _stops_done(work: Round, row: TaskRow, progress: JobProgress, stops: int) -> None:
    stops = min(stops, MOVE_STOPS)
    change_task(
        work,
        row.task_id,
        status="moving",
        worker_id=progress.robot_id or row.worker_id,
        stops_done=max(stops, row.stops_done),
    )
    if row.kind == "deliver":
        if stops == MOVE_STOPS:
            _ship(work, row)
        return
    for index in range(row.stops_done, stops):
        _expect_booking(work, row, progress, index)


def _expect_booking(work: Round, row: TaskRow, progress: JobProgress, index: int) -> None:
    """Make sure that a stop the fleet saw done comes into the ledger."""
    verb: Literal["pick", "drop"] = "drop" if index else "pick"
    place = row.to_place if index else row.from_place
    serial = progress.robot_id.rpartition("/")[2]
    robot = location("robot", serial)
    move = Movement(
        event_id=_stock_action(row, place, verb).action_id,
        gtin=row.gtin,
        units=row.units,
        from_place=robot if index else place,
        to_place=place if index else robot,
        reason=f"robot-{verb}",
        device_id=serial or CENTRAL_DEVICE,
        observed_at_ns=progress.at_ns,
        received_at_ns=progress.at_ns,
        task_id=row.task_id,
    )
    after_s = work.config.tasking.record_after_s
    command_record(work, work.floor.edge_of(place), move, after_s=after_s)


_KNOWN: Final = Statement(
    union_all(
        select(movement.c.event_id).where(movement.c.event_id == bindparam("event_id")),
        select(edge_command.c.event_id).where(
            edge_command.c.task_id == bindparam("task_id"),
            edge_command.c.event_id == bindparam("event_id"),
        ),
    )
)
"""Moves that are booked, or that an edge was or is to be told of."""


def _expect_late_booking(work: Round, row: TaskRow, progress: JobProgress) -> None:
    """See to it that what a robot did is booked, though its task is over.

    A task is done by its drop alone: where central was down while the robot picked and no edge saw
    that, the drop came into the ledger before the fleet could tell of the pick. And a task that was
    given up for lost fails while its robot is out of sight; later the robot says that it did it.
    """
    stops = {"stop_done": progress.stop_index + 1, "done": MOVE_STOPS}.get(progress.event, 0)
    if row.kind == "deliver":
        return
    for index in range(min(stops, MOVE_STOPS)):
        verb: Literal["pick", "drop"] = "drop" if index else "pick"
        place = row.to_place if index else row.from_place
        event_id = _stock_action(row, place, verb).action_id
        if _KNOWN.first(work.conn, {"event_id": event_id, "task_id": row.task_id}) is None:
            _expect_booking(work, row, progress, index)


_PICKED: Final = Statement(
    select(
        movement.c.edge_id,
        movement.c.gtin,
        func.sum(
            case(
                (movement.c.to_place == task.c.to_place, movement.c.units),
                (movement.c.from_place == task.c.to_place, -movement.c.units),
                else_=0,
            )
        ).label("units"),
    )
    .join(task, task.c.task_id == movement.c.task_id)
    .where(task.c.order_id == bindparam("order_id"), task.c.kind == "pick")
    .group_by(movement.c.edge_id, movement.c.gtin)
    .order_by(movement.c.edge_id, movement.c.gtin)
)
_AT: Final = Statement(
    select(balance.c.gtin, balance.c.units).where(balance.c.place == bindparam("place"))
)


def _ship(work: Round, row: TaskRow) -> None:
    """Have what is in the tote booked out to the customer, by the edges that booked it in.

    They know its lots, and refuse to pack by hand what is gone. What was packed by hand before is
    not in the tote any more.
    """
    tote = location("tote", row.order_id)
    left = {gtin: int(units) for gtin, units in _AT.all(work.conn, {"place": tote})}
    number = 0
    for edge_id, gtin, picked in _PICKED.all(work.conn, {"order_id": row.order_id}):
        units = min(int(picked), left.get(gtin, 0))
        if units <= 0:
            continue
        left[gtin] -= units
        number += 1
        move = Movement(
            event_id=f"{row.task_id}/{number}",
            gtin=gtin,
            units=units,
            from_place=tote,
            to_place=location("customer", row.order_id),
            reason="ship",
            device_id=CENTRAL_DEVICE,
            observed_at_ns=work.now_ns,
            received_at_ns=work.now_ns,
            task_id=row.task_id,
        )
        command_record(work, edge_id, move, after_s=0.0)
    if not number:
        end_task(work, row, "done", "all of it was packed by hand")
        set_status(work, row.order_id, "filled", filled_at_ns=work.now_ns)


_ON_ROBOT: Final = Statement(
    select(func.coalesce(func.sum(balance.c.units), 0)).where(
        balance.c.place == bindparam("place"), balance.c.gtin == bindparam("gtin")
    )
)


def fail_move(work: Round, row: TaskRow, why: str) -> None:
    """Close a robot's task as failed and have the bin counted at which it ended.

    That is the one that did not give what the book says, or the one that may have got the goods
    already: a robot that restarts in its drop forgets to say so.
    """
    robot = location("robot", row.worker_id.rpartition("/")[2])
    held = _ON_ROBOT.scalar(work.conn, {"place": robot, "gtin": row.gtin})
    if row.stops_done and row.kind != "deliver":
        why = f"{why}; {held} units are on robot {row.worker_id}"
        log.warning("goods are left on a robot", task=row.task_id, robot=row.worker_id)
    end_task(work, row, "failed", why)
    if row.kind != "deliver":
        place = row.to_place if row.stops_done else row.from_place
        work.doubts.append((place, f"{row.task_id} failed there: {why}", row.task_id))


def _handed_back(work: Round, row: TaskRow, detail: str) -> None:
    """Give a job that nobody works on any more to the fleet again, a bounded number of times."""
    if row.tries >= ROBOT_TRIES_MAX:
        end_task(work, row, "failed", f"handed back {row.tries} times: {detail}")
        return
    change_task(
        work,
        row.task_id,
        status="open",
        worker_id="",
        detail="",
        tries=row.tries + 1,
        due_at_ns=work.later_ns(work.config.tasking.task_due_s),
    )
    submit(work, row.task_id, pin_of(work, row.task_id))
