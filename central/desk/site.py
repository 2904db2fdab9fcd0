"""The site folder as the desk needs it: its floor, and the names that people know things by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from central.desk.rows import ArticleRef
from wire.site import FILES, Site, SiteError, parse_site

NO_LIMIT_UNITS = 1_000_000
"""A bin of this capacity was given none (wire.site.BinRow's default)."""


def read_site(directory: Path) -> Site:
    """Return the site in a folder of CSV files. Raises SiteError with file and line."""
    texts = {}
    for name in FILES:
        path = directory / name
        if not path.exists():
            continue
        try:
            texts[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SiteError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    return parse_site(texts)


class Names:
    """Names of articles, bins and people; an unknown id is its own name."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._articles = {
            row.gtin: ArticleRef(gtin=row.gtin, sku=row.sku, name=row.name)
            for row in site.articles.values()
        }

    def article(self, gtin: str) -> ArticleRef:
        """Return the article of this GTIN."""
        return self._articles.get(gtin) or ArticleRef(gtin=gtin, sku="", name=gtin)

    def known_article(self, gtin: str) -> str:
        """Return name and SKU of an article that the site knows, else ""."""
        found = self._articles.get(gtin)
        return f"{found.name} ({found.sku})" if found else ""

    def worker(self, worker_id: str) -> str:
        """Return what people call a worker: a person's name, a robot's serial number."""
        person = self.site.people.get(worker_id)
        return person.name if person else worker_id.rpartition("/")[2]

    def capacity_units(self, bin_id: str) -> int:
        """Return how much goes into a bin, 0 where no limit is known."""
        row = self.site.bins.get(bin_id)
        return 0 if row is None or row.capacity_units >= NO_LIMIT_UNITS else row.capacity_units


def floor_plan(site_id: str, site: Site) -> dict[str, Any]:
    """Return what is drawn and never changes: nodes, lanes, bins in the order of their index."""
    lanes = {tuple(sorted((edge.from_node, edge.to_node))) for edge in site.edges}
    return {
        "site_id": site_id,
        "nodes": [
            {"id": node.node_id, "x": node.x_m, "y": node.y_m, "kind": node.kind}
            for node in site.nodes.values()
        ],
        "lanes": sorted(lanes),
        "bins": [
            {
                "id": row.bin_id,
                "kind": row.kind,
                "edge": row.edge_id,
                "x": row.x_m,
                "y": row.y_m,
                "z": row.z_m,
                "node": row.node_id,
                "slot": site.articles[row.gtin].name if row.gtin else "",
                "capacity": 0 if row.capacity_units >= NO_LIMIT_UNITS else row.capacity_units,
            }
            for row in site.bins.values()
        ],
    }
