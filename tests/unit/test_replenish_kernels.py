"""Levels and cases: numbers worked by hand, and compiled code against the same code in Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from central.demand.kernels import normal_level
from central.replenish import kernels


def test_a_varying_lead_time_adds_its_own_variance() -> None:
    """Demand 10 +- 3 a day, 4 +- 1 days, 95 %: 40 + 1.645 * sqrt(4 * 9 + 100 * 1) = 59.18."""
    variance = kernels.lead_variance(10.0, 3.0, 4.0, 1.0)
    assert variance == 136.0
    assert kernels.lead_variance.py_func(10.0, 3.0, 4.0, 1.0) == variance
    assert normal_level(40.0, variance, 1.645) == pytest.approx(59.18, abs=0.005)


@pytest.mark.parametrize(
    "kernel", [kernels.up_to_levels, kernels.up_to_levels.py_func], ids=["compiled", "python"]
)
def test_an_order_reaches_above_the_reorder_point(kernel: Callable[..., None]) -> None:
    up_to = np.zeros(3, dtype=np.int64)
    kernel(np.array([9, 15, 0]), np.array([10.2, 0.2, 0.0]), up_to)
    assert up_to.tolist() == [20, 16, 1]


@pytest.mark.parametrize(
    ("want", "case", "room", "free", "due_room", "units"),
    [
        (13, 6, 20, 100, 48, 18),  # cases cover the want
        (13, 6, 14, 100, 48, 12),  # room cuts to whole cases
        (13, 6, 20, 13, 48, 12),  # the source's single units stay
        (13, 6, 5, 100, 48, 0),  # no room for a case: wait
        (13, 6, 20, 4, 48, 4),  # no whole case left there: its rest
        (2, 6, 20, 4, 48, 2),
        (13, 24, 9, 100, 20, 9),  # no case fits when it falls due: single units
        (0, 6, 20, 100, 48, 0),
        (-3, 6, 20, 100, 48, 0),
        (13, 6, 0, 100, 48, 0),
        (13, 6, 20, 0, 48, 0),
    ],
)
def test_whole_cases(want: int, case: int, room: int, free: int, due_room: int, units: int) -> None:
    assert kernels.whole_cases(want, case, room, free, due_room) == units
    assert kernels.whole_cases.py_func(want, case, room, free, due_room) == units
