"""What tasking does, in order. Each phase reads the tables, does its step, writes the tables.

A phase keeps nothing in memory that a restart would miss: the next round after a crash goes on
from what was committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from central.tasking.commands import send_commands, settle_commands
from central.tasking.counts import fly_missions
from central.tasking.deadlines import watch_deadlines
from central.tasking.people import PeopleBoard
from central.tasking.picking import (
    advance_orders,
    allocate_lines,
    deliver_picked,
    update_lines,
)
from central.tasking.proposals import expire_proposals, propose_count
from central.tasking.purchasing import PurchaseSender, put_away, receive_arrivals
from central.tasking.round import Round
from central.tasking.settle import (
    drop_unreserved,
    settle_counts,
    settle_deliveries,
    settle_moves,
    settle_proposals,
)

Phase = Callable[[Round], None]
DOUBTS_PER_ROUND_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Phases:
    """All phases in their order, and those among them that wait for a time."""

    all: Sequence[Phase]
    timed: Sequence[Phase]


def make_phases(people: PeopleBoard, purchases: PurchaseSender) -> Phases:
    """Return the phases: first what the ledger says, then what follows from it."""
    every: Sequence[Phase] = (
        settle_commands,
        settle_moves,
        settle_counts,
        settle_deliveries,
        drop_unreserved,
        watch_deadlines,
        update_lines,
        receive_arrivals,
        put_away,
        allocate_lines,
        advance_orders,
        deliver_picked,
        settle_proposals,
        expire_proposals,
        raise_doubts,
        fly_missions,
        people.assign,
        people.publish,
        purchases.send,
        send_commands,
    )
    timed = (
        settle_commands,
        watch_deadlines,
        deliver_picked,
        expire_proposals,
        raise_doubts,
        purchases.send,
        send_commands,
    )
    return Phases(every, timed)


def raise_doubts(work: Round) -> None:
    """Propose to count the bins that did not give what the book says."""
    doubts, work.doubts[:] = work.doubts[:DOUBTS_PER_ROUND_MAX], []
    for place, why, task_id in doubts:
        propose_count(work, place, reason=why, causes=(task_id,))
