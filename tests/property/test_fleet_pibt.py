"""One planning step on any floor without dead ends: legal, no rings, and everybody arrives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from central.fleet.kernels import distance_field, pibt_step


@dataclass(frozen=True)
class Case:
    """A floor, robots on it and where they want to go."""

    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    neighbours: list[set[int]]
    at: list[int]
    goals: list[int]
    frozen: list[bool]
    closed: list[bool]
    order: list[int]


@st.composite
def cases(draw: st.DrawFn, *, obstacles: bool) -> Case:
    """Return a ring with chords: no single node that is taken out cuts it in two."""
    nodes = draw(st.integers(3, 14))
    ring = draw(st.permutations(range(nodes)))
    pairs = {(ring[i], ring[i - 1]) for i in range(nodes)}
    node = st.integers(0, nodes - 1)
    pairs |= draw(st.sets(st.tuples(node, node).filter(lambda p: p[0] != p[1]), max_size=10))
    neighbours: list[set[int]] = [set() for _ in range(nodes)]
    for u, v in pairs:
        neighbours[u].add(v)
        neighbours[v].add(u)
    rows = [sorted(row) for row in neighbours]
    indptr = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int32)
    indices = np.array([v for row in rows for v in row], np.int32)
    at = draw(st.lists(node, min_size=1, max_size=nodes - 1, unique=True))
    robots = len(at)
    goals = draw(st.lists(node, min_size=robots, max_size=robots))
    flags = st.lists(st.booleans(), min_size=robots, max_size=robots)
    closed = st.lists(st.booleans(), min_size=nodes, max_size=nodes)
    return Case(
        indptr,
        indices,
        neighbours,
        at,
        goals,
        draw(flags) if obstacles else [False] * robots,
        draw(closed) if obstacles else [False] * nodes,
        draw(st.permutations(range(robots))),
    )


def fields_of(case: Case) -> NDArray[np.float32]:
    """Return hops to each robot's goal (two-way edges: the graph is its own reverse)."""
    ones = np.ones(len(case.indices), np.float32)
    none_closed = np.zeros(len(case.neighbours), np.uint8)
    rows = [distance_field(case.indptr, case.indices, ones, none_closed, g) for g in case.goals]
    return np.array(rows, np.float32)


def step(
    case: Case, fields: NDArray[np.float32], at: list[int], order: list[int], salt: int
) -> list[int]:
    """Return where everybody is next; assert that the step is one that robots can carry out."""
    after: list[int] = pibt_step(
        case.indptr,
        case.indices,
        np.zeros((len(case.neighbours), 2), np.float32),
        fields,
        np.arange(len(at), dtype=np.int32),
        np.full(len(at), -1, np.int32),
        np.array(at, np.int32),
        np.array(order, np.int32),
        np.array(case.frozen, np.uint8),
        np.array(case.closed, np.uint8),
        salt,
    ).tolist()
    assert len(set(after)) == len(after), "two robots on one node"
    for robot, (here, there) in enumerate(zip(at, after, strict=True)):
        if here != there:
            assert there in case.neighbours[here]
            assert not case.frozen[robot]
            assert not case.closed[there]
    assert_one_after_the_other(at, after)
    return after


def assert_one_after_the_other(at: list[int], after: list[int]) -> None:
    """Carry the step out robot by robot, each into an empty node: no swap, no ring is left over."""
    on = set(at)
    moves = [(u, v) for u, v in zip(at, after, strict=True) if u != v]
    while moves:
        free = [(u, v) for u, v in moves if v not in on]
        assert free, f"a ring: {moves}"
        for u, v in free:
            on.remove(u)
            on.add(v)
        moves = [move for move in moves if move not in free]


@given(cases(obstacles=True), st.integers(0, 2**32 - 1))
def test_a_step_is_legal_whatever_is_frozen_or_closed(case: Case, salt: int) -> None:
    fields = fields_of(case)
    at = case.at
    for i in range(5):
        at = step(case, fields, at, case.order, (salt + i) % 2**32)


@given(cases(obstacles=False))
def test_the_first_robot_always_comes_nearer(case: Case) -> None:
    fields = fields_of(case)
    first = case.order[0]
    after = step(case, fields, case.at, case.order, 0)
    before_m = fields[first, case.at[first]]
    assert before_m == 0 or fields[first, after[first]] == before_m - 1


@given(cases(obstacles=False))
def test_everybody_arrives_when_who_waits_longest_goes_first(case: Case) -> None:
    fields = fields_of(case)
    at = case.at
    waits = [0] * len(at)
    arrived = [here == goal for here, goal in zip(at, case.goals, strict=True)]
    for salt in range(len(at) * len(case.neighbours)):
        order = sorted(range(len(at)), key=lambda r: (-waits[r], r))
        at = step(case, fields, at, order, salt)
        for robot, here in enumerate(at):
            arrived[robot] |= here == case.goals[robot]
            waits[robot] = 0 if arrived[robot] else waits[robot] + 1
    assert all(arrived)
