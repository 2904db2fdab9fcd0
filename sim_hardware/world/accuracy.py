"""Inventory accuracy: in how many bins, and for how many units, the books say what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

import msgspec

from wire.ids import bin_of

Row = tuple[str, str, int]
"""(place, GTIN-14, units)."""


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """How well the books fit what is there. Bins where a hand is at work are left out."""

    bins: int
    """Bins that were compared."""
    bins_true: int
    """Of these: every article's units are as in the books."""
    pairs: int
    """Articles in bins, by the books or in truth."""
    pairs_true: int
    units: int
    """Units that are there or in the books, the larger of the two for each pair."""
    units_off: int
    """Units too many or too few, over all pairs."""
    differences: tuple[Row, ...] = ()
    """(place, GTIN-14, units there less units in the books), where that is not 0; sorted."""

    @property
    def bin_share(self) -> float:
        """Return the share of bins that are true; 1 where there are none."""
        return self.bins_true / self.bins if self.bins else 1.0

    @property
    def pair_share(self) -> float:
        """Return the share of articles in bins whose units are true."""
        return self.pairs_true / self.pairs if self.pairs else 1.0

    @property
    def unit_share(self) -> float:
        """Return the share of units that are where the books have them."""
        return 1.0 - self.units_off / self.units if self.units else 1.0


def accuracy_of(
    books: Iterable[Row],
    truth: Iterable[Row],
    bins: Collection[str],
    *,
    leave_out: Collection[str] = (),
) -> Accuracy:
    """Return how the books compare with the truth in `bins`; other places do not matter."""
    hidden = set(leave_out)
    booked, there = (_by_pair(rows, bins, hidden) for rows in (books, truth))
    pairs = sorted(booked.keys() | there.keys())
    off = {pair: there[pair] - booked[pair] for pair in pairs if there[pair] != booked[pair]}
    looked_at = sum(bin_id not in hidden for bin_id in bins)
    return Accuracy(
        bins=looked_at,
        bins_true=looked_at - len({place for place, _ in off}),
        pairs=len(pairs),
        pairs_true=len(pairs) - len(off),
        units=sum(max(booked[pair], there[pair]) for pair in pairs),
        units_off=sum(abs(units) for units in off.values()),
        differences=tuple((place, gtin, units) for (place, gtin), units in off.items()),
    )


def _by_pair(
    rows: Iterable[Row], bins: Collection[str], hidden: set[str]
) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for place, gtin, units in rows:
        bin_id = bin_of(place)
        if units and bin_id is not None and bin_id in bins and bin_id not in hidden:
            found[place, gtin] += units
    return found
