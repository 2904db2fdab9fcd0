"""Where robots wait that have nothing to do: not on stations or chargers or in dead ends. Pure.

Places are the buffers of nodes.csv, and where robots stand at first, as far as that is in nobody's
way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Final

from central.fleet.graph import FloorGraph
from runtime.clock import NS_PER_S

PARK_AFTER_S: Final = 5.0
"""A robot without a job goes out of the way after this: often another job comes before."""
PLACES_TRIED_MAX: Final = 8
"""So many places, the nearest ones in a straight line, are looked at for the shortest way."""


class Parking:
    """Who waits where."""

    def __init__(self, graph: FloorGraph, homes: Iterable[int]) -> None:
        self._graph = graph
        buffers = {node for node, kind in enumerate(graph.kinds) if kind == "buffer"}
        homes = {node for node in homes if not self.is_in_the_way(node)}
        # Who waits where a dead end begins drives to and fro before those who go in and out.
        off = {n for n in homes if all(graph.pocket[m] < 0 for m in graph.neighbours(n))}
        self._places = sorted(buffers | (off or homes))
        self._taken: dict[int, int] = {}
        self._idle_since_ns: dict[int, int] = {}

    def is_in_the_way(self, node: int) -> bool:
        """Return whether others need this node, or cannot pass who stands there."""
        graph = self._graph
        if graph.kinds[node] == "buffer":
            return False
        if graph.pocket[node] >= 0:  # who stands farther out in a dead end shuts the rest of it
            return True
        return graph.kinds[node] in {"station", "charger"} or len(graph.neighbours(node)) <= 1

    def goal(self, robot: int) -> int | None:
        """Return where `robot` is to wait, None where it may wait wherever it is."""
        return self._taken.get(robot)

    def leave(self, robot: int) -> None:
        """Note that a robot has something to do."""
        self._taken.pop(robot, None)
        self._idle_since_ns.pop(robot, None)

    def idle_ns(self, robot: int, now_ns: int) -> int:
        """Return for how long a robot has had nothing to do; it has nothing now."""
        return now_ns - self._idle_since_ns.setdefault(robot, now_ns)

    def review(self, robot: int, *, node: int, way_m: Callable[[int], float], now_ns: int) -> None:
        """Send a robot that has nothing to do out of the way, once that has lasted for a moment."""
        if self.idle_ns(robot, now_ns) < PARK_AFTER_S * NS_PER_S or robot in self._taken:
            return
        if self.is_in_the_way(node):
            place = self.find(robot, node, way_m)
            if place is not None:
                self._taken[robot] = place

    def find(
        self, robot: int, near: int, way_m: Callable[[int], float] | None = None
    ) -> int | None:
        """Return the nearest place that no other robot has, None where all are taken."""
        taken = {place for other, place in self._taken.items() if other != robot}
        free = [place for place in self._places if place not in taken]
        nearest = self._graph.nearest_of(near, free)[:PLACES_TRIED_MAX]
        if way_m is None:
            return nearest[0] if nearest else None
        found = min(((way_m(place), place) for place in nearest), default=None)
        return found[1] if found is not None and isfinite(found[0]) else None

    def take(self, robot: int, place: int) -> None:
        """Keep a place for a robot that waits for something."""
        self._taken[robot] = place
