"""The CSV files of a generated warehouse, as `wire/site.py` describes them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from sim_hardware.world.generate import MANUFACTURER
from sim_hardware.world.warehouse.columns import Column, Part, metres, whole, words, write_csv
from sim_hardware.world.warehouse.demand import CATEGORIES
from sim_hardware.world.warehouse.floor import GRID_M, NODE_KINDS, RACK_M, STATION_Z_M, Spot
from sim_hardware.world.warehouse.generate import Warehouse
from wire.site import BinRow, PersonRow, RobotRow, SupplierRow, write_rows

Ints = NDArray[np.int64]
Writer = Callable[[Warehouse, BinaryIO], None]
DOCK_CAPACITY_UNITS: Final = 5_000
PACK_CAPACITY_UNITS: Final = 2_000
CAPACITIES: Final = {"dock": DOCK_CAPACITY_UNITS, "pack": PACK_CAPACITY_UNITS}


def warehouse_texts(warehouse: Warehouse) -> dict[str, str]:
    """Return the CSV texts by file name, as `wire.site.parse_site` takes them."""
    found = {}
    for name, writer in WRITERS.items():
        file = io.BytesIO()
        writer(warehouse, file)
        found[name] = file.getvalue().decode()
    return found


def write_bins(warehouse: Warehouse, file: BinaryIO) -> None:
    """Write bins.csv: the places in the racks zone by zone, then docks and packing."""
    w, rack, slotting = warehouse, warehouse.rack, warehouse.slotting
    places, node = w.floor.block.places, w.rack_nodes
    kind = words(("reserve", "pick"), slotting.is_face.astype(np.int64))
    x_m = w.floor.column[node] * GRID_M + places.east_m[rack.place]
    y_m = w.floor.row[node] * GRID_M + places.north_m[rack.place]
    zone = words(w.zones, rack.zone)
    write_csv(
        file,
        ",".join(BinRow.__struct_fields__),
        [
            *_bin_ids(w), b",", zone, b",", kind, b",", metres(x_m), b",", metres(y_m), b",",
            metres(places.z_m()[rack.place]), b",", *_node_ids(w, node), b",",
            _gtins(w, slotting.article), b",", whole(slotting.capacity_units),
        ],
    )  # fmt: skip
    rows = [_spot_bin(w, zone, spot, name) for zone, spot, name in _named_spots(w)]
    file.write(write_rows(rows, BinRow).partition("\n")[2].encode())


def write_articles(warehouse: Warehouse, file: BinaryIO) -> None:
    """Write articles.csv."""
    catalogue = warehouse.catalogue
    names = [f'"{n}, {s}"' for c in CATEGORIES for n in c.nouns for s in c.sorts]
    starts = np.cumsum([0, *(len(c.nouns) * len(c.sorts) for c in CATEGORIES)])
    sorts = np.array([len(c.sorts) for c in CATEGORIES])[catalogue.category]
    name = starts[catalogue.category] + catalogue.noun * sorts + catalogue.sort
    articles = np.arange(len(catalogue))
    write_csv(
        file,
        "gtin,sku,name,case_units,price_cents,supplier_id",
        [
            _gtins(warehouse, articles), b",SKU-", whole(articles + 1, _digits(len(articles))),
            b",", words(names, name), b",", whole(catalogue.case_units), b",",
            whole(catalogue.price_cents), b",S", whole(catalogue.supplier + 1),
        ],
    )  # fmt: skip


def write_nodes(warehouse: Warehouse, file: BinaryIO) -> None:
    """Write nodes.csv."""
    floor = warehouse.floor
    write_csv(
        file,
        "node_id,x_m,y_m,kind",
        [
            *_node_ids(warehouse, np.arange(len(floor))), b",", metres(floor.column * GRID_M),
            b",", metres(floor.row * GRID_M), b",", words(NODE_KINDS, floor.kinds.astype(np.int64)),
        ],
    )  # fmt: skip


def write_edges(warehouse: Warehouse, file: BinaryIO) -> None:
    """Write edges.csv: every lane, in both directions."""
    here, there = warehouse.floor.lanes()
    write_csv(
        file,
        "from_node,to_node",
        [*_node_ids(warehouse, here), b",", *_node_ids(warehouse, there)],
    )


def write_opening(warehouse: Warehouse, file: BinaryIO) -> None:
    """Write opening.csv."""
    opening = warehouse.opening
    bins = [
        part.take(opening.rack) if isinstance(part, Column) else part
        for part in _bin_ids(warehouse)
    ]
    write_csv(
        file,
        "bin_id,gtin,units",
        [*bins, b",", _gtins(warehouse, opening.article), b",", whole(opening.units)],
    )


def write_history(warehouse: Warehouse, file: BinaryIO) -> None:
    """Write history.csv: what was sold on the days before the site opens."""
    sales = warehouse.sales
    write_csv(
        file,
        "day,gtin,units",
        [whole(sales.day), b",", _gtins(warehouse, sales.article), b",", whole(sales.units)],
    )


def write_robots(warehouse: Warehouse, file: BinaryIO) -> None:
    """Write robots.csv: each one in a bay of its own."""
    floor, rows = warehouse.floor, []
    for number, node in enumerate(warehouse.robot_nodes.tolist(), start=1):
        name = f"N{floor.column[node]}R{floor.row[node]}"
        rows.append(RobotRow(manufacturer=MANUFACTURER, serial=f"agv-{number}", node_id=name))
    file.write(write_rows(rows, RobotRow).encode())


def write_people(warehouse: Warehouse, file: BinaryIO) -> None:
    """Write people.csv."""
    file.write(write_rows(warehouse.people, PersonRow).encode())


def write_suppliers(warehouse: Warehouse, file: BinaryIO) -> None:
    """Write suppliers.csv."""
    file.write(write_rows(warehouse.suppliers, SupplierRow).encode())


WRITERS: Final[Mapping[str, Writer]] = {
    "bins.csv": write_bins,
    "articles.csv": write_articles,
    "nodes.csv": write_nodes,
    "edges.csv": write_edges,
    "robots.csv": write_robots,
    "people.csv": write_people,
    "opening.csv": write_opening,
    "suppliers.csv": write_suppliers,
    "history.csv": write_history,
}


def _bin_ids(warehouse: Warehouse) -> list[Part]:
    """Return the names of all rack places: zone, aisle, position, level."""
    rack, places = warehouse.rack, warehouse.floor.block.places
    aisle, position = places.aisle, places.position
    return [
        words(warehouse.zones, rack.zone),
        b"-",
        whole(aisle, _digits(int(aisle.max()))).take(rack.place),
        b"-",
        whole(position, _digits(int(position.max()))).take(rack.place),
        b"-",
        whole(places.level).take(rack.place),
    ]


def _node_ids(warehouse: Warehouse, nodes: Ints) -> list[Part]:
    floor = warehouse.floor
    return [b"N", whole(floor.column[nodes]), b"R", whole(floor.row[nodes])]


def _gtins(warehouse: Warehouse, articles: Ints) -> Column:
    """Return GTIN-13 numbers; nothing for article -1."""
    texts = warehouse.catalogue.gtin.astype(np.bytes_)
    return Column(np.append(texts, b""), articles)


def _named_spots(warehouse: Warehouse) -> list[tuple[int, Spot, str]]:
    """Return (zone, spot, name) of docks, handover places and packing stations."""
    floor, found = warehouse.floor, []
    width = _digits(len(floor.docks))
    for number, (zone, spot) in enumerate(floor.docks, start=1):
        found.append((zone, spot, f"DOCK-{number:0{width}}"))
    for zone, name in enumerate(warehouse.zones):
        numbers = {"hand": 0, "pack": 0}
        for spot in sorted(floor.block.spots, key=lambda spot: spot.column):
            numbers[spot.kind] += 1
            found.append((zone, spot, f"{spot.kind.upper()}-{name}-{numbers[spot.kind]}"))
    return found


def _spot_bin(warehouse: Warehouse, zone: int, spot: Spot, name: str) -> BinRow:
    floor = warehouse.floor
    column = int(floor.zone_column[zone]) + spot.column
    row = int(floor.zone_row[zone]) + spot.row
    kind = "dock" if spot.kind == "dock" else "pack"
    return BinRow(
        bin_id=name, edge_id=warehouse.zones[zone], kind=kind, x_m=column * GRID_M,
        y_m=row * GRID_M - RACK_M, z_m=STATION_Z_M, node_id=f"N{column}R{row}",
        capacity_units=CAPACITIES[kind],
    )  # fmt: skip


def _digits(most: int) -> int:
    """Return how many digits the numbers up to `most` are written with, two at least."""
    return max(2, len(str(most)))
