"""What waits for ever in central's books: late, with no next step, or with workers that idle."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from runtime.clock import NS_PER_S

GRACE_S: Final = 60.0
"""Product seconds: what has no next step for longer than this was forgotten."""
LATE_S: Final = 4.0
"""The same of a deadline: whoever watches it looks every second, and at a start at once."""

LATE: Final[dict[str, str]] = {
    "task {} is past its deadline": (
        "SELECT task_id FROM task WHERE status IN ('open', 'assigned', 'moving') AND due_at_ns < ?"
    ),
    "proposal {} waits past its time": (
        "SELECT proposal_id FROM proposal WHERE status = 'waiting' AND expires_at_ns < ?"
    ),
    "command {} to an edge is past its time": (
        "SELECT command_id FROM edge_command"
        " WHERE status = 'open' AND expires_at_ns > 0 AND expires_at_ns < ?"
    ),
}
"""By what is said of an id: which ids it is said of; the parameter is now less the short grace."""
OVERDUE: Final[dict[str, str]] = {
    "purchase order {} was never confirmed": (
        "SELECT po_id FROM purchase_order WHERE status = 'sent' AND changed_at_ns < ?"
    ),
    "order {} is allocated and nobody is asked to pick it": (
        "SELECT order_id FROM customer_order o WHERE status = 'allocated' AND ordered_at_ns < ?"
        " AND NOT EXISTS (SELECT 1 FROM task t WHERE t.order_id = o.order_id AND t.kind = 'pick'"
        " AND t.status IN ('open', 'assigned', 'moving'))"
    ),
    "order {} is picked and nobody is asked to deliver it": (
        "SELECT order_id FROM customer_order o WHERE status = 'picked' AND NOT EXISTS"
        " (SELECT 1 FROM task t WHERE t.order_id = o.order_id AND t.kind = 'deliver'"
        " AND (t.status IN ('open', 'assigned', 'moving') OR t.done_at_ns >= ?1))"
        " AND NOT EXISTS (SELECT 1 FROM task t WHERE t.order_id = o.order_id AND t.kind = 'pick'"
        " AND t.done_at_ns >= ?1)"
    ),
    "proposal {} is approved and nothing is under way for it": (
        "SELECT proposal_id FROM proposal p WHERE status = 'approved' AND decided_at_ns < ?"
        " AND NOT EXISTS (SELECT 1 FROM task t WHERE t.proposal_id = p.proposal_id"
        " AND t.status IN ('open', 'assigned', 'moving'))"
        " AND NOT EXISTS (SELECT 1 FROM purchase_order o WHERE o.proposal_id = p.proposal_id"
        " AND o.status != 'received')"
    ),
    "purchase order {} arrived and nobody is asked to receive it": (
        "SELECT po_id FROM purchase_order o WHERE status = 'arrived' AND changed_at_ns < ?"
        " AND NOT EXISTS (SELECT 1 FROM task t WHERE t.po_id = o.po_id AND t.kind = 'receive'"
        " AND t.status IN ('open', 'assigned', 'moving'))"
    ),
}
"""By what is said of an id: which ids it is said of; the parameter is now less the grace."""
NO_DEADLINE: Final[dict[str, str]] = {
    "task {} has no deadline": (
        "SELECT task_id FROM task WHERE status IN ('open', 'assigned', 'moving') AND due_at_ns <= 0"
    ),
    "proposal {} has no deadline": (
        "SELECT proposal_id FROM proposal WHERE status = 'waiting' AND expires_at_ns <= 0"
    ),
}


def waits_for_ever(central: sqlite3.Connection, now_ns: int) -> Iterator[str]:
    """Yield a line for each thing that is past its deadline, has none, or has no next step."""
    for grace_s, queries in ((LATE_S, LATE), (GRACE_S, OVERDUE)):
        before_ns = now_ns - round(grace_s * NS_PER_S)
        for said, query in queries.items():
            yield from (said.format(id_) for (id_,) in central.execute(query, (before_ns,)))
    for said, query in NO_DEADLINE.items():
        yield from (said.format(id_) for (id_,) in central.execute(query))


WORKERS: Final = ("person", "robot")
STILL_S: Final = 120.0
"""Product seconds without anything done, while there was something to do all the time."""
_WAITED: Final = (
    "SELECT count(*), min(task_id) FROM task WHERE worker_kind = ?1 AND created_at_ns < ?2"
    " AND (status IN ('open', 'assigned', 'moving') OR done_at_ns >= ?2)"
)
_DONE: Final = (
    "SELECT count(*) FROM task t WHERE worker_kind = ?1 AND (done_at_ns >= ?2 OR EXISTS"
    " (SELECT 1 FROM movement m WHERE m.task_id = t.task_id AND m.committed_at_ns >= ?2))"
)


def stands_still(central: sqlite3.Connection, now_ns: int) -> Iterator[str]:
    """Yield a line for each kind of worker that has had work for long and has done nothing."""
    since = now_ns - round(STILL_S * NS_PER_S)
    for worker in WORKERS:
        waited, example = central.execute(_WAITED, (worker, since)).fetchone()
        if waited and not central.execute(_DONE, (worker, since)).fetchone()[0]:
            yield f"no {worker} has done anything for {STILL_S:g} s, {waited} tasks wait: {example}"
