"""What people and robots were doing at a bin while it was counted.

Goods leave a shelf some seconds before or after their scan, and a robot's drop is heard late where
its edge is away. A count in between differs from a true book.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import and_, bindparam, or_, select

from central.ledger.adjust import EVENT, QUARANTINE, waiting_adjustments
from central.ledger.reservations import OPEN_STATUSES
from central.statement import Row, Statement
from central.tables import edge_command, movement, task
from central.tasking.round import Round
from runtime.clock import NS_PER_S
from wire.ids import bin_location
from wire.messages import Movement

LOOKED_BACK_MAX: Final = 20_000
"""So many movements from before a count are looked through."""
OPENING: Final = "opening"
"""Nobody handles the stock that a book begins with."""
LATE_S: Final = 900.0
"""So long after a robot's task was given up, the robot may still say that it did it."""


@dataclass(frozen=True, slots=True)
class Motion:
    """How far a bin may have been from its book, either way."""

    less_units: int = 0
    more_units: int = 0

    def explains(self, units: int) -> bool:
        """Return whether a bin may have differed by so much from a true book."""
        return -self.less_units <= units <= self.more_units


AT_REST: Final = Motion()

_AT_PLACE: Final = {
    table: (table.c.from_place == bindparam("place")) | (table.c.to_place == bindparam("place"))
    for table in (movement, task)
}
_HANDLED: Final = Statement(
    select(movement.c.units).where(
        movement.c.id > bindparam("first_id"),
        movement.c.gtin == bindparam("of_gtin"),
        _AT_PLACE[movement],
        movement.c.received_at_ns.between(bindparam("since_ns"), bindparam("until_ns")),
        or_(
            ~movement.c.event_id.startswith(EVENT),
            movement.c.from_place == QUARANTINE,
            movement.c.to_place == QUARANTINE,
        ),
        movement.c.reason != OPENING,
    )
)
_GIVEN: Final = and_(
    task.c.kind != "count",
    task.c.assigned_at_ns > 0,
    task.c.assigned_at_ns <= bindparam("came_ns"),
    task.c.gtin == bindparam("of_gtin"),
    _AT_PLACE[task],
)
_IN_HANDS: Final = Statement(
    select(task.c.units, task.c.from_place, task.c.to_place).where(
        task.c.status.in_(OPEN_STATUSES), _GIVEN
    )
)
_ENDED: Final = Statement(
    select(task.c.units, task.c.from_place, task.c.to_place).where(
        task.c.done_at_ns >= bindparam("ended_ns"),
        task.c.status.not_in(OPEN_STATUSES),
        or_(
            task.c.done_at_ns >= bindparam("began_ns"),
            and_(task.c.worker_kind == "robot", task.c.status != "done"),
        ),
        _GIVEN,
    )
)
_TO_BOOK: Final = Statement(
    select(edge_command.c.body).where(
        edge_command.c.kind == "record",
        edge_command.c.status == "open",
        edge_command.c.edge_id == bindparam("edge"),
        ~edge_command.c.event_id.startswith(EVENT),
    )
)


def in_motion(work: Round, count: Row) -> Motion:
    """Return what may have been on its way to or from a bin when it was counted.

    Movements near to the count are either way: the book may have been ahead of the goods or behind
    them. Tasks that somebody had in hands, robots' tasks that were given up, and what an edge is
    still to write down, only as they go: the goods ahead of the book.
    """
    place = bin_location(count.bin_id)
    quiet_ns = round(work.config.tasking.count_quiet_s * NS_PER_S)
    pair: dict[str, Any] = {"place": place, "of_gtin": count.gtin}
    handled = sum(
        _HANDLED.scalars(
            work.conn,
            pair
            | {
                "first_id": count.last_id - LOOKED_BACK_MAX,
                "since_ns": count.since_ns - quiet_ns,
                "until_ns": count.until_ns + quiet_ns,
            },
        )
    )
    began_ns = count.committed_at_ns - (count.until_ns - count.since_ns) - quiet_ns
    given = pair | {"came_ns": count.committed_at_ns}
    late_ns = work.later_ns(-LATE_S)
    ended = {"began_ns": began_ns, "ended_ns": min(began_ns, late_ns)}
    moves = [
        *_IN_HANDS.all(work.conn, given),
        *_ENDED.all(work.conn, given | ended),
        *(move for move in _unwritten(work, count.edge_id) if move.gtin == count.gtin),
        *(
            move
            for move in waiting_adjustments(work.conn, place)
            if move.gtin == count.gtin
            and is_set_aside(move)
            and move.observed_at_ns <= count.committed_at_ns + quiet_ns
        ),
    ]
    less = sum(move.units for move in moves if move.from_place == place)
    more = sum(move.units for move in moves if move.to_place == place)
    return Motion(handled + less, handled + more)


def is_set_aside(move: Movement) -> bool:
    """Return whether an adjustment moves goods into quarantine or out: it corrects nothing."""
    return QUARANTINE in (move.from_place, move.to_place)


def _unwritten(work: Round, edge_id: str) -> list[Movement]:
    bodies = _TO_BOOK.scalars(work.conn, {"edge": edge_id})
    return [msgspec.json.decode(body, type=Movement) for body in bodies]
