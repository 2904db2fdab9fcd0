"""Physical stock: which units are where. Units only move; they come in and go out at two gates."""

from __future__ import annotations

from collections import Counter

from sim_hardware.world.lots import NO_MARK, Mark


class NotThereError(Exception):
    """Fewer units are there than somebody wants to take; nothing was moved."""


class PhysicalStock:
    """Units by place and article. What came in is either somewhere or went out, always."""

    def __init__(self) -> None:
        self._units: dict[str, dict[str, int]] = {}
        self._marks: dict[tuple[str, str], dict[Mark, int]] = {}
        """By place and article: units of a lot or with a number; the rest has neither."""
        self._gone: Counter[tuple[str, str]] = Counter()
        self._came_in: Counter[str] = Counter()
        self._went_out: Counter[str] = Counter()

    def stock_at(self, place: str) -> dict[str, int]:
        """Return the units at `place` by GTIN-14."""
        return dict(self._units.get(place, {}))

    def units_at(self, place: str, gtin: str) -> int:
        """Return the units of one article at `place`."""
        return self._units.get(place, {}).get(gtin, 0)

    def rows(self) -> list[tuple[str, str, int]]:
        """Return all stock as (place, GTIN-14, units), sorted."""
        return sorted(
            (place, gtin, units)
            for place, held in self._units.items()
            for gtin, units in held.items()
        )

    def lots(self) -> list[tuple[str, str, str, int]]:
        """Return all stock that is of a lot as (place, GTIN-14, lot, units), sorted."""
        found: Counter[tuple[str, str, str]] = Counter()
        for (place, gtin), marks in self._marks.items():
            for mark, units in marks.items():
                if mark.lot:
                    found[place, gtin, mark.lot] += units
        return sorted((*key, units) for key, units in found.items())

    def serials(self) -> list[tuple[str, str, str]]:
        """Return the units with a serial number as (place, GTIN-14, serial number), sorted."""
        return sorted(
            (place, gtin, mark.serial)
            for (place, gtin), marks in self._marks.items()
            for mark in marks
            if mark.serial
        )

    def lot_units_out(self, gtin: str, lot: str) -> int:
        """Return the units of a lot that went out of the world."""
        return self._gone[gtin, lot]

    def first(self, place: str, gtin: str, units: int, lot: str = "") -> tuple[Mark, int]:
        """Return what somebody takes who wants `units`, best of a lot: alike ones, maybe fewer."""
        marks = self._marks.get((place, gtin))
        if not marks:
            return NO_MARK, units
        asked = [mark for mark in marks if lot and mark.lot == lot]
        unmarked = self.units_at(place, gtin) - sum(marks.values())
        if unmarked > 0 and not asked:
            return NO_MARK, min(units, unmarked)
        mark = min(asked or marks)
        return mark, min(units, marks[mark])

    def marks_at(self, place: str, gtin: str) -> dict[Mark, int]:
        """Return the units at a place that are of a lot or have a number."""
        return dict(self._marks.get((place, gtin), {}))

    def arrive(self, place: str, gtin: str, units: int, mark: Mark = NO_MARK) -> None:
        """Let units come into the world at `place`."""
        assert units > 0, f"{units} units of {gtin} cannot arrive at {place}"
        self._came_in[gtin] += units
        self._put(place, gtin, units, {mark: units} if mark != NO_MARK else {})

    def leave(self, place: str, gtin: str, units: int) -> None:
        """Let units go out of the world from `place`. Raises NotThereError."""
        for mark, of_mark in self._take(place, gtin, units, NO_MARK).items():
            self._gone[gtin, mark.lot] += of_mark
        self._went_out[gtin] += units

    def move(
        self, gtin: str, units: int, *, from_place: str, to_place: str, mark: Mark = NO_MARK
    ) -> None:
        """Move units from one place to another, first those with `mark`. Raises NotThereError."""
        self._put(to_place, gtin, units, self._take(from_place, gtin, units, mark))

    def missing(self) -> dict[str, int]:
        """Return by GTIN-14 the units that came in and are neither here nor out: always empty."""
        found: Counter[str] = Counter(self._came_in)
        found.subtract(self._went_out)
        for held in self._units.values():
            found.subtract(held)
        return {gtin: units for gtin, units in found.items() if units}

    def _put(self, place: str, gtin: str, units: int, marks: dict[Mark, int]) -> None:
        held = self._units.setdefault(place, {})
        held[gtin] = held.get(gtin, 0) + units
        if marks:
            there = self._marks.setdefault((place, gtin), {})
            for mark, of_mark in marks.items():
                there[mark] = there.get(mark, 0) + of_mark

    def _take(self, place: str, gtin: str, units: int, first: Mark) -> dict[Mark, int]:
        """Take units; return how many of them are of which mark, but those of none."""
        assert units > 0, f"{units} units of {gtin} cannot be taken from {place}"
        held = self._units.get(place, {})
        there = held.get(gtin, 0)
        if there < units:
            raise NotThereError(f"{place}: {there} units of {gtin} are there, {units} are wanted")
        marks = self._marks.get((place, gtin))
        taken = {} if marks is None else self._take_marks(place, gtin, units, first)
        if there == units:
            del held[gtin]
            if not held:
                del self._units[place]
        else:
            held[gtin] = there - units
        return taken

    def _take_marks(self, place: str, gtin: str, units: int, first: Mark) -> dict[Mark, int]:
        """Take from what is marked what is not of `first`, nor of no mark."""
        marks = self._marks[place, gtin]
        taken: dict[Mark, int] = {}
        rest = units
        unmarked = self._units[place][gtin] - sum(marks.values())
        for mark in (first, NO_MARK, *sorted(marks)):
            if mark == NO_MARK:
                of_mark, unmarked = min(rest, unmarked), 0
            else:
                of_mark = min(rest, marks.get(mark, 0) - taken.get(mark, 0))
                if of_mark:
                    taken[mark] = taken.get(mark, 0) + of_mark
            rest -= of_mark
        for mark, of_mark in taken.items():
            marks[mark] -= of_mark
            if not marks[mark]:
                del marks[mark]
        if not marks:
            del self._marks[place, gtin]
        return taken
