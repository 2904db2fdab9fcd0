"""What an event does to the counts: pure, so that the journal alone gives the same table again.

Counts are kept for every place that a movement names; what comes to one place left another, so
the counts of an article sum to zero over all places. Scans may not take more than the book holds
(the scan session refuses them before). Facts are booked whatever the book says: a robot's finished
pick or central's command happened, so a count of a bin may go negative. That is a discrepancy: it
is counted as one, and somebody should look at the bin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wire.messages import Movement, StockEvent

SCAN_REASONS: Final = frozenset({"receive", "putaway", "pick"})
UNDO_REASON: Final = "undo"

Delta = tuple[str, str, int]
"""Place, article, units more."""


def deltas(event: StockEvent) -> tuple[Delta, ...]:
    """Return what an event changes in the counts; an observation changes nothing."""
    if not isinstance(event, Movement):
        return ()
    return (
        (event.from_place, event.gtin, -event.units),
        (event.to_place, event.gtin, event.units),
    )


def task_units(event: StockEvent) -> tuple[str, int] | None:
    """Return the task that a person's scan worked on and the units done (taken back: negative)."""
    if not isinstance(event, Movement) or not event.task_id or not event.person_id:
        return None
    if event.reason in SCAN_REASONS:
        return event.task_id, event.units
    if event.reason == UNDO_REASON:
        return event.task_id, -event.units
    return None


class Fold:
    """The counts and task progress that a journal adds up to."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.task_units: dict[str, int] = {}

    def add(self, events: Iterable[StockEvent]) -> Fold:
        """Add events in journal order; return this fold."""
        for event in events:
            for place, gtin, units in deltas(event):
                self.counts[place, gtin] = self.counts.get((place, gtin), 0) + units
            done = task_units(event)
            if done is not None:
                self.task_units[done[0]] = self.task_units.get(done[0], 0) + done[1]
        return self
