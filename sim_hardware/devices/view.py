"""What a simulated device may see of the world: the physical truth, read only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Protocol

from wire.site import ArticleRow, BinRow

CARTONS_SHOWN_MAX: Final = 4
"""Cartons of one bin that are not hidden behind others, at most."""


class WorldView(Protocol):
    """The physical truth as a camera could see it."""

    @property
    def bins(self) -> Mapping[str, BinRow]:
        """Return every bin by its id."""

    @property
    def articles(self) -> Mapping[str, ArticleRow]:
        """Return every article by its GTIN-14."""

    def stock_at(self, place: str) -> dict[str, int]:
        """Return the units that are physically at `place` (`bin:A-01-02-1`) by GTIN-14."""

    def label_of(self, bin_id: str) -> str:
        """Return which bin the label on this bin's shelf names: its own, unless it was swapped."""

    def is_readable(self, bin_id: str) -> bool:
        """Return whether the label on this bin's shelf can be read."""


def cartons_in_view(view: WorldView, bin_id: str, *, most: int = CARTONS_SHOWN_MAX) -> list[str]:
    """Return the GTIN-14 of each carton that one sees from the front, lowest first.

    Every article shows a carton before any shows a second one.
    """
    stock = sorted(view.stock_at(f"bin:{bin_id}").items())
    left = {
        gtin: math.ceil(units / view.articles[gtin].case_units)
        for gtin, units in stock
        if units > 0
    }
    cartons: list[str] = []
    while left and len(cartons) < most:
        for gtin in list(left)[: most - len(cartons)]:
            cartons.append(gtin)
            left[gtin] -= 1
        left = {gtin: more for gtin, more in left.items() if more}
    return cartons
