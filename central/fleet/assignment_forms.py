"""What kernels of assignment pass to each other: arrays, and their forms in numba's words."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Lists = tuple[Int32, Float64, Int64, Float64]
"""Of each row: listed columns, what they cost, how many there are, the reach."""
Pairs = tuple[Int32, Int32, Float64, Float64]
"""Row of each column (FREE), column of each row (FREE, SKIPPED), what that costs, prices."""
LISTS: Final = "Tuple((int32[:, ::1], float64[:, ::1], int64[::1], float64[::1]))"
PAIRS: Final = "Tuple((int32[::1], int32[::1], float64[::1], float64[::1]))"

LISTED_MAX: Final = 48
KEPT: Final = 32
"""A full list is cut to so many."""
BLOCK: Final = 32
FREE: Final = -1
SKIPPED: Final = -2
"""The row has no column: leaving it without one is cheaper, or nothing else is left."""
