"""Faults of robots' and drones' bodies show in their states and in the world, and are over after.

Ways and doors are here too: what they stop is robots.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sim_hardware.devices.autopilot import Mode
from sim_hardware.devices.robot import Robot
from sim_hardware.faults.targets import lane_name
from tests.fault_stage import Faulty, Host, make_stage
from tests.sim_floor import Master, stock_action

ROBOT = "agv-1"
FAR = "N03R00"


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return make_stage(tmp_path)


@pytest.fixture
def master(faulty: Faulty) -> Master:
    return faulty.master()


@pytest.fixture
def robot(faulty: Faulty) -> Robot:
    return faulty.bench.floor.robots[ROBOT]


def error_types(master: Master) -> list[str]:
    return [error.error_type for error in master.state.errors]


def stands_until_it_is_over(faulty: Faulty, master: Master, end: Any, *, wait_s: float = 6) -> None:
    """Say that the robot does not move while the fault lasts, and arrives after it."""
    robot = faulty.bench.floor.robots[ROBOT]
    before = robot.vehicle.distance_m
    faulty.run(wait_s)
    assert robot.vehicle.distance_m == before
    assert not master.state.driving
    end()
    faulty.run(20)
    assert master.state.last_node_id == FAR
    assert error_types(master) == []


def test_an_empty_battery_stands_until_it_is_swapped(faulty: Faulty, master: Master) -> None:
    way = master.way(FAR)
    master.send("o0", way[:2])  # it charges where it stands at first
    faulty.run(8)
    end = faulty.begin("drained-battery", ROBOT)
    master.send("o1", way[1:])
    faulty.run(1)
    assert error_types(master) == ["batteryEmpty"]
    stands_until_it_is_over(faulty, master, end)
    assert master.state.battery_state.battery_charge > 99


def test_a_battery_is_left_as_full_as_asked(faulty: Faulty, master: Master, robot: Robot) -> None:
    faulty.begin("drained-battery", ROBOT, left="15 %")
    faulty.run(1)
    assert robot.vehicle.battery_share == pytest.approx(0.15, abs=0.01)
    assert master.state.battery_state.battery_charge == pytest.approx(15, abs=1)


def test_a_drone_with_an_empty_battery_refuses_to_arm(faulty: Faulty) -> None:
    autopilot = faulty.bench.floor.drones["drone-1"].autopilot
    end = faulty.begin("drained-battery", "drone-1", left="5 %")
    assert autopilot.refuse_arming() == "PreArm: battery at 5 %"
    end()
    assert autopilot.refuse_arming() == ""


def test_an_emergency_stop_holds_the_robot(faulty: Faulty, master: Master) -> None:
    end = faulty.begin("robot-estop", ROBOT, release="REMOTE")
    master.send("o1", master.way(FAR))
    faulty.run(1)
    assert master.state.safety_state.e_stop == "REMOTE"
    stands_until_it_is_over(faulty, master, end)
    assert master.state.safety_state.e_stop == "NONE"


def test_a_lost_robot_says_so_and_stands(faulty: Faulty, master: Master) -> None:
    end = faulty.begin("robot-lost", ROBOT)
    master.send("o1", master.way(FAR))
    faulty.run(1)
    assert error_types(master) == ["localizationLost"]
    position: Any = master.state.agv_position
    assert position.position_initialized is False
    stands_until_it_is_over(faulty, master, end)


def test_a_stuck_robot_stands_and_says_nothing_of_it(faulty: Faulty, master: Master) -> None:
    end = faulty.begin("robot-stuck", ROBOT)
    master.send("o1", master.way(FAR))
    faulty.run(1)
    assert error_types(master) == []
    stands_until_it_is_over(faulty, master, end)


def test_a_slipping_robot_comes_later_and_its_wheels_turned_further(
    faulty: Faulty, master: Master, robot: Robot
) -> None:
    end = faulty.begin("robot-slip", ROBOT, slip="0.4 m", every="0.25 s")
    way = master.way(FAR)
    master.send("o1", way)
    nodes = faulty.bench.site.nodes
    straight_m = sum(
        abs(nodes[a].x_m - nodes[b].x_m) + abs(nodes[a].y_m - nodes[b].y_m)
        for a, b in pairwise(way)
    )
    faulty.run(25)
    assert master.state.last_node_id == FAR
    assert robot.vehicle.distance_m > straight_m * 1.1
    end()
    before = robot.vehicle.distance_m
    back = master.way(way[0])
    master.send("o2", back)
    faulty.run(25)
    back_m = sum(
        abs(nodes[a].x_m - nodes[b].x_m) + abs(nodes[a].y_m - nodes[b].y_m)
        for a, b in pairwise(back)
    )
    assert robot.vehicle.distance_m - before == pytest.approx(back_m, abs=0.5)


def loads(master: Master) -> list[str]:
    return [str(load.load_id) for load in master.state.loads or ()]


def bring(faulty: Faulty, master: Master) -> tuple[str, str, int]:
    """Order the robot to a bin to pick 5 units there; return (action id, GTIN, units there)."""
    row = next(o for o in faulty.bench.site.opening if o.bin_id.startswith("A-") and o.units > 5)
    action = f"pick/T1/{row.bin_id}/{row.gtin}/5"
    way = master.way(faulty.bench.site.bins[row.bin_id].node_id)
    master.send("o1", way, actions={len(way) - 1: (stock_action(action),)})
    faulty.run(25)
    return action, row.gtin, faulty.bench.units(f"bin:{row.bin_id}", row.gtin)


def test_an_action_fails_and_nothing_is_moved(faulty: Faulty, master: Master) -> None:
    end = faulty.begin("action-fails", ROBOT, share=1)
    action, gtin, before = bring(faulty, master)
    assert master.status(action) == "FAILED"
    assert error_types(master) == ["actionFailed"]
    assert faulty.bench.units(f"robot:{ROBOT}", gtin) == 0
    end()
    again = action.replace("T1", "T2")
    master.send("o2", [master.state.last_node_id], actions={0: (stock_action(again),)})
    faulty.run(10)
    assert master.status(again) == "FINISHED"
    assert faulty.bench.units(f"bin:{action.split('/')[2]}", gtin) == before - 5


def test_a_load_falls_down_and_is_put_back(faulty: Faulty, master: Master) -> None:
    _, gtin, _ = bring(faulty, master)
    assert faulty.bench.units(f"robot:{ROBOT}", gtin) == 5
    end = faulty.begin("robot-drops-load", ROBOT)
    master.at_once("stateRequest", "s1")
    assert loads(master) == []
    assert faulty.bench.floor.truth().units_missing == {}
    end()
    master.at_once("stateRequest", "s2")
    assert loads(master) == [gtin]
    assert faulty.bench.units(f"robot:{ROBOT}", gtin) == 5


def test_a_robot_stops_before_a_blocked_node_and_says_why(faulty: Faulty, master: Master) -> None:
    way = master.way(FAR)
    end = faulty.begin("blocked-node", way[2])
    master.send("o1", way)
    faulty.run(8)
    assert master.state.last_node_id == way[1]
    assert error_types(master) == ["pathBlocked"]
    assert master.state.errors[0].error_description == f"something stands on node {way[2]}"
    stands_until_it_is_over(faulty, master, end)


def test_a_robot_stops_before_a_closed_door(faulty: Faulty, master: Master) -> None:
    way = master.way(FAR)
    end = faulty.begin("fire-door", lane_name(way[1], way[2]))
    master.send("o1", way)
    faulty.run(8)
    assert master.state.last_node_id == way[1]
    assert master.state.errors[0].error_description == (
        f"the door from {way[1]} to {way[2]} is closed"
    )
    stands_until_it_is_over(faulty, master, end)


def test_all_nodes_of_an_aisle_are_blocked_and_free_again(faulty: Faulty) -> None:
    world = faulty.bench.floor.world
    nodes = world.aisle_nodes("A-02")
    end = faulty.begin("blocked-aisle", "A-02")
    assert len(nodes) > 3
    assert all(world.floor.is_blocked(node) for node in nodes)
    end()
    assert not any(world.floor.is_blocked(node) for node in faulty.bench.site.nodes)


def test_a_drone_out_of_reach_is_neither_heard_nor_hears(faulty: Faulty) -> None:
    host = Host(faulty, "radio")
    end = faulty.begin("drone-lost-link", "drone-1")
    faulty.run(1)
    host.heard.clear()
    faulty.run(3)
    assert host.heard == []
    assert host.lost == 0
    assert faulty.bench.floor.drones["drone-1"].autopilot.mode is Mode.GROUND
    end()
    faulty.run(1.5)
    assert host.heard
