"""Missions over the whole way: command, radio, flight, pictures, sightings, end; all troubles."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from runtime.live import LiveRuntime
from runtime.virtual import VirtualRuntime
from sim_hardware.devices.autopilot import Mode
from sim_hardware.faults.lines import Drop
from stockhelm.broker import free_port
from tests.drone_world import BINS, DroneWorld, virtual_world
from tests.rack import gtin
from wire.messages import BinSighted

EXPECTED = {BINS[0]: (gtin(1),), BINS[1]: (gtin(2), gtin(3)), BINS[2]: ()}


def fly_to_the_end(runtime: VirtualRuntime, world: DroneWorld, **fields: Any) -> None:
    before = len(world.ended)
    world.fly(**fields)
    runtime.run_until(lambda: len(world.ended) > before, 900)
    assert len(world.ended) == before + 1


def test_a_mission_sees_every_bin_as_it_truly_is_and_ends_at_home() -> None:
    runtime, world = virtual_world()
    fly_to_the_end(runtime, world)
    assert world.seen == EXPECTED
    [end] = world.ended
    assert end.ok
    assert end.bins_seen == BINS
    assert end.detail == "flown: 3 stops; 3 of 3 bins read"
    assert math.dist(world.drone.autopilot.place, (0, 0, 0)) == 0
    assert not world.drone.autopilot.armed
    sighted = [event for event in world.told if isinstance(event, BinSighted)]
    assert {(event.task_id, event.device_id) for event in sighted} == {("M1", "drone-1")}
    ids = [event.event_id for event in world.told]
    assert len(set(ids)) == len(ids) == 4
    assert all(event_id.startswith("drone-1/") for event_id in ids)


def test_the_same_seed_flies_the_same_mission() -> None:
    told = []
    for _ in range(2):
        runtime, world = virtual_world()
        fly_to_the_end(runtime, world)
        told.append(world.told)
    assert told[0] == told[1]


def test_a_repeated_command_changes_nothing_and_a_finished_mission_is_told_again() -> None:
    runtime, world = virtual_world()
    world.fly()
    for _ in range(5):
        runtime.run_for(0.7)
        world.fly()
    assert runtime.run_until(lambda: bool(world.ended), 600)
    world.fly()
    runtime.run_for(60)
    assert len(world.ended) == 2
    assert world.ended[0] == world.ended[1]
    assert world.drone.missions_flown == 1


def test_missions_are_flown_one_after_the_other_and_too_many_are_refused() -> None:
    runtime, world = virtual_world()
    for number in range(1, 7):
        world.fly(f"M{number}", bins=BINS[:1])
    runtime.run_for(1)
    [refused] = world.ended
    assert (refused.mission_id, refused.ok) == ("M6", False)
    assert refused.detail == "4 missions wait for this drone already"
    assert runtime.run_until(lambda: len(world.ended) == 6, 900)
    assert [end.mission_id for end in world.ended[1:]] == ["M1", "M2", "M3", "M4", "M5"]
    assert all(end.ok for end in world.ended[1:])
    assert world.drone.missions_flown == 5


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"drone_id": "drone-9"}, "drone-9 is no drone of this edge"),
        ({"bins": (BINS[0], "Z-1")}, "no bins of this edge: Z-1"),
        ({"expires_at_ns": 1}, "expired before it began"),
    ],
)
def test_a_command_that_cannot_be_flown_is_refused_with_a_reason(
    fields: dict[str, Any], why: str
) -> None:
    runtime, world = virtual_world()
    fly_to_the_end(runtime, world, **fields)
    [end] = world.ended
    assert (end.ok, end.detail, end.bins_seen) == (False, why, ())
    assert world.drone.missions_flown == 0


def test_a_mission_that_expires_while_it_waits_is_not_flown() -> None:
    runtime, world = virtual_world()
    world.fly("M1")
    world.fly("M2", expires_at_ns=runtime.clock.now_ns() + 10**9)
    assert runtime.run_until(lambda: len(world.ended) == 2, 600)
    assert [(end.mission_id, end.ok) for end in world.ended] == [("M1", True), ("M2", False)]
    assert world.ended[1].detail == "expired before it began"


# --- the radio ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_radio_that_loses_bytes_only_costs_time(seed: int) -> None:
    runtime, world = virtual_world(seed=seed)
    for way in world.drone.line.ways.values():
        way.effects.append(Drop(runtime.random("radio"), 1 / 150))
    fly_to_the_end(runtime, world)
    assert world.ended[0].ok
    assert world.seen == EXPECTED


def test_a_drone_that_is_switched_off_ends_the_mission_and_later_ones_are_flown() -> None:
    runtime, world = virtual_world(switched_on=False)
    fly_to_the_end(runtime, world)
    assert world.ended[0].detail == "no heartbeat from the drone; 0 of 3 bins read"
    world.drone.start()
    fly_to_the_end(runtime, world, mission_id="M2")
    assert world.ended[1].ok


def test_a_cable_pulled_in_flight_for_a_moment_does_not_end_the_mission() -> None:
    runtime, world = virtual_world()
    world.fly()
    runtime.run_until(lambda: bool(world.seen), 60)
    world.drone.stop()
    runtime.run_for(1)
    world.drone.start()
    assert runtime.run_until(lambda: bool(world.ended), 600)
    assert world.drone.missions_flown == 1
    assert world.drone.autopilot.mode is Mode.GROUND


# --- the drone and its camera --------------------------------------------------------------------


def test_a_drone_with_an_empty_battery_is_not_flown() -> None:
    runtime, world = virtual_world(speed=0.01)
    world.drone.autopilot.battery_pct = 9
    fly_to_the_end(runtime, world)
    assert world.ended[0].detail == ("battery at 9 %: 30 % are needed to start; 0 of 3 bins read")
    assert world.drone.missions_flown == 0


def test_a_battery_that_falls_in_flight_brings_the_drone_home() -> None:
    runtime, world = virtual_world()
    world.fly()
    runtime.run_until(lambda: bool(world.seen), 60)
    world.drone.autopilot.battery_pct = 14
    assert runtime.run_until(lambda: bool(world.ended), 600)
    [end] = world.ended
    assert not end.ok
    assert end.bins_seen == BINS[:1]
    assert end.detail.startswith("battery at 1")
    assert world.drone.autopilot.mode is Mode.GROUND


def test_a_refused_arming_ends_the_mission_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime, world = virtual_world()
    monkeypatch.setattr(world.drone.autopilot, "refuse_arming", lambda: "PreArm: compass")
    fly_to_the_end(runtime, world)
    assert world.ended[0].detail == "arming refused: denied; 0 of 3 bins read"


def test_a_mission_too_long_for_the_autopilot_is_refused_by_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sim_hardware.devices.drone.ITEMS_MAX", 4)
    runtime, world = virtual_world()
    fly_to_the_end(runtime, world)
    assert world.ended[0].detail == "upload refused: no space; 0 of 3 bins read"


def test_a_dark_camera_means_that_no_bin_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, world = virtual_world()
    runtime.frames.serve("http://drone/1", world.floor, lambda: b"")
    fly_to_the_end(runtime, world)
    [end] = world.ended
    assert (end.ok, end.bins_seen) == (False, ())
    assert end.detail == "flown: 3 stops; 0 of 3 bins read"
    assert world.metrics.snapshot().counters["vision_errors{drone-1}"] == 9
    assert world.drone.autopilot.mode is Mode.GROUND


def test_a_picture_that_fails_once_is_taken_again() -> None:
    runtime, world = virtual_world()
    shots = 0

    def flaky() -> bytes:
        nonlocal shots
        shots += 1
        return world.drone.picture() if shots % 2 == 0 else b"rubbish"

    runtime.frames.serve("http://drone/1", world.floor, flaky)
    fly_to_the_end(runtime, world)
    assert world.ended[0].ok
    assert world.seen == EXPECTED


def test_a_flight_over_its_time_is_called_home() -> None:
    runtime, world = virtual_world(speed=0.2, timeout_s=20)
    fly_to_the_end(runtime, world)
    [end] = world.ended
    assert not end.ok
    assert end.detail.startswith("not done in 20 s, while flying, after ")


# --- restarts ----------------------------------------------------------------------------------


def test_a_stopped_edge_calls_the_drone_home_and_tells_nothing_more() -> None:
    runtime, world = virtual_world()
    world.fly()
    runtime.run_until(lambda: bool(world.seen), 60)
    told = len(world.told)
    world.lane.post(world.missions.stop)
    runtime.run_for(60)
    assert world.drone.autopilot.mode is Mode.GROUND
    assert len(world.told) == told


def test_an_edge_that_was_killed_in_flight_flies_the_mission_anew_under_new_event_ids() -> None:
    runtime, world = virtual_world()
    world.fly()
    runtime.run_until(lambda: bool(world.seen), 60)
    # The process is gone: nothing is said to the drone, the operating system closes the line.
    before = {event.event_id for event in world.told}
    killed = world.missions._drones["drone-1"]._driver
    for timer in killed._timers:
        timer.cancel()
    killed._link.stop()
    after = DroneWorld(VirtualRuntime(7, shared=runtime), switched_on=False)
    fly_to_the_end(runtime, after)
    assert after.ended[0].ok
    assert after.seen == EXPECTED
    assert not before & {event.event_id for event in after.told}
    assert world.drone.missions_flown == 2


# --- for real ----------------------------------------------------------------------------------


def test_a_mission_over_a_real_pty_and_real_http_pictures(tmp_path: Path) -> None:
    runtime = LiveRuntime(7)
    try:
        world = DroneWorld(
            runtime,
            path=str(tmp_path / "drone-1"),
            url=f"http://127.0.0.1:{free_port()}/drone-1.jpg",
            speed=8,
        )
        world.fly()
        for _ in range(300):
            if world.ended or runtime.wait(0.1):
                break
        assert runtime.crash is None
        assert world.seen == EXPECTED
        assert [end.ok for end in world.ended] == [True]
        assert runtime.run_on(world.lane, world.missions.stop)
        assert runtime.run_on(world.floor, world.drone.stop)
    finally:
        runtime.close()
