"""A site's master data: bins, articles, floor, robots, people, from the CSV texts of a folder.

A site is a folder of plain CSV files that a shop can write with a spreadsheet:

| file | columns |
|---|---|
| `bins.csv` | bin_id, edge_id, kind, x_m, y_m, z_m, node_id, gtin, capacity_units |
| `articles.csv` | gtin, sku, name, case_units, price_cents, supplier_id |
| `nodes.csv` | node_id, x_m, y_m, kind (way, station, charger, buffer), turn_cost_m |
| `edges.csv` | from_node, to_node, robot_types, speed_m_s_max (a two-way lane has two rows) |
| `robots.csv` | manufacturer, serial, node_id, robot_type |
| `people.csv` | person_id, name, edge_id, roles (receive putaway pick count, space between) |
| `opening.csv` | bin_id, gtin, units, lot, expires_on, serial (stock on the first day) |
| `suppliers.csv` | supplier_id, name, lead_time_d |

A bin's kind is dock, reserve, pick or pack; its gtin is the article slotted there (a pick face
has one), empty where anything may stand.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from wire.ids import IdError, parse_gtin
from wire.messages import Bin, Day, Lot, Name, OptionalName, Serial

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
    price_cents: Annotated[int, Meta(ge=0, le=2**53)]
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
    """`way`, `station`, `charger` or `buffer` (a place to wait)."""
    turn_cost_m: Annotated[float, Meta(ge=0, le=1_000)] = 0.0
    """A quarter turn here counts as so many metres of way; a half turn as twice as many."""


class EdgeRow(Row, frozen=True, kw_only=True):
    """A lane from one node to the next, driven in this direction."""

    from_node: Name
    """Where it begins."""
    to_node: Name
    """Where it ends; a two-way lane has two rows."""
    robot_types: Annotated[str, Meta(max_length=1_000)] = ""
    """Who may drive here: types of robots.csv with spaces between; empty: everybody. Closed unless
    every robot is of such a type."""
    speed_m_s_max: Annotated[float, Meta(ge=0, le=100)] = 0.0
    """A slow lane counts as longer, as much as it is slower than the fastest one; 0: not said."""


class RobotRow(Row, frozen=True, kw_only=True):
    """A robot and the node where it stands at first."""

    manufacturer: Name
    """As in its VDA 5050 topics."""
    serial: Name
    """As in its VDA 5050 topics."""
    node_id: Name
    """Where it stands at first."""
    robot_type: OptionalName = ""
    """Which lanes it may take: a word of `robot_types` in edges.csv; empty: only those of all."""


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
    lot: Lot = ""
    """Their lot; empty: not known. Several lots in a bin have a row each."""
    expires_on: Day = ""
    """Their last day, `2027-02-28`; empty: none, or not known."""
    serial: Serial = ""
    """The serial number of this one unit; empty: none."""


class SupplierRow(Row, frozen=True, kw_only=True):
    """Who we buy from."""

    supplier_id: Name
    """Unique; part of its topics."""
    name: Annotated[str, Meta(max_length=80)]
    """For people."""
    lead_time_d: Annotated[float, Meta(ge=0, le=1_000)]
    """From order to delivery, in demand days."""


BIN_KINDS: Final = ("dock", "reserve", "pick", "pack")
NODE_KINDS: Final = ("way", "station", "charger", "buffer")
SELDOM: Final = frozenset({"turn_cost_m", "robot_types", "speed_m_s_max", "robot_type"})
"""Columns that are not written where no row says anything in them."""
ROLES: Final = ("receive", "putaway", "pick", "count")
_Lines: TypeAlias = list[tuple[int, T]]
"""Rows, each with the line it stands on."""


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

    def rows(name: str, kind: type[T]) -> _Lines[T]:
        return _parse_rows(name, texts.get(name, ""), kind)

    edges = rows("edges.csv", EdgeRow)
    robots = rows("robots.csv", RobotRow)
    opening = rows("opening.csv", OpeningRow)
    bins = rows("bins.csv", BinRow)
    articles = rows("articles.csv", ArticleRow)
    nodes = rows("nodes.csv", NodeRow)
    people = rows("people.csv", PersonRow)
    suppliers = rows("suppliers.csv", SupplierRow)
    site = Site(
        bins=_keyed("bins.csv", bins, lambda r: r.bin_id),
        articles=_keyed("articles.csv", articles, lambda r: r.gtin),
        nodes=_keyed("nodes.csv", nodes, lambda r: r.node_id),
        edges=tuple(row for _, row in edges),
        robots=tuple(
            _keyed("robots.csv", robots, lambda r: f"{r.manufacturer}/{r.serial}").values()
        ),
        people=_keyed("people.csv", people, lambda r: r.person_id),
        opening=tuple(row for _, row in opening),
        suppliers=_keyed("suppliers.csv", suppliers, lambda r: r.supplier_id),
    )
    _check_bins(site, bins)
    _check_articles(site, articles, has_suppliers="suppliers.csv" in texts)
    _check_floor(site, nodes, edges, robots)
    _check_people(site, people)
    _check_opening(site, opening)
    return site


def write_rows(rows: list[T], kind: type[T]) -> str:
    """Return `rows` as the CSV text of their file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = [
        field
        for field in kind.__struct_fields__
        if field not in SELDOM or any(getattr(row, field) for row in rows)
    ]
    writer.writerow(fields)
    writer.writerows([getattr(row, field) for field in fields] for row in rows)
    return out.getvalue()


