"""A site's master data: bins, articles, floor, robots, people, from the CSV texts of a folder.

A site is a folder of plain CSV files that a shop can write with a spreadsheet:

| file | columns |
|---|---|
| `bins.csv` | bin_id, edge_id, kind, x_m, y_m, z_m, node_id, gtin, capacity_units |
| `articles.csv` | gtin, sku, name, case_units, price_cents, supplier_id |
| `nodes.csv` | node_id, x_m, y_m, kind (way, station, charger) |
| `edges.csv` | from_node, to_node (driven in this direction; a two-way lane has two rows) |
| `robots.csv` | manufacturer, serial, node_id |
| `people.csv` | person_id, name, edge_id, roles (receive putaway pick count, space between) |
| `opening.csv` | bin_id, gtin, units (stock on the first day) |
| `suppliers.csv` | supplier_id, name, lead_time_d |

A bin's kind is dock, reserve, pick or pack; its gtin is the article slotted there (a pick face
has one), empty where anything may stand.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from wire.ids import IdError, parse_gtin
from wire.messages import Bin, Name

T = TypeVar("T", bound=msgspec.Struct)
Metres = Annotated[float, Meta(ge=-100_000, le=100_000)]
GtinText = str
"""8 to 14 digits as people write them; kept as 14 after parsing."""


class SiteError(ValueError):
    """The site's files are wrong; the text says file, line, value and what was expected."""


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a site file."""


class BinRow(Row, frozen=True, kw_only=True):
    """The smallest place we count. `node_id` is where a robot stands to reach it."""

    bin_id: Bin
    """Unique in the site; it stands on the label (AI 254)."""
    edge_id: Name
    """The edge that owns it, and alone writes its stock."""
    kind: str
    """`dock`, `reserve`, `pick` or `pack`; a `pack` bin whose id begins with `HAND-` is a handover
    place."""
    x_m: Metres
    """East of the site's (0, 0)."""
    y_m: Metres
    """North of it."""
    z_m: Metres
    """Height of the shelf."""
    node_id: Name
    """Where a robot stands to reach it."""
    gtin: str = ""
    """The article slotted there (each pick face has one); empty: anything may stand there."""
    capacity_units: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000_000
    """How much fits."""


class ArticleRow(Row, frozen=True, kw_only=True):
    """What we stock."""

    gtin: str
    """8, 12, 13 or 14 digits, with a right check digit; kept as 14."""
    sku: Name
    """The shop's own name."""
    name: Annotated[str, Meta(max_length=80)]
    """For people."""
    case_units: Annotated[int, Meta(ge=1, le=100_000)]
    """Units in a case: what is moved and bought in whole."""
    price_cents: Annotated[int, Meta(ge=0)]
    """Of one unit; purchases are compared with the policy's limit."""
    supplier_id: Name
    """Who sells it: in suppliers.csv."""


class NodeRow(Row, frozen=True, kw_only=True):
    """A place where a robot can stand."""

    node_id: Name
    """Unique."""
    x_m: Metres
    """East of the site's (0, 0)."""
    y_m: Metres
    """North of it."""
    kind: str = "way"
    """`way`, `station` or `charger`."""


class EdgeRow(Row, frozen=True, kw_only=True):
    """A lane from one node to the next, driven in this direction."""

    from_node: Name
    """Where it begins."""
    to_node: Name
    """Where it ends; a two-way lane has two rows."""


class RobotRow(Row, frozen=True, kw_only=True):
    """A robot and the node where it stands at first."""

    manufacturer: Name
    """As in its VDA 5050 topics."""
    serial: Name
    """As in its VDA 5050 topics."""
    node_id: Name
    """Where it stands at first."""


class PersonRow(Row, frozen=True, kw_only=True):
    """A person and what they may be asked to do."""

    person_id: Name
    """Unique; scanners name it."""
    name: Annotated[str, Meta(max_length=80)]
    """For people."""
    edge_id: Name
    """The zone they work in."""
    roles: str = ""
    """`receive`, `putaway`, `pick`, `count`, with spaces between; empty: is given no tasks."""


class OpeningRow(Row, frozen=True, kw_only=True):
    """Stock on the first day."""

    bin_id: Bin
    """Where."""
    gtin: str
    """Which article."""
    units: Annotated[int, Meta(ge=1, le=1_000_000)]
    """How many."""


class SupplierRow(Row, frozen=True, kw_only=True):
    """Who we buy from."""

    supplier_id: Name
    """Unique; part of its topics."""
    name: Annotated[str, Meta(max_length=80)]
    """For people."""
    lead_time_d: Annotated[float, Meta(ge=0, le=1_000)]
    """From order to delivery, in demand days."""


