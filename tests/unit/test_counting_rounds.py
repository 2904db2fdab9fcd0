"""Counting rounds by behaviour: which bins go together, by whose eyes, and what that is worth."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.replenish.counting import (
    COSTS,
    KIND_ROUNDS_MAX,
    Candidate,
    CountRound,
    Eye,
    EyeKind,
    cheapest,
    count_seconds,
    finds_share,
    rate_per_h,
    recompute_rate,
    round_numbers,
    rounds_of,
)
from tests.planning import bin_row
from wire.site import BinRow


def at(bin_id: str, x_m: float, y_m: float = 0.0) -> BinRow:
    plain = bin_row(bin_id, "reserve")
    return BinRow(
        bin_id=bin_id, edge_id=plain.edge_id, kind=plain.kind, x_m=x_m, y_m=y_m, z_m=0.0,
        node_id="n1",
    )  # fmt: skip


def item(bin_id: str, wrong: float, x_m: float = 0.0, y_m: float = 0.0, **other: Any) -> Candidate:
    values: dict[str, Any] = {"units": 10, "seen_d": 3.0, "changed": True, "holds": True}
    return Candidate(row=at(bin_id, x_m, y_m), wrong=wrong, **(values | other))


def eye(kind: EyeKind, items: list[Candidate], *, busy: bool = False, name: str = "") -> Eye:
    bins = frozenset(one.row.bin_id for one in items)
    return Eye(kind=kind, name=name or kind * (kind != "person"), edge_id="A", bins=bins, busy=busy)


def only(eyes: list[Eye], items: list[Candidate], **limits: Any) -> CountRound:
    (found,) = rounds_of(eyes, items, **({"bins_max": 10, "per_h_min": 0.0} | limits))
    return found


def bins(found: CountRound) -> list[str]:
    return [one.row.bin_id for one in found.chosen]


def test_the_rate_by_hand() -> None:
    items = [item("A-1", 0.4), item("A-2", 0.2, y_m=6.0)]
    found = only([eye("person", items)], items)
    # Ready in 30 s, 6 m at 1.2 m/s, 10 s and 0.3 s for each of 10 units at both.
    assert found.walk_s == pytest.approx(30 + 5)
    assert found.count_s == (13.0, 13.0)
    assert rate_per_h(found) == pytest.approx(3_600 * 0.98 * 0.6 / (35 + 26))
    assert recompute_rate(round_numbers(found)) == pytest.approx(rate_per_h(found), abs=1e-5)


def test_a_round_stays_in_an_aisle_where_the_detour_is_not_worth_it() -> None:
    aisle = [item(f"A-{n}", 0.2, y_m=float(n)) for n in range(5)]
    far = item("A-9", 0.21, x_m=400.0)
    found = only([eye("person", [*aisle, far])], [*aisle, far])
    assert bins(found) == ["A-0", "A-1", "A-2", "A-3", "A-4"]
    assert found.refused[-1].startswith("A-9 beside them: ")
    near = item("A-8", 0.21, x_m=2.0)
    assert "A-8" in bins(only([eye("person", [*aisle, near])], [*aisle, near]))


def test_a_bin_that_takes_long_to_count_goes_after_one_as_doubtful_that_does_not() -> None:
    items = [item("A-1", 0.3, units=400), item("A-2", 0.3, units=4)]
    assert bins(only([eye("person", items)], items, bins_max=1)) == ["A-2"]


def test_each_bin_is_looked_at_by_the_cheapest_eye_that_sees_it() -> None:
    items = [item("A-1", 0.1), item("A-2", 0.1), item("A-3", 0.1)]
    eyes = [eye("camera", items[:1]), eye("drone", items[:2]), eye("person", items)]
    assert cheapest(eyes, items) == {0: [0], 1: [1], 2: [2]}


def test_what_a_look_from_afar_has_shown_already_is_counted_by_a_person() -> None:
    looked = item("A-1", 0.7, seen_d=0.001, changed=False)
    eyes = [eye("camera", [looked]), eye("drone", [looked]), eye("person", [looked])]
    assert cheapest(eyes, [looked]) == {2: [0]}
    found = rounds_of(eyes, [looked], bins_max=6, per_h_min=6.0)
    assert [one.eye.kind for one in found] == ["person", "drone"] or [
        one.eye.kind for one in found
    ] == ["drone", "person"]


def test_nobody_walks_for_less_than_is_asked() -> None:
    items = [item("A-1", 0.01)]
    assert rounds_of([eye("person", items)], items, bins_max=6, per_h_min=6.0) == []
    assert only([eye("drone", items)], items, per_h_min=6.0).eye.kind == "drone"


def test_a_busy_eye_begins_no_round_and_leaves_its_bins_alone() -> None:
    items = [item("A-1", 0.5)]
    eyes = [eye("drone", items, busy=True), eye("person", items)]
    assert rounds_of(eyes, items, bins_max=6, per_h_min=0.0) == []


def test_a_person_is_sent_to_no_bin_of_which_nobody_knows_what_should_be_there() -> None:
    items = [item("A-1", 0.5, holds=False), item("A-2", 0.1)]
    assert bins(only([eye("person", items)], items)) == ["A-2"]


def test_of_many_cameras_some_look_at_a_time() -> None:
    items = [item(f"A-{n}", 0.1 + 0.01 * n) for n in range(10)]
    eyes = [eye("camera", [one], name=f"cam-{n}") for n, one in enumerate(items)]
    found = rounds_of(eyes, items, bins_max=6, per_h_min=0.0)
    assert [bins(one) for one in found] == [[f"A-{n}"] for n in (9, 8, 7, 6)]
    assert len(found) == KIND_ROUNDS_MAX


def test_the_alternatives_stand_there_with_their_cost() -> None:
    items = [item("A-1", 0.5)]
    found = only([eye("drone", items), eye("person", items)], items)
    assert found.eye.kind == "drone"
    own = COSTS["person"]
    minutes = (own.start_s / 5 + count_seconds("person", items[0])) / 60
    per_error = minutes / (finds_share("person", items[0]) * 0.5)
    assert found.refused == (f"person: {per_error:.3g} minutes of a person per error",)


CANDIDATES = st.lists(
    st.tuples(
        st.floats(0.001, 1.0), st.floats(0, 100), st.floats(0, 100), st.integers(0, 1_000),
        st.booleans(), st.sampled_from([-1.0, 0.0, 2.0]),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@given(CANDIDATES, st.integers(1, 12), st.sampled_from(["camera", "drone", "person"]))
def test_a_round_has_bins_of_its_eye_once_and_recomputes(
    rows: list[tuple[float, float, float, int, bool, float]], most: int, kind: EyeKind
) -> None:
    items = [
        item(f"A-{n}", wrong, x, y, units=units, changed=changed, seen_d=seen)
        for n, (wrong, x, y, units, changed, seen) in enumerate(rows)
    ]
    for found in rounds_of([eye(kind, items)], items, bins_max=most, per_h_min=0.0):
        names = bins(found)
        assert 1 <= len(names) == len(set(names)) <= most
        numbers = round_numbers(found)
        assert recompute_rate(numbers) == numbers["errors_per_h"]
        assert float(numbers["errors_per_h"]) == pytest.approx(rate_per_h(found), rel=1e-3)
