"""What edges are told, again with growing pauses, until the event that ends it is in the ledger.

Or until its time is over: a mission is then let go, and what should have been written is counted.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, func, or_, select, update

from central.statement import Row, Statement
from central.store import insert_new
from central.tables import edge_command, mission_end, movement
from central.tasking.round import Round, earliest, log
from wire.ids import bin_of
from wire.messages import FlyMission, LookAtBins, Movement, RecordMove
from wire.topics import EDGE_COMMAND

PAUSE_S_MAX: Final = 60.0
VALID_S: Final = 120.0
SENT_PER_ROUND_MAX: Final = 200
LOOK_S: Final = 1.0
"""So often it is looked for commands that another process wrote: nobody tells of those."""
NONCE_BYTES: Final = 16


def command_record(work: Round, edge_id: str, move: Movement, *, after_s: float) -> None:
    """Tell `edge_id` to write `move` if it is not in the ledger `after_s` from now."""
    row = {
        "command_id": work.new_id("record"),
        "kind": "record",
        "status": "open",
        "edge_id": edge_id,
        "task_id": move.task_id,
        "event_id": move.event_id,
        "body": msgspec.json.encode(move).decode(),
        "next_at_ns": work.later_ns(after_s),
        "expires_at_ns": _gives_up_at_ns(work),
    }
    insert_new(work.conn, edge_command, [row])


def command_look(
    work: Round, edge_id: str, eye_id: str, *, kind: str, task_id: str, bins: str,
    expires_at_ns: int,
) -> None:  # fmt: skip
    """Tell `edge_id` to let a drone (`fly`) or camera (`look`) see `bins`; it has the task's id."""
    row = {
        "command_id": work.new_id(kind),
        "kind": kind,
        "status": "open",
        "edge_id": edge_id,
        "task_id": task_id,
        "event_id": task_id,
        "body": bins,
        "drone_id": eye_id,
        "next_at_ns": work.now_ns,
        "expires_at_ns": expires_at_ns,
    }
    insert_new(work.conn, edge_command, [row])


_WRITTEN: Final = select(movement.c.event_id).where(movement.c.event_id == edge_command.c.event_id)
_ENDED: Final = select(mission_end.c.event_id).where(
    mission_end.c.mission_id == edge_command.c.event_id,
    edge_command.c.kind.in_(("fly", "look")),
)
_DONE: Final = Statement(
    select(edge_command.c.command_id, edge_command.c.task_id)
    .where(edge_command.c.status == "open", or_(_WRITTEN.exists(), _ENDED.exists()))
    .order_by(edge_command.c.command_id)
)
_LATE: Final = Statement(
    select(edge_command).where(
        edge_command.c.status == "open",
        edge_command.c.expires_at_ns > 0,
        edge_command.c.expires_at_ns <= bindparam("now_ns"),
    )
)
_CLOSE: Final = Statement(
    update(edge_command)
    .where(
        edge_command.c.command_id == bindparam("of_command"),
        edge_command.c.task_id == bindparam("of_task"),
    )
    .values(status=bindparam("to_status"))
)


_NEXT_DROP: Final = Statement(
    select(func.min(edge_command.c.expires_at_ns)).where(
        edge_command.c.status == "open", edge_command.c.expires_at_ns > 0
    )
)


def next_drop_at_ns(work: Round) -> int:
    """Return when the time of the next command is over."""
    return earliest(work, _NEXT_DROP)


def settle_commands(work: Round) -> None:
    """Close the commands whose event is in the ledger, and those whose time is over."""
    _CLOSE.many(work.conn, [_closed(row, "done") for row in _DONE.all(work.conn)])
    for row in _LATE.all(work.conn, {"now_ns": work.now_ns}):
        _CLOSE.run(work.conn, _closed(row, "dropped"))
        work.count("edge_commands_dropped", row.kind)
        if row.kind == "record":
            _have_counted(work, row)


def _closed(row: Row, status: str) -> dict[str, str]:
    return {"of_command": row.command_id, "of_task": row.task_id, "to_status": status}


