"""Paths planned at once are those planned one step after the other."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import numpy as np
import pytest

from central.fleet.graph import FloorGraph
from central.fleet.kernels import distance_field, pibt_step
from central.fleet.traffic import NO_GOAL, Traffic, Wish
from tests.build_fleet import grid_site

WIDTH, HEIGHT, ROBOTS, NODES_MAX = 6, 4, 7, 4


class Slowly:
    """The same plans, with nothing kept of a path but its end: all is found anew each time."""

    def __init__(self, graph: FloorGraph, robots: int) -> None:
        self.graph = graph
        self.salt = 0
        self.waits = [0] * robots
        self.steps = 0
        self.since = [0] * robots
        self.goals = [NO_GOAL] * robots
        self.closed = np.zeros(len(graph), np.uint8)

    def plan(
        self, paths: list[list[int]], came_from: list[int], wishes: list[Wish]
    ) -> list[list[int]]:
        """Return the paths after a plan."""
        for i, wish in enumerate(wishes):
            if wish.goal != self.goals[i]:
                self.goals[i], self.since[i] = wish.goal, self.steps
        paths = [list(path) for path in paths]
        goals = [
            NO_GOAL if self.closed[w.goal] and p[-1] != w.goal else w.goal
            for p, w in zip(paths, wishes, strict=True)
        ]
        self._wait(paths, goals)
        fields = np.array(
            [
                distance_field(*self.graph.reverse, self.closed, max(goal, 0)) for goal in goals
            ]
        )  # fmt: skip
        while True:
            frozen = [
                w.frozen or len(p) > NODES_MAX or (w.stays_at_goal and p[-1] == g != NO_GOAL)
                for p, g, w in zip(paths, goals, wishes, strict=True)
            ]
            if all(frozen):
                return paths
            self.salt += 1
            rows = [NO_GOAL if goal == NO_GOAL else i for i, goal in enumerate(goals)]
            before = [
                p[-2] if len(p) > 1 else came for p, came in zip(paths, came_from, strict=True)
            ]
            order = sorted(range(len(paths)), key=lambda i: -self.waits[i])
            row, last, at, first = (
                np.array(each, np.int32) for each in (rows, before, [p[-1] for p in paths], order)
            )
            after = pibt_step(
                self.graph.indptr, self.graph.indices, self.graph.xy32_m, fields, row, last, at,
                first, np.array(frozen, np.uint8), self.closed, self.salt,
            ).tolist()  # fmt: skip
            if after == [path[-1] for path in paths]:
                return paths
            self.steps += 1
            for path, node in zip(paths, after, strict=True):
                if node != path[-1]:
                    path.append(node)
            self._wait(paths, goals)

    def drop(self, robots: Iterable[int]) -> None:
        """Drop what is planned for these robots: whoever wants something has waited since then."""
        for i in robots:
            self.waits[i] = max(self.waits[i], self.steps - self.since[i])

    def _wait(self, paths: list[list[int]], goals: list[int]) -> None:
        for i, (path, goal) in enumerate(zip(paths, goals, strict=True)):
            self.waits[i] = 0 if goal in {NO_GOAL, path[-1]} else self.waits[i] + 1


def draw_wish(random: Random) -> Wish:
    goal = random.choice([NO_GOAL, random.randrange(WIDTH * HEIGHT), random.randrange(6)])
    return Wish(
        goal=goal, stays_at_goal=goal != NO_GOAL and random.random() < 0.6,
        frozen=random.random() < 0.1,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_plans_are_those_of_one_step_after_the_other(seed: int) -> None:
    random = Random(seed)
    site = grid_site(WIDTH, HEIGHT, {})
    graph = FloorGraph(site.nodes, site.edges)
    traffic, slowly = Traffic(graph, ROBOTS, NODES_MAX), Slowly(graph, ROBOTS)
    for robot, node in enumerate(random.sample(range(len(graph)), ROBOTS)):
        assert traffic.place(robot, node)
    came_from = [-1] * ROBOTS
    wishes = [draw_wish(random) for _ in range(ROBOTS)]
    fresh = dict(enumerate(wishes))
    moved = 0
    for _ in range(60):
        before = [traffic.path(robot) for robot in range(ROBOTS)]
        expected = slowly.plan(before, came_from, wishes)
        traffic.plan(fresh)
        fresh = {}
        assert [traffic.path(robot) for robot in range(ROBOTS)] == expected
        moved += expected != before
        for robot in random.sample(range(ROBOTS), 3):
            traffic.release(robot, len(traffic.grantable(robot)))
            index = random.randrange(len(traffic.base(robot)))
            if index > 0:
                came_from[robot] = traffic.base(robot)[index - 1]
                traffic.report(robot, index)
        for robot in random.sample(range(ROBOTS), random.choice([0, 0, 2])):
            fresh[robot] = wishes[robot] = draw_wish(random)
        if random.random() < 0.2:
            nodes = set(random.sample(range(len(graph)), random.choice([0, 2, 5])))
            ahead = [r for r in range(ROBOTS) if len(traffic.path(r)) > len(traffic.base(r))]
            if nodes != set(np.flatnonzero(slowly.closed).tolist()):
                slowly.drop(ahead)
            traffic.close(nodes)
            slowly.closed = np.zeros(len(graph), np.uint8)
            slowly.closed[list(nodes)] = 1
    assert moved > 10


@pytest.mark.parametrize("seed", range(6))
def test_whoever_can_be_released_more_is_named_as_changed(seed: int) -> None:
    random = Random(seed)
    site = grid_site(WIDTH, HEIGHT, {})
    graph = FloorGraph(site.nodes, site.edges)
    traffic = Traffic(graph, ROBOTS, NODES_MAX)
    for robot, node in enumerate(random.sample(range(len(graph)), ROBOTS)):
        assert traffic.place(robot, node)
    traffic.plan({robot: draw_wish(random) for robot in range(ROBOTS)})
    known = {robot: traffic.grantable(robot) for robot in range(ROBOTS)}
    traffic.take_changed()
    for _ in range(200):
        robot = random.randrange(ROBOTS)
        kind = random.choice(["release", "report", "give up", "forget", "plan", "close"])
        if kind == "release":
            traffic.release(robot, len(traffic.grantable(robot)))
            known[robot] = traffic.grantable(robot)
        elif kind == "report" and len(traffic.base(robot)) > 1:
            traffic.report(robot, 1)
        elif kind == "give up":
            traffic.give_up(robot, 1)
        elif kind == "forget":
            traffic.forget_ghosts(robot)
        elif kind == "plan":
            traffic.plan({robot: draw_wish(random)})
        else:
            traffic.close(set(random.sample(range(len(graph)), random.choice([0, 1]))))
        changed = traffic.take_changed()
        for other in range(ROBOTS):
            if traffic.grantable(other) != known[other]:
                assert other in changed
                known[other] = traffic.grantable(other)
