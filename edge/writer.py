"""Group commit: everything that arrived since the last commit goes into the next transaction.

All of it happens on the store lane. What wants to be written is a `Work`: it is applied inside the
transaction, and told once the commit is durable or has failed. Nothing is said to a device before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from edge.counting.facts import append_facts
from edge.counting.store import CommitError, EdgeStore, Transaction, why_not_to_be_kept
from runtime.clock import Clock
from runtime.lanes import Lane, Timer
from runtime.metrics import Metrics
from wire.messages import BinSighted, StockEvent

WORKS_PER_COMMIT_MAX: Final = 500
WORKS_WAITING_MAX: Final = 10_000
"""With so many waiting scans are refused (`busy`) and facts are held back."""
FACTS_HELD_MAX: Final = 5_000
FACTS_RETRY_S: Final = 1.0
log = structlog.get_logger()


class Work(Protocol):
    """Something to be written."""

    def apply(self, tx: Transaction) -> None:
        """Write it in this transaction."""

    def committed(self, at_ns: int) -> None:
        """Tell whoever waits that it is durable since `at_ns`."""

    def failed(self, reason: str) -> None:
        """Tell whoever waits that nothing of it was written."""


class Writer:
    """The one writer of an edge's database. All calls are made on its lane."""

    def __init__(
        self,
        store: EdgeStore,
        *,
        lane: Lane,
        clock: Clock,
        metrics: Metrics,
        on_commit: Callable[[], None],
    ) -> None:
        self.store = store
        self._lane = lane
        self._clock = clock
        self._metrics = metrics
        self._on_commit = on_commit
        self._waiting: deque[Work] = deque()
        self._scheduled = False
        self._held: deque[StockEvent] = deque()
        self._retry: Timer | None = None

    @property
    def is_full(self) -> bool:
        """Return whether so much waits that whoever can wait has to."""
        return len(self._waiting) >= WORKS_WAITING_MAX

    def submit(self, work: Work) -> None:
        """Write `work` with the next commit."""
        self._waiting.append(work)
        if not self._scheduled:
            self._scheduled = True
            # Posted, not called: what is queued on the lane before it comes into the same commit.
            self._lane.post(self._flush)

    def submit_facts(self, events: Sequence[StockEvent]) -> None:
        """Write events that happened whatever we say; they are tried again where a commit fails.

        What cannot be an event (no such number of units, far too long) is refused and counted.
        """
        kept = self.to_be_kept(events)
        if kept and self.is_full:
            self._hold(kept)
        elif kept:
            self.submit(_Facts(kept, self._hold))

    def to_be_kept(self, events: Sequence[StockEvent]) -> list[StockEvent]:
        """Return the events that may come into the journal; the others are counted and logged."""
        kept = []
        for event in events:
            reason = why_not_to_be_kept(event)
            if reason:
                self._metrics.count("wire_refused", "stock-event")
                log.error("event refused", event_id=event.event_id[:120], reason=reason)
            else:
                kept.append(event)
        return kept

    def _flush(self) -> None:
        count = min(len(self._waiting), WORKS_PER_COMMIT_MAX)
        works = [self._waiting.popleft() for _ in range(count)]
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            self._lane.post(self._flush)
        before = self.store.last_seq
        try:
            with self.store.transaction() as tx:
                for work in works:
                    work.apply(tx)
        except CommitError as error:
            self._metrics.count("commits_failed")
            log.warning("commit failed", reason=str(error), works=len(works))
            for work in works:
                work.failed(str(error))
            return
        at_ns = self._clock.now_ns()
        self._metrics.count("commits")
        if self.store.last_seq > before:
            self._metrics.count("events_accepted", by=self.store.last_seq - before)
        if tx.discrepancies:
            self._metrics.count("discrepancies", by=tx.discrepancies)
        for work in works:
            work.committed(at_ns)
        self._on_commit()

    def _hold(self, events: Sequence[StockEvent]) -> None:
        """Keep facts for another try; over the limit sightings go (the camera looks again)."""
        self._held.extend(events)
        if len(self._held) > FACTS_HELD_MAX:
            kept = [event for event in self._held if not isinstance(event, BinSighted)]
            dropped = len(self._held) - len(kept[-FACTS_HELD_MAX:])
            self._held = deque(kept[-FACTS_HELD_MAX:])
            self._metrics.count("facts_dropped", by=dropped)
        if self._retry is None:
            self._retry = self._lane.call_later(FACTS_RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        held, self._held = list(self._held), deque()
        self.submit_facts(held)


class _Facts:
    """Events that are not asked back."""

    def __init__(
        self, events: Sequence[StockEvent], hold: Callable[[Sequence[StockEvent]], None]
    ) -> None:
        self._events = events
        self._hold = hold

    def apply(self, tx: Transaction) -> None:
        """Write each event that is not in the journal yet."""
        append_facts(tx, self._events)

    def committed(self, at_ns: int) -> None:
        """Do nothing: nobody waits for it."""

    def failed(self, reason: str) -> None:  # noqa: ARG002 - part of the interface
        """Try again later."""
        self._hold(self._events)
