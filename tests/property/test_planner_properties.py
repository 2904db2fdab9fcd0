"""Whatever the stock, demand and promises: a plan can be carried out as it stands."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from central.config import PlanningConfig
from central.replenish.planner import plan, recompute
from central.replenish.types import PlanningSnapshot, Proposal
from tests.planning import CUP, DAY, NOON_NS, PEN, bin_row, site, snapshot

GTINS = (PEN, CUP)
NAMES = ("A-DOCK", "A-01", "A-02", "A-03", "B-01", "B-02", "B-11", "B-12")
KINDS = ("dock", "reserve", "reserve", "reserve", "reserve", "reserve", "pick", "pick")
SLOTS = ("", "", "", PEN, "", CUP, PEN, CUP)


def by_bin(units: st.SearchStrategy[int]) -> st.SearchStrategy[dict[tuple[str, str], int]]:
    keys = st.tuples(st.sampled_from([f"bin:{name}" for name in NAMES]), st.sampled_from(GTINS))
    return st.dictionaries(keys, units, max_size=12)


@st.composite
def snapshots(draw: st.DrawFn) -> PlanningSnapshot:
    capacities = draw(
        st.lists(st.integers(1, 200), min_size=len(NAMES), max_size=len(NAMES))
    )  # fmt: skip
    bins = tuple(map(bin_row, NAMES, KINDS, SLOTS, capacities))
    history = {
        gtin: tuple(
            (DAY - 14 + i, sold)
            for i, sold in enumerate(draw(st.lists(st.integers(0, 40), max_size=15)))
        )
        for gtin in GTINS
    }
    by_gtin = st.dictionaries(st.sampled_from(GTINS), st.integers(0, 60))
    balances: dict[Any, int] = draw(by_bin(st.integers(-5, 150)))
    return snapshot(
        site=site(bins, case_units=draw(st.sampled_from([1, 6, 24]))),
        config=PlanningConfig(
            service_level=draw(st.sampled_from([0.6, 0.95, 0.999])),
            face_cover_d=draw(st.sampled_from([0.5, 1.0, 7.0])),
            forward_cover_d=draw(st.sampled_from([0.1, 3.0, 30.0])),
        ),
        first_day=DAY - 14,
        history=history,
        balances=balances,
        reserved=draw(by_bin(st.integers(0, 40))),
        promised=draw(by_bin(st.integers(0, 20))),
        inbound=draw(by_bin(st.integers(0, 40))),
        on_order=draw(by_gtin),
        allocated=draw(by_gtin),
        backordered=draw(by_gtin),
        doubtful_bins=frozenset(draw(st.sets(st.sampled_from(NAMES)))),
        last_count_round_ns=draw(st.sampled_from([0, NOON_NS])),
    )


@given(snapshots())
def test_nothing_is_taken_that_is_not_free(found: PlanningSnapshot) -> None:
    taken: Counter[tuple[str, str]] = Counter()
    for p in plan(found).proposals:
        if p.kind in ("refill", "transfer"):
            taken[p.from_place, p.gtin] += p.units
    for key, units in taken.items():
        promised = found.reserved.get(key, 0) + found.promised.get(key, 0)
        assert units <= found.balances[key] - promised


@given(snapshots())
def test_no_bin_gets_more_than_it_holds(found: PlanningSnapshot) -> None:
    filled: Counter[str] = Counter()
    for units_by_place in (found.balances, found.inbound):
        for (place, _), units in units_by_place.items():
            filled[place] += max(0, units)
    brought: Counter[str] = Counter()
    for p in plan(found).proposals:
        if p.kind in ("refill", "transfer"):
            brought[p.to_place] += p.units
    for place, units in brought.items():
        capacity = found.site.bins[place.removeprefix("bin:")].capacity_units
        assert filled[place] + units <= capacity


@given(snapshots())
def test_no_case_is_broken_where_the_source_has_whole_ones(found: PlanningSnapshot) -> None:
    for p in plan(found).proposals:
        if p.kind == "count":
            continue
        case = found.site.articles[p.gtin].case_units
        whole_there = int(p.numbers["source_free_units"]) >= case
        fits_when_due = int(p.numbers["due_room_units"]) >= case
        assert p.units > 0
        assert p.units % case == 0 or not (whole_there and fits_when_due)


@given(snapshots())
def test_every_proposal_recomputes_to_its_units(found: PlanningSnapshot) -> None:
    for p in plan(found).proposals:
        assert recompute(p.numbers) == p.units == p.numbers["units"]
        assert p.reason.endswith(".")


@given(snapshots())
def test_articles_stay_apart_and_faces_get_only_their_own(found: PlanningSnapshot) -> None:
    there: dict[str, set[str]] = {}
    for units_by_place in (found.balances, found.inbound):
        for (place, gtin), units in units_by_place.items():
            if units > 0:
                there.setdefault(place, set()).add(gtin)
    for p in plan(found).proposals:
        if p.kind == "transfer":
            assert there.get(p.to_place, set()) <= {p.gtin}
            there.setdefault(p.to_place, set()).add(p.gtin)
        if p.kind == "refill":
            assert found.site.bins[p.to_place.removeprefix("bin:")].gtin == p.gtin


def goal(p: Proposal) -> tuple[str, str, str]:
    """Return what a proposal is good for: a face, a zone's article, a site's article."""
    place = p.to_place if p.kind == "refill" else str(p.numbers.get("zone", ""))
    return (p.kind, p.gtin, place)


@given(snapshots())
def test_what_is_on_its_way_is_not_proposed_again(found: PlanningSnapshot) -> None:
    """Central makes tasks of all proposals: reserved at the source, inbound at the target."""
    reserved, inbound = Counter(found.reserved), Counter(found.inbound)
    on_order = Counter(found.on_order)
    coming: Counter[tuple[str, str, str]] = Counter()
    wanted: dict[tuple[str, str, str], int] = {}
    for p in plan(found).proposals:
        if p.kind == "count":
            continue
        coming[goal(p)] += p.units
        wanted[goal(p)] = int(p.numbers["order_up_to_units"]) - int(p.numbers["position_units"])
        if p.kind == "buy":
            on_order[p.gtin] += p.units
        else:
            reserved[p.from_place, p.gtin] += p.units
            inbound[p.to_place, p.gtin] += p.units
    names = {name: getattr(found, name) for name in PlanningSnapshot.__dataclass_fields__}
    later = PlanningSnapshot(
        **(names | {"reserved": reserved, "inbound": inbound, "on_order": on_order})
    )
    again = {goal(p) for p in plan(later).proposals}
    assert not again & {key for key, units in wanted.items() if coming[key] >= units}
