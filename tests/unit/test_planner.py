"""The plan by behaviour: what is moved, bought and counted, from where, how much, and why."""

from __future__ import annotations

from typing import Any

import pytest

from central.config import PlanningConfig
from central.replenish.counting import recompute_rate
from central.replenish.places import Stock
from central.replenish.planner import CAUSES_MAX, plan, recompute
from central.replenish.types import Plan, PlanningSnapshot, Proposal
from runtime.clock import NS_PER_S
from tests.planning import (
    BINS,
    CUP,
    DAY,
    NOON_NS,
    PEN,
    at,
    bin_row,
    drone,
    site,
    snapshot,
    steady,
)

UNEVEN = tuple((DAY - back, 4 + 12 * (back % 2)) for back in range(1, 31))


def of(found: Plan, kind: str, gtin: str = PEN) -> list[Proposal]:
    return [p for p in found.proposals if p.kind == kind and p.gtin == gtin]


def only(found: Plan, kind: str, gtin: str = PEN) -> Proposal:
    (proposal,) = of(found, kind, gtin)
    return proposal


def moves(found: Plan, kind: str) -> list[tuple[str, int]]:
    return [(p.from_place, p.units) for p in of(found, kind)]


def test_a_low_face_is_refilled_and_says_why() -> None:
    found = plan(
        snapshot(
            history={PEN: UNEVEN}, balances=at({"B-11": 1, "A-02": 60}), causes={PEN: ("O9", "O7")}
        )
    )
    refill = only(found, "refill")
    assert (refill.from_place, refill.to_place) == ("bin:A-02", "bin:B-11")
    assert refill.causes == ("O9", "O7")
    assert refill.reason == (
        "Pick face B-11: 1 there, at or below the reorder point of 5. Expected demand in the lead"
        " time and review of 0.1 d is 1.0 +- 2.0; it is filled up to 15. It wants 14, 18 in whole"
        " cases of 6; A-02 has 60 free: bring 18 (3 cases) to B-11."
    )
    assert recompute(refill.numbers) == refill.units == 18


def test_a_face_above_its_reorder_point_is_left_alone() -> None:
    assert not of(plan(snapshot(balances=at({"B-11": 3, "A-02": 60}))), "refill")


@pytest.mark.parametrize(
    "changes",
    [{"reserved": at({"B-11": 5})}, {"backordered": {PEN: 5}}, {"promised": at({"B-11": 5})}],
    ids=["reserved", "backordered", "promised"],
)
def test_units_that_are_spoken_for_do_not_count(changes: dict[str, Any]) -> None:
    found = plan(snapshot(balances=at({"B-11": 6, "A-02": 60}), **changes))
    assert only(found, "refill").numbers["position_units"] == 1


def test_units_on_their_way_count() -> None:
    found = plan(snapshot(balances=at({"B-11": 1, "A-02": 60}), inbound=at({"B-11": 12})))
    assert not of(found, "refill")


def test_two_faces_share_demand_and_backorders_count_once() -> None:
    bins = (*BINS, bin_row("B-13", "pick", PEN, 48))
    stock = at({"B-11": 0, "B-13": 0, "A-02": 300})
    found = plan(snapshot(site=site(bins), balances=stock, backordered={PEN: 6}))
    first, second = of(found, "refill")
    assert first.numbers["cover_demand_units"] == pytest.approx(5)
    assert (first.numbers["backordered_units"], second.numbers["backordered_units"]) == (6, 0)
    assert first.numbers["faces_sharing"] == second.numbers["faces_sharing"] == 2
    assert "is 0.5 +- 0.0 (its share as one of 2 faces);" in first.reason
    assert [recompute(p.numbers) for p in (first, second)] == [first.units, second.units]


def test_a_reason_sums_up_what_is_there_and_says_what_limits_it() -> None:
    """The case that a planner asked about: S is far above what is brought."""
    bins = tuple(bin_row(b.bin_id, b.kind, b.gtin) if b.bin_id == "B-02" else b for b in BINS)
    found = plan(
        snapshot(
            site=site(bins, case_units=12),
            history={PEN: steady(40)},
            balances=at({"B-11": 30, "B-01": 8, "A-02": 72}),
            inbound=at({"B-01": 36}),
            reserved=at({"B-11": 4}),
            backordered={PEN: 2},
        )
    )
    transfer = only(found, "transfer")
    assert transfer.reason == (
        "Zone B, faces and reserve: 38 there + 36 coming - 4 promised - 2 owed = 68, at or below"
        " the reorder point of 105. Its faces take 45 and 120.0 will be asked for in 3 d; it is"
        " filled up to 165. It wants 97, 108 in whole cases of 12; A-02 has 72 free: bring 72"
        " (6 cases) to B-01."
    )


