"""A small rack for tests of cameras and drones: bins in columns and levels, and their stock."""

from __future__ import annotations

from typing import Final

from wire.ids import gs1_check_digit
from wire.site import ArticleRow, BinRow, NodeRow, Site

GLN: Final = "4006381000000"
COLUMNS: Final = 8
LEVEL_Z_M: Final = (0.6, 1.8)
PITCH_M: Final = 0.75


def gtin(number: int) -> str:
    """Return the GTIN of an article of ours."""
    digits = f"0400638{number:06}"
    return digits + str(gs1_check_digit(digits))


ARTICLES: Final = {
    gtin(n): ArticleRow(
        gtin=gtin(n), sku=f"SKU-{n}", name=f"Article {n}", case_units=12, price_cents=100,
        supplier_id="S1",
    )
    for n in range(40)
}  # fmt: skip


def rack_site(edge_id: str = "A") -> Site:
    """Return a site of one rack along x, its aisle below it (smaller y)."""
    bins, nodes = {}, {}
    for column in range(1, COLUMNS + 1):
        x_m = 3.0 + PITCH_M * column
        nodes[f"N{column}"] = NodeRow(node_id=f"N{column}", x_m=x_m + 0.3, y_m=0.0)
        for level, z_m in enumerate(LEVEL_Z_M, start=1):
            bin_id = f"{edge_id}-01-0{column}-{level}"
            bins[bin_id] = BinRow(
                bin_id=bin_id, edge_id=edge_id, kind="reserve", x_m=x_m, y_m=1.0, z_m=z_m,
                node_id=f"N{column}",
            )  # fmt: skip
    return Site(
        bins=bins, articles=ARTICLES, nodes=nodes, edges=(), robots=(), people={}, opening=(),
        suppliers={},
    )  # fmt: skip


class Rack:
    """The physical truth of the rack: what a camera sees."""

    def __init__(self, site: Site, stock: dict[str, dict[str, int]] | None = None) -> None:
        self.bins = site.bins
        self.articles = site.articles
        self.stock = stock or {}

    def stock_at(self, place: str) -> dict[str, int]:
        """Return the units at a place by GTIN."""
        return self.stock.get(place.removeprefix("bin:"), {})

    def label_of(self, bin_id: str) -> str:
        """Return the bin's own name: nobody swapped labels."""
        return bin_id

    def is_readable(self, bin_id: str) -> bool:
        """Return whether the bin's label can be read: nobody tore it off."""
        return True
