"""Who may be where, and in which order: plans, visiting orders, released nodes. Pure.

Each robot has a path: its last reported node, then the nodes it was released to (its VDA 5050
base), then planned ones. Each node has a queue of visits in the order in which they were planned. A
node is released to a robot only when all visits before are its own or REPORTED over, so released
nodes of different robots are disjoint whatever is lost, late or doubled on the wire. Released nodes
are never taken back. Planning goes on from the END of each path, one step of all robots at a time.
Every step can be carried out one robot after the other, so can the plan: nobody waits in a circle.

What a step needs of each robot stays in one array from plan to plan; only what changed is written
to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from central.fleet.graph import Fields, FloorGraph
from central.fleet.kernels import (
    BEFORE,
    END,
    FROZEN,
    GOAL,
    LENGTH,
    ROW,
    STAYS,
    TRACK_ROWS,
    WAITS,
    pibt_steps,
)

NO_GOAL: Final = -1
NOWHERE: Final = -1
STEPS_PER_PLAN_MAX: Final = 100


@dataclass(slots=True, eq=False)
class Visit:
    """One robot's turn on one node."""

    robot: int
    node: int


@dataclass(slots=True)
class Track:
    """One robot's way: `visits[0]` is where it last reported to be; `released` are its alone."""

    visits: list[Visit] = field(default_factory=list)
    released: int = 0
    came_from: int = NOWHERE
    """The node before `visits[0]`."""
    ghosts: list[Visit] = field(default_factory=list)
    """Sent, never acknowledged, given up: nobody's until something newer is acknowledged."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a robot wants in this plan."""

    goal: int = NO_GOAL
    stays_at_goal: bool = False
    """It has something to do there: nobody pushes it away once its path ends there."""
    frozen: bool = False
    """It gets no further nodes (silent, blocked, in somebody's hands)."""


