"""Wind, battery and a lost link: what brings a simulated drone home, and how long it takes."""

from __future__ import annotations

import math

import pytest

from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimDrone
from sim_hardware.devices.autopilot import (
    NAV_RETURN,
    NAV_TAKEOFF,
    NAV_WAYPOINT,
    WIND_M,
    Autopilot,
    MissionItem,
    Mode,
    Wind,
)
from sim_hardware.devices.drone import Drone
from tests.rack import GLN, Rack, rack_site

HOME = (0.0, 0.0, 0.0)
FAR = (20.0, 0.0, 1.0)


def item(command: int, place: tuple[float, float, float] = HOME, hold_s: float = 0) -> MissionItem:
    return MissionItem(command=command, hold_s=hold_s, place=place)


MISSION = (
    item(NAV_WAYPOINT), item(NAV_TAKEOFF, (0, 0, 1)), item(NAV_WAYPOINT, FAR, 3), item(NAV_RETURN)
)  # fmt: skip


def flying(autopilot: Autopilot) -> Autopilot:
    autopilot.items = MISSION
    autopilot.arm()
    assert autopilot.start_mission(first=1)
    return autopilot


def time_to_reach(autopilot: Autopilot, seq: int, limit_s: float = 120.0) -> float:
    """Return when an item is reached; inf where it never is."""
    for step in range(int(limit_s * 20)):
        if seq in autopilot.advance(0.05):
            return step * 0.05
    return math.inf


def test_against_the_wind_it_takes_longer_and_costs_more() -> None:
    still = flying(Autopilot(HOME))
    head = flying(Autopilot(HOME, wind=Wind(mps=2.0, from_deg=90.0)))
    tail = flying(Autopilot(HOME, wind=Wind(mps=2.0, from_deg=270.0)))
    still_s, head_s, tail_s = (time_to_reach(a, 2) for a in (still, head, tail))
    assert head_s > 1.6 * still_s
    assert tail_s == pytest.approx(still_s, rel=0.1)
    assert head.battery_pct < still.battery_pct - 1.0


def test_what_hovers_in_wind_sways() -> None:
    drone = flying(Autopilot(HOME, wind=Wind(mps=3.0)))
    drone.advance(0.01)
    off = []
    for _ in range(400):
        drone.advance(0.05)
        _, y, _ = drone.place
        off.append(abs(y))
    assert max(off) > 3 * WIND_M


def test_it_turns_back_while_the_battery_still_brings_it_home() -> None:
    drone = flying(Autopilot(HOME, wind=Wind(mps=2.5, from_deg=90.0), battery_s=60.0))
    for _ in range(4_000):
        drone.advance(0.05)
        if drone.mode is Mode.GROUND:
            break
    assert drone.mode is Mode.GROUND
    assert drone.battery_pct > 0.0


def test_a_storm_that_it_cannot_fly_against_brings_it_home_too() -> None:
    drone = flying(Autopilot(HOME, wind=Wind(mps=6.0, from_deg=90.0), battery_s=600.0))
    assert time_to_reach(drone, 2, 300.0) == math.inf
    assert drone.mode in {Mode.RETURN, Mode.GROUND}


def make_drone(link_lost_s: float) -> tuple[VirtualRuntime, Drone]:
    runtime = VirtualRuntime(3)
    own = SimDrone(
        drone_id="d1", path="radio", camera_url="http://cam", link_lost_s=link_lost_s
    )  # fmt: skip
    drone = Drone(runtime, runtime.lane("floor"), Rack(rack_site()), own, GLN)
    drone.start()
    drone.autopilot.items = MISSION
    drone.autopilot.arm()
    drone.autopilot.start_mission(first=1)
    return runtime, drone


@pytest.mark.parametrize(("limit_s", "mode"), [(5.0, Mode.RETURN), (0.0, Mode.MISSION)])
def test_without_a_ground_station_it_goes_home_where_it_is_told_to(
    limit_s: float, mode: Mode
) -> None:
    runtime, drone = make_drone(limit_s)
    runtime.run_for(4)
    assert drone.autopilot.mode is Mode.MISSION
    runtime.run_for(3)
    assert drone.autopilot.mode is mode
