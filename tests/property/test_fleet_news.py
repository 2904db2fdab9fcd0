"""Robots of which nothing is new need no look: the same is sent as where all are looked at."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from central.config import FleetConfig
from central.fleet import service
from central.fleet.news import News
from stockhelm.sim_library import find_scenario, read_scenario
from stockhelm.sim_run import RunOptions, run_virtual
from tests.build_fleet import FleetWorld, grid_site, node_id, transport
from tests.build_vehicle import Network
from tests.property.test_fleet_released_paths import (
    Trouble,
    assert_disjoint,
    ended_jobs,
    make_trouble,
    networks,
    troubles,
)

WIDTH, HEIGHT = 7, 5
CHARGERS = (node_id(0, 4), node_id(6, 0))
Said = list[tuple[str, bytes]]
Told = list[tuple[str, str, str]]


class OfAll(News):
    """Has news of all robots at every tick."""

    def take(self, now_ns: int) -> set[int]:
        super().take(now_ns)
        return set(self._robots)


def said(
    seed: int, robots: int, network: Network, plan: list[Trouble], run_s: int
) -> tuple[Said, Told]:
    """Return all that was on the bus, and what was told of jobs."""
    random = Random(seed)
    cells = [node_id(x, y) for x in range(WIDTH) for y in range(HEIGHT)]
    starts = random.sample(cells, robots)
    site = grid_site(WIDTH, HEIGHT, {f"r{i}": node for i, node in enumerate(starts)})
    chargers = {
        node: msgspec.structs.replace(site.nodes[node], kind="charger") for node in CHARGERS
    }
    site = msgspec.structs.replace(site, nodes={**site.nodes, **chargers})
    with tempfile.TemporaryDirectory() as folder:
        floor = FleetWorld(
            robots={f"r{i}": node for i, node in enumerate(starts)},
            site=site,
            seed=seed,
            network=network,
            url=f"sqlite:///{Path(folder)}/central.db",
            fleet_config=FleetConfig(base_nodes_max=4, silent_after_s=15),
        )
        for vehicle in floor.vehicles.values():
            vehicle.charge = random.choice([90.0, 90.0, 15.0])
        floor.start_vehicles()
        jobs = [transport(f"T{i}", *random.sample(cells, 2)) for i in range(12)]
        floor.submit(*jobs)
        for second in range(run_s):
            if second == run_s // 2:
                for vehicle in floor.vehicles.values():
                    vehicle.charge = random.choice([90.0, 15.0])
            for trouble in plan:
                if second <= trouble.at_s < second + 1:
                    make_trouble(floor, trouble)
                    if trouble.kind == "central":
                        floor.submit(*(job for job in jobs if job.job_id not in ended_jobs(floor)))
            if second % 17 == 5:
                floor.fleet.withdraw(f"T{second % 12}")
            floor.runtime.run_for(1)
            assert_disjoint(floor)
        floor.kill_central()
        told: Told = [(event.job_id, event.event, event.detail) for event in floor.told]
        return [(message.topic, message.payload) for message in floor.sent], told


def both(
    seed: int, robots: int, network: Network, plan: list[Trouble], run_s: int
) -> tuple[object, object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "News", OfAll)
        everybody = said(seed, robots, network, plan, run_s)
    return said(seed, robots, network, plan, run_s), everybody


@settings(
    max_examples=4,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(seed=st.integers(0, 1_000), network=networks, plan=troubles)
def test_a_small_floor_is_led_as_if_all_were_looked_at(
    seed: int, network: Network, plan: list[Trouble]
) -> None:
    some, everybody = both(seed, 5, network, plan, 60)
    assert some == everybody


@settings(
    max_examples=2,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@example(
    seed=137,
    network=Network(lose_p=0.4, late_p=0.3, late_s_max=2.0),
    plan=[Trouble(3.5, "broker", 3)],
)
@given(seed=st.integers(0, 1_000), network=networks, plan=troubles)
def test_a_crowded_floor_is_led_as_if_all_were_looked_at(
    seed: int, network: Network, plan: list[Trouble]
) -> None:
    some, everybody = both(seed, service.ROBOTS_AT_ONCE_MAX + 2, network, plan, 40)
    assert some == everybody


@pytest.mark.parametrize(
    "scenario", [pytest.param("drained-battery", marks=pytest.mark.soak), "lost-robot"]
)
def test_a_scenario_has_the_same_trace_as_if_all_were_looked_at(
    monkeypatch: pytest.MonkeyPatch, scenario: str
) -> None:
    path = find_scenario(scenario)
    traces = set()
    for kind in (OfAll, News):
        monkeypatch.setattr(service, "News", kind)
        traces.add(run_virtual(read_scenario(path), path.parent, RunOptions()).trace_digest)
    assert len(traces) == 1
