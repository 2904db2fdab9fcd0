"""The fleet's graph: lanes that are restricted, slow ones, and turns that take time."""

from __future__ import annotations

from itertools import pairwise, permutations
from math import atan2, hypot, inf, pi
from random import Random

import msgspec
import numpy as np
import pytest

from central.fleet.graph import Fields, FloorGraph, lanes_for_all
from central.fleet.kernels import pibt_step
from central.fleet.parking import Parking
from tests.build_fleet import FleetWorld, grid_site, node_id, transport
from wire.site import EdgeRow, NodeRow, RobotRow, Site, SiteError, parse_site


def lane(start: str, end: str, types: str = "", speed: float = 0.0) -> EdgeRow:
    return EdgeRow(from_node=start, to_node=end, robot_types=types, speed_m_s_max=speed)


def robot(serial: str, kind: str = "") -> RobotRow:
    return RobotRow(manufacturer="acme", serial=serial, node_id="a", robot_type=kind)


@pytest.mark.parametrize(
    ("kinds", "open_lanes"),
    [
        ((), ["ab", "bc", "cd"]),
        (("",), ["ab"]),
        (("tug",), ["ab", "bc", "cd"]),
        (("fork",), ["ab", "cd"]),
        (("tug", "fork"), ["ab", "cd"]),
        (("tug", ""), ["ab"]),
    ],
)
def test_a_lane_that_is_not_for_all_robots_is_for_none(
    kinds: tuple[str, ...], open_lanes: list[str]
) -> None:
    lanes = [lane("a", "b"), lane("b", "c", "tug"), lane("c", "d", "fork tug")]
    robots = [robot(f"r{i}", kind) for i, kind in enumerate(kinds)]
    assert [e.from_node + e.to_node for e in lanes_for_all(lanes, robots)] == open_lanes


def nodes(*turn_cost_m: float) -> dict[str, NodeRow]:
    """Return a, b, c... on a square of 10 m by 10 m, as many as there are costs."""
    places = [(0, 0), (10, 0), (10, 10), (0, 10)]
    return {
        name: NodeRow(node_id=name, x_m=x, y_m=y, turn_cost_m=cost)
        for name, (x, y), cost in zip("abcd", places, turn_cost_m, strict=False)
    }


def test_a_slow_lane_counts_as_longer() -> None:
    lanes = [lane("a", "b", speed=2.0), lane("b", "c", speed=0.5), lane("a", "d"), lane("d", "c")]
    fields = Fields(FloorGraph(nodes(0, 0, 0, 0), lanes))
    assert fields.way_m(1, 2) == 40
    assert fields.way_m(0, 2) == 20  # by d, where no speed is said


def two_way(*pairs: str) -> list[EdgeRow]:
    return [lane(*ends) for pair in pairs for ends in (pair, pair[::-1])]


def test_a_turn_costs_what_its_node_says() -> None:
    fields = Fields(FloorGraph(nodes(0, 5, 0, 1), two_way("ab", "bc", "ad", "dc")))
    assert fields.way_m(0, 2) == 21  # by d
    fields.close({3})
    assert fields.way_m(0, 2) == 25
    assert fields.way_m(1, 2) == 10  # how it stands at first is not known


def cheapest_m(graph: FloorGraph, turn_m: float, start: int, goal: int) -> float:
    """Return the cheapest way by trying all ways over up to six nodes."""
    ways = [
        [start, *middle, goal]
        for count in range(5)
        for middle in permutations(set(range(len(graph))) - {start, goal}, count)
    ]
    best = inf
    for way in ways:
        if all(v in graph.neighbours(u) for u, v in pairwise(way)):
            steps = [graph.xy_m[v] - graph.xy_m[u] for u, v in pairwise(way)]
            cost = sum(hypot(*step) for step in steps)
            for (ax, ay), (bx, by) in pairwise(steps):
                cost += turn_m * abs(atan2(ax * by - ay * bx, ax * bx + ay * by)) / (pi / 2)
            best = min(best, cost)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_ways_with_turns_are_the_cheapest_there_are(seed: int) -> None:
    random = Random(seed)
    names = "abcdefg"
    rows = {
        name: NodeRow(
            node_id=name, x_m=random.uniform(0, 20), y_m=random.uniform(0, 20), turn_cost_m=4
        )
        for name in names
    }
    pairs = [random.sample(names, 2) for _ in range(14)]
    lanes = [lane(start, end) for start, end in pairs]
    graph = FloorGraph(rows, lanes)
    fields = Fields(graph)
    for start, goal in permutations(range(len(names)), 2):
        assert fields.way_m(start, goal) == pytest.approx(cheapest_m(graph, 4, start, goal))


