"""A generated site: two zones, racks, docks, articles, people, robots, stock on the first day.

Zone A receives and holds the reserve; zone B has the pick faces, a little reserve of the fast
movers near them, and the packing. Stock is such that there is something to do at once: some pick
faces are nearly empty, so is the forward reserve of the two fastest movers, and of two articles
hardly anything is left at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runtime.seeds import Random, stream
from sim_hardware.world import layout
from sim_hardware.world.catalogue import (
    ARTICLES_DEFAULT,
    SUPPLIERS,
    Demand,
    demand_of,
    generated_history,
    given_history,
    make_articles,
)
from wire.site import (
    ArticleRow,
    BinRow,
    EdgeRow,
    NodeRow,
    OpeningRow,
    PersonRow,
    RobotRow,
    SupplierRow,
    write_rows,
)

MANUFACTURER: Final = "helmworks"
FACES: Final = 60
FACES_PER_ARTICLE_MAX: Final = 3
FORWARD_BINS: Final = 16
DOCKS: Final = 2
RESERVE_CAPACITY_UNITS: Final = 240
FACE_CAPACITY_UNITS_MIN: Final = 48
FACE_CAPACITY_UNITS_MAX: Final = 120
FORWARD_CAPACITY_UNITS_MIN: Final = 36
ROUND_UNITS: Final = 6
FACE_COVER_D: Final = 6.0
FORWARD_COVER_D: Final = 8.0
RESERVE_COVER_D: Final = 20.0
LOW_FACES: Final = 10
LOW_FORWARD: Final = 2
SOLD_OUT_RANKS: Final = (7, 14)
"""How fast those articles sell (0: fastest) of which hardly anything is left: they are bought."""
PEOPLE: Final = (
    PersonRow(person_id="p1", name="Ana", edge_id="A", roles="receive putaway"),
    PersonRow(person_id="p2", name="Bo", edge_id="A", roles="receive putaway count"),
    PersonRow(person_id="p3", name="Cem", edge_id="B", roles="pick"),
    PersonRow(person_id="p4", name="Dita", edge_id="B", roles="pick"),
    PersonRow(person_id="p5", name="Emil", edge_id="B", roles="pick"),
    PersonRow(person_id="p6", name="Farah", edge_id="B", roles="pick count"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slotting:
    """Which bins hold which article, best seller first."""

    demands: list[Demand]
    faces: dict[str, list[BinRow]]
    forward: dict[str, list[BinRow]]
    reserve: list[BinRow]
    others: list[BinRow]

    def bins(self) -> list[BinRow]:
        """Return all bins, by zone and name."""
        slotted = [row for rows in (*self.faces.values(), *self.forward.values()) for row in rows]
        rows = [*slotted, *self.reserve, *self.others]
        return sorted(rows, key=lambda row: (row.edge_id, row.bin_id))


def generate_site(
    seed: int,
    *,
    skus: Sequence[str] | None = None,
    history: Sequence[tuple[int, str, int]] | None = None,
    orders_per_day: float = 30.0,
    robots: int = 6,
) -> dict[str, str]:
    """Return the CSV texts of a site by file name, `history.csv` (day,gtin,units) among them.

    `history` holds real sales as (day, sku, units), days -1, -2, ...; without it sales are drawn.
    Raises ValueError where the SKUs are too many for the pick faces, or double.
    """
    names = tuple(skus or (f"SKU-{number:03}" for number in range(1, ARTICLES_DEFAULT + 1)))
    if not 1 <= len(names) <= FACES:
        raise ValueError(f"{len(names)} SKUs: expected 1 to {FACES}, each needs a pick face")
    if len(set(names)) != len(names):
        raise ValueError("SKUs: one of them stands there twice")
    articles = make_articles(stream(seed, "site/articles"), names)
    if history is None:
        sold = generated_history(stream(seed, "site/history"), articles, orders_per_day)
    else:
        sold = given_history(articles, history)
    slotting = _slot_articles(articles, demand_of(articles, sold))
    bins = slotting.bins()
    opening = _fill(stream(seed, "site/opening"), slotting, articles)
    nodes = layout.make_nodes({row.node_id for row in bins}, robots)
    parked = [
        RobotRow(manufacturer=MANUFACTURER, serial=f"agv-{number}", node_id=node)
        for number, node in enumerate(layout.charger_nodes(robots), start=1)
    ]
    return {
        "bins.csv": write_rows(bins, BinRow),
        "articles.csv": write_rows(articles, ArticleRow),
        "nodes.csv": write_rows(nodes, NodeRow),
        "edges.csv": write_rows(layout.make_edges(), EdgeRow),
        "robots.csv": write_rows(parked, RobotRow),
        "people.csv": write_rows(list(PEOPLE), PersonRow),
        "opening.csv": write_rows(opening, OpeningRow),
        "suppliers.csv": write_rows(list(SUPPLIERS), SupplierRow),
        "history.csv": "day,gtin,units\n"
        + "".join(f"{day},{gtin},{units}\n" for day, gtin, units in sold),
    }


def _slot_articles(articles: list[ArticleRow], demands: list[Demand]) -> _Slotting:
    """Return where each article stands: the faster it sells, the nearer to the handover bins."""
    slots = layout.rack_slots("B")
    slots.sort(key=lambda s: (s.level, -s.x_m, s.bin_id))
    counts = _faces_per_article(len(articles))
    # Two rounds, so that the faces of one article are not neighbours: two people can pick it.
    ranked = list(zip(demands, counts, strict=True))
    rounds = [demand for turn in range(max(counts)) for demand, n in ranked if turn < n]
    faces: dict[str, list[BinRow]] = {d.gtin: [] for d in demands}
    n_faces = {demand.gtin: n for demand, n in ranked}
    for demand, slot in zip(rounds, slots, strict=False):
        capacity = _rounded(demand.mean_units_per_day * FACE_COVER_D / n_faces[demand.gtin])
        capacity = min(max(capacity, FACE_CAPACITY_UNITS_MIN), FACE_CAPACITY_UNITS_MAX)
        faces[demand.gtin].append(slot.to_bin("B", "pick", demand.gtin, capacity))
    upper = slots[len(rounds) :][:FORWARD_BINS]
    forward: dict[str, list[BinRow]] = {d.gtin: [] for d in demands}
    for index, slot in enumerate(upper):
        demand = demands[index % len(demands)]
        capacity = _rounded(demand.mean_units_per_day * FORWARD_COVER_D)
        capacity = min(max(capacity, FORWARD_CAPACITY_UNITS_MIN), RESERVE_CAPACITY_UNITS)
        forward[demand.gtin].append(slot.to_bin("B", "reserve", demand.gtin, capacity))
    return _Slotting(
        demands=demands,
        faces=faces,
        forward=forward,
        reserve=[
            slot.to_bin("A", "reserve", "", RESERVE_CAPACITY_UNITS)
            for slot in layout.rack_slots("A")
        ],
        others=[*layout.dock_bins(DOCKS), *layout.pack_bins()],
    )


def _faces_per_article(articles: int) -> list[int]:
    """Return how many pick faces each article gets, best seller first."""
    counts = [1] * articles
    for turn in range(FACES_PER_ARTICLE_MAX - 1):
        for rank in range(articles):
            if sum(counts) < FACES and counts[rank] == turn + 1:
                counts[rank] += 1
    return counts


def _fill(rng: Random, slotting: _Slotting, articles: list[ArticleRow]) -> list[OpeningRow]:
    """Return the stock of the first day."""
    cases = {article.gtin: article.case_units for article in articles}
    ranked = [d.gtin for d in slotting.demands]
    per_day = {d.gtin: d.mean_units_per_day for d in slotting.demands}
    short = {ranked[rank] for rank in SOLD_OUT_RANKS if rank < len(ranked)}
    rows: list[OpeningRow] = []

    def put(row: BinRow, gtin: str, units: int) -> None:
        if units > 0:
            rows.append(OpeningRow(bin_id=row.bin_id, gtin=gtin, units=units))

    low = [g for g in ranked if g not in short][:LOW_FACES]
    for gtin in ranked:
        for index, face in enumerate(slotting.faces[gtin]):
            full = round(face.capacity_units * rng.uniform(0.7, 1.0))
            nearly_empty = max(1, round(per_day[gtin] * 0.05))
            is_low = gtin in short or (gtin in low and index == len(slotting.faces[gtin]) - 1)
            put(face, gtin, min(nearly_empty, full) if is_low else full)
    for rank, gtin in enumerate(ranked):
        for index, forward in enumerate(slotting.forward[gtin]):
            if gtin in short:
                continue
            low_one = rank < LOW_FORWARD and index == 0
            share = 0.01 if low_one else rng.uniform(0.6, 0.9)
            put(forward, gtin, max(1, round(forward.capacity_units * share)))
    free = list(slotting.reserve)
    rng.shuffle(free)
    for rank, gtin in enumerate(ranked):
        bins = 3 if rank < len(ranked) // 2 else 2 if rank < 3 * len(ranked) // 4 else 1
        wanted = max(2 * cases[gtin], round(per_day[gtin] * RESERVE_COVER_D)) // bins
        for _ in range(bins if gtin not in short else 0):
            units = min(wanted, RESERVE_CAPACITY_UNITS) * rng.uniform(0.7, 1.0)
            put(free.pop(), gtin, max(1, round(units / cases[gtin])) * cases[gtin])
    return sorted(rows, key=lambda row: row.bin_id)


def _rounded(units: float) -> int:
    """Return `units` rounded up to what fills a shelf evenly."""
    return -(-round(units) // ROUND_UNITS) * ROUND_UNITS
