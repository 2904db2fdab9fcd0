"""The fleet's kernels against numbers worked by hand and against plain Python."""

from __future__ import annotations

import heapq
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from central.fleet.graph import Fields, FloorGraph
from central.fleet.kernels import _step_on, distance_field, pibt_step
from central.fleet.traffic import Traffic, Wish
from tests.build_fleet import grid_site
from wire.site import EdgeRow, NodeRow


def ring(count: int) -> FloorGraph:
    """Return a one-way ring: N0 -> N1 -> ... -> N0, 2 m apart on a line but for the way back."""
    nodes = {f"N{i}": NodeRow(node_id=f"N{i}", x_m=2.0 * i, y_m=0.0) for i in range(count)}
    edges = [EdgeRow(from_node=f"N{i}", to_node=f"N{(i + 1) % count}") for i in range(count)]
    return FloorGraph(nodes, edges)


def test_a_one_way_ring_is_driven_around() -> None:
    graph = ring(4)
    field = distance_field(*graph.reverse, np.zeros(4, np.uint8), 0)
    # N3 leads straight back over 6 m; N2 first drives 2 m to N3; N1 2 m more.
    assert field.tolist() == [0.0, 10.0, 8.0, 6.0]


def test_more_goals_may_be_asked_for_than_there_was_room_for_at_first() -> None:
    fields = Fields(ring(100))
    there_m = [fields.way_m(0, goal) for goal in range(100)]
    assert there_m == [2.0 * goal for goal in range(100)]


def test_closed_nodes_are_driven_around_but_may_be_a_goal() -> None:
    site = grid_site(3, 2, {})
    graph = FloorGraph(site.nodes, site.edges)
    closed = np.zeros(6, np.uint8)
    closed[graph.number["N1-0"]] = 1
    field = distance_field(*graph.reverse, closed, graph.number["N2-0"])
    assert field[graph.number["N0-0"]] == 6.0  # two down and up, two across, 1.5 m each
    assert field[graph.number["N1-0"]] == np.inf
    assert distance_field(*graph.reverse, closed, graph.number["N1-0"])[0] == 1.5


edges_of_ten = st.sets(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 30)), max_size=40
)


@given(edges_of_ten, st.sets(st.integers(0, 9)), st.integers(0, 9))
def test_fields_are_those_of_a_plain_search(
    edges: set[tuple[int, int, int]], closed: set[int], goal: int
) -> None:
    shortest: dict[tuple[int, int], int] = {}
    for u, v, metres in sorted(edges, reverse=True):
        if u != v:
            shortest[u, v] = metres
    backwards = sorted((v, u) for u, v in shortest)
    indptr = np.zeros(11, np.int32)
    for v, _ in backwards:
        indptr[v + 1] += 1
    indices = np.array([u for _, u in backwards], np.int32)
    lengths = np.array([shortest[u, v] for v, u in backwards], np.float32)
    flags = np.array([i in closed for i in range(10)], np.uint8)
    field = distance_field(np.cumsum(indptr, dtype=np.int32), indices, lengths, flags, goal)

    expected = {goal: 0}
    heap = [(0, goal)]
    while heap:
        metres, here = heapq.heappop(heap)
        if metres > expected[here]:
            continue
        for (u, v), length in shortest.items():
            if v == here and u not in closed and metres + length < expected.get(u, 10**6):
                expected[u] = metres + length
                heapq.heappush(heap, (metres + length, u))
    assert field.tolist() == [expected.get(i, np.inf) for i in range(10)]


def test_compiled_steps_are_those_of_the_source() -> None:
    site = grid_site(5, 4, {})
    graph = FloorGraph(site.nodes, site.edges)
    rng = np.random.default_rng(5)
    for salt in range(20):
        at = rng.permutation(20)[:12].astype(np.int32)
        goals = rng.integers(0, 20, 12)
        fields = np.array(
            [distance_field(*graph.reverse, np.zeros(20, np.uint8), goal) for goal in goals]
        )
        arguments = (
            graph.indptr, graph.indices, graph.xy32_m, fields, np.arange(12, dtype=np.int32),
            rng.integers(-1, 20, 12).astype(np.int32), at,
            rng.permutation(12).astype(np.int32), (rng.random(12) < 0.2).astype(np.uint8),
            (rng.random(20) < 0.1).astype(np.uint8), salt,
        )  # fmt: skip
        with np.errstate(over="ignore"):
            slowly = _step_on.py_func(
                    *arguments, np.full((2, 20), -1, np.int32), 4, np.full(20, -1, np.int32),
                    np.zeros(20, np.float32), np.zeros(1, np.int32),
                )  # fmt: skip
        assert pibt_step(*arguments).tolist() == slowly.tolist()


def test_of_two_ways_of_the_same_length_the_straight_one_is_driven() -> None:
    site = grid_site(6, 6, {})
    graph = FloorGraph(site.nodes, site.edges)
    traffic = Traffic(graph, 1, path_nodes_max=20)
    traffic.place(0, graph.number["N0-0"])
    traffic.plan({0: Wish(goal=graph.number["N5-5"])})
    ways = [graph.xy_m[b] - graph.xy_m[a] for a, b in pairwise(traffic.path(0))]
    turns = sum(not np.array_equal(a, b) for a, b in pairwise(ways))
    assert len(ways) == 10
    assert turns == 1