def test_a_reason_says_where_the_room_ends_and_where_no_case_is_left() -> None:
    bins = tuple(
        bin_row(b.bin_id, b.kind, b.gtin, 24) if b.bin_id in ("B-01", "B-02") else b for b in BINS
    )
    first, second = of(
        plan(snapshot(site=site(bins), balances=at({"B-11": 8, "A-02": 300}))), "transfer"
    )
    assert first.reason.endswith(
        "It wants 34, 36 in whole cases of 6; A-02 has 300 free and B-02 has room for 24:"
        " bring 24 (4 cases) to B-02."
    )
    assert second.reason.endswith(
        "It wants 10 besides the 24 of another move, 12 in whole cases of 6; A-02 has 276 free:"
        " bring 12 (2 cases) to B-01."
    )
    (single,) = of(plan(snapshot(balances=at({"B-11": 1, "A-02": 4}))), "refill")
    assert single.reason.endswith(
        "It wants 11; A-02 has no whole case left, 4 single: bring 4 to B-11."
    )


def test_the_zones_own_reserve_goes_first() -> None:
    found = plan(snapshot(balances=at({"B-11": 1, "A-02": 60, "B-01": 30})))
    assert moves(found, "refill") == [("bin:B-01", 12)]


def test_the_least_filled_bin_that_covers_all_goes_first() -> None:
    found = plan(snapshot(balances=at({"B-11": 1, "A-01": 60, "A-02": 18, "A-03": 6})))
    assert moves(found, "refill") == [("bin:A-02", 12)]


def test_a_rest_is_not_worth_a_trip_while_another_bin_has_more() -> None:
    stock = at({"B-11": 1, "B-01": 2, "A-02": 60})
    assert moves(plan(snapshot(balances=stock)), "refill") == [("bin:A-02", 12)]
    last = at({"B-11": 1, "B-01": 2, "A-02": 6})
    assert moves(plan(snapshot(balances=last)), "refill") == [("bin:A-02", 6), ("bin:B-01", 2)]


def test_a_bin_in_doubt_goes_last() -> None:
    stock = at({"B-11": 1, "A-01": 60, "A-02": 18})
    found = plan(snapshot(balances=stock, doubtful_bins=frozenset({"A-02"})))
    assert moves(found, "refill") == [("bin:A-01", 12)]


def test_several_bins_serve_where_none_has_enough() -> None:
    found = plan(snapshot(balances=at({"B-11": 1, "A-01": 4, "A-02": 7})))
    assert moves(found, "refill") == [("bin:A-02", 6), ("bin:A-01", 4)]
    assert [recompute(p.numbers) for p in of(found, "refill")] == [6, 4]


def test_units_promised_to_others_are_not_taken() -> None:
    stock = at({"B-11": 1, "A-02": 20})
    found = plan(
        snapshot(balances=stock, reserved=at({"A-02": 6}), promised=at({"A-02": 6}))
    )  # fmt: skip
    assert moves(found, "refill") == [("bin:A-02", 6)]


def test_a_full_face_waits() -> None:
    bins = tuple(bin_row("B-11", "pick", PEN, 10) if b.bin_id == "B-11" else b for b in BINS)
    stock = at({"B-11": 5, "A-02": 60})
    found = plan(snapshot(site=site(bins), balances=stock, reserved=at({"B-11": 5})))
    assert not of(found, "refill")


@pytest.mark.parametrize(("capacity", "units"), [(26, 24), (25, 11)])
def test_a_face_where_no_case_fits_in_time_gets_single_units(capacity: int, units: int) -> None:
    bins = tuple(bin_row("B-11", "pick", PEN, capacity) if b.bin_id == "B-11" else b for b in BINS)
    stock = at({"B-11": 1, "A-02": 60})
    found = plan(snapshot(site=site(bins, case_units=24), balances=stock))
    assert only(found, "refill").units == units


def test_a_rejected_refill_is_not_proposed_again() -> None:
    stock = at({"B-11": 1, "A-02": 60})
    found = plan(snapshot(balances=stock, refused=frozenset({("refill", PEN, "bin:B-11")})))
    assert not of(found, "refill")


def test_a_zone_that_cannot_fill_its_faces_gets_whole_cases_for_its_cover() -> None:
    stock = at({"B-11": 8, "A-02": 300})
    transfer = only(plan(snapshot(balances=stock)), "transfer")
    # Position 8; its face takes 12; 30 more for three days: 42 - 8 = 34, in cases 36.
    assert (transfer.units, transfer.from_place, transfer.to_place) == (36, "bin:A-02", "bin:B-02")
    assert transfer.reason == (
        "Zone B, faces and reserve: 8 there, at or below the reorder point of 27. Its faces take"
        " 12 and 30.0 will be asked for in 3 d; it is filled up to 42. It wants 34, 36 in whole"
        " cases of 6; A-02 has 300 free: bring 36 (6 cases) to B-02."
    )
    assert recompute(transfer.numbers) == 36