def _parse_rows(name: str, text: str, kind: type[T]) -> _Lines[T]:
    """Return the rows with the lines they end on; a byte order mark and any line ends are taken."""
    # `newline=None` reads the line ends of every system as one.
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=None))
    found: _Lines[T] = []
    try:
        for cells in reader:
            found.append((reader.line_num, _parse_row(name, reader, cells, kind)))
    except csv.Error as error:
        line = reader.reader.line_num
        raise SiteError(f"{name} line {line}: is no CSV: {error}") from error
    return found


def _parse_row(
    name: str, reader: csv.DictReader[str], cells: Mapping[str | None, str | None], kind: type[T]
) -> T:
    line, columns = reader.line_num, reader.fieldnames or ()
    if len(set(columns)) != len(columns):
        raise SiteError(f"{name} line 1: a column stands there twice: {', '.join(columns)}")
    if None in cells or None in cells.values():
        raise SiteError(f"{name} line {line}: expected {len(columns)} cells")
    # Not line ends: a cell with one is a mistake that is to be seen.
    stripped = {key: (value or "").strip(" \t\u00a0") for key, value in cells.items()}
    given = {key: value for key, value in stripped.items() if value}
    try:
        row = msgspec.convert(given, kind, strict=False)
        if "gtin" in given:
            row = msgspec.structs.replace(row, gtin=parse_gtin(given["gtin"]))
    except (msgspec.ValidationError, IdError) as error:
        raise SiteError(f"{name} line {line}: {error}") from error
    for field, value in msgspec.structs.asdict(row).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise SiteError(f"{name} line {line}: {field} {given[field]!r}, expected a number")
    return row


def _keyed(name: str, rows: _Lines[T], key: Callable[[T], str]) -> dict[str, T]:
    found: dict[str, T] = {}
    for line, row in rows:
        if key(row) in found:
            raise SiteError(
                f"{name} line {line}: {key(row)!r} stands there twice: delete one of the lines"
            )
        found[key(row)] = row
    return found


def _check_bins(site: Site, bins: _Lines[BinRow]) -> None:
    """Raise SiteError at the first bin of no kind, node or article; a site may have no nodes."""
    for line, row in bins:
        if row.kind not in BIN_KINDS:
            raise SiteError(
                f"bins.csv line {line}: kind {row.kind!r}, expected one of {', '.join(BIN_KINDS)}"
            )
        if site.nodes and row.node_id not in site.nodes:
            raise SiteError(
                f"bins.csv line {line}: node_id {row.node_id!r} is not in nodes.csv: add it there"
            )
        if row.gtin and row.gtin not in site.articles:
            raise SiteError(
                f"bins.csv line {line}: gtin {row.gtin!r} is not in articles.csv: add it there"
            )


