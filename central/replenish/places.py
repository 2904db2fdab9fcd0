"""Stock as the planner sees it while it plans: what is free to take and where there is room."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from central.replenish.types import PlanningSnapshot
from wire.ids import bin_location, bin_of
from wire.site import BinRow

_NOTHING: Final[frozenset[str]] = frozenset()


class Stock:
    """The snapshot's stock, less what this plan has promised already."""

    def __init__(self, snapshot: PlanningSnapshot) -> None:
        self._snapshot = snapshot
        self._bins = snapshot.site.bins
        self._taken: Counter[tuple[str, str]] = Counter()
        self._brought: Counter[tuple[str, str]] = Counter()
        self._filled: Counter[str] = Counter()
        self._articles: defaultdict[str, set[str]] = defaultdict(set)
        self._site: Counter[str] = Counter()
        self._known: defaultdict[str, dict[str, BinRow]] = defaultdict(dict)
        """By article the bins that any of the snapshot's numbers, or this plan's, are about."""
        self._reserve: defaultdict[tuple[str, str], list[BinRow]] = defaultdict(list)
        """Reserve bins by edge and the article they are slotted for."""
        for shelf in self._bins.values():
            if shelf.kind == "reserve":
                self._reserve[shelf.edge_id, shelf.gtin].append(shelf)
        self._edges = sorted({edge for edge, _ in self._reserve})
        for (place, gtin), units in snapshot.balances.items():
            row = self._bins.get(bin_of(place) or "")
            if place.startswith("robot:") or (row is not None and row.kind != "pack"):
                self._site[gtin] += units
        for numbers in (
            snapshot.balances, snapshot.inbound, snapshot.reserved, snapshot.promised
        ):  # fmt: skip
            for place, gtin in numbers:
                self._know(place, gtin)
        for units_by_place in (snapshot.balances, snapshot.inbound):
            for (place, gtin), units in units_by_place.items():
                bin_id = bin_of(place)
                if bin_id is not None and units > 0:
                    self._filled[bin_id] += units
                    self._articles[bin_id].add(gtin)

    def filled(self) -> Mapping[str, int]:
        """Return by bin the units that the books have there or on their way there."""
        return self._filled

    def _know(self, place: str, gtin: str) -> None:
        found = self._bins.get(bin_of(place) or "")
        if found is not None:
            self._known[gtin][found.bin_id] = found

    def known(self, gtin: str) -> Iterable[BinRow]:
        """Return the bins that may have units of `gtin` on hand, inbound or promised."""
        return self._known[gtin].values()

    def on_hand(self, bin_id: str, gtin: str) -> int:
        """Return the units the book shows in a bin."""
        return self._snapshot.balances.get((bin_location(bin_id), gtin), 0)

    def inbound(self, bin_id: str, gtin: str) -> int:
        """Return the units on their way to a bin, this plan's included."""
        key = (bin_location(bin_id), gtin)
        return self._snapshot.inbound.get(key, 0) + self._brought.get(key, 0)

    def promised(self, bin_id: str, gtin: str) -> int:
        """Return the units of a bin that are promised away, this plan's included."""
        key = (bin_location(bin_id), gtin)
        found = self._snapshot
        return found.reserved.get(key, 0) + found.promised.get(key, 0) + self._taken.get(key, 0)

    def free(self, bin_id: str, gtin: str) -> int:
        """Return the units that may still be taken from a bin, never negative."""
        return max(0, self.on_hand(bin_id, gtin) - self.promised(bin_id, gtin))

    def position(self, bin_id: str, gtin: str) -> int:
        """Return on hand + inbound - promised of a bin."""
        return self.on_hand(bin_id, gtin) + self.inbound(bin_id, gtin) - self.promised(bin_id, gtin)

    def room(self, bin_id: str) -> int:
        """Return how many units still fit: what is promised away stands there until it is gone."""
        return max(0, self._bins[bin_id].capacity_units - self._filled.get(bin_id, 0))

    def move(self, gtin: str, units: int, *, from_bin: str, to_bin: str) -> None:
        """Note a proposed move, so that nothing is promised twice."""
        assert 0 < units <= self.free(from_bin, gtin), "a plan took more than is free"
        assert units <= self.room(to_bin), "a plan overfilled a bin"
        self._taken[bin_location(from_bin), gtin] += units
        self._brought[bin_location(to_bin), gtin] += units
        self._filled[to_bin] += units
        self._articles[to_bin].add(gtin)
        self._know(bin_location(to_bin), gtin)

    def sources(self, gtin: str, want_units: int, near: BinRow) -> list[BinRow]:
        """Return the reserve bins with free units of `gtin`, best first.

        Rests go last: no whole case left and less than is wanted, not worth a trip while another
        bin has more. The target's own edge first; bins in doubt last; a bin that covers
        `want_units` alone before one that does not; among covering bins the least filled (it
        becomes empty and makes room), among the others the fullest (fewest trips); then by name.
        """
        case_units = self._snapshot.site.articles[gtin].case_units

        def rank(row: BinRow) -> tuple[bool, bool, bool, bool, int, str]:
            free = self.free(row.bin_id, gtin)
            covers = free >= want_units
            return (
                free < min(case_units, want_units),
                row.edge_id != near.edge_id,
                row.bin_id in self._snapshot.doubtful_bins,
                not covers,
                free if covers else -free,
                row.bin_id,
            )

        rows = [
            row
            for row in self.known(gtin)
            if row.kind == "reserve" and row.bin_id != near.bin_id and self.free(row.bin_id, gtin)
        ]
        return sorted(rows, key=rank)

    def reserve_bins_with_room(self, gtin: str, near: BinRow, edge_id: str = "") -> list[BinRow]:
        """Return the reserve bins (of one edge) where `gtin` may be put, best first.

        Articles are not mixed in a bin. Bins slotted for the article first, then those that hold it
        already, then empty ones, each nearest to `near` first. Good for putaway as well.
        """

        def rank(row: BinRow) -> tuple[bool, bool, float, str]:
            away_m = abs(row.x_m - near.x_m) + abs(row.y_m - near.y_m)
            return (row.gtin != gtin, not self._articles.get(row.bin_id), away_m, row.bin_id)

        rows = [
            row
            for edge in ([edge_id] if edge_id else self._edges)
            for slotted in ("", gtin)
            for row in self._reserve.get((edge, slotted), ())
            if self._articles.get(row.bin_id, _NOTHING) <= {gtin} and self.room(row.bin_id) > 0
        ]
        return sorted(rows, key=rank)

    def site_units(self, gtin: str) -> int:
        """Return the units of `gtin` on the site that left no bin for good: in bins, on robots."""
        return self._site[gtin]

    def reserve_room(self) -> int:
        """Return how many units fit into all reserve bins together, beyond what is on its way."""
        return sum(self.room(row.bin_id) for rows in self._reserve.values() for row in rows)
