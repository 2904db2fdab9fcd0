"""A warehouse seen from above, as an SVG picture: racks by what is picked from them, lanes, docks.

Equal neighbours are drawn as one shape, so the picture of a million bins is a few megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from sim_hardware.world.warehouse.floor import CHARGER, GRID_M, RACK_M, Spot
from sim_hardware.world.warehouse.generate import Warehouse

Ints = NDArray[np.int64]
RESERVE, NOTHING = 3, 4
RACK_COLORS: Final = ("#c2410c", "#f59e0b", "#fde68a", "#94a3b8")
"""Fastest face of class A, B, C; reserve only."""
RACK_TEXTS: Final = ("faces of class A", "faces of class B", "faces of class C", "reserve only")
CHARGER_COLOR, BAY_COLOR, LANE_COLOR = "#16a34a", "#cbd5e1", "#e2e8f0"
SPOT_COLORS: Final = {"dock": "#1d4ed8", "hand": "#db2777", "pack": "#7c3aed"}
SPOT_TEXTS: Final = {"dock": "dock", "hand": "handover", "pack": "packing"}
ROBOT_COLOR: Final = "#0f172a"
RACK_DEPTH_M: Final = 0.8
MARGIN_M: Final = 3.0
ZONE_TEXT_SHARE: Final = 0.35
LEGEND_PX: Final = 18
WIDTH_PX: Final = 1_400


def warehouse_svg(warehouse: Warehouse) -> str:
    """Return the picture."""
    floor = warehouse.floor
    rows, columns = floor.numbers.shape
    width_m, height_m = columns * GRID_M + 2 * MARGIN_M, rows * GRID_M + 2 * MARGIN_M
    scale = WIDTH_PX / max(width_m, height_m)
    height_px = round(height_m * scale)
    west_px = (WIDTH_PX - width_m * scale) / 2 + MARGIN_M * scale
    legend_px = 2 * LEGEND_PX
    # North is up: y grows northwards, an SVG's grows downwards.
    to_px = f"translate({west_px:.3f} {height_px - MARGIN_M * scale:.3f})"
    return "\n".join(
        (
            _opening_tag(height_px + legend_px),
            f"<title>{escape(_title(warehouse))}</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            f'<g transform="{to_px} scale({scale:.6f} {-scale:.6f})">',
            *_lanes(warehouse),
            *_racks(warehouse),
            *_stations(warehouse),
            *_bays(warehouse),
            *_zone_names(warehouse),
            "</g>",
            *_legend(warehouse, height_px),
            "</svg>\n",
        )
    )


def _opening_tag(height_px: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{height_px}"'
        ' font-family="sans-serif">'
    )


def _title(warehouse: Warehouse) -> str:
    spec = warehouse.spec
    return (
        f"{spec.bins} bins, {spec.skus} articles, {spec.robots} robots, zones: {spec.zones},"
        f" seed {spec.seed}"
    )


def _lanes(warehouse: Warehouse) -> Iterator[str]:
    """Yield lanes: one line for each stretch that can be driven from end to end."""
    floor = warehouse.floor
    known = floor.numbers >= 0
    east = known[:, :-1] & known[:, 1:] & floor.east[:, :-1]
    north = known[:-1] & known[1:] & floor.north[:-1]
    path = []
    for row, line in enumerate(east):
        path += [f"M{a * GRID_M:g} {row * GRID_M:g}H{b * GRID_M:g}" for a, b, _ in _runs(line, 0)]
    for column, line in enumerate(north.T):
        path += [
            f"M{column * GRID_M:g} {a * GRID_M:g}V{b * GRID_M:g}" for a, b, _ in _runs(line, 0)
        ]
    yield (
        f'<path d="{"".join(path)}" stroke="{LANE_COLOR}" stroke-width="0.5"'
        ' stroke-linecap="square" fill="none"/>'
    )


def _racks(warehouse: Warehouse) -> Iterator[str]:
    """Yield racks by colour: what is fastest in front of a node, on each side of its aisle."""
    w, floor, rack = warehouse, warehouse.floor, warehouse.rack
    side = (floor.block.places.north_m[rack.place] > 0).astype(np.int64)
    classes = np.append(w.catalogue.velocity_class, RESERVE)
    best = np.where(w.slotting.is_face, classes[w.slotting.article], RESERVE)
    cells = np.full((2, *floor.numbers.shape), NOTHING)
    np.minimum.at(cells, (side, floor.row[w.rack_nodes], floor.column[w.rack_nodes]), best)
    shapes: dict[int, list[str]] = {kind: [] for kind in range(NOTHING)}
    for north in (0, 1):
        away_m = (RACK_M if north else -RACK_M) - RACK_DEPTH_M / 2
        for row, line in enumerate(cells[north]):
            y_m = row * GRID_M + away_m
            for begin, end, kind in _runs(line, NOTHING):
                x_m, long_m = (begin - 0.5) * GRID_M, (end - begin) * GRID_M
                shapes[kind].append(f"M{x_m:g} {y_m:g}h{long_m:g}v{RACK_DEPTH_M:g}h{-long_m:g}z")
    for kind, found in shapes.items():
        yield f'<path d="{"".join(found)}" fill="{RACK_COLORS[kind]}"/>'


def _stations(warehouse: Warehouse) -> Iterator[str]:
    for zone, spot in warehouse.floor.spots():
        x_m, y_m = _spot_m(warehouse, zone, spot)
        yield _square(x_m, y_m, 1.2, SPOT_COLORS[spot.kind])


def _spot_m(warehouse: Warehouse, zone: int, spot: Spot) -> tuple[float, float]:
    column = int(warehouse.floor.zone_column[zone]) + spot.column
    row = int(warehouse.floor.zone_row[zone]) + spot.row
    return column * GRID_M, row * GRID_M - RACK_M


def _bays(warehouse: Warehouse) -> Iterator[str]:
    """Yield bays, chargers, and the robots that stand there at first."""
    floor, sizes = warehouse.floor, warehouse.floor.sizes
    for node in floor.bay_nodes(sizes.bays * sizes.zones).tolist():
        color = CHARGER_COLOR if floor.kinds[node] == CHARGER else BAY_COLOR
        yield _square(*_node_m(warehouse, node), 1.0, color)
    for node in warehouse.robot_nodes.tolist():
        yield _square(*_node_m(warehouse, node), 0.5, ROBOT_COLOR)


def _node_m(warehouse: Warehouse, node: int) -> tuple[float, float]:
    floor = warehouse.floor
    return float(floor.column[node] * GRID_M), float(floor.row[node] * GRID_M)


def _zone_names(warehouse: Warehouse) -> Iterator[str]:
    """Yield each zone's name across it, pale enough to look through."""
    floor = warehouse.floor
    block = floor.block
    size_m = ZONE_TEXT_SHARE * min(block.columns, block.rows) * GRID_M
    for name, column, row in zip(
        warehouse.zones, floor.zone_column.tolist(), floor.zone_row.tolist(), strict=True
    ):
        x_m = (column + (block.columns - 1) / 2) * GRID_M
        y_m = (row + (block.rows + block.hand_row) / 2) * GRID_M - size_m / 3
        yield (
            f'<text transform="translate({x_m:g} {y_m:g}) scale(1 -1)" font-size="{size_m:g}"'
            f' text-anchor="middle" fill="#0f172a" fill-opacity="0.35">{escape(name)}</text>'
        )