def _check_articles(site: Site, articles: _Lines[ArticleRow], *, has_suppliers: bool) -> None:
    """Raise SiteError at the first SKU that is taken and the first supplier that is unknown."""
    skus: dict[str, str] = {}
    for line, row in articles:
        if row.sku in skus:
            raise SiteError(
                f"articles.csv line {line}: sku {row.sku!r} is that of {skus[row.sku]} already:"
                " give each article its own"
            )
        skus[row.sku] = row.gtin
        if has_suppliers and row.supplier_id not in site.suppliers:
            raise SiteError(
                f"articles.csv line {line}: supplier_id {row.supplier_id!r} is not in"
                " suppliers.csv: add it there"
            )


def _check_floor(
    site: Site, nodes: _Lines[NodeRow], edges: _Lines[EdgeRow], robots: _Lines[RobotRow]
) -> None:
    """Raise SiteError at the first node, lane or robot that cannot be."""
    for line, node in nodes:
        if node.kind not in NODE_KINDS:
            raise SiteError(
                f"nodes.csv line {line}: kind {node.kind!r}, expected one of"
                f" {', '.join(NODE_KINDS)}"
            )
    for line, edge in edges:
        for node_id in (edge.from_node, edge.to_node):
            if node_id not in site.nodes:
                raise SiteError(
                    f"edges.csv line {line}: node {node_id!r} is not in nodes.csv: add it there"
                )
        if edge.from_node == edge.to_node:
            raise SiteError(
                f"edges.csv line {line}: a lane from {edge.from_node!r} to itself, expected"
                " another to_node: delete the line or name where it leads"
            )
    taken: dict[str, str] = {}
    for line, robot in robots:
        if robot.node_id not in site.nodes:
            raise SiteError(
                f"robots.csv line {line}: node {robot.node_id!r} is not in nodes.csv: add it there"
            )
        if robot.node_id in taken:
            raise SiteError(
                f"robots.csv line {line}: on node {robot.node_id!r} stands"
                f" {taken[robot.node_id]} already: give each robot its own node"
            )
        taken[robot.node_id] = f"{robot.manufacturer}/{robot.serial}"
        if len(robot.robot_type.split()) > 1:
            raise SiteError(
                f"robots.csv line {line}: robot_type {robot.robot_type!r}, expected one word: the"
                " robot_types of edges.csv have spaces between"
            )


def _check_people(site: Site, people: _Lines[PersonRow]) -> None:
    """Raise SiteError at the first person of an edge or with a role that nobody knows."""
    edges = {row.edge_id for row in site.bins.values()}
    for line, person in people:
        if person.edge_id not in edges:
            raise SiteError(
                f"people.csv line {line}: edge_id {person.edge_id!r} has no bins, expected one of"
                f" bins.csv: {', '.join(sorted(edges)) or 'none'}"
            )
        for role in person.roles.split():
            if role not in ROLES:
                raise SiteError(
                    f"people.csv line {line}: role {role!r}, expected some of {' '.join(ROLES)},"
                    " with spaces between"
                )


def _check_opening(site: Site, opening: _Lines[OpeningRow]) -> None:
    """Raise SiteError at the first stock of no bin or article, or of more than its bin holds."""
    units: Counter[str] = Counter()
    numbers: set[tuple[str, str]] = set()
    for line, stock in opening:
        number = (stock.gtin, stock.serial)
        if stock.serial and (stock.units > 1 or number in numbers):
            raise SiteError(
                f"opening.csv line {line}: serial {stock.serial!r} of {stock.gtin}: expected one"
                " unit, on one line only"
            )
        numbers.add(number)
        if stock.bin_id not in site.bins:
            raise SiteError(
                f"opening.csv line {line}: bin {stock.bin_id!r} is not in bins.csv: add it there"
            )
        if stock.gtin not in site.articles:
            raise SiteError(
                f"opening.csv line {line}: gtin {stock.gtin!r} is not in articles.csv: add it there"
            )
        units[stock.bin_id] += stock.units
        capacity_units = site.bins[stock.bin_id].capacity_units
        if units[stock.bin_id] > capacity_units:
            raise SiteError(
                f"opening.csv line {line}: {units[stock.bin_id]} units in bin {stock.bin_id!r},"
                f" expected at most its capacity_units in bins.csv: {capacity_units}"
            )
