"""Our simulated drone and a ground station that we did not write: pymavlink's own mavutil."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymavlink import mavutil
from pymavlink.dialects.v20 import common

from runtime.live import LiveRuntime
from sim_hardware.config import SimDrone
from sim_hardware.devices.drone import Drone
from stockhelm.broker import free_port
from tests.rack import GLN, Rack, rack_site

ANSWER_S = 10
SPEED = 20.0
LAT_E7, LON_E7 = 525_000_000, 134_000_000


@pytest.fixture
def drone(tmp_path: Path) -> Iterator[Drone]:
    runtime = LiveRuntime(3)
    floor = runtime.lane("floor")
    config = SimDrone(
        drone_id="drone-1", path=str(tmp_path / "drone-1"),
        camera_url=f"http://127.0.0.1:{free_port()}/drone-1.jpg",
        origin_lat_deg=LAT_E7 / 1e7, origin_lon_deg=LON_E7 / 1e7,
    )  # fmt: skip
    made = Drone(runtime, floor, Rack(rack_site()), config, GLN)
    assert runtime.run_on(floor, made.start)
    floor.call_every(0.02, lambda: made.tick(0.02 * SPEED))
    yield made
    assert runtime.run_on(floor, made.stop)
    runtime.close()
    assert runtime.crash is None


@pytest.fixture
def station(drone: Drone) -> Iterator[Any]:
    link = mavutil.mavlink_connection(
        drone._config.path, baud=57_600, source_system=255, dialect="common"
    )
    link.mav.protocol_marker = 253
    yield link
    link.close()


def answer(station: Any, kind: str) -> Any:
    message = station.recv_match(type=kind, blocking=True, timeout=ANSWER_S)
    assert message is not None, f"no {kind} within {ANSWER_S} s"
    return message


def obey(station: Any, command: int, *params: float) -> int:
    given = (*params, *(0.0,) * (7 - len(params)))
    station.mav.command_long_send(1, 1, command, 0, *given)
    return int(answer(station, "COMMAND_ACK").result)


def upload(station: Any, items: list[tuple[int, int, float, int, int, float]]) -> int:
    station.mav.mission_count_send(1, 1, len(items))
    for _ in items:
        seq = answer(station, "MISSION_REQUEST_INT").seq
        frame, command, hold_s, lat_e7, lon_e7, alt_m = items[seq]
        station.mav.mission_item_int_send(
            1, 1, seq, frame, command, 0, 1, hold_s, 0, 0, 0, lat_e7, lon_e7, alt_m
        )
    return int(answer(station, "MISSION_ACK").type)


def test_mavutil_uploads_arms_flies_and_sees_it_land(drone: Drone, station: Any) -> None:
    beat = station.wait_heartbeat(timeout=ANSWER_S)
    assert (beat.get_srcSystem(), beat.type) == (1, common.MAV_TYPE_QUADROTOR)
    assert not station.motors_armed()
    items = [
        (0, common.MAV_CMD_NAV_WAYPOINT, 0.0, LAT_E7, LON_E7, 0.0),
        (6, common.MAV_CMD_NAV_TAKEOFF, 0.0, LAT_E7, LON_E7, 1.0),
        (6, common.MAV_CMD_NAV_WAYPOINT, 2.0, LAT_E7 + 360, LON_E7, 1.5),
        (2, common.MAV_CMD_NAV_RETURN_TO_LAUNCH, 0.0, 0, 0, 0.0),
    ]
    assert upload(station, items) == common.MAV_MISSION_ACCEPTED
    assert obey(station, common.MAV_CMD_MISSION_START) == common.MAV_RESULT_DENIED
    assert obey(station, common.MAV_CMD_COMPONENT_ARM_DISARM, 1) == common.MAV_RESULT_ACCEPTED
    assert obey(station, common.MAV_CMD_MISSION_START) == common.MAV_RESULT_ACCEPTED
    while answer(station, "MISSION_ITEM_REACHED").seq != 2:
        pass
    # It stays there for 2 s and says where it is all the while; we may be late to read that.
    there = answer(station, "GLOBAL_POSITION_INT")
    while abs(there.lat - (LAT_E7 + 360)) >= 20:
        there = answer(station, "GLOBAL_POSITION_INT")
        assert there.relative_alt > 0, "it has landed and was never there"
    assert abs(there.relative_alt - 1_500) < 100
    station.motors_disarmed_wait()
    at = answer(station, "GLOBAL_POSITION_INT")
    assert (at.lat, at.lon, at.relative_alt) == (LAT_E7, LON_E7, 0)


def test_what_it_cannot_do_it_refuses_by_the_protocols_words(drone: Drone, station: Any) -> None:
    station.wait_heartbeat(timeout=ANSWER_S)
    assert obey(station, common.MAV_CMD_DO_SET_SERVO) == common.MAV_RESULT_UNSUPPORTED
    station.mav.mission_count_send(1, 1, 5_000)
    assert answer(station, "MISSION_ACK").type == common.MAV_MISSION_NO_SPACE
    station.mav.mission_count_send(1, 1, 1, mission_type=common.MAV_MISSION_TYPE_FENCE)
    assert answer(station, "MISSION_ACK").type == common.MAV_MISSION_UNSUPPORTED
    strange = [(6, common.MAV_CMD_NAV_LOITER_UNLIM, 0.0, LAT_E7, LON_E7, 1.0)]
    assert upload(station, strange) == common.MAV_MISSION_UNSUPPORTED
    drone.autopilot.battery_pct = 5
    assert obey(station, common.MAV_CMD_COMPONENT_ARM_DISARM, 1) == common.MAV_RESULT_DENIED
    assert station.messages["STATUSTEXT"].text == "PreArm: battery at 5 %"
