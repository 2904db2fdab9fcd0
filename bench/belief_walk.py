"""What counting costs, by the same walking model for every way of choosing.

Bins stand along parallel aisles with a cross aisle at each end. Whoever counts begins and ends each
day at one corner and goes from aisle to aisle, up one and down the next; each count takes its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from central.belief.core import Floats, Ints

BINS_PER_AISLE: Final = 75
BIN_M: Final = 1.0
AISLES_APART_M: Final = 3.0
WALK_M_PER_S: Final = 1.2
COUNT_S: Final = 30.0
S_PER_MIN: Final = 60.0
_LENGTH_M: Final = BINS_PER_AISLE * BIN_M


def minutes_of(bins: Sequence[int], counts: int) -> float:
    """Return how long a round through `bins` takes in which so many counts are made, minutes."""
    stops = sorted({(b // BINS_PER_AISLE, b % BINS_PER_AISLE) for b in bins})
    by_aisle: dict[int, list[int]] = {}
    for aisle, at in stops:
        by_aisle.setdefault(aisle, []).append(aisle * BINS_PER_AISLE + at)
    way = [0]
    for turn, aisle in enumerate(sorted(by_aisle)):
        way += by_aisle[aisle] if turn % 2 == 0 else by_aisle[aisle][::-1]
    way.append(0)
    from_, to = np.array(way[:-1]), np.array(way[1:])
    walked_m = float(distance_m(from_, to).sum())
    return (walked_m / WALK_M_PER_S + counts * COUNT_S) / S_PER_MIN


def distance_m(one: Ints, other: Ints) -> Floats:
    """Return how far it is between bins, metres: along the aisle or by the nearer cross aisle."""
    x, y = one % BINS_PER_AISLE * BIN_M, other % BINS_PER_AISLE * BIN_M
    across = np.abs(one // BINS_PER_AISLE - other // BINS_PER_AISLE)
    around = np.minimum(x + y, 2.0 * _LENGTH_M - x - y) + across * AISLES_APART_M
    found: Floats = np.where(across == 0, np.abs(x - y), around)
    return found


def by_minute(wrong: Floats, wanted: int) -> list[int]:
    """Return bins to count, those first that give most errors for the time they add to a round.

    `wrong`: how likely each book is wrong. A bin adds its count and the way there and back from the
    nearest one that is visited anyway.
    """
    every = np.arange(len(wrong))
    near_m = distance_m(every, np.zeros_like(every))
    worth = wrong.copy()
    chosen: list[int] = []
    for _ in range(min(wanted, len(wrong))):
        best = int(np.argmax(worth / (COUNT_S + 2.0 * near_m / WALK_M_PER_S)))
        chosen.append(best)
        worth[best] = -1.0
        near_m = np.minimum(near_m, distance_m(every, np.full_like(every, best)))
    return chosen
