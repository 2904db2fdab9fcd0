"""What was planned by a clock that ran ahead is brought back, so that nothing waits for its time.

Deadlines and repetitions are kept as UTC. Where the machine's clock was ahead for a while and is
put right, they would lie in a future that nobody meant: a repetition in an hour's time, a task due
tomorrow. None is ever planned further ahead than its own setting says; what is, is wrong.
"""

from __future__ import annotations

from typing import Final

import structlog
from sqlalchemy import Column, ColumnElement, bindparam, update

from central.ledger.reservations import OPEN_STATUSES
from central.statement import Statement
from central.tables import bin_count, edge_command, proposal, task
from central.tasking.commands import PAUSE_S_MAX
from central.tasking.deadlines import WITHDRAWN_GRACE_S
from central.tasking.round import Round
from runtime.clock import NS_PER_S, Clock

BACK_S: Final = 1.0
"""Less than that is a clock that is kept in step."""
log = structlog.get_logger()


class ClockWatch:
    """Notices that the UTC clock was put back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ns = self._now_ahead_ns()

    def was_put_back(self) -> bool:
        """Return whether it was since the last time this was asked."""
        before, self._ahead_ns = self._ahead_ns, self._now_ahead_ns()
        back_s = (before - self._ahead_ns) / NS_PER_S
        if back_s < BACK_S:
            return False
        log.warning("the clock was put back", seconds=round(back_s, 3))
        return True

    def _now_ahead_ns(self) -> int:
        return self._clock.now_ns() - self._clock.monotonic_ns()


def _bring_back(column: Column[int], *conditions: ColumnElement[bool]) -> Statement:
    """Return what brings `column` back to `latest_ns` where it is later."""
    return Statement(
        update(column.table)
        .where(column > bindparam("latest_ns"), *conditions)
        .values({column.name: bindparam("latest_ns")})
    )


_OPEN_COMMAND: Final = edge_command.c.status == "open"
_SENDING: Final = _bring_back(edge_command.c.next_at_ns, _OPEN_COMMAND)
_GIVING_UP: Final = _bring_back(edge_command.c.expires_at_ns, _OPEN_COMMAND)
_DUE: Final = _bring_back(task.c.due_at_ns, task.c.status.in_(OPEN_STATUSES))
_ENDED: Final = _bring_back(task.c.done_at_ns, task.c.status.in_(("failed", "cancelled")))
_EXPIRY: Final = _bring_back(proposal.c.expires_at_ns, proposal.c.status != "approved")
_COUNTED: Final = _bring_back(bin_count.c.committed_at_ns)
_DECIDED: Final = _bring_back(proposal.c.decided_at_ns, proposal.c.status == "failed")


def bring_back(work: Round) -> None:
    """Let nothing wait for longer from now than it could have been told to."""
    tasking, policy = work.config.tasking, work.config.policy
    due_s = max(tasking.task_due_s, WITHDRAWN_GRACE_S)
    for statement, seconds in (
        (_SENDING, max(PAUSE_S_MAX, tasking.record_after_s)),
        (_GIVING_UP, max(tasking.record_give_up_s, due_s)),
        (_DUE, due_s),
        (_EXPIRY, policy.proposal_expires_s),
        (_ENDED, 0.0),
        (_DECIDED, 0.0),
        (_COUNTED, 0.0),
    ):
        statement.run(work.conn, {"latest_ns": work.later_ns(seconds)})
