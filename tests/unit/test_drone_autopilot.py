"""The simulated autopilot's flight: speed, holds, battery, and what its camera has before it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimDrone
from sim_hardware.devices.autopilot import (
    BATTERY_TO_RETURN_PCT,
    NAV_RETURN,
    NAV_TAKEOFF,
    NAV_WAYPOINT,
    SPEED_MPS,
    WIND_M,
    Autopilot,
    MissionItem,
    Mode,
)
from sim_hardware.devices.drone import Drone
from tests.rack import GLN, Rack, rack_site

HOME = (0.0, 0.0, 0.0)
FAR = (8.0, 0.0, 1.0)


def item(command: int, place: tuple[float, float, float] = HOME, hold_s: float = 0) -> MissionItem:
    return MissionItem(command=command, hold_s=hold_s, place=place)


MISSION = (
    item(NAV_WAYPOINT),
    item(NAV_TAKEOFF, (0, 0, 1)),
    item(NAV_WAYPOINT, FAR, hold_s=3),
    item(NAV_RETURN),
)


def started(items: tuple[MissionItem, ...] = MISSION) -> Autopilot:
    autopilot = Autopilot(HOME)
    autopilot.items = items
    autopilot.arm()
    assert autopilot.start_mission(first=1)
    return autopilot


@given(st.lists(st.floats(0.01, 2.0), min_size=40, max_size=80))
def test_a_mission_takes_the_same_time_however_it_is_cut_into_ticks(ticks: list[float]) -> None:
    autopilot = started()
    reached: dict[int, float] = {}
    now_s = 0.0
    for dt_s in ticks:
        before_s, now_s = now_s, now_s + dt_s
        for seq in autopilot.advance(dt_s):
            assert seq not in reached
            # Up 1 m and across 8 m at 2 m/s; the hold ends 3 s later.
            due_s = {1: 0.5, 2: 0.5 + 8 / SPEED_MPS, 3: 0.5 + 8 / SPEED_MPS + 3}[seq]
            assert before_s - 1e-6 <= due_s <= now_s + 1e-6
            reached[seq] = now_s
    # Back across and down 1 m at 1 m/s.
    landed = now_s > 0.5 + 4 + 3 + 4 + 1 + 1e-6
    assert (autopilot.mode is Mode.GROUND) == landed or abs(now_s - 12.5) < 1e-6


def test_while_it_holds_it_stays_within_the_wind() -> None:
    autopilot = started()
    autopilot.advance(0.5 + 8 / SPEED_MPS + 0.01)
    for _ in range(28):
        assert math.dist(autopilot.place, FAR) <= WIND_M + 1e-9
        autopilot.advance(0.1)


def test_without_a_mission_or_disarmed_nothing_starts() -> None:
    autopilot = Autopilot(HOME)
    assert not autopilot.start_mission(first=1)
    autopilot.items = MISSION
    assert not autopilot.start_mission(first=1)
    autopilot.arm()
    assert not autopilot.start_mission(first=len(MISSION))
    assert autopilot.start_mission(first=1)


def test_an_empty_battery_returns_by_itself_and_charges_on_the_ground() -> None:
    autopilot = started()
    autopilot.advance(3)
    autopilot.battery_pct = BATTERY_TO_RETURN_PCT
    autopilot.advance(20)
    assert (autopilot.mode, autopilot.place) == (Mode.GROUND, HOME)
    assert "battery" in autopilot.refuse_arming()
    autopilot.advance(600)
    assert autopilot.refuse_arming() == ""


@pytest.mark.parametrize(
    ("place", "bin_id"),
    [
        ((4.5, 0.4, 0.6), "A-01-02-1"),
        ((4.5, 0.4, 1.8), "A-01-02-2"),
        ((4.75, 0.4, 1.7), "A-01-02-2"),
        ((4.5, -0.1, 1.8), None),
        ((0, 0, 0), None),
    ],
)
def test_the_camera_has_the_nearest_bin_within_a_metre_before_it(
    place: tuple[float, float, float], bin_id: str | None
) -> None:
    runtime = VirtualRuntime()
    config = SimDrone(drone_id="drone-1", path="/dev/drone-1", camera_url="http://drone/1")
    drone = Drone(runtime, runtime.lane("floor"), Rack(rack_site()), config, GLN)
    drone.autopilot = Autopilot(place)
    assert drone.bin_in_front() == bin_id