def test_a_robot_takes_the_way_with_fewer_turns() -> None:
    site = grid_site(7, 5, {})
    turning = {k: msgspec.structs.replace(n, turn_cost_m=3.0) for k, n in site.nodes.items()}
    graph = FloorGraph(turning, site.edges)
    fields = Fields(graph)
    goal = graph.number[node_id(6, 4)]
    row = fields.row(goal)
    none = np.zeros(len(graph), np.uint8)
    at, before = np.array([0], np.int32), np.array([-1], np.int32)
    way = [0]
    for step in range(10):
        after = pibt_step(
            graph.indptr, graph.indices, graph.xy32_m, fields.matrix, np.array([row], np.int32),
            before, at, np.array([0], np.int32), np.zeros(1, np.uint8), none, step,
        )  # fmt: skip
        before, at = at, after
        way.append(int(at[0]))
    assert way[-1] == goal
    steps = [graph.xy_m[v] - graph.xy_m[u] for u, v in pairwise(way)]
    assert sum(bool((a != b).any()) for a, b in pairwise(steps)) == 1


def test_a_buffer_is_a_place_to_wait_also_at_a_dead_end() -> None:
    rows = {
        name: NodeRow(node_id=name, x_m=x, y_m=0, kind=kind)
        for name, x, kind in (("a", 0, "station"), ("b", 2, "way"), ("c", 4, "buffer"))
    }
    graph = FloorGraph(rows, two_way("ab", "bc"))
    parking, fields = Parking(graph, [0]), Fields(graph)
    assert [parking.is_in_the_way(node) for node in range(3)] == [True, False, False]
    assert parking.find(7, 0, lambda place: fields.way_m(0, place)) == 2


def test_robots_do_not_take_lanes_that_are_not_theirs() -> None:
    site = grid_site(4, 2, {"r1": "N0-0"})
    edges = tuple(
        msgspec.structs.replace(e, robot_types="fork")
        if e.from_node.endswith("-0") and e.to_node.endswith("-0")
        else e
        for e in site.edges
    )
    robots = (msgspec.structs.replace(site.robots[0], robot_type="tug"),)
    world = FleetWorld(
        robots={"r1": "N0-0"}, site=msgspec.structs.replace(site, edges=edges, robots=robots)
    )
    world.start_vehicles()
    world.runtime.run_for(0.2)
    world.submit(transport("T1", "N3-0"))
    assert world.run_until_ended(1)
    driven = [n.node_id for order in world.orders("r1") for n in order.nodes]
    assert "N1-1" in driven
    assert "N1-0" not in driven


def site_of(robots: str, edges: str = "from_node,to_node\n") -> Site:
    return parse_site(
        {
            "bins.csv": "bin_id,edge_id,kind,x_m,y_m,z_m,node_id\n",
            "articles.csv": "gtin,sku,name,case_units,price_cents,supplier_id\n",
            "nodes.csv": "node_id,x_m,y_m,kind,turn_cost_m\na,0,0,buffer,1.5\nb,2,0,,\n",
            "edges.csv": edges,
            "robots.csv": robots,
        }
    )


def test_types_and_costs_stand_in_the_sites_files() -> None:
    site = site_of(
        "manufacturer,serial,node_id,robot_type\nacme,r1,a,tug\n",
        "from_node,to_node,robot_types,speed_m_s_max\na,b,tug fork,1.5\nb,a,,\n",
    )
    assert site.edges == (lane("a", "b", "tug fork", 1.5), lane("b", "a"))
    assert (site.nodes["a"].kind, site.nodes["a"].turn_cost_m) == ("buffer", 1.5)
    assert site.robots[0].robot_type == "tug"
    with pytest.raises(SiteError, match="robot_type 'tug fork', expected one word"):
        site_of("manufacturer,serial,node_id,robot_type\nacme,r1,a,tug fork\n")
