"""Aisles that end nowhere, and floors full of robots: every job ends all the same."""

from __future__ import annotations

from random import Random

import msgspec
import numpy as np
import pytest

from central.fleet.graph import FloorGraph
from central.fleet.parking import Parking
from tests.build_fleet import GRID_M, FleetWorld, node_id, transport
from wire.site import EdgeRow, NodeRow, RobotRow, Site

WAIT_S_MAX = 2_000


def comb_site(aisles: int, depth: int, starts: dict[str, str]) -> Site:
    """Return a main aisle two nodes wide, and aisles that leave it and end after `depth` nodes."""
    cells = [(x, y) for x in range(2 * aisles) for y in (0, 1)]
    cells += [(2 * a, y) for a in range(aisles) for y in range(2, 2 + depth)]
    there = set(cells)
    return Site(
        bins={}, articles={}, people={}, opening=(), suppliers={},
        nodes={
            node_id(x, y): NodeRow(node_id=node_id(x, y), x_m=x * GRID_M, y_m=y * GRID_M)
            for x, y in cells
        },
        edges=tuple(
            EdgeRow(from_node=node_id(x, y), to_node=node_id(x + dx, y + dy))
            for x, y in cells
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
            if (x + dx, y + dy) in there
        ),
        robots=tuple(
            RobotRow(manufacturer="acme", serial=serial, node_id=node)
            for serial, node in starts.items()
        ),
    )  # fmt: skip


def jobs_ended(seed: int, robots: int, aisles: int, depth: int, jobs: int) -> int:
    """Return how many jobs from dead end to dead end ended; robots start anywhere, also there."""
    random = Random(seed)
    deep = [node_id(2 * a, y) for a in range(aisles) for y in range(2, 2 + depth)]
    cells = [node_id(x, y) for x in range(2 * aisles) for y in (0, 1)] + deep
    starts = {f"r{i}": node for i, node in enumerate(random.sample(cells, robots))}
    floor = FleetWorld(robots=starts, site=comb_site(aisles, depth, starts), seed=seed)
    floor.start_vehicles()
    floor.submit(*[transport(f"T{i}", *random.sample(deep, 2)) for i in range(jobs)])
    floor.run_until_ended(jobs, WAIT_S_MAX)
    assert not floor.floor.conflicts
    return sum(e.event == "done" for e in floor.told)


@pytest.mark.parametrize("seed", [4, 5, 7])
def test_jobs_in_dead_ends_are_done(seed: int) -> None:
    assert jobs_ended(seed, robots=5, aisles=3, depth=4, jobs=12) == 12


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_jobs_in_dead_ends_are_done_whoever_begins_where(seed: int) -> None:
    assert jobs_ended(seed, robots=5, aisles=3, depth=4, jobs=20) == 20
    assert jobs_ended(seed, robots=8, aisles=4, depth=3, jobs=30) == 30
    assert jobs_ended(seed, robots=4, aisles=2, depth=6, jobs=20) == 20


@pytest.mark.parametrize(
    "seed", [2, *(pytest.param(n, marks=pytest.mark.soak) for n in range(10, 30))]
)
def test_jobs_on_a_floor_full_of_robots_are_done(seed: int) -> None:
    random = Random(seed)
    cells = [node_id(x, y) for x in range(6) for y in range(5)]
    floor = FleetWorld(
        robots={f"r{i}": node for i, node in enumerate(random.sample(cells, 12))}, seed=seed
    )
    floor.start_vehicles()
    floor.submit(*[transport(f"T{i}", *random.sample(cells, 2)) for i in range(40)])
    floor.run_until_ended(40, WAIT_S_MAX)
    assert [e.event for e in floor.told].count("done") == 40


def test_nobody_waits_in_a_dead_end_into_which_others_have_to_go() -> None:
    starts = {"r0": node_id(0, 6), "r1": node_id(3, 0)}
    site = comb_site(2, 6, starts)
    charger = node_id(0, 2)
    nodes = {**site.nodes, charger: msgspec.structs.replace(site.nodes[charger], kind="charger")}
    world = FleetWorld(robots=starts, site=msgspec.structs.replace(site, nodes=nodes))
    first = world.vehicles["r0"]
    first.charge = 10.0
    world.start_vehicles()
    assert world.runtime.run_until(lambda: first.node == charger, 60)
    first.charge = 100.0
    world.runtime.run_for(30)
    job = transport("T1", node_id(1, 1), node_id(0, 3))
    world.submit(msgspec.structs.replace(job, pinned_to="acme/r1", pinned_by="Ada"))
    assert world.run_until_ended(1, 300)
    assert world.events("T1")[-1] == "done"


def test_robots_wait_where_a_dead_end_begins_only_where_there_is_no_other_place() -> None:
    graph = graph_of(comb_site(2, 3, {}))
    mouth, inside, off = (graph.number[node_id(*at)] for at in ((2, 1), (2, 3), (3, 0)))
    assert Parking(graph, [mouth, inside, off]).find(0, mouth) == off
    assert Parking(graph, [mouth, inside]).find(0, inside) == mouth
    assert Parking(graph, [inside]).find(0, inside) is None


def test_dead_ends_are_found_with_how_deep_they_are() -> None:
    graph = graph_of(comb_site(2, 3, {}))
    depth = dict(zip(graph.ids, graph.depth.tolist(), strict=True))
    assert [depth[node_id(2, y)] for y in range(5)] == [0, 0, 1, 2, 3]
    pocket = dict(zip(graph.ids, graph.pocket.tolist(), strict=True))
    assert pocket[node_id(0, 2)] == pocket[node_id(0, 4)] >= 0
    assert pocket[node_id(0, 2)] != pocket[node_id(2, 2)]
    assert {pocket[node_id(x, y)] for x in range(4) for y in (0, 1)} == {-1}


def test_a_dead_end_with_branches_is_one() -> None:
    site = comb_site(2, 2, {})
    branch = NodeRow(node_id="B", x_m=1, y_m=4)
    lanes = [
        EdgeRow(from_node="B", to_node=node_id(0, 3)),
        EdgeRow(from_node=node_id(0, 3), to_node="B"),
    ]
    graph = FloorGraph({**site.nodes, "B": branch}, [*site.edges, *lanes])
    assert graph.pocket[graph.number["B"]] == graph.pocket[graph.number[node_id(0, 2)]] >= 0
    assert graph.depth[graph.number["B"]] == 3


def test_a_floor_without_a_way_round_has_no_dead_ends() -> None:
    line = [NodeRow(node_id=f"L{i}", x_m=i, y_m=0) for i in range(4)]
    lanes = [EdgeRow(from_node=f"L{i}", to_node=f"L{i + d}") for i in range(4) for d in (-1, 1)]
    lanes = [lane for lane in lanes if lane.to_node in {node.node_id for node in line}]
    graph = FloorGraph({node.node_id: node for node in line}, lanes)
    assert np.all(graph.pocket == -1)


def graph_of(site: Site) -> FloorGraph:
    return FloorGraph(site.nodes, site.edges)