class Traffic:
    """Everybody's paths on one floor."""

    def __init__(self, graph: FloorGraph, robots: int, path_nodes_max: int) -> None:
        self.graph = graph
        self.fields = Fields(graph)
        self._path_nodes_max = path_nodes_max
        self._tracks = [Track() for _ in range(robots)]
        self._queues: dict[int, deque[Visit]] = {}
        self._salt = 0
        self._steps = 0
        """Of all plans."""
        self._wants_since = [0] * robots
        """The steps there were when each robot got its goal."""
        self._wishes = [Wish()] * robots
        self._table: NDArray[np.int32] = np.full((TRACK_ROWS, robots), NO_GOAL, np.int32)
        """A column per robot, with what `pibt_steps` asks for; WAITS is kept nowhere else."""
        self._table[[LENGTH, FROZEN, STAYS, WAITS]] = 0
        self._stale: set[int] = set()
        """Robots whose paths changed since they were written to the table."""
        self._placed: NDArray[np.int32] = np.zeros(0, np.int32)
        self._lacks_rows = False
        self._rows_version = self.fields.version
        self._changed: set[int] = set()
        self._barred: frozenset[int] = frozenset()
        """Nodes of stop zones: nobody enters them, and no job leads there."""

    # --- where robots are -----------------------------------------------------------------------

    def place(self, robot: int, node: int) -> bool:
        """Put `robot` on `node` with nothing planned; False where somebody else has that node."""
        track = self._tracks[robot]
        if any(v.robot != robot for v in self._owned(node)):
            return False
        self._forget(track.visits)
        track.visits = [self._visit(robot, node, first=True)]
        track.released = 1
        track.came_from = NOWHERE
        self._table[WAITS, robot] = 0
        self._note(robot)
        self.replan()
        return True

    def adopt(self, robot: int, nodes: Sequence[int], ghosts: Sequence[int]) -> None:
        """Give `robot` these nodes as released or given up: sent before central's restart."""
        track = self._tracks[robot]
        self._forget(track.visits)
        track.visits = [self._visit(robot, node) for node in nodes]
        track.released = len(nodes)
        track.ghosts = [self._visit(robot, node) for node in ghosts]
        self._note(robot)

    def is_placed(self, robot: int) -> bool:
        """Return whether it is known where `robot` is."""
        return bool(self._tracks[robot].visits)

    def node(self, robot: int) -> int:
        """Return the last node that `robot` reported."""
        return self._tracks[robot].visits[0].node

    def path(self, robot: int) -> list[int]:
        """Return the robot's nodes: reported, released, planned."""
        return [visit.node for visit in self._tracks[robot].visits]

    def base(self, robot: int) -> list[int]:
        """Return the nodes that are the robot's alone now: reported and released."""
        track = self._tracks[robot]
        return [visit.node for visit in track.visits[: track.released]]

    def owned(self, robot: int) -> set[int]:
        """Return the base and what the robot may still drive to of what was given up."""
        return {*self.base(robot), *(visit.node for visit in self._tracks[robot].ghosts)}

    def way_m(self, robot: int, goal: int) -> float:
        """Return the way from the end of the path to `goal` in metres; inf: there is none."""
        visits = self._tracks[robot].visits
        return self.fields.way_m(visits[-1].node, goal) if visits else inf

    def end(self, robot: int) -> int:
        """Return the last node of the robot's path; 0 where it is nowhere."""
        visits = self._tracks[robot].visits
        return visits[-1].node if visits else 0

    def visits(self) -> NDArray[np.int32]:
        """Return how many visits are planned on each node, also those that have begun."""
        found = np.zeros(len(self.graph), np.int32)
        for node, queue in self._queues.items():
            found[node] = len(queue)
        return found

    def ways_m(self, robots: Sequence[int]) -> Callable[[int], NDArray[np.float64]]:
        """Return what says the ways from the ends of these robots' paths to a goal, in metres."""
        tracks = [self._tracks[robot] for robot in robots]
        placed = np.array([bool(track.visits) for track in tracks], np.bool_)
        ends = np.array([t.visits[-1].node if t.visits else 0 for t in tracks], np.int64)

        def to(goal: int) -> NDArray[np.float64]:
            if goal in self._barred:
                return np.full(len(tracks), inf)
            row = self.fields.row(goal)
            return np.where(placed, self.fields.matrix[row, ends].astype(np.float64), inf)

        return to

    def report(self, robot: int, index: int) -> None:
        """Note that `robot` reached `path[index]`: the nodes before are left."""
        track = self._tracks[robot]
        assert 0 <= index < track.released, "a robot reports only what it was released to"
        if index > 0:
            track.came_from = track.visits[index - 1].node
        self._forget(track.visits[:index])
        del track.visits[:index]
        track.released -= index
        self._note(robot)

    # --- releasing --------------------------------------------------------------------------------

    def grantable(self, robot: int) -> list[int]:
        """Return the planned nodes that could be released to `robot` now, in order."""
        track = self._tracks[robot]
        found = []
        for visit in track.visits[track.released :]:
            if not self._is_first(visit):
                break
            found.append(visit.node)
        return found

    def may_release(self, robot: int) -> bool:
        """Return False where nothing can be released to `robot` and it is not to be sent to stay.

        That is the usual case, and cheaper to know than what can be released.
        """
        track = self._tracks[robot]
        if track.ghosts or len(track.visits) <= track.released:
            return True
        return self._is_first(track.visits[track.released])

    def would_end_at(self, robot: int, node: int, count: int) -> bool:
        """Return whether the path ends on `node`, all released with the next `count` nodes."""
        track = self._tracks[robot]
        return len(track.visits) == track.released + count and track.visits[-1].node == node

    def release(self, robot: int, count: int) -> None:
        """Give `robot` its next `count` planned nodes for good."""
        track = self._tracks[robot]
        assert len(self.grantable(robot)) >= count, "only grantable nodes are released"
        track.released += count

    def give_up(self, robot: int, kept: int) -> None:
        """Keep the first `kept` nodes of the base; others are nobody's until `forget_ghosts`."""
        track = self._tracks[robot]
        self.replan()
        track.ghosts += track.visits[kept:]
        del track.visits[kept:]
        track.released = len(track.visits)
        self._note(robot)

    def forget_ghosts(self, robot: int, count: int | None = None) -> None:
        """Free the last `count` nodes given up (all: the vehicle acknowledged something newer)."""
        ghosts = self._tracks[robot].ghosts
        if not ghosts:
            return
        first = 0 if count is None else len(ghosts) - count
        self._forget(ghosts[first:])
        del ghosts[first:]
        self._changed.add(robot)

    def ghosts(self, robot: int) -> list[int]:
        """Return the nodes that were sent to `robot`, given up and are still reserved."""
        return [visit.node for visit in self._tracks[robot].ghosts]

    def has_ghosts(self, robot: int) -> bool:
        """Return whether nodes that were given up are still reserved for `robot`."""
        return bool(self._tracks[robot].ghosts)

    # --- planning ---------------------------------------------------------------------------------

    def replan(self) -> None:
        """Drop what is planned and not released. Bases are disjoint, so their ends are, too."""
        for robot, track in enumerate(self._tracks):
            if len(track.visits) > track.released:
                self._forget(track.visits[track.released :])
                del track.visits[track.released :]
                self._note(robot)
                # It may have been at its goal already in what is dropped, and has waited on.
                age = self._steps - self._wants_since[robot]
                self._table[WAITS, robot] = max(age, self._table[WAITS, robot])

    def anybody_waits(self) -> bool:
        """Return whether a robot that could go on stands and waits for another's turn."""
        return any(
            track.released == 1 < len(track.visits) and not track.ghosts for track in self._tracks
        )

    def close(self, nodes: set[int]) -> None:
        """Let nobody plan into these nodes; what is planned is planned again where that changed."""
        if self.fields.close(self._barred | nodes):
            self.replan()

    def bar(self, nodes: frozenset[int]) -> None:
        """Close the nodes of stop zones from the next `close` on: no job leads there either."""
        self._barred = nodes

    @property
    def rests(self) -> bool:
        """Return whether nobody has a way before them, and nobody is kept from planning one."""
        if self.fields.any_closed or self._table[WAITS].any():
            return False
        return all(len(track.visits) == 1 and not track.ghosts for track in self._tracks)

    def rest(self) -> None:
        """Do what `plan` does where nobody wants anything and everybody may go: hardly anything."""
        self._salt = (self._salt + 1) & 0xFFFFFFFF

    def plan(self, wishes: Mapping[int, Wish]) -> int:
        """Append to the paths until nobody can go on; return how many steps were taken.

        `wishes` are those of robots that may want something else than in the last plan: the others
        want what they wanted. Who wants to go to a closed node waits like one who wants nothing, so
        that others can pass.
        """
        for robot, wish in wishes.items():
            self._want(robot, wish)
        self._write_stale()
        if not self._placed.size:
            return 0
        if self._lacks_rows or self._rows_version != self.fields.version:
            self._find_rows()
        moves, steps, self._salt = pibt_steps(
            self.graph.indptr,
            self.graph.indices,
            self.graph.xy32_m,
            self.fields.matrix,
            self._table,
            self._placed,
            self.fields.closed,
            self._salt,
            self._path_nodes_max,
            STEPS_PER_PLAN_MAX,
            self.graph.pocket,
            self.graph.depth,
        )
        # Who leaves goes into the queues before who comes: chains end where it is empty, so the
        # order of visits on one node is the order of steps.
        self._steps += steps
        for robot, node in moves.tolist():
            self._tracks[robot].visits.append(self._visit(robot, node))
            self._changed.add(robot)
        return steps

    def take_changed(self) -> set[int]:
        """Return the robots whose path, or whose turn on it, changed since this was last asked."""
        changed, self._changed = self._changed, set()
        return changed

    def _want(self, robot: int, wish: Wish) -> None:
        before = self._wishes[robot]
        if wish is before or wish == before:
            return
        self._wishes[robot] = wish
        self._table[FROZEN, robot] = wish.frozen
        self._table[STAYS, robot] = wish.stays_at_goal
        if wish.goal != before.goal:
            self._wants_since[robot] = self._steps
            self._table[GOAL, robot] = wish.goal
            self._table[ROW, robot] = NO_GOAL
            self._lacks_rows = True

    def _note(self, robot: int) -> None:
        """Note that the path of `robot` changed."""
        self._stale.add(robot)
        self._changed.add(robot)

    def _write_stale(self) -> None:
        for robot in self._stale:
            visits = self._tracks[robot].visits
            before = visits[-2].node if len(visits) > 1 else self._tracks[robot].came_from
            is_new = self._table[END, robot] == NOWHERE
            self._table[END, robot] = visits[-1].node if visits else NOWHERE
            self._table[BEFORE, robot] = before
            self._table[LENGTH, robot] = len(visits)
            if is_new:
                self._placed = np.flatnonzero(self._table[END] != NOWHERE).astype(np.int32)
        self._stale.clear()

    def _find_rows(self) -> None:
        """Give each robot that can go to its goal the row of it; makes those that are not there.

        Rows of goals that are closed are not made: they would be asked for again and again.
        """
        table, fields = self._table, self.fields
        if self._rows_version == fields.version:
            self._fill_rows(keep_all=False)
        if self._rows_version != fields.version:  # a row may be another goal's now
            table[ROW] = NO_GOAL
            self._fill_rows(keep_all=True)
            self._rows_version = fields.version
        # Who cannot go to a closed goal now may once the path ends there.
        self._lacks_rows = bool(((table[GOAL] != NO_GOAL) & (table[ROW] == NO_GOAL)).any())

    def _fill_rows(self, *, keep_all: bool) -> None:
        end, goal, row = self._table[END], self._table[GOAL], self._table[ROW]
        lacks = (end != NOWHERE) & (goal != NO_GOAL) & (row == NO_GOAL)
        lacks &= (self.fields.closed[goal] == 0) | (goal == end)
        for i, robot in enumerate(np.flatnonzero(lacks).tolist()):
            row[robot] = self.fields.row(int(goal[robot]), keep=i if keep_all else 0)

    # --- queues -----------------------------------------------------------------------------------

    def _visit(self, robot: int, node: int, *, first: bool = False) -> Visit:
        visit = Visit(robot, node)
        queue = self._queues.setdefault(node, deque())
        if first:
            queue.appendleft(visit)
        else:
            queue.append(visit)
        return visit

    def _forget(self, visits: Sequence[Visit]) -> None:
        for visit in visits:
            queue = self._queues[visit.node]
            queue.remove(visit)
            if queue:
                self._changed.add(queue[0].robot)  # it may be its turn now
            else:
                del self._queues[visit.node]

    def _is_first(self, visit: Visit) -> bool:
        """Return whether every earlier visit of this node is the same robot's."""
        for other in self._queues[visit.node]:
            if other is visit:
                return True
            if other.robot != visit.robot:
                return False
        raise AssertionError("a visit stands in its node's queue")

    def _owned(self, node: int) -> list[Visit]:
        """Return the visits of `node` that are released or given up."""
        found = []
        for visit in self._queues.get(node, ()):
            track = self._tracks[visit.robot]
            if any(visit is v for v in (*track.visits[: track.released], *track.ghosts)):
                found.append(visit)
        return found
