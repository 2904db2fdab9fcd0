"""Site metres become a mission, and geographic positions site metres again."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.drones.plan import STOPS_MAX, Origin, Stop, hover_before, make_plan

ORIGIN = Origin(lat_deg=52.5, lon_deg=13.4)
STOP = Stop(x_m=1, y_m=2, z_m=1.8, yaw_deg=0)


@given(st.floats(-70, 70), st.floats(-179, 179), st.floats(-1_000, 1_000), st.floats(-1_000, 1_000))
def test_a_place_comes_back_within_two_centimetres(
    lat_deg: float, lon_deg: float, x_m: float, y_m: float
) -> None:
    origin = Origin(lat_deg=lat_deg, lon_deg=lon_deg)
    back = origin.to_site(*origin.to_geo(x_m, y_m))
    assert math.dist(back, (x_m, y_m)) <= 0.02


def test_ten_metres_north_and_east_by_hand() -> None:
    # 10 / 111 319.49 degrees north; the same divided by cos 52.5 = 0.608761 east.
    assert ORIGIN.to_geo(0, 10) == (525_000_898, 134_000_000)
    assert ORIGIN.to_geo(10, 0) == (525_000_000, 134_001_476)


def test_a_mission_takes_off_hovers_at_each_stop_and_returns() -> None:
    plan = make_plan([STOP, STOP], origin=ORIGIN, hold_s=4, start=(5, 6), home_item=False)
    assert [item.command for item in plan.items] == [22, 16, 16, 20]
    assert [item.seq for item in plan.items] == [0, 1, 2, 3]
    assert [plan.stop_of(seq) for seq in range(4)] == [None, 0, 1, None]
    waypoint = plan.items[1]
    assert (waypoint.frame, waypoint.params[0], waypoint.alt_m) == (6, 4, 1.8)
    assert (waypoint.lat_e7, waypoint.lon_e7) == ORIGIN.to_geo(1, 2)
    assert (plan.items[0].lat_e7, plan.items[0].lon_e7) == (5, 6)


def test_where_item_0_is_home_the_stops_come_one_later() -> None:
    plan = make_plan([STOP], origin=ORIGIN, hold_s=4, start=(5, 6), home_item=True)
    assert [item.command for item in plan.items] == [16, 22, 16, 20]
    assert [plan.stop_of(seq) for seq in range(4)] == [None, None, 0, None]


@pytest.mark.parametrize("count", [0, STOPS_MAX + 1])
def test_a_mission_has_one_to_a_thousand_stops(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} stops: a mission has 1 to 1000"):
        make_plan([STOP] * count, origin=ORIGIN, hold_s=4, start=(0, 0), home_item=False)


@pytest.mark.parametrize(
    ("aisle", "x_m", "y_m", "yaw_deg"),
    [((5.3, 0), 5, 0.4, 0), ((5.3, 2), 5, 1.6, 180), ((3, 1), 4.4, 1, 90), ((7, 1.2), 5.6, 1, 270)],
)
def test_the_drone_hovers_straight_before_the_bin_and_looks_at_it(
    aisle: tuple[float, float], x_m: float, y_m: float, yaw_deg: float
) -> None:
    stop = hover_before(5, 1, 1.8, from_x_m=aisle[0], from_y_m=aisle[1], away_m=0.6)
    assert math.dist((stop.x_m, stop.y_m, stop.z_m), (x_m, y_m, 1.8)) < 1e-9
    assert stop.yaw_deg == pytest.approx(yaw_deg)


def test_a_bin_on_the_floor_is_seen_from_a_safe_height() -> None:
    assert hover_before(5, 1, 0, from_x_m=5, from_y_m=0, away_m=0.6).z_m == 0.5
