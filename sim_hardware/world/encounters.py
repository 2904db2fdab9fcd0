"""Which robots touch: footprints that overlap, counted once per encounter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from sim_hardware.world.bodies import Bodies, Floats, Indices
from sim_hardware.world.vehicle import RADIUS_M

NEAR_M: Final = 2 * RADIUS_M
FEW: Final = 3
ALL_PAIRS_MAX: Final = 150
"""Between so many robots all pairs are looked at faster together than side by side."""
Pair = tuple[str, str]


class Encounters:
    """Counts, once per encounter, pairs of robots whose footprints overlap."""

    def __init__(self, names: Sequence[str], bodies: Bodies) -> None:
        self.count = 0
        self._names = names
        self._bodies = bodies
        self._touching: set[Pair] = set()

    def look(self) -> list[Pair]:
        """Return the pairs that have begun to overlap since the last look, sorted by name."""
        x_m, y_m = self._bodies.positions_m()
        now = {self._pair(one, other) for one, other in _near(x_m, y_m)}
        begun = sorted(now - self._touching)
        self.count += len(begun)
        self._touching = now
        return begun

    def _pair(self, one: int, other: int) -> Pair:
        first, second = sorted((self._names[one], self._names[other]))
        return first, second


def _near(x_m: Floats, y_m: Floats) -> list[tuple[int, int]]:
    """Return the pairs of bodies that are nearer to each other than two radii."""
    if len(x_m) < FEW:
        return [
            (i, j)
            for i in range(len(x_m)) for j in range(i)
            if math.hypot(x_m[i] - x_m[j], y_m[i] - y_m[j]) < NEAR_M
        ]  # fmt: skip
    if len(x_m) > ALL_PAIRS_MAX:
        return _near_side_by_side(x_m, y_m)
    gap_x_m, gap_y_m = np.subtract.outer(x_m, x_m), np.subtract.outer(y_m, y_m)
    near = gap_x_m * gap_x_m + gap_y_m * gap_y_m < NEAR_M**2
    if np.count_nonzero(near) == len(x_m):  # each is near itself
        return []
    return [(int(i), int(j)) for i, j in np.argwhere(near) if j < i]


def _near_side_by_side(x_m: Floats, y_m: Floats) -> list[tuple[int, int]]:
    """Return the same by bodies sorted along x: each with its next, its second next, and so on."""
    order: Indices = np.argsort(x_m, kind="stable")
    x_m, y_m = x_m[order], y_m[order]
    found: list[tuple[int, int]] = []
    for step in range(1, len(x_m)):
        gap_x_m = x_m[step:] - x_m[:-step]
        close = np.flatnonzero(gap_x_m < NEAR_M)
        if not close.size:
            break
        gap_y_m = y_m[close + step] - y_m[close]
        near = close[gap_x_m[close] ** 2 + gap_y_m**2 < NEAR_M**2]
        found += [(int(order[i]), int(order[i + step])) for i in near]
    return found
