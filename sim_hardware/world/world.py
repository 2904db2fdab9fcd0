"""The physical world: what is where, who carries what, and how far time has gone.

The books know nothing of it and it knows nothing of the books, so the two can be compared.

Where units are:

* `bin:` what stands in it. `robot:` what it carries. `person:` what somebody has in their hands.
* `tote:` what lies in it. Totes stand on the roller line that joins the handover bins, so a robot
  can take one at any of them; packed totes leave the world with their customer.
* `supplier:` what its lorry has brought to the dock and nobody has received yet. Units come into
  the world when a lorry arrives (and on the first day), not before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from sim_hardware.world.floor_map import FloorMap
from sim_hardware.world.schedule import WorldTime
from sim_hardware.world.stock import PhysicalStock
from wire.ids import bin_location
from wire.site import ArticleRow, BinRow, Site

HANDOVER_PREFIX: Final = "HAND-"


class World:
    """Everything physical of one site. Wrong moves by people and thieves would go in here."""

    def __init__(self, site: Site, speed: float) -> None:
        self.site = site
        self.time = WorldTime(speed)
        self.stock = PhysicalStock()
        self.floor = FloorMap(site)
        self.handover_bins = tuple(
            row for row in site.bins.values()
            if row.kind == "pack" and row.bin_id.startswith(HANDOVER_PREFIX)
        )  # fmt: skip
        self.carried_totes: set[str] = set()
        """Totes that are on a robot, not on the roller line."""
        self._on_the_way: Counter[str] = Counter()
        for row in site.opening:
            self.stock.arrive(bin_location(row.bin_id), row.gtin, row.units)

    @property
    def bins(self) -> Mapping[str, BinRow]:
        """Return every bin by its id."""
        return self.site.bins

    @property
    def articles(self) -> Mapping[str, ArticleRow]:
        """Return every article by its GTIN-14."""
        return self.site.articles

    def stock_at(self, place: str) -> dict[str, int]:
        """Return the units that are physically at `place` by GTIN-14."""
        return self.stock.stock_at(place)

    def bring(self, place: str) -> None:
        """Note that somebody has goods in their hands for the tote at `place`."""
        self._on_the_way[place] += 1

    def brought(self, place: str) -> None:
        """Note that those goods lie in the tote, or were put back."""
        self._on_the_way[place] -= 1
        assert self._on_the_way[place] >= 0, f"{place}: more was brought than taken"
        if not self._on_the_way[place]:
            del self._on_the_way[place]

    def is_awaited(self, place: str) -> bool:
        """Return whether somebody is on the way to the tote at `place` with goods for it."""
        return place in self._on_the_way

    def pack(self, tote: str) -> None:
        """Let a tote's goods leave the world with their customer."""
        for gtin, units in sorted(self.stock.stock_at(tote).items()):
            self.stock.leave(tote, gtin, units)
