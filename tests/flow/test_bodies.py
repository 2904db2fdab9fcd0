"""Bodies that are let go do what their firmware would have done with them, to the last bit."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from sim_hardware.scenarios.model import Scenario
from sim_hardware.world.bodies import Bodies
from sim_hardware.world.encounters import ALL_PAIRS_MAX, Encounters
from sim_hardware.world.vehicle import RADIUS_M, Vehicle
from stockhelm.sim_library import find_scenario, read_scenario
from stockhelm.sim_run import RunOptions, run_virtual

STEP_S = 0.05


def trace_of(scenario: Scenario, name: str) -> str:
    return run_virtual(scenario, find_scenario(name).parent, RunOptions()).trace_digest


@pytest.mark.parametrize(
    "name",
    [
        "lost-robot",
        pytest.param("drained-battery", marks=pytest.mark.soak),
        pytest.param("one-aisle-blocked", marks=pytest.mark.soak),
    ],
)
def test_a_run_is_the_same_where_firmware_never_lets_a_body_go(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = read_scenario(find_scenario(name))
    let_go = 0

    def count(bodies: Bodies) -> list[int]:
        nonlocal let_go
        held = step(bodies)
        let_go += len(bodies) - len(held)
        return held

    step = Bodies.step
    monkeypatch.setattr(Bodies, "step", count)
    usual = trace_of(scenario, name)
    assert let_go > 1_000
    let_go = 0
    monkeypatch.setattr(Bodies, "let_stand", lambda *_, **__: None)
    monkeypatch.setattr(Bodies, "let_roll", lambda *_, **__: None)
    assert trace_of(scenario, name) == usual
    assert let_go == 0


def make_vehicle(rng: random.Random) -> Vehicle:
    vehicle = Vehicle(rng.uniform(-9, 9), rng.uniform(-9, 9), max_speed_mps=1.5, battery_hours=8.0)
    vehicle.battery_share = rng.uniform(0.2, 0.9)
    vehicle.speed_mps = rng.uniform(0.01, 1.5)
    return vehicle


@pytest.mark.parametrize("seed", range(20))
def test_many_bodies_roll_as_each_would_alone(seed: int) -> None:
    rng = random.Random(seed)
    bodies, alone = Bodies(STEP_S), []
    goals, ahead, limits = [], [], []
    for number in range(40):
        vehicle = make_vehicle(rng)
        alone.append(Vehicle(**{name: getattr(vehicle, name) for name in Vehicle.__slots__}))
        assert bodies.add(vehicle) == number
        goals.append((rng.uniform(-9, 9), rng.uniform(-9, 9)))
        ahead.append(rng.choice([0.0, rng.uniform(0.0, 3.0)]))
        limits.append(rng.choice([math.inf, 0.4]))
        taken = vehicle.takes(STEP_S, charging=False)
        bodies.let_roll(number, goals[-1], ahead_m=ahead[-1], limit_mps=limits[-1], takes=taken)
    rolling = set(range(40))
    for _ in range(400):
        held = set(bodies.step())
        for number in sorted(rolling):
            one, goal = alone[number], goals[number]
            way_m = one.way_m(*goal)
            if number in held:
                rolling.discard(number)
                # It would be at its goal in this step, which is left to its firmware.
                assert one.speed_mps * STEP_S + STEP_S**2 >= way_m - 1e-6
            else:
                one.use_battery(one.takes(STEP_S, charging=False))
                one.drive_to(*goal, STEP_S, free_m=way_m + ahead[number], limit_mps=limits[number])
            bodies.look(number)
            assert bodies._vehicles[number] == one
    assert len(rolling) < 20


def test_a_body_that_stands_goes_back_before_its_battery_is_empty_or_full() -> None:
    bodies = Bodies(STEP_S)
    drained, charged = (Vehicle(0, 0, max_speed_mps=1, battery_hours=0.01) for _ in range(2))
    drained.battery_share, charged.battery_share = 0.3, 0.7
    taken = drained.takes(STEP_S, charging=False)
    given = charged.takes(STEP_S, charging=True)
    for vehicle, takes, until in ((drained, taken, 0.0), (charged, given, 1.0)):
        bodies.let_stand(bodies.add(vehicle), takes=takes, until=until)
    went_back: dict[int, int] = {}
    for step in itertools.count():
        for number in bodies.step():
            went_back.setdefault(number, step)
        if len(went_back) == 2:
            break
    assert 0.0 < drained.battery_share < 4 * taken
    assert 1.0 + 4 * given < charged.battery_share < 1.0
    one_by_one = 0.7
    for _ in range(went_back[1]):
        one_by_one -= given
    assert charged.battery_share == one_by_one


@pytest.mark.parametrize("robots", [2, 12, ALL_PAIRS_MAX + 50])
def test_each_encounter_is_counted_once_however_many_robots_there_are(robots: int) -> None:
    rng = np.random.default_rng(robots)
    bodies = Bodies(STEP_S)
    names = [f"agv-{n}" for n in range(robots)]
    side_m = 3.0 * math.sqrt(robots)
    vehicles = [Vehicle(0, 0, max_speed_mps=1, battery_hours=8) for _ in names]
    for vehicle in vehicles:
        bodies.add(vehicle)
    encounters = Encounters(names, bodies)
    before: set[tuple[str, str]] = set()
    met = 0
    for _ in range(30):
        for vehicle in vehicles:
            if rng.random() < 0.5:
                vehicle.x_m, vehicle.y_m = rng.uniform(0, side_m, 2)
        touching = {
            (min(a, b), max(a, b))
            for (a, one), (b, other) in itertools.combinations(zip(names, vehicles, strict=True), 2)
            if math.hypot(one.x_m - other.x_m, one.y_m - other.y_m) < 2 * RADIUS_M
        }
        begun = encounters.look()
        assert begun == sorted(touching - before)
        met += len(begun)
        before = touching
        assert encounters.count == met
    assert met
