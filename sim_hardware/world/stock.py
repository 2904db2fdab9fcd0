"""Physical stock: which units are where. Units only move; they come in and go out at two gates."""

from __future__ import annotations

from collections import Counter


class NotThereError(Exception):
    """Fewer units are there than somebody wants to take; nothing was moved."""


class PhysicalStock:
    """Units by place and article. What came in is either somewhere or went out, always."""

    def __init__(self) -> None:
        self._units: dict[str, dict[str, int]] = {}
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

    def arrive(self, place: str, gtin: str, units: int) -> None:
        """Let units come into the world at `place`."""
        assert units > 0, f"{units} units of {gtin} cannot arrive at {place}"
        self._came_in[gtin] += units
        self._put(place, gtin, units)

    def leave(self, place: str, gtin: str, units: int) -> None:
        """Let units go out of the world from `place`. Raises NotThereError."""
        self._take(place, gtin, units)
        self._went_out[gtin] += units

    def move(self, gtin: str, units: int, *, from_place: str, to_place: str) -> None:
        """Move units from one place to another. Raises NotThereError."""
        self._take(from_place, gtin, units)
        self._put(to_place, gtin, units)

    def missing(self) -> dict[str, int]:
        """Return by GTIN-14 the units that came in and are neither here nor out: always empty."""
        found: Counter[str] = Counter(self._came_in)
        found.subtract(self._went_out)
        for held in self._units.values():
            found.subtract(held)
        return {gtin: units for gtin, units in found.items() if units}

    def _put(self, place: str, gtin: str, units: int) -> None:
        held = self._units.setdefault(place, {})
        held[gtin] = held.get(gtin, 0) + units

    def _take(self, place: str, gtin: str, units: int) -> None:
        assert units > 0, f"{units} units of {gtin} cannot be taken from {place}"
        held = self._units.get(place, {})
        there = held.get(gtin, 0)
        if there < units:
            raise NotThereError(f"{place}: {there} units of {gtin} are there, {units} are wanted")
        if there == units:
            del held[gtin]
            if not held:
                del self._units[place]
        else:
            held[gtin] = there - units
