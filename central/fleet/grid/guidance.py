"""What a step costs where: lanes of alternating direction, so that robots rarely meet head on.

Every row of the grid is a lane with a direction, every column too; driving against it costs more.
The costs only guide: every cell stays reachable from everywhere. Source of the idea: graph guidance
and highways, e.g. Yukhnevich and Andreychuk (2025), section on graph guidance; Cohen, Uras and
Koenig, "Feasibility Study: Using Highways for Bounded-Suboptimal Multi-Agent Path Finding" (2015).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from central.fleet.grid.distance.kernels import BUCKETS
from central.fleet.grid.ground import HEADINGS, Flags, Ground, Int32

STEP_COST: Final = 1
TURN_COST: Final = 1
AGAINST_COST: Final = 40
"""A step against its lane, where most of the map is one lane wide."""
AGAINST_COST_OPEN: Final = 2
"""A step against its lane on a map that is no warehouse: there lanes help a little only."""
CORRIDOR_SHARE_MIN: Final = 0.25
"""A row or column is a corridor where so much of its free cells is walled on both sides."""
CORRIDOR_CELLS_MIN: Final = 3
AISLES_SHARE_MIN: Final = 0.1
"""A map is one of aisles where so many of its rows or columns are corridors."""


def ways_in(ground: Ground, costs: Flags) -> Int32:
    """Return, (free cells, 4), who leads here by a step in each heading, and at what cost.

    Packed as the distance kernels want it: number * BUCKETS + cost, -1 where nobody does.
    """
    back = [ground.number[ground.cells - row * ground.width - column] for row, column in HEADINGS]
    behind = np.stack(back, axis=1)
    cost = costs[behind, np.arange(len(HEADINGS))].astype(np.int32)
    return np.where(behind < 0, -1, behind * BUCKETS + cost).astype(np.int32)


def lane_costs(ground: Ground, against: int | None = None) -> Flags:
    """Return, (free cells, 4), what a step from each cell in each heading costs.

    against: what a step against its lane costs; None: as fits the map.
    """
    place = ground.outside(ground.cells)
    row, column = place // ground.columns, place % ground.columns
    free = np.zeros((ground.rows, ground.columns), np.bool_)
    free[row, column] = True
    down, down_share = _lanes(free)
    back, back_share = _lanes(free.T)
    if against is None:
        is_aisles = max(down_share, back_share) >= AISLES_SHARE_MIN
        against = AGAINST_COST if is_aisles else AGAINST_COST_OPEN
    costs = np.full((ground.free, 4), STEP_COST, np.uint8)
    for heading, is_against in enumerate(
        (back[row] == 1, down[column] == 0, back[row] == 0, down[column] == 1)
    ):
        costs[is_against, heading] = against
    return costs


def _lanes(free: NDArray[np.bool_]) -> tuple[NDArray[np.int64], float]:
    """Return each column's direction, 0 or 1, and the share of columns that are corridors.

    Corridors alternate among themselves, whatever their distance; other columns by number.
    """
    walled = np.zeros((free.shape[0], free.shape[1] + 2), np.bool_)
    walled[:, 1:-1] = free
    narrow = (free & ~walled[:, :-2] & ~walled[:, 2:]).sum(axis=0)
    total = free.sum(axis=0)
    corridor = (narrow >= CORRIDOR_SHARE_MIN * total) & (narrow >= CORRIDOR_CELLS_MIN)
    direction = np.arange(free.shape[1]) % 2
    where = np.flatnonzero(corridor)
    direction[where] = np.arange(where.size) % 2
    return direction, where.size / max(1, free.shape[1])