@pytest.mark.parametrize(("forward", "proposed"), [(20, False), (19, True)])
def test_a_zone_is_left_alone_while_more_than_half_its_cover_is_there(
    forward: int, *, proposed: bool
) -> None:
    stock = at({"B-11": 8, "B-01": forward, "A-02": 300})
    assert bool(of(plan(snapshot(balances=stock)), "transfer")) is proposed


def test_articles_are_not_mixed_in_a_reserve_bin() -> None:
    stock = at({"B-11": 8, "A-02": 300}) | at({"B-02": 5}, CUP)
    assert only(plan(snapshot(balances=stock)), "transfer").to_place == "bin:B-01"
    both = stock | at({"B-01": 5}, CUP)
    assert not of(plan(snapshot(balances=both)), "transfer")


def test_a_transfer_fills_one_bin_and_then_the_next() -> None:
    bins = tuple(
        bin_row(b.bin_id, b.kind, b.gtin, 24) if b.bin_id in ("B-01", "B-02") else b for b in BINS
    )
    found = plan(snapshot(site=site(bins), balances=at({"B-11": 8, "A-02": 300})))
    assert [(p.to_place, p.units) for p in of(found, "transfer")] == [
        ("bin:B-02", 24),
        ("bin:B-01", 12),
    ]


def test_the_refill_of_the_same_plan_counts_as_on_its_way_to_the_zone() -> None:
    found = plan(snapshot(balances=at({"B-11": 0, "A-02": 300})))
    assert only(found, "refill").units == 12
    assert only(found, "transfer").numbers["position_units"] == 12


def test_a_site_that_runs_low_buys_whole_cases() -> None:
    purchase = only(plan(snapshot(balances=at({"B-11": 20}))), "buy")
    # Two days of lead time and one of review: s 30, S 40; 40 - 20 = 20, in cases 24.
    assert (purchase.units, purchase.from_place) == (24, "supplier:S1")
    assert purchase.to_place == "bin:A-DOCK"
    assert purchase.numbers["cost_cents"] == 24 * 150
    assert purchase.numbers["urgent"] == 0
    assert recompute(purchase.numbers) == 24


def test_what_is_on_order_on_robots_and_allocated_counts_and_what_is_packed_does_not() -> None:
    stock = at({"B-11": 20, "B-PACK": 500}) | {("robot:agv-1", PEN): 6, ("tote:O1", PEN): 500}
    found = plan(snapshot(balances=stock, on_order={PEN: 10}, allocated={PEN: 8}))
    assert only(found, "buy").numbers["position_units"] == 20 + 6 + 10 - 8


def test_nothing_anywhere_is_an_urgent_purchase_and_a_note() -> None:
    found = plan(snapshot(balances={}, backordered={PEN: 3}))
    purchase = only(found, "buy")
    assert purchase.numbers["urgent"] == 1
    assert purchase.reason.startswith(
        "No reserve bin has any: urgent. The site: 0 there - 3 owed = -3, at or below the reorder"
    )
    (note,) = (note for note in found.notes if note.gtin == PEN)
    assert note.text == (
        "Pick face B-11: 0 there - 3 owed = -3, at or below the reorder point of 2. Expected demand"
        " in the lead time and review of 0.1 d is 1.0 +- 0.0; it is filled up to 12. No reserve bin"
        " has free units; nothing is on order."
    )


def test_an_article_nobody_asked_for_is_not_bought() -> None:
    assert not of(plan(snapshot(balances={})), "buy", CUP)
    assert only(plan(snapshot(backordered={CUP: 2})), "buy", CUP).units == 6


def test_no_more_is_bought_than_the_reserve_bins_hold() -> None:
    others = (b for b in BINS if b.kind != "reserve")
    bins = (*others, bin_row("A-01", "reserve", "", 20))
    found = plan(snapshot(site=site(bins), balances=at({"B-11": 20}), on_order={CUP: 6}))
    assert only(found, "buy").units == 12
    full = plan(snapshot(site=site(bins), balances=at({"B-11": 20}), on_order={CUP: 15}))
    assert not of(full, "buy")
    assert "make room first" in full.notes[-1].text


