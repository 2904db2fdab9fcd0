"""The walking model of the belief bench: by hand, and what choosing by minutes saves."""

from __future__ import annotations

import numpy as np
import pytest

from bench.belief_model import play
from bench.belief_walk import (
    AISLES_APART_M,
    BINS_PER_AISLE,
    COUNT_S,
    WALK_M_PER_S,
    by_minute,
    distance_m,
    minutes_of,
)


def test_a_round_by_hand() -> None:
    # 10 m up the first aisle and back, two counts.
    assert minutes_of([10], 2) == pytest.approx((20 / WALK_M_PER_S + 2 * COUNT_S) / 60)
    # Bins visited twice are walked to once, in whatever order they were chosen.
    assert minutes_of([10, 4, 10], 3) == pytest.approx((20 / WALK_M_PER_S + 3 * COUNT_S) / 60)


def test_the_nearer_cross_aisle_is_taken() -> None:
    last = BINS_PER_AISLE - 1
    one, other = np.array([2, last]), np.array([BINS_PER_AISLE + 3, BINS_PER_AISLE + last])
    assert distance_m(one, other).tolist() == [5 + AISLES_APART_M, 2 + AISLES_APART_M]
    assert distance_m(other, one).tolist() == distance_m(one, other).tolist()


def test_of_equally_doubtful_bins_the_near_ones_are_chosen() -> None:
    wrong = np.full(20 * BINS_PER_AISLE, 0.1)
    assert max(by_minute(wrong, 10)) < BINS_PER_AISLE
    wrong[1_000] = 0.3
    assert by_minute(wrong, 1) != [1_000]  # thrice as likely, yet too far for one
    wrong[1_000] = 1.0
    wrong[:1_000] = 0.01
    assert by_minute(wrong, 1) == [1_000]


def test_choosing_by_minutes_finds_more_for_the_same_time_in_a_short_run() -> None:
    by_doubt = play(5, "belief", days=14, warm_days=6, counts_per_day=20)
    by_time = play(5, "belief by minute", days=14, warm_days=6, counts_per_day=20)
    assert by_time.errors_per_minute > by_doubt.errors_per_minute > 0.0
    for stated in (by_time.stated, by_time.knowing):
        assert ((stated - by_time.right) ** 2).mean() < 0.1
