"""Whatever warehouse is asked for within the limits, it can be read, driven on and stocked."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from sim_hardware.world.warehouse.files import warehouse_texts
from sim_hardware.world.warehouse.generate import generate_warehouse
from sim_hardware.world.warehouse.spec import Wish, make_spec
from tests.warehouses import open_places
from wire.site import parse_site


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    bins = draw(st.integers(50, 5_000))
    zones = draw(st.one_of(st.none(), st.integers(1, max(1, min(30, bins // 40)))))
    # Half of what is left in the narrowest case, many zones with stations of their own.
    skus_max = (bins - 2 * (zones or 2) * max(1, min(6, bins // (zones or 2) // 500)) - 2) // 2
    return Wish(
        bins=bins,
        robots=draw(st.one_of(st.none(), st.integers(0, bins // 4))),
        skus=draw(st.one_of(st.none(), st.integers(1, max(1, skus_max)))),
        people=draw(st.one_of(st.none(), st.integers(1, 200))),
        zones=zones,
        orders_per_day=draw(st.one_of(st.none(), st.floats(1, 20_000))),
        cover_d=draw(st.floats(0, 365)),
        seed=draw(st.integers(0, 2**32)),
    )


@settings(max_examples=60, deadline=None)
@given(wishes())
def test_any_warehouse_within_the_limits_is_a_good_site(wish: Wish) -> None:
    spec = make_spec(wish)
    w = generate_warehouse(spec)
    site = parse_site(warehouse_texts(w))
    assert len(site.bins) == spec.bins
    assert len(site.articles) == spec.skus
    assert len(site.people) == spec.people
    assert len({robot.node_id for robot in site.robots}) == len(site.robots) == spec.robots
    assert open_places(w.floor) == set()
    held: Counter[str] = Counter()
    for row in site.opening:
        held[row.bin_id] += row.units
    assert all(units <= site.bins[bin_id].capacity_units for bin_id, units in held.items())
    faces = {row.gtin for row in site.bins.values() if row.kind == "pick"}
    assert faces == set(site.articles)
    sizes = Counter(row.edge_id for row in site.bins.values() if row.kind in {"pick", "reserve"})
    assert len(sizes) == spec.zones
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert all(site.nodes[row.node_id].kind == "station" for row in site.bins.values())