def test_an_unknown_supplier_is_named() -> None:
    orphan = site()
    orphan.suppliers.clear()
    found = plan(snapshot(site=orphan))
    assert not of(found, "buy")
    assert found.notes[-1].text == (
        f"{PEN} cannot be bought: its supplier 'S1' is not in suppliers.csv; add it there."
    )


def test_a_surge_today_is_answered_today() -> None:
    stock = at({"B-11": 20, "A-02": 600})
    rows = (*steady(10), (DAY, 90))
    found = plan(snapshot(balances=stock, history={PEN: rows}, reserved=at({"B-11": 8})))
    refill = only(found, "refill")
    assert refill.numbers["mean_units_per_day"] == pytest.approx(95)
    assert refill.reason.endswith("Today sells far more than forecast.")


def count_due(**changes: Any) -> PlanningSnapshot:
    config = PlanningConfig(count_bins_max=3, count_every_s=600)
    return snapshot(config=config, last_count_round_ns=NOON_NS - 600 * NS_PER_S, **changes)


def test_a_count_takes_bins_in_doubt_first_and_then_the_longest_unseen() -> None:
    seen = {b.bin_id: NOON_NS - 120 * NS_PER_S for b in BINS} | {
        "A-02": NOON_NS - 7_200 * NS_PER_S,
        "A-03": NOON_NS - 3_600 * NS_PER_S,
    }
    found = only(plan(count_due(last_seen_ns=seen, doubtful_bins=frozenset({"B-02"}))), "count", "")
    assert set(found.bins()) == {"A-02", "B-02", "A-03"}
    assert found.units == recompute(found.numbers) == 3
    assert found.reason.startswith(
        "Count 3 bins by drone-1 (B-02: the last look disagrees with the book; the longest unseen"
        " for 120 min): A-02, "
    )
    assert recompute_rate(found.numbers) == found.numbers["errors_per_h"]


def test_of_bins_that_nobody_doubts_the_least_sure_are_counted() -> None:
    seen = {b.bin_id: NOON_NS - 60 * NS_PER_S for b in BINS}
    sure = {"A-01": 0.97, "A-02": 0.80, "A-03": 0.96, "B-01": 0.90, "B-02": 0.98}
    found = only(plan(count_due(last_seen_ns=seen, sure=sure)), "count", "")
    assert set(found.bins()) == {"A-02", "B-01", "A-03"}
    assert found.numbers["least_sure"] == 0.80
    assert "the least sure book is right with 80.0%" in found.reason


def test_bins_never_seen_are_the_longest_unseen() -> None:
    found = only(plan(count_due(last_seen_ns={"A-01": NOON_NS, "A-02": NOON_NS})), "count", "")
    assert set(found.bins()) == {"A-03", "B-01", "B-02"}


def test_only_bins_that_a_drone_can_see_are_counted() -> None:
    found = only(plan(count_due(eyes=(drone("A-01", "B-11"),))), "count", "")
    assert found.bins() == ("A-01", "B-11")


@pytest.mark.parametrize(
    "changes",
    [
        {"eyes": (drone(busy=True),)},
        {"eyes": ()},
        {"last_count_round_ns": NOON_NS - 599 * NS_PER_S},
    ],
)
def test_no_count_while_one_is_open_or_not_yet_due(changes: dict[str, Any]) -> None:
    config = PlanningConfig(count_bins_max=3, count_every_s=600)
    assert not of(plan(snapshot(**({"config": config, "last_count_round_ns": 0} | changes))),
                  "count", "")  # fmt: skip


def test_a_plan_repeats_itself_and_names_no_more_causes_than_it_may() -> None:
    orders = tuple(f"O{i}" for i in range(50))
    found = snapshot(balances=at({"B-11": 1, "A-02": 300}), causes={PEN: orders})
    assert plan(found) == plan(found)
    assert only(plan(found), "refill").causes == orders[:CAUSES_MAX]


def test_numbers_above_the_reorder_point_recompute_to_nothing() -> None:
    refill = only(plan(snapshot(balances=at({"B-11": 1, "A-02": 60}))), "refill")
    assert recompute({**refill.numbers, "position_units": 30}) == 0


def test_an_empty_snapshot_plans_nothing() -> None:
    assert plan(snapshot(history={}, site=site(bins=()))).proposals == ()


def test_putaway_prefers_the_slotted_bin_then_company_then_the_nearest() -> None:
    bins = (*BINS, bin_row("A-09", "reserve", PEN))
    stock = Stock(snapshot(site=site(bins), balances=at({"A-03": 5}) | at({"A-01": 5}, CUP)))
    dock = site(bins).bins["A-DOCK"]
    assert [b.bin_id for b in stock.reserve_bins_with_room(PEN, dock, "A")] == [
        "A-09",
        "A-03",
        "A-02",
    ]
