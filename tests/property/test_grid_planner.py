"""Whatever the map, the robots and their goals: every step is legal, and a seed repeats itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from central.fleet.grid.ground import HEADINGS, Ground, make_ground
from central.fleet.grid.planner import Planner, Rules

Place = tuple[int, int]
STEPS = 25


@st.composite
def floors(draw: st.DrawFn) -> tuple[NDArray[np.bool_], int, int]:
    """Return what is free, how many robots there are, and a seed."""
    rows, columns = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    seed = draw(st.integers(0, 2**32 - 1))
    free = np.random.default_rng(seed).random((rows, columns)) < draw(st.floats(0.5, 1.0))
    free[0, 0] = True
    robots = draw(st.integers(1, max(1, int(free.sum()))))
    return free, robots, seed


def reachable(free: NDArray[np.bool_], start: Place) -> list[Place]:
    """Return the cells that can be reached from a cell."""
    found = {start}
    waiting = [start]
    while waiting:
        row, column = waiting.pop()
        for down, right in HEADINGS:
            there = (row + down, column + right)
            inside = 0 <= there[0] < free.shape[0] and 0 <= there[1] < free.shape[1]
            if inside and free[there] and there not in found:
                found.add(there)
                waiting.append(there)
    return sorted(found)


def drive(
    free: NDArray[np.bool_], robots: int, seed: int, rules: Rules, steps: int = STEPS
) -> tuple[list[str], list[list[tuple[Place, int]]], int]:
    """Return the actions and the places and headings of all robots by step, and goals reached."""
    rng = np.random.default_rng(seed)
    ground = make_ground(free)
    places = [(int(row), int(column)) for row, column in np.argwhere(free)]
    starts = [places[i] for i in rng.permutation(len(places))[:robots]]
    cells = np.array([ground.cell(*place) for place in starts], np.int32)
    planner = Planner(ground, cells, None, rules)
    goals = [reachable(free, start) for start in starts]

    def send(robot: int) -> None:
        goal = goals[robot][int(rng.integers(len(goals[robot])))]
        planner.set_goal(robot, ground.cell(*goal))

    for robot in range(robots):
        send(robot)
    actions, states, reached = [], [seen(ground, planner)], 0
    for _ in range(steps):
        planner.step()
        planner.improve(rules.seed)
        actions.append(planner.actions().decode())
        arrived = planner.advance().tolist()
        reached += len(arrived)
        states.append(seen(ground, planner))
        for robot in arrived:
            send(robot)
    return actions, states, reached


def seen(ground: Ground, planner: Planner) -> list[tuple[Place, int]]:
    """Return everybody's place and heading."""
    outside = ground.outside(planner.cells).tolist()
    headings = planner.headings.tolist()
    return [
        (divmod(cell, ground.columns), heading)
        for cell, heading in zip(outside, headings, strict=True)
    ]


def after(place: Place, heading: int, letter: str, *, turning: bool) -> tuple[Place, int]:
    """Return where an action leads, as the log's readers understand its letter."""
    if turning and letter in "RC":
        return place, (heading + (1 if letter == "R" else 3)) % 4
    if letter == ("W" if turning else "."):
        return place, heading
    down, right = HEADINGS[heading if turning else "ESWN".index(letter)]
    return (place[0] + down, place[1] + right), heading


RULES = [  # a seed here is also how often a plan is improved
    Rules(turning=True, depth=3),
    Rules(turning=True, depth=3, rings=False),
    Rules(turning=True, depth=1),
    Rules(turning=True, depth=4, age_weight=8),
    Rules(turning=False, depth=1),
    Rules(turning=True, depth=3, seed=40),
    Rules(turning=False, depth=2, rings=False),
]


@pytest.mark.parametrize("rules", RULES, ids=str)
@given(floor=floors())
@settings(max_examples=25, deadline=None)
def test_every_step_is_legal(rules: Rules, floor: tuple[NDArray[np.bool_], int, int]) -> None:
    free, robots, seed = floor
    actions, states, _ = drive(free, robots, seed, rules)
    for letters, (before, now) in zip(actions, pairwise(states), strict=True):
        moved = [
            after(*state, letter, turning=rules.turning)
            for state, letter in zip(before, letters, strict=True)
        ]
        assert moved == now
        places = [place for place, _ in now]
        assert len(set(places)) == robots
        assert all(free[place] for place in places)
        ways = {(old, new) for (old, _), (new, _) in zip(before, now, strict=True) if old != new}
        assert not any((new, old) in ways for old, new in ways)
        if not rules.rings:
            assert not has_ring(ways)


def has_ring(ways: set[tuple[Place, Place]]) -> bool:
    """Return whether robots moved round without an empty cell among them."""
    next_of = dict(ways)
    for start, first in ways:
        at, steps = first, 1
        while at in next_of and at != start and steps <= len(next_of):
            at, steps = next_of[at], steps + 1
        if at == start:
            return True
    return False


@pytest.mark.parametrize("rules", RULES[:1] + RULES[4:5], ids=str)
def test_the_same_seed_gives_the_same_run(rules: Rules) -> None:
    free = np.random.default_rng(3).random((9, 9)) < 0.85
    free[0, 0] = True
    assert drive(free, 20, 11, rules) == drive(free, 20, 11, rules)


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_a_lone_robot_drives_the_shortest_way(rules: Rules) -> None:
    free = np.ones((5, 5), np.bool_)
    ground = make_ground(free)
    start = np.array([ground.cell(0, 0)], np.int32)
    planner = Planner(ground, start, None, Rules(turning=rules.turning, depth=rules.depth,
                                                 against_cost=1))  # fmt: skip
    planner.set_goal(0, ground.cell(3, 4))
    steps = 0
    while planner.cells[0] != ground.cell(3, 4):
        planner.step()
        planner.advance()
        steps += 1
        assert steps <= 20
    assert steps == (8 if rules.turning else 7)
