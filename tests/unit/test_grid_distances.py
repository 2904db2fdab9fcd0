"""Distance fields say what a robot needs, and the pool of them keeps within its bounds."""

from __future__ import annotations

import heapq
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from central.fleet.grid.branches import find_branches
from central.fleet.grid.ground import HEADINGS, Ground, make_ground
from central.fleet.grid.guidance import lane_costs
from central.fleet.grid.planner import PlanError, Planner, Rules

SPOTS = ["..........", ".@@@.@@@@.", "..........", ".@@@.@@@@.", ".........."]


def ground_of(rows: list[str]) -> Ground:
    """Return the ground of a drawn map."""
    return make_ground(np.array([[character == "." for character in row] for row in rows]))


def cost(word: int, heading: int) -> int:
    """Return what a field's word says of a heading."""
    return (word & 0xFFFF) + (word >> (16 + 4 * heading) & 15)


def by_hand(
    ground: Ground, costs: NDArray[np.uint8], goal: int, *, turning: bool
) -> dict[tuple[int, int], int]:
    """Return the cost from each (cell, heading) to a goal, by Dijkstra forwards from each."""
    found = {}
    for cell in ground.cells.tolist():
        for heading in range(4 if turning else 1):
            found[cell, heading] = _search(ground, costs, (cell, heading), goal, turning=turning)
    return found


def _search(
    ground: Ground, costs: NDArray[np.uint8], start: tuple[int, int], goal: int, *, turning: bool
) -> int:
    waiting, seen = [(0, start)], set()
    while waiting:
        spent, (cell, heading) = heapq.heappop(waiting)
        if cell == goal:
            return spent
        if (cell, heading) in seen:
            continue
        seen.add((cell, heading))
        for way, (row, column) in enumerate(HEADINGS):
            there = cell + row * ground.width + column
            step = int(costs[ground.number[cell], way])
            if ground.number[there] >= 0 and (not turning or way == heading):
                heapq.heappush(waiting, (spent + step, (there, heading)))
        if turning:
            for side in (1, 3):
                heapq.heappush(waiting, (spent + 1, (cell, (heading + side) % 4)))
    raise AssertionError("the map hangs together")


@pytest.mark.parametrize("turning", [True, False])
@pytest.mark.parametrize("against", [1, 3])
def test_a_field_holds_the_cheapest_ways(turning: bool, against: int) -> None:  # noqa: FBT001
    ground = ground_of(SPOTS)
    costs = lane_costs(ground, against)
    goal = ground.cell(2, 4)
    rules = Rules(turning=turning, depth=1, against_cost=against)
    planner = Planner(ground, ground.cells[:1].copy(), None, rules)
    planner.warm(np.array([goal], np.int32))
    expected = by_hand(ground, costs, goal, turning=turning)
    row = planner.fields[0]
    got = {
        (cell, heading): cost(int(row[ground.number[cell]]), heading) for cell, heading in expected
    }
    assert got == expected


def test_lanes_alternate_and_every_second_one_costs_more_against_it() -> None:
    ground = ground_of(["....", "....", "....", "...."])
    costs = lane_costs(ground, 9)
    at = {ground.place(int(cell)): costs[n].tolist() for n, cell in enumerate(ground.cells)}
    east, south, west, north = range(4)
    assert [at[0, 0][way] for way in (east, south, west, north)] == [1, 9, 9, 1]
    assert [at[1, 1][way] for way in (east, south, west, north)] == [9, 1, 1, 9]


def test_the_pool_keeps_its_bound_and_forgets_what_nobody_wants() -> None:
    ground = ground_of(SPOTS)
    rules = Rules(turning=False, depth=1, field_bytes_max=3 * 4 * ground.free)
    starts = ground.cells[:2].copy()
    planner = Planner(ground, starts, None, rules)
    goals = ground.cells[5:12].tolist()
    for goal in goals:
        planner.set_goal(0, goal)
        planner.set_goal(1, goals[0])
    assert planner.fields.shape[0] == 3
    assert planner.fields_made == len(goals)  # goals[0] was wanted all the time
    planner.set_goal(0, goals[-2])
    assert planner.fields_made == len(goals)
    planner.set_goal(0, goals[1])
    assert planner.fields_made == len(goals) + 1


def test_more_goals_than_the_pool_holds_is_said() -> None:
    ground = ground_of(SPOTS)
    rules = Rules(turning=False, depth=1, field_bytes_max=2 * 4 * ground.free)
    planner = Planner(ground, ground.cells[:3].copy(), None, rules)
    planner.set_goal(0, int(ground.cells[4]))
    planner.set_goal(1, int(ground.cells[5]))
    with pytest.raises(PlanError, match="more than 2 different goals at once need more than"):
        planner.set_goal(2, int(ground.cells[6]))


def test_ways_that_cannot_be_found_in_one_step_come_in_the_next() -> None:
    ground = ground_of(SPOTS)
    planner = Planner(ground, ground.cells[:3].copy(), None, Rules(turning=False, depth=1))
    planner.fields_max = 2
    goals = [ground.cell(4, column) for column in (0, 4, 9)]
    for robot, goal in enumerate(goals):
        planner.set_goal(robot, goal)
    assert planner.fields_made == 2
    for _ in range(40):
        planner.step()
        for robot in planner.advance().tolist():
            planner.set_goal(robot, -1)
            goals[robot] = -1
    assert planner.fields_made == 3
    assert goals == [-1, -1, -1]


def test_dead_ends_are_known_with_what_is_behind_each_cell() -> None:
    ground = ground_of(["...@", ".@.@", "....", "@@.@", "@@.."])
    branches = find_branches(ground)
    inside = {
        ground.place(int(cell)) for cell in ground.cells if branches[cell, 1] > 0
    }  # fmt: skip
    assert inside == {(2, 3), (3, 2), (4, 2), (4, 3)}
    first, end = branches[ground.cell(3, 2)]
    behind = {
        place for place in inside if first <= branches[ground.cell(*place), 0] < end
    }  # fmt: skip
    assert behind == {(3, 2), (4, 2), (4, 3)}


def test_two_robots_in_one_dead_end_let_each_other_out() -> None:
    ground = ground_of(["....", ".@@.", "....", "@.@@", "@.@@", "@.@@"])
    starts = np.array([ground.cell(5, 1), ground.cell(2, 1)], np.int32)
    planner = Planner(ground, starts, None, Rules())
    goals = [ground.cell(0, 3), ground.cell(4, 1)]
    planner.set_goal(0, goals[0])
    planner.set_goal(1, goals[1])
    there = set()
    for _ in range(60):
        planner.step()
        there |= set(planner.advance().tolist())
    assert there == {0, 1}


def test_fields_of_the_shared_warehouse_fit_in_two_gibibytes(data_dir: Path) -> None:
    path = data_dir / "mapf" / "lorr2024" / "warehouse_large.map"
    if not path.exists():
        pytest.skip(f"no map at {path}")
    rows = path.read_text().splitlines()[4:]
    ground = make_ground(np.array([[c in ".ES" for c in row] for row in rows]))
    assert 10_000 * 4 * ground.free <= 2 << 30
