"""What people do beside the tasks on their screens, because somebody told them to.

A recalled lot is put aside: they go to every bin that may hold some of it, look at the labels, and
put what is of the lot into quarantine, with a scan at each bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sim_hardware.devices import scan_text
from sim_hardware.world.lots import Mark
from sim_hardware.world.people import Outcome, Pause, Person, Script, Step
from wire.ids import bin_location
from wire.site import BinRow

QUARANTINE: Final = "quarantine:"
LOOK_S: Final = 2.0
TIMES_ROUND: Final = 3
"""So often they go round: goods that were on their way stand in a bin the next time."""
ROUND_S: Final = 30.0


class Worker(Person):
    """A person who also runs errands."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._errands: list[tuple[str, str, tuple[BinRow, ...]]] = []

    def recall(self, gtin: str, lot: str, bins: Sequence[BinRow]) -> None:
        """Have all of a lot put into quarantine that is in these bins of this person's zone."""
        self._errands.append((gtin, lot, tuple(bins)))
        self._wake(0.0)

    def _begin(self) -> None:
        if self._script is not None or not self._errands:
            super()._begin()
            return
        self._task = None
        self._script = self._hand_over() if self._held else self._run_errand()
        self._resume(None)

    def _run_errand(self) -> Script:
        gtin, lot, bins = self._errands.pop(0)
        for turn in range(TIMES_ROUND):
            if turn:
                yield Pause(ROUND_S)
            for row in bins:
                yield from self._clear(gtin, lot, row)
        return Outcome.DONE

    def _clear(self, gtin: str, lot: str, row: BinRow) -> Step:
        """Put what is of the lot in one bin aside; return whether nothing of it is left there."""
        place = bin_location(row.bin_id)
        if not self._world.stock.units_at(place, gtin):
            return True
        yield from self._walk(row.node_id)
        yield Pause(LOOK_S)
        while mark := self._of_lot(place, gtin, lot):
            units = self._world.stock.marks_at(place, gtin)[mark]
            if not (yield from self._say_where("QUARANTINE", row.bin_id)):
                self._mode = ""
                return False
            yield self._handle(units)
            units = min(units, self._world.stock.marks_at(place, gtin).get(mark, 0))
            if not units:
                continue
            self._move(gtin, units, from_place=place, to_place=QUARANTINE, mark=mark)
            if not (yield from self._put_aside(scan_text.article(gtin, units, mark))):
                self._move(gtin, units, from_place=QUARANTINE, to_place=place, mark=mark)
                self.touched_bins.clear()
                return False
            self.touched_bins.clear()
        return True

    def _of_lot(self, place: str, gtin: str, lot: str) -> Mark | None:
        marks = self._world.stock.marks_at(place, gtin)
        return min((mark for mark in marks if mark.lot == lot), default=None)

    def _put_aside(self, text: str) -> Step:
        """Scan all of the lot at this bin until there is a beep; return whether it is booked.

        Where a beep was missed, the next one refuses: nothing of the lot is left in the book.
        """
        for attempt in range(3):
            answer = yield from self._aim(text)
            if answer is not None:
                return answer.ok or attempt > 0
        return False
