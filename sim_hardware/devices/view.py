"""What a simulated device may see of the world: the physical truth, read only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from wire.site import ArticleRow, BinRow


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
