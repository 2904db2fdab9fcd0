"""The floor of a generated site: aisles between racks, cross aisles, a lane along the docks.

Aisles run along x. Seen from above (`=` aisle with a rack on each side, `|` cross aisle):

    ||====|===||====|===||    left half: zone A, right half: zone B
    c|====|===c|====|===||    c: chargers, where the robots stand at first
    ++----+---++----+---++    the lane: docks on the left, packing on the right

Nodes lie on a grid of 1.5 m. Every place can be left in two ways, so that two robots that meet can
always go around each other somewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wire.site import BinRow, EdgeRow, NodeRow

GRID_M: Final = 1.5
AISLES: Final = 4
POSITIONS: Final = 7
"""Nodes of an aisle with bins beside them, in each zone."""
SECTION: Final = 4
"""Positions before the cross aisle in the middle of a zone; the others come after it."""
LEVEL_Z_M: Final = (0.6, 1.8)
RACK_M: Final = 1.0
"""From the middle of an aisle to the middle of a bin; the rack behind faces the next aisle."""
LANE_ROW: Final = -2
TOP_ROW: Final = 2 * (AISLES - 1)
ZONE_COLUMNS: Final = POSITIONS + 4
"""Two cross aisles at the outer end, one in the middle, one beside the other zone's."""
DOCK_CAPACITY_UNITS: Final = 5_000
PACK_CAPACITY_UNITS: Final = 2_000
ROBOT_NODES_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in a rack, before anything is known about what stands there."""

    bin_id: str
    level: int
    x_m: float
    y_m: float
    z_m: float
    node_id: str

    def to_bin(self, edge_id: str, kind: str, gtin: str, capacity_units: int) -> BinRow:
        """Return this place as a bin."""
        return BinRow(
            bin_id=self.bin_id, edge_id=edge_id, kind=kind, x_m=self.x_m, y_m=self.y_m,
            z_m=self.z_m, node_id=self.node_id, gtin=gtin, capacity_units=capacity_units,
        )  # fmt: skip


def node_id(column: int, row: int) -> str:
    """Return the name of the node in this column and row; rows below the first aisle count down."""
    return f"N{column:02}{'S' if row < 0 else 'R'}{abs(row):02}"


def cross_columns() -> tuple[int, ...]:
    """Return the columns of the cross aisles, from left to right."""
    middle, inner, outer = SECTION + 2, ZONE_COLUMNS - 1, 2 * ZONE_COLUMNS - 1
    right = ZONE_COLUMNS + 1 + SECTION
    return (0, 1, middle, inner, ZONE_COLUMNS, right, outer - 1, outer)


def aisle_columns(zone: str) -> tuple[int, ...]:
    """Return the columns of one zone that have bins beside them."""
    first = 0 if zone == "A" else ZONE_COLUMNS
    crosses = set(cross_columns())
    return tuple(c for c in range(first, first + ZONE_COLUMNS) if c not in crosses)


def make_nodes(stations: set[str], robots: int) -> list[NodeRow]:
    """Return all nodes; those of `stations` have a bin in front of them."""
    chargers = set(charger_nodes(robots))
    rows = []
    for column, row in _places():
        name = node_id(column, row)
        kind = "charger" if name in chargers else "station" if name in stations else "way"
        rows.append(NodeRow(node_id=name, x_m=column * GRID_M, y_m=row * GRID_M, kind=kind))
    return rows


def make_edges() -> list[EdgeRow]:
    """Return all lanes: between neighbours of the grid, in both directions."""
    places = _places()
    known = set(places)
    rows = []
    for column, row in places:
        for other in ((column + 1, row), (column, row + 1)):
            if other in known and _joined((column, row), other):
                here, there = node_id(column, row), node_id(*other)
                rows.append(EdgeRow(from_node=here, to_node=there))
                rows.append(EdgeRow(from_node=there, to_node=here))
    return rows


def charger_nodes(robots: int) -> tuple[str, ...]:
    """Return the nodes where robots stand at first: double cross aisles, out of the way."""
    if robots > ROBOT_NODES_MAX:
        raise ValueError(f"{robots} robots: this floor has room for {ROBOT_NODES_MAX}")
    columns = cross_columns()
    outer, middle = columns[0], columns[3]
    places = [(column, row) for row in (1, 3, 5, -1) for column in (outer, middle)]
    places += [(outer, row) for row in (0, 2, 4, 6)]
    return tuple(node_id(column, row) for column, row in places[:robots])


def rack_slots(zone: str) -> list[Slot]:
    """Return every place in the racks of one zone: aisle, position, level."""
    slots = []
    for aisle in range(AISLES):
        for index, column in enumerate(aisle_columns(zone)):
            for position in (2 * index + 1, 2 * index + 2):
                slots += [_slot(zone, aisle, column, position, level) for level in (1, 2)]
    return slots


def dock_bins(count: int) -> list[BinRow]:
    """Return the docks, below the lane on the left."""
    return [
        _lane_bin(f"DOCK-{number + 1}", "A", "dock", 3 + 4 * number, DOCK_CAPACITY_UNITS)
        for number in range(count)
    ]


def pack_bins() -> list[BinRow]:
    """Return four handover bins at the right end, and two packing stations at the lane."""
    outer = cross_columns()[-1]
    hands = [
        BinRow(
            bin_id=f"HAND-{number + 1}", edge_id="B", kind="pack",
            x_m=outer * GRID_M + RACK_M, y_m=row * GRID_M, z_m=0.8,
            node_id=node_id(outer, row), capacity_units=PACK_CAPACITY_UNITS,
        )
        for number, row in enumerate((0, 2, 4, 6))
    ]  # fmt: skip
    packs = [
        _lane_bin(f"PACK-{number + 1}", "B", "pack", ZONE_COLUMNS + 6 + 2 * number,
                  PACK_CAPACITY_UNITS)
        for number in range(2)
    ]  # fmt: skip
    return hands + packs


def _lane_bin(name: str, edge_id: str, kind: str, column: int, capacity_units: int) -> BinRow:
    return BinRow(
        bin_id=name, edge_id=edge_id, kind=kind, x_m=column * GRID_M,
        y_m=LANE_ROW * GRID_M - RACK_M, z_m=0.8, node_id=node_id(column, LANE_ROW),
        capacity_units=capacity_units,
    )  # fmt: skip


def _slot(zone: str, aisle: int, column: int, position: int, level: int) -> Slot:
    row = 2 * aisle
    side = -1 if position % 2 else 1
    return Slot(
        bin_id=f"{zone}-{aisle + 1:02}-{position:02}-{level}",
        level=level,
        x_m=column * GRID_M,
        y_m=row * GRID_M + side * RACK_M,
        z_m=LEVEL_Z_M[level - 1],
        node_id=node_id(column, row),
    )


def _places() -> list[tuple[int, int]]:
    """Return (column, row) of every node: cross aisles, aisles, and the lane at the bottom."""
    crosses = set(cross_columns())
    return [
        (column, row)
        for column in range(2 * ZONE_COLUMNS)
        for row in range(LANE_ROW, TOP_ROW + 1)
        if column in crosses or row == LANE_ROW or (row >= 0 and row % 2 == 0)
    ]


def _joined(here: tuple[int, int], there: tuple[int, int]) -> bool:
    """Return whether one can drive between two neighbours: racks stand between the aisles."""
    crosses = set(cross_columns())
    if here[1] != there[1]:
        return here[0] in crosses
    on_aisle = here[1] == LANE_ROW or (here[1] >= 0 and here[1] % 2 == 0)
    return on_aisle or (here[0] in crosses and there[0] in crosses)
