"""A shift of robots that tire: every job once, one robot per charger, nobody left waiting."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec
import pytest

from tests.build_fleet import FleetWorld, grid_site, node_id, transport

ROBOTS = {f"r{i}": node_id(2 * i, 7) for i in range(6)}
CHARGERS = (node_id(0, 0), node_id(11, 0))
JOBS = 40
STEP_S = 5.0
DRAIN_PERCENT, CURRENT_PERCENT = 0.8, 12.0
STEPS_MAX = 600


def shift(seed: int) -> FleetWorld:
    """Return a floor on which robots work through a shift; checks it at every step."""
    random = Random(seed)
    site = grid_site(12, 8, ROBOTS)
    nodes = {
        name: msgspec.structs.replace(row, kind="charger") if name in CHARGERS else row
        for name, row in site.nodes.items()
    }
    world = FleetWorld(robots=ROBOTS, site=msgspec.structs.replace(site, nodes=nodes), seed=seed)
    for vehicle in world.vehicles.values():
        vehicle.charge = random.uniform(25.0, 90.0)
    world.start_vehicles()
    places = [name for name in nodes if name not in CHARGERS]
    left = [transport(f"T{i}", *random.sample(places, 2)) for i in range(JOBS)]
    for _ in range(STEPS_MAX):
        if left and random.random() < 0.5:
            world.submit(left.pop())
        if random.random() < 0.1 and world.fleet._book.entries:
            job_id = random.choice(sorted(world.fleet._book.entries))
            world.fleet.pin(job_id, f"acme/{random.choice(sorted(ROBOTS))}", "Ada")
        world.runtime.run_for(STEP_S)
        for vehicle in world.vehicles.values():
            gain = CURRENT_PERCENT if vehicle.node in CHARGERS else -DRAIN_PERCENT
            vehicle.charge = min(100.0, max(1.0, vehicle.charge + gain))
        charging = world.fleet._charging
        had = Counter(charging.goal(i) for i in range(len(ROBOTS)))
        assert all(count == 1 for goal, count in had.items() if goal is not None)
        if not left and world.ended() == JOBS:
            break
    return world


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(s, marks=pytest.mark.soak) for s in range(2, 9))]
)
def test_every_job_is_done_once_whoever_has_it_and_nobody_shares_a_charger(seed: int) -> None:
    world = shift(seed)
    ended = Counter(e.job_id for e in world.told if e.event == "done")
    assert ended == {f"T{i}": 1 for i in range(JOBS)}
    assert set(world.actions_done().values()) == {1}
    given = Counter(e.job_id for e in world.told if e.event == "assigned")
    assert max(given.values()) <= 5, "jobs do not go to and fro"


@pytest.mark.soak
def test_the_same_shift_goes_the_same_way() -> None:
    first, second = shift(3), shift(3)
    assert [msgspec.structs.astuple(e) for e in first.told] == [
        msgspec.structs.astuple(e) for e in second.told
    ]
