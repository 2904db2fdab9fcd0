"""How sure the books are: what raises and lowers it, and what counts teach."""

from __future__ import annotations

import numpy as np
import pytest

from bench.belief import calibration_error
from bench.belief_model import play
from central.belief.core import (
    MOVE,
    PICK,
    STRANGER_SEEN,
    Beliefs,
    Prior,
    count_evidence,
    shifted,
)
from central.belief.settle import ADJUST_SURE, count_is_right

PEN = "04006381333931"


def sure(beliefs: Beliefs, at_d: float = 0.0, pair: int = 0) -> float:
    return float(beliefs.probabilities(at_d, beliefs.learn(at_d))[pair])


def one() -> Beliefs:
    beliefs = Beliefs()
    beliefs.pair(("A-01", PEN), "A/reserve", 0.0)
    return beliefs


def test_the_formula_by_hand() -> None:
    beliefs = one()
    for _ in range(10):
        beliefs.moved(0, PICK)
    # 0.98 * exp(-(10 * 0.002 + 5 * 0.002)): nothing was counted, so the prior's hazards hold.
    assert sure(beliefs, 5.0) == pytest.approx(0.98 * np.exp(-0.03))


def test_evidence_by_hand() -> None:
    # P(match | right) = 0.98; a wrong book is hidden by a miscount in one of ten of these.
    assert count_evidence(0, 0.02) == pytest.approx(np.log(0.98 / 0.002))
    # One unit: 0.02 * 0.425 if the book is right, 0.1 if it is wrong.
    assert count_evidence(1, 0.02) == pytest.approx(np.log(0.02 * 0.425 / 0.1))
    assert shifted(0.5, np.log(3.0)) == pytest.approx(0.75)


def test_a_count_that_matches_makes_sure_and_one_that_differs_makes_doubt() -> None:
    beliefs = one()
    before = sure(beliefs, 100.0)
    beliefs.counted(0, -7, 100.0)
    assert sure(beliefs, 100.0) < 0.1 < before
    beliefs.counted(0, 0, 100.0)
    assert sure(beliefs, 100.0) > before


def test_a_difference_of_one_is_counted_again_and_a_large_one_is_believed() -> None:
    assert count_is_right(0.97, 1, 0.02) < ADJUST_SURE
    after_one = shifted(0.97, count_evidence(1, 0.02))
    assert count_is_right(after_one, 1, 0.02, before=1) > ADJUST_SURE
    assert count_is_right(0.97, -7, 0.02) > ADJUST_SURE


def test_an_adjusted_book_is_sure_again() -> None:
    beliefs = one()
    beliefs.counted(0, -7, 1.0)
    beliefs.adjusted(0, 1.0)
    assert sure(beliefs, 1.0) == pytest.approx(Prior().adjusted)


def test_a_camera_that_says_the_same_again_adds_nothing() -> None:
    beliefs = one()
    beliefs.sighted(0, STRANGER_SEEN, 1.0)
    once = sure(beliefs, 1.0)
    for _ in range(50):
        beliefs.sighted(0, STRANGER_SEEN, 1.0)
    assert sure(beliefs, 1.0) == once < 0.5


def test_zones_where_counts_differ_are_trusted_less() -> None:
    beliefs = Beliefs()
    for number in range(40):
        careless = number % 2 == 0
        pair = beliefs.pair((f"B-{number}", PEN), "bad" if careless else "good", 0.0)
        for _ in range(20):
            beliefs.moved(pair, PICK)
        if number < 30:
            beliefs.counted(pair, -6 if careless else 0, 1.0)
            if careless:
                beliefs.adjusted(pair, 1.0)
    learned = beliefs.learn(1.0)
    bad, good = beliefs.classes["bad"], beliefs.classes["good"]
    assert learned.rates[bad, PICK] > 3 * learned.rates[good, PICK]
    p = beliefs.probabilities(1.0, learned)
    assert p[38] < p[39] - 0.1


def test_a_bin_that_errs_more_than_its_zone_is_trusted_less() -> None:
    beliefs = Beliefs()
    for number in range(30):
        pair = beliefs.pair((f"B-{number}", PEN), "B", 0.0)
        for round_ in range(4):
            for _ in range(20):
                beliefs.moved(pair, MOVE)
            beliefs.counted(pair, -6 if number == 0 else 0, 1.0 + round_)
            if number == 0:
                beliefs.adjusted(pair, 1.0 + round_)
    p = beliefs.probabilities(40.0, beliefs.learn(40.0))
    assert p[0] < p[1:].min() - 0.05


def test_our_counts_find_errors_and_our_probabilities_are_true_in_a_short_run() -> None:
    ours = play(5, "belief", days=14, warm_days=6, counts_per_day=20)
    assert ours.errors_per_count > 0.02
    assert calibration_error(ours.stated, ours.right) < 0.08