def _have_counted(work: Round, row: Row) -> None:
    """Have the bins of a move looked at that its edge never wrote down: nobody knows what is there.

    An edge refuses for ever what is not its own, as where its bins.csv is another than central's.
    """
    move = msgspec.json.decode(row.body, type=Movement)
    why = (
        f"edge {row.edge_id} did not write down {move.event_id} in {row.tries} tries:"
        f" {move.units} x {move.gtin} from {move.from_place} to {move.to_place}"
    )
    log.error("movement given up", edge=row.edge_id, task=row.task_id, why=why)
    for place in (move.from_place, move.to_place):
        if bin_of(place):
            work.doubts.append((place, why, row.task_id))


_DUE: Final = Statement(
    select(edge_command)
    .where(edge_command.c.status == "open", edge_command.c.next_at_ns <= bindparam("now_ns"))
    .order_by(edge_command.c.next_at_ns)
    .limit(SENT_PER_ROUND_MAX)
)
_SENT: Final = Statement(
    update(edge_command)
    .where(
        edge_command.c.command_id == bindparam("of_command"),
        edge_command.c.task_id == bindparam("of_task"),
    )
    .values(
        tries=bindparam("sent_tries"),
        next_at_ns=bindparam("again_at_ns"),
        expires_at_ns=bindparam("gives_up_at_ns"),
    )
)


_NEXT_SENDING: Final = Statement(
    select(func.min(edge_command.c.next_at_ns)).where(edge_command.c.status == "open")
)


def next_sending_at_ns(work: Round) -> int:
    """Return when the next command that is known is sent."""
    return earliest(work, _NEXT_SENDING)


def is_sending_due(conn: Connection, now_ns: int) -> bool:
    """Return whether it is time to send a command, whoever wrote it. Only reads."""
    found: int | None = _NEXT_SENDING.scalar(conn)
    return found is not None and found <= now_ns


def send_commands(work: Round) -> None:
    """Send every command whose time has come, and set when it is sent again."""
    for row in _DUE.all(work.conn, {"now_ns": work.now_ns}):
        pause_s = min(PAUSE_S_MAX, work.config.tasking.record_after_s * 2.0 ** min(row.tries, 9))
        again = {
            "of_command": row.command_id,
            "of_task": row.task_id,
            "sent_tries": row.tries + 1,
            "again_at_ns": work.later_ns(pause_s),
            "gives_up_at_ns": row.expires_at_ns or _gives_up_at_ns(work),
        }
        _SENT.run(work.conn, again)
        work.publish(EDGE_COMMAND, _message(work, row), edge=row.edge_id)
        work.count("edge_commands_sent", row.kind)


def _gives_up_at_ns(work: Round) -> int:
    return work.later_ns(work.config.tasking.record_give_up_s)


def nonce_of(work: Round, command_id: str) -> str:
    """Return the nonce of a command: 128 bits, the same in each repetition, also after a restart.

    Made from a secret of this database, so that it is kept nowhere else and nobody can guess it.
    """
    key = work.command_key
    return hashlib.blake2b(command_id.encode(), key=key, digest_size=NONCE_BYTES).hexdigest()


def _message(work: Round, row: Row) -> RecordMove | FlyMission | LookAtBins:
    if row.kind == "record":
        return RecordMove(
            command_id=row.command_id,
            expires_at_ns=work.later_ns(VALID_S),
            movement=msgspec.json.decode(row.body, type=Movement),
            nonce=nonce_of(work, row.command_id),
        )
    if row.kind == "look":
        return LookAtBins(
            command_id=row.command_id,
            expires_at_ns=row.expires_at_ns,
            round_id=row.event_id,
            camera_id=row.drone_id,
            bins=tuple(row.body.split()),
            nonce=nonce_of(work, row.command_id),
        )
    return FlyMission(
        command_id=row.command_id,
        expires_at_ns=row.expires_at_ns,
        mission_id=row.event_id,
        drone_id=row.drone_id,
        bins=tuple(row.body.split()),
        nonce=nonce_of(work, row.command_id),
    )
