"""What tasking does, in order. Each phase reads the tables, does its step, writes the tables.

A phase keeps nothing in memory that a restart would miss: the next round after a crash goes on
from what was committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Table

import central.tables as t
from central.statement import Values
from central.tasking.commands import (
    next_drop_at_ns,
    next_sending_at_ns,
    send_commands,
    settle_commands,
)
from central.tasking.counts import send_eyes
from central.tasking.deadlines import Deadlines
from central.tasking.lots import name_lots
from central.tasking.news import News, ids_in, no_news
from central.tasking.people import PeopleBoard
from central.tasking.picking import (
    advance_orders,
    allocate_lines,
    deliver_picked,
    next_try_at_ns,
    update_lines,
)
from central.tasking.proposals import (
    expire_proposals,
    judge_counts,
    next_expiry_at_ns,
    propose_count,
)
from central.tasking.purchasing import PurchaseSender, put_away, receive_arrivals
from central.tasking.round import Round
from central.tasking.settle import (
    drop_unreserved,
    settle_counts,
    settle_deliveries,
    settle_moves,
    settle_proposals,
    settle_short,
)
from central.tasking.unloading import Unloading
from central.tasking.variances import next_judging_at_ns, settle_adjustments

DOUBTS_PER_ROUND_MAX: Final = 20
NextAt = Callable[[Round], int]


@dataclass(frozen=True, slots=True)
class Phase:
    """One step, and when there may be something to do for it."""

    do: Callable[[Round], None]
    reads: frozenset[str] = frozenset()
    """The tables it looks at: it has nothing to do before one of them was written."""
    next_at_ns: NextAt | None = None
    """Returns when it has something to do, though nothing is written before; None: it waits for
    no time."""
    always: bool = False
    """Whether it looks at what the other phases of the same round left it."""
    by_id: bool = False
    """Whether it looks only at what it has news of (`Round.news`), or else at all there is."""


class Turns:
    """Whose turn it is: the phases that something was written for since they last ran.

    Most facts concern few phases. Without this every fact, and the end of every round, costs the
    queries of all of them. Phases that wait for a time get their turn at a tick: at each while
    something is written for them, and else at the first after the time that they wait for.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = phases
        self._readers: dict[str, list[int]] = {}
        for index, phase in enumerate(phases):
            for table in phase.reads:
                self._readers.setdefault(table, []).append(index)
        self._due = set(range(len(phases)))
        self._waiting = [i for i, phase in enumerate(phases) if phase.next_at_ns is not None]
        self._next_at_ns: dict[int, int] = {}
        """Of those that wait for a time and for which nothing was written since that was asked."""
        self._restless = set(self._waiting)
        """Those for which something was written since the last tick: it is too early to ask."""
        self._news = {i: News() for i, phase in enumerate(phases) if phase.by_id}
        """What was written since they last ran, for those who look at nothing else."""

    @property
    def is_due(self) -> bool:
        """Return whether it is anybody's turn."""
        return bool(self._due)

    def wrote(self, table: str, rows: Sequence[Values]) -> None:
        """Give a turn to all that look at `table`, and tell them of the rows."""
        said: tuple[str, AbstractSet[Any] | None] | None = None
        for index in self._readers.get(table, ()):
            self._due.add(index)
            self._restless.add(index)
            self._next_at_ns.pop(index, None)
            news = self._news.get(index)
            if news is not None and not news.everything:
                said = said or ids_in(table, rows)
                news.add(*said)

    def ticked(self, now_ns: int) -> None:
        """Give a turn to all that wait for a time which has come, or may have."""
        self._due.update(i for i in self._waiting if self._next_at_ns.get(i, 0) <= now_ns)
        self._restless.clear()

    def all(self) -> None:
        """Give a turn to every phase, as at a start."""
        self._due.update(range(len(self._phases)))
        self._restless.update(self._due)
        self._next_at_ns.clear()
        for news in self._news.values():
            news.everything = True

    def run(self, work: Round) -> None:
        """Run the phases whose turn it is, in order; what one writes is seen by those after it.

        What they write for phases before them, or for themselves, is for the next round.
        """
        for index, phase in enumerate(self._phases):
            if not (phase.always or index in self._due):
                continue
            self._due.discard(index)
            news = self._news.get(index)
            if news is None:
                phase.do(work)
            else:
                self._news[index] = no_news()
                phase.do(replace(work, news=news))
            if phase.next_at_ns is not None and index not in self._restless:
                self._next_at_ns[index] = phase.next_at_ns(work)


def make_turns(people: PeopleBoard, purchases: PurchaseSender) -> Turns:
    """Return the phases: first what the ledger says, then what follows from it."""
    return Turns(make_phases(people, purchases))


def make_phases(people: PeopleBoard, purchases: PurchaseSender) -> Sequence[Phase]:
    """Return the phases in their order."""
    deadlines, unloading = Deadlines(), Unloading()
    return (
        _phase(
            settle_commands, t.edge_command, t.movement, t.mission_end, next_at_ns=next_drop_at_ns
        ),
        _phase(settle_moves, t.task, t.movement, t.customer_order, by_id=True),
        _phase(name_lots, t.movement, by_id=True),
        _phase(settle_short, t.task, t.task_short, by_id=True),
        _phase(settle_counts, t.task, t.mission_end, t.observation, by_id=True),
        _phase(settle_deliveries, t.task, t.edge_command, by_id=True),
        _phase(drop_unreserved, t.task, t.reservation, t.movement, by_id=True),
        _phase(deadlines.watch, t.task, next_at_ns=deadlines.next_at_ns, by_id=True),
        _phase(update_lines, t.order_line, t.customer_order, t.task, by_id=True),
        _phase(receive_arrivals, t.purchase_order, t.task, t.task_short),
        _phase(unloading.ask, next_at_ns=unloading.next_at_ns),
        _phase(put_away, t.balance, t.task, t.reservation),
        _phase(allocate_lines, t.order_line, t.customer_order, t.balance, t.reservation),
        _phase(advance_orders, t.customer_order, t.order_line, by_id=True),
        _phase(deliver_picked, t.customer_order, t.task, t.order_line, next_at_ns=next_try_at_ns),
        _phase(settle_proposals, t.proposal, t.task, t.purchase_order, by_id=True),
        _phase(settle_adjustments, t.proposal, t.edge_command),
        _phase(judge_counts, t.bin_count, t.proposal, next_at_ns=next_judging_at_ns),
        _phase(expire_proposals, t.proposal, next_at_ns=next_expiry_at_ns),
        Phase(raise_doubts, always=True),
        _phase(send_eyes, t.edge_command, t.task),
        _phase(people.assign, t.task, t.lot, t.lot_balance, by_id=True),
        _phase(people.publish, t.task, t.task_end, t.movement, t.lot, t.lot_balance, by_id=True),
        _phase(purchases.send, t.purchase_order, next_at_ns=purchases.next_at_ns),
        _phase(send_commands, t.edge_command, next_at_ns=next_sending_at_ns),
    )


def _phase(
    do: Callable[[Round], None],
    *reads: Table,
    next_at_ns: NextAt | None = None,
    by_id: bool = False,
) -> Phase:
    return Phase(do, frozenset(str(table.name) for table in reads), next_at_ns, by_id=by_id)


def raise_doubts(work: Round) -> None:
    """Propose to count the bins that did not give what the book says."""
    doubts, work.doubts[:] = work.doubts[:DOUBTS_PER_ROUND_MAX], []
    for place, why, task_id in doubts:
        propose_count(work, place, reason=why, causes=(task_id,))
