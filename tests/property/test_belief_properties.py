"""Whatever happens to a bin: probabilities stay probabilities, and move the right way."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from central.belief.core import DAY, NOTHING_SEEN, SEEN_AS_BOOKED, STRANGER_SEEN, Beliefs

Event = tuple[str, int]
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("moved"), st.integers(0, DAY - 1)),
        st.tuples(st.just("counted"), st.integers(-1_000_000, 1_000_000)),
        st.tuples(st.just("adjusted"), st.just(0)),
        st.tuples(st.just("failed"), st.just(0)),
        st.tuples(st.just("sighted"), st.integers(0, 2)),
    ),
    max_size=30,
)
TIMES = st.floats(0.0, 40_000.0)
MONTHS = st.floats(0.0, 100.0)


def told(events: list[Event], at_d: float) -> Beliefs:
    beliefs = Beliefs()
    pair = beliefs.pair(("A-01", "1"), "A", 0.0)
    other = beliefs.pair(("A-02", "1"), "A", 0.0)
    for name, value in events:
        if name == "moved":
            beliefs.moved(pair, value)
        elif name == "counted":
            beliefs.counted(pair, value, at_d)
        elif name == "adjusted":
            beliefs.adjusted(pair, at_d)
        elif name == "failed":
            beliefs.failed(pair)
        else:
            beliefs.sighted(pair, (SEEN_AS_BOOKED, NOTHING_SEEN, STRANGER_SEEN)[value], at_d)
    assert other == 1
    return beliefs


@given(EVENTS, TIMES, TIMES)
def test_probabilities_are_between_0_and_1(events: list[Event], at_d: float, now_d: float) -> None:
    beliefs = told(events, at_d)
    learned = beliefs.learn(now_d)
    p = beliefs.probabilities(now_d, learned)
    assert np.all((p > 0.0) & (p < 1.0))
    assert np.all(learned.rates > 0.0)
    assert np.all(learned.frailty > 0.0)
    assert np.all(beliefs.off_units(learned) > 0.0)


@given(EVENTS, TIMES, st.floats(0.0, 1_000.0), st.integers(0, DAY - 1))
def test_time_and_moves_lower_it(
    events: list[Event], at_d: float, later_d: float, cause: int
) -> None:
    beliefs = told(events, at_d)
    learned = beliefs.learn(at_d)
    before = beliefs.probabilities(at_d, learned)[0]
    assert beliefs.probabilities(at_d + later_d, learned)[0] <= before
    beliefs.moved(0, cause)
    assert beliefs.probabilities(at_d, learned)[0] <= before


@given(EVENTS, MONTHS)
def test_a_matching_count_never_lowers_it(events: list[Event], at_d: float) -> None:
    beliefs = told(events, at_d)
    learned = beliefs.learn(at_d)
    before = beliefs.probabilities(at_d, learned)[0]
    beliefs.counted(0, 0, at_d)
    assert beliefs.probabilities(at_d, learned)[0] >= min(before, 0.9)