def _legend(warehouse: Warehouse, top_px: int) -> Iterator[str]:
    entries: Iterable[tuple[str, str]] = (
        *zip(RACK_COLORS, RACK_TEXTS, strict=True),
        *((SPOT_COLORS[kind], SPOT_TEXTS[kind]) for kind in SPOT_COLORS),
        (CHARGER_COLOR, "charger"),
        (BAY_COLOR, "parking"),
        (ROBOT_COLOR, "robot"),
    )
    x_px = LEGEND_PX
    for color, text in entries:
        yield f'<rect x="{x_px}" y="{top_px}" width="12" height="12" fill="{color}"/>'
        yield f'<text x="{x_px + 16}" y="{top_px + 11}" font-size="13">{text}</text>'
        x_px += 30 + 7 * len(text)
    yield (
        f'<text x="{WIDTH_PX - LEGEND_PX}" y="{top_px + 11}" font-size="13" text-anchor="end">'
        f"{escape(_title(warehouse))}</text>"
    )


def _square(x_m: float, y_m: float, size_m: float, color: str) -> str:
    return (
        f'<rect x="{x_m - size_m / 2:g}" y="{y_m - size_m / 2:g}" width="{size_m:g}"'
        f' height="{size_m:g}" fill="{color}"/>'
    )


def _runs(line: NDArray[np.generic], without: int) -> Iterator[tuple[int, int, int]]:
    """Yield (begin, end, value) of equal neighbours, but for those that are `without`."""
    values = line.astype(np.int64)
    borders = np.flatnonzero(np.diff(values)) + 1
    ends = [*borders.tolist(), len(values)]
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        if begin < end and values[begin] != without:
            yield begin, end, int(values[begin])
