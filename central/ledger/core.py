"""What a journal batch means for the ledger: pure, from values to values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wire.messages import JournalBatch, Movement, StockEvent

PlaceGtin = tuple[str, str]
"""(place, GTIN-14)."""


@dataclass(slots=True)
class Watermarks:
    """How far each (edge, epoch) is in the ledger, without a hole. Missing: nothing of it yet."""

    seqs: dict[tuple[str, int], int] = field(default_factory=dict)

    def fresh_rows(self, batch: JournalBatch) -> list[tuple[int, StockEvent]] | None:
        """Return the (seq, event) rows of `batch` that are next, and move on past them.

        Rows below the watermark are left out: they are in the ledger. None where the batch begins
        beyond the next row: taking it would leave a hole, so the edge must send from there again.
        """
        key = (batch.edge_id, batch.epoch)
        known = self.seqs.get(key, 0)
        if batch.first_seq > known + 1:
            return None
        rows = [
            (seq, event)
            for seq, event in enumerate(batch.events, start=batch.first_seq)
            if seq > known
        ]
        self.seqs[key] = max(known, batch.first_seq + len(batch.events) - 1)
        return rows


def balance_changes(movements: Iterable[Movement]) -> dict[PlaceGtin, int]:
    """Return what these movements add to each (place, gtin); what stays the same is left out."""
    changes: dict[PlaceGtin, int] = {}
    get = changes.get
    for move in movements:
        gtin, units = move.gtin, move.units
        left, came = (move.from_place, gtin), (move.to_place, gtin)
        changes[left] = get(left, 0) - units
        changes[came] = get(came, 0) + units
    return {place: units for place, units in changes.items() if units}


def to_release(
    balance_units: int, reserved: Mapping[str, int], newest_first: Iterable[str]
) -> list[str]:
    """Return the tasks that lose their reservation, so that the rest fits in the balance."""
    over_units = sum(reserved.values()) - balance_units
    lost = []
    for task_id in newest_first:
        if over_units <= 0:
            break
        lost.append(task_id)
        over_units -= reserved[task_id]
    return lost
