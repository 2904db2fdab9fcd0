"""The floor of a warehouse of any size: zones as equal blocks of a grid, and the lanes on it.

One zone, seen from above (`=` aisle with a rack on each side, `|` cross aisle, `-` lane):

    -------------------------    street
    |======|======|======|==|
    |======|======|======|==|    racks
    -------------------------    the handover lane: totes and packing stand below it
    | hpph | bbbb | bbbb |bb|    b: bays where robots stand at first, some with a charger
    -------------------------    street; in the southern zones the docks lie below it

Nodes lie on a grid of 1.5 m, and all lanes are two-way. Zones touch, so that the streets between
them are two lanes wide, and so are the cross aisles at their sides. Every bay is open to the lanes
on both of its sides and every aisle ends in a cross aisle at both of its ends: the floor stays
connected without any one node, so two robots that meet can always go around each other somewhere,
and no station is a dead end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]

GRID_M: Final = 1.5
RACK_M: Final = 1.0
"""From the middle of an aisle to the middle of a bin; the rack behind faces the next aisle."""
LEVEL_FIRST_M: Final = 0.6
LEVEL_M: Final = 1.2
SECTION: Final = 8
"""Positions of an aisle between two cross aisles, at most."""
STATION_Z_M: Final = 0.8
ASPECT: Final = 1.2
WAY, STATION, CHARGER = 0, 1, 2
NODE_KINDS: Final = ("way", "station", "charger")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What one floor must hold."""

    zones: int
    places: int
    """Places in the racks of one zone."""
    levels: int
    across: int
    """Bins side by side in front of one node, on each side of the aisle."""
    hands: int
    """Handover places in each zone; so many packing stations too in `packs`."""
    packs: int
    docks: int
    """Of the site."""
    bays: int
    """Of one zone."""
    chargers: int
    """Bays with a charger, of one zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Places in the racks of one zone, in the order of their names; nodes by column and row."""

    aisle: Ints
    position: Ints
    level: Ints
    column: Ints
    row: Ints
    east_m: Floats
    """East of the node."""
    north_m: Floats
    walk_m: Floats
    """The shortest way from the node to a handover place of the zone."""

    def __len__(self) -> int:
        return len(self.aisle)

    def z_m(self) -> Floats:
        """Return how high each place is."""
        return LEVEL_FIRST_M + LEVEL_M * (self.level - 1)

    def take(self, keep: Ints) -> Places:
        """Return some of the places."""
        return Places(
            aisle=self.aisle[keep], position=self.position[keep], level=self.level[keep],
            column=self.column[keep], row=self.row[keep], east_m=self.east_m[keep],
            north_m=self.north_m[keep], walk_m=self.walk_m[keep],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spot:
    """A handover place, a packing station or a dock: the node before it; it lies south of it."""

    kind: str
    column: int
    row: int


class Block:
    """One zone: which nodes it has, how they are joined, what lies where."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        stations = math.ceil(sizes.places / (2 * sizes.levels * sizes.across))
        along = max(3, round(math.sqrt(2 * stations)), sizes.hands + sizes.packs)
        sections = math.ceil(along / SECTION)
        section = math.ceil(along / sections)
        self.columns = sections * (section + 1) + 1
        crosses = np.arange(self.columns) % (section + 1) == 0
        self.is_cross: Flags = crosses
        self.rack_columns: Ints = np.flatnonzero(~crosses)
        self.aisles = math.ceil(stations / len(self.rack_columns))
        spots = sizes.hands + sizes.packs + sizes.bays
        self.strips = math.ceil(spots / len(self.rack_columns))
        self.hand_row = 2 * self.strips
        self.rows = self.hand_row + 2 * self.aisles + 3
        self.aisle_rows: Ints = self.hand_row + 2 * np.arange(1, self.aisles + 1)
        self.spots, self.bays = self._front()
        self.is_lane_row = self._lane_rows()
        self.exists: Flags = self.is_lane_row[:, None] | crosses[None, :]
        bays = np.array(self.bays, np.int64).reshape(-1, 2)
        self.exists[bays[:, 1], bays[:, 0]] = True
        self.north: Flags = np.broadcast_to(crosses, self.exists.shape).copy()
        """Whether one drives from a node to the next one north of it."""
        self.north[bays[:, 1], bays[:, 0]] = True
        self.north[bays[:, 1] - 1, bays[:, 0]] = True
        self.north[-1, :] = True
        self.east: Flags = np.broadcast_to(self.is_lane_row[:, None], self.exists.shape).copy()
        self.east[:, -1] = True
        self.places = self._places()

    def _lane_rows(self) -> Flags:
        """Return which rows one can drive along from end to end."""
        found = np.zeros(self.rows, np.bool_)
        found[0 : self.hand_row + 1 : 2] = True
        found[self.aisle_rows] = True
        found[-1] = True
        return found

    def _front(self) -> tuple[list[Spot], list[tuple[int, int]]]:
        """Return handover and packing places, from the middle outwards, and the bays behind.

        The first bays are those with a charger. They are spread evenly, so that a robot that waits
        for one does not stand in the way of all others.
        """
        sizes = self._sizes
        middle = (self.columns - 1) / 2
        by_middle = sorted(self.rack_columns.tolist(), key=lambda c: (abs(c - middle), c))
        # Hand, pack, hand, ... in turn: totes go from one to the other.
        kinds = sorted(
            ((turn + 0.5) / count, kind)
            for kind, count in (("hand", sizes.hands), ("pack", sizes.packs))
            for turn in range(count)
        )
        spots = [
            Spot(kind, column, self.hand_row)
            for (_, kind), column in zip(kinds, by_middle, strict=False)
        ]
        taken = {(spot.column, self.hand_row - 1) for spot in spots}
        free = [
            (column, row)
            for row in range(self.hand_row - 1, 0, -2)
            for column in self.rack_columns.tolist()
            if (column, row) not in taken
        ]
        bays = free[: sizes.bays]
        step = max(1, len(bays) // max(1, sizes.chargers))
        first = bays[::step][: sizes.chargers]
        return spots, first + [bay for bay in bays if bay not in set(first)]

    def _places(self) -> Places:
        """Return as many places as are wanted: all aisles are full but the last one."""
        sizes = self._sizes
        aisle, j, across, side, level = (
            grid.ravel()
            for grid in np.meshgrid(
                np.arange(self.aisles), np.arange(len(self.rack_columns)),
                np.arange(sizes.across), np.arange(2), np.arange(sizes.levels), indexing="ij",
            )
        )  # fmt: skip
        column, row = self.rack_columns[j], self.aisle_rows[aisle]
        width_m = GRID_M / sizes.across
        found = Places(
            aisle=aisle + 1,
            position=2 * (j * sizes.across + across) + side + 1,
            level=level + 1,
            column=column,
            row=row,
            east_m=(across + 0.5) * width_m - GRID_M / 2,
            north_m=np.where(side == 0, -RACK_M, RACK_M),
            walk_m=self._walk_m()[row, column],
        )
        return found.take(np.arange(sizes.places))

    def _walk_m(self) -> Floats:
        """Return the shortest way from each node to a handover place, inside the zone."""
        steps = np.full(self.exists.shape, -1, np.int64)
        queue = [(s.row, s.column) for s in self.spots if s.kind == "hand"]
        for row, column in queue:
            steps[row, column] = 0
        for row, column in queue:
            ways = (
                (row + 1, column, row + 1 < self.rows and self.north[row, column]),
                (row - 1, column, row > 0 and self.north[row - 1, column]),
                (row, column + 1, column + 1 < self.columns and self.east[row, column]),
                (row, column - 1, column > 0 and self.east[row, column - 1]),
            )
            for r, c, is_open in ways:
                if is_open and self.exists[r, c] and steps[r, c] < 0:
                    steps[r, c] = steps[row, column] + 1
                    queue.append((r, c))
        return steps * GRID_M


class Floor:
    """All zones side by side: nodes by number, lanes, docks."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.block = Block(sizes)
        block, zones = self.block, sizes.zones
        across = round(math.sqrt(zones * ASPECT * block.rows / block.columns))
        self.across = min(max(1, across), zones)
        self.down = math.ceil(zones / self.across)
        zone = np.arange(zones)
        self.zone_column: Ints = zone % self.across * block.columns
        self.zone_row: Ints = zone // self.across * block.rows
        self.docks = self._docks()
        built = np.zeros((self.down, self.across), np.bool_)
        built[zone // self.across, zone % self.across] = True
        exists = self._tile(built, block.exists)
        self.numbers: Ints = np.where(exists, np.cumsum(exists).reshape(exists.shape) - 1, -1)
        """Node numbers by row and column, -1 where there is none."""
        self.row, self.column = (axis.astype(np.int64) for axis in np.nonzero(exists))
        self.east: Flags = self._tile(built, block.east)
        self.north: Flags = self._tile(built, block.north)
        self.kinds: NDArray[np.int8] = np.zeros(len(self.row), np.int8)

    def __len__(self) -> int:
        return len(self.row)

    def lanes(self) -> tuple[Ints, Ints]:
        """Return from which node to which one drives, both directions of every lane."""
        east = _pairs(self.numbers[:, :-1], self.numbers[:, 1:], self.east[:, :-1])
        north = _pairs(self.numbers[:-1], self.numbers[1:], self.north[:-1])
        here = np.concatenate([east[0], north[0]])
        there = np.concatenate([east[1], north[1]])
        return (
            np.stack([here, there], axis=1).ravel(),
            np.stack([there, here], axis=1).ravel(),
        )

    def node(self, zone: Ints, column: Ints, row: Ints) -> Ints:
        """Return the numbers of nodes given by their column and row in a zone."""
        found: Ints = self.numbers[self.zone_row[zone] + row, self.zone_column[zone] + column]
        assert (found >= 0).all(), "a place that no node leads to"
        return found

    def spots(self) -> list[tuple[int, Spot]]:
        """Return (zone, spot) of all docks, handover places and packing stations."""
        zones = range(self.sizes.zones)
        return [*self.docks, *((zone, spot) for zone in zones for spot in self.block.spots)]

    def bay_nodes(self, bays: int) -> Ints:
        """Return the nodes of the first `bays` bays: the first bay of each zone, the second, ..."""
        wanted = np.arange(bays)
        at = np.array(self.block.bays, np.int64).reshape(-1, 2)[wanted // self.sizes.zones]
        return self.node(wanted % self.sizes.zones, at[:, 0], at[:, 1])

    def _docks(self) -> list[tuple[int, Spot]]:
        """Return (zone, dock), spread over the southern zones."""
        columns = self.block.rack_columns
        room = self.across * len(columns)
        assert self.sizes.docks <= room, f"{self.sizes.docks} docks, room for {room}"
        found = []
        for number in range(self.sizes.docks):
            at = (2 * number + 1) * room // (2 * self.sizes.docks)
            column = int(columns[at % len(columns)])
            found.append((at // len(columns), Spot("dock", column, 0)))
        return found

    def _tile(self, built: Flags, block: Flags) -> Flags:
        return np.kron(built, block).astype(np.bool_)


def _pairs(here: Ints, there: Ints, joined: Flags) -> tuple[Ints, Ints]:
    known = joined & (here >= 0) & (there >= 0)
    return here[known], there[known]
