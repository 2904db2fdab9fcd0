"""When and how much: the spread of a lead time's demand, order-up-to levels, whole cases."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@njit("float64(float64, float64, float64, float64)", cache=True)
def lead_variance(mean: float, sd: float, lead_d: float, lead_sd_d: float) -> float:
    """Return the variance of the demand in a lead time that varies itself, units^2.

    L * sd^2 + mu^2 * sd_L^2 with mu, sd in units per day, L, sd_L in days; days independent.
    Worked: mu 10, sd 3, L 4, sd_L 1: 36 + 100 = 136; at z 1.645 the level is 40 + 19.18 = 59.18.
    Source: Silver, Pyke & Thomas, Inventory and Production Management, 4th ed., chapter 6
    (variable lead time); derived in docs/models.md.
    """
    return lead_d * sd * sd + mean * mean * lead_sd_d * lead_sd_d


@njit("void(int64[::1], float64[::1], int64[::1])", cache=True)
def up_to_levels(reorder_points: Ints, cover_means: Floats, up_to: Ints) -> None:
    """Fill `up_to` with S of the (R, s, S) policy, whole units.

    reorder_points : (n,) s, the quantile of the demand in lead time and review together.
    cover_means : (n,) units that one replenishment shall cover beyond s.
    S = max(s + 1, ceil(s + cover)). Worked: s 9, cover 10.2: 20.
    Source: Silver, Pyke & Thomas, Inventory and Production Management, 4th ed., chapter 6.
    """
    for i in range(len(reorder_points)):
        s = reorder_points[i]
        up_to[i] = max(s + 1, math.ceil(s + cover_means[i] - 1e-9))


@njit("int64(int64, int64, int64, int64, int64)", cache=True)
def whole_cases(
    want_units: int, case_units: int, room_units: int, free_units: int, due_room_units: int
) -> int:
    """Return how many units to take from one source to one target.

    Whole cases, as few as cover `want_units`, no more than the source's free units and the target's
    room now. Single units only where the source has no whole case left, or where the room that the
    target has when it falls due (`due_room_units`: its capacity less its reorder point) is less
    than a case: it would have to run empty before a case fits.
    Worked: want 13, case 6, room 20, free 100: 18; room 14: 12; room 5: 0; free 4: 4.
    """
    if want_units <= 0 or room_units <= 0 or free_units <= 0:
        return 0
    most = min(room_units, free_units)
    if free_units < case_units or due_room_units < case_units:
        return min(want_units, most)
    cases = (want_units + case_units - 1) // case_units
    return min(cases, most // case_units) * case_units