BIN_KINDS: Final = ("dock", "reserve", "pick", "pack")


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A site's master data, checked: every reference leads somewhere."""

    bins: dict[str, BinRow]
    articles: dict[str, ArticleRow]
    nodes: dict[str, NodeRow]
    edges: tuple[EdgeRow, ...]
    robots: tuple[RobotRow, ...]
    people: dict[str, PersonRow]
    opening: tuple[OpeningRow, ...]
    suppliers: dict[str, SupplierRow]

    def edge_bins(self, edge_id: str) -> dict[str, BinRow]:
        """Return the bins that one edge agent owns (there is one writer per bin)."""
        return {b.bin_id: b for b in self.bins.values() if b.edge_id == edge_id}


FILES: Final[Mapping[str, type[Row]]] = {
    "bins.csv": BinRow,
    "articles.csv": ArticleRow,
    "nodes.csv": NodeRow,
    "edges.csv": EdgeRow,
    "robots.csv": RobotRow,
    "people.csv": PersonRow,
    "opening.csv": OpeningRow,
    "suppliers.csv": SupplierRow,
}
_NEEDED: Final = ("bins.csv", "articles.csv")


def parse_site(texts: Mapping[str, str]) -> Site:
    """Return the site in these CSV texts by file name. Raises SiteError with file and line."""
    for name in _NEEDED:
        if name not in texts:
            raise SiteError(f"{name}: missing; a site needs at least {' and '.join(_NEEDED)}")

    def rows(name: str, kind: type[T]) -> list[T]:
        return _parse_rows(name, texts.get(name, ""), kind)

    articles = _keyed("articles.csv", rows("articles.csv", ArticleRow), lambda r: r.gtin)
    site = Site(
        bins=_keyed("bins.csv", rows("bins.csv", BinRow), lambda r: r.bin_id),
        articles=articles,
        nodes=_keyed("nodes.csv", rows("nodes.csv", NodeRow), lambda r: r.node_id),
        edges=tuple(rows("edges.csv", EdgeRow)),
        robots=tuple(rows("robots.csv", RobotRow)),
        people=_keyed("people.csv", rows("people.csv", PersonRow), lambda r: r.person_id),
        opening=tuple(rows("opening.csv", OpeningRow)),
        suppliers=_keyed(
            "suppliers.csv", rows("suppliers.csv", SupplierRow), lambda r: r.supplier_id
        ),
    )
    _check_references(site)
    return site


def write_rows(rows: list[T], kind: type[T]) -> str:
    """Return `rows` as the CSV text of their file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(kind.__struct_fields__)
    writer.writerows([getattr(row, field) for field in kind.__struct_fields__] for row in rows)
    return out.getvalue()


def _parse_rows(name: str, text: str, kind: type[T]) -> list[T]:
    reader = csv.DictReader(io.StringIO(text))
    found = []
    for line, cells in enumerate(reader, start=2):
        if None in cells or None in cells.values():
            raise SiteError(f"{name} line {line}: expected {len(reader.fieldnames or ())} cells")
        given = {key: value.strip() for key, value in cells.items() if value.strip() != ""}
        try:
            row = msgspec.convert(given, kind, strict=False)
            if "gtin" in given:
                row = msgspec.structs.replace(row, gtin=parse_gtin(given["gtin"]))
        except (msgspec.ValidationError, IdError) as error:
            raise SiteError(f"{name} line {line}: {error}") from error
        found.append(row)
    return found


def _keyed(name: str, rows: list[T], key: Callable[[T], str]) -> dict[str, T]:
    found: dict[str, T] = {}
    for line, row in enumerate(rows, start=2):
        if key(row) in found:
            raise SiteError(f"{name} line {line}: {key(row)!r} stands there twice")
        found[key(row)] = row
    return found


def _check_references(site: Site) -> None:
    """Raise SiteError at the first reference that leads nowhere."""
    for line, row in enumerate(site.bins.values(), start=2):
        if row.kind not in BIN_KINDS:
            raise SiteError(
                f"bins.csv line {line}: kind {row.kind!r}, expected one of {', '.join(BIN_KINDS)}"
            )
        if site.nodes and row.node_id not in site.nodes:
            raise SiteError(f"bins.csv line {line}: node_id {row.node_id!r} is not in nodes.csv")
        if row.gtin and row.gtin not in site.articles:
            raise SiteError(f"bins.csv line {line}: gtin {row.gtin!r} is not in articles.csv")
    for line, edge in enumerate(site.edges, start=2):
        for node_id in (edge.from_node, edge.to_node):
            if node_id not in site.nodes:
                raise SiteError(f"edges.csv line {line}: node {node_id!r} is not in nodes.csv")
    for line, robot in enumerate(site.robots, start=2):
        if robot.node_id not in site.nodes:
            raise SiteError(f"robots.csv line {line}: node {robot.node_id!r} is not in nodes.csv")
    for line, stock in enumerate(site.opening, start=2):
        if stock.bin_id not in site.bins:
            raise SiteError(f"opening.csv line {line}: bin {stock.bin_id!r} is not in bins.csv")
        if stock.gtin not in site.articles:
            raise SiteError(f"opening.csv line {line}: gtin {stock.gtin!r} is not in articles.csv")
