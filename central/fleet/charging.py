"""Who drives to a charger, who waits for one, and when it is back at work. Pure.

Chargers are nodes where a robot charges by standing there; each is one robot's at a time. A robot
whose charge is low must charge, and waits near the chargers where all are taken: first come, first
served. One that has nothing to do charges meanwhile where a charger is free; it gets jobs as before
and makes room for whoever must. Where a site has no charger, or none that charges, robots go on.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import isfinite
from typing import Final

from central.fleet.graph import FloorGraph
from central.fleet.parking import Parking
from runtime.clock import NS_PER_S

LOW_PERCENT: Final = 20.0
ENOUGH_PERCENT: Final = 60.0
TOP_UP_PERCENT: Final = 80.0
"""A robot that has nothing to do charges below this."""
FULL_PERCENT: Final = 95.0
TOP_UP_AFTER_S: Final = 10.0
NO_CURRENT_S: Final = 60.0
"""A robot that stands on a charger for so long and does not charge goes back to work."""
NOT_AGAIN_S: Final = 600.0
NEAR_MAX: Final = 8
"""So many chargers, the nearest ones in a straight line, are looked at for the shortest way."""


@dataclass(slots=True)
class _Stay:
    """A robot on its way to a charger, or on it."""

    node: int
    must: bool
    """Its charge is low: it gets no job before it has enough."""
    percent: float
    without_current_since_ns: int = -1


class Charging:
    """The chargers of a site, who has which and who waits."""

    def __init__(self, graph: FloorGraph, parking: Parking) -> None:
        self.chargers = [i for i, kind in enumerate(graph.kinds) if kind == "charger"]
        self._graph = graph
        self._parking = parking
        self._stays: dict[int, _Stay] = {}
        self._waiting: dict[int, None] = {}
        """Robots that must charge and have no charger, who came first first."""
        self._not_before_ns: dict[int, int] = {}

    @property
    def anybody(self) -> bool:
        """Return whether a robot has a charger or waits for one."""
        return bool(self._stays or self._waiting)

    def goal(self, robot: int) -> int | None:
        """Return the charger that `robot` has, or None."""
        stay = self._stays.get(robot)
        return stay.node if stay is not None else None

    def is_kept(self, robot: int) -> bool:
        """Return whether `robot` must charge and gets no job."""
        stay = self._stays.get(robot)
        return robot in self._waiting or (stay is not None and stay.must)

    def words(self, robot: int) -> str:
        """Return what a robot without a job does here; empty: nothing."""
        if robot in self._waiting:
            ahead = list(self._waiting).index(robot)
            return f"its charge is low: waits for a charger behind {ahead} others"
        stay = self._stays.get(robot)
        if stay is None:
            return ""
        name = self._graph.ids[stay.node]
        why = "its charge is low" if stay.must else "it has nothing else to do"
        return f"charges at {name}: {why}"

    def near(self, node: int) -> list[int]:
        """Return the chargers nearest to `node` in a straight line."""
        return self._graph.nearest_of(node, self.chargers)[:NEAR_MAX]

    def leave(self, robot: int) -> None:
        """Note that a robot got a job: it needs its charger no longer."""
        self._stays.pop(robot, None)
        self._waiting.pop(robot, None)

    def stop_waiting(self, robot: int) -> None:
        """Note that a robot cannot drive to a charger now: it keeps no other from one."""
        self._waiting.pop(robot, None)

    def give_up(self, robot: int, owned: AbstractSet[int]) -> None:
        """Let others have the charger of a robot that does not come; not one that it may be on."""
        if self.goal(robot) not in owned:
            self._stays.pop(robot, None)

    def review(
        self,
        robot: int,
        *,
        node: int,
        percent: float,
        charging: bool,
        way_m: Callable[[int], float],
        now_ns: int,
        idle_ns: int = 0,
    ) -> None:
        """Send a robot without a job to the nearest free charger, let it wait, or back to work."""
        stay = self._stays.get(robot)
        if stay is None:
            if now_ns < self._not_before_ns.get(robot, 0):
                return
            if percent < LOW_PERCENT:
                self._send(robot, node, percent, way_m)
            elif percent < TOP_UP_PERCENT and idle_ns >= TOP_UP_AFTER_S * NS_PER_S:
                self._top_up(robot, node, percent, way_m)
            return
        stay.percent = percent
        stay.must = stay.must or percent < LOW_PERCENT
        if percent >= (ENOUGH_PERCENT if stay.must else FULL_PERCENT):
            del self._stays[robot]
        elif node != stay.node or charging:
            stay.without_current_since_ns = -1
        elif stay.without_current_since_ns < 0:
            stay.without_current_since_ns = now_ns
        elif now_ns - stay.without_current_since_ns > NO_CURRENT_S * NS_PER_S:
            self._not_before_ns[robot] = now_ns + round(NOT_AGAIN_S * NS_PER_S)
            del self._stays[robot]

    def _send(self, robot: int, node: int, percent: float, way_m: Callable[[int], float]) -> None:
        """Give a robot that must charge a charger, one who need not makes room, or let it wait."""
        free = self._free(node, way_m)
        ahead = sum(1 for _ in self._before(robot))
        if len(free) > ahead:
            self._begin(robot, free[0], percent, must=True)
            return
        spare = [(s.percent, other) for other, s in self._stays.items() if not s.must]
        spare = [(p, o) for p, o in spare if isfinite(way_m(self._stays[o].node))]
        if len(spare) > ahead:
            other = max(spare)[1]
            charger = self._stays.pop(other).node
            self._begin(robot, charger, percent, must=True)
        elif any(isfinite(way_m(charger)) for charger in self.near(node)):
            self._waiting[robot] = None
            if self._parking.goal(robot) is None:
                charger = self.near(node)[0]
                place = self._parking.find(robot, charger)
                if place is not None:
                    self._parking.take(robot, place)

    def _before(self, robot: int) -> list[int]:
        """Return who waits and came before `robot`."""
        waiting = list(self._waiting)
        return waiting[: waiting.index(robot)] if robot in self._waiting else waiting

    def _top_up(self, robot: int, node: int, percent: float, way_m: Callable[[int], float]) -> None:
        free = self._free(node, way_m)
        if free and not self._waiting:
            self._begin(robot, free[0], percent, must=False)

    def _begin(self, robot: int, charger: int, percent: float, *, must: bool) -> None:
        self._waiting.pop(robot, None)
        self._parking.leave(robot)
        self._stays[robot] = _Stay(charger, must, percent)

    def _free(self, node: int, way_m: Callable[[int], float]) -> list[int]:
        """Return the free chargers that can be reached, the nearest first."""
        taken = {stay.node for stay in self._stays.values()}
        left = [charger for charger in self.chargers if charger not in taken]
        near = self._graph.nearest_of(node, left)[:NEAR_MAX]
        ways = sorted((way_m(charger), charger) for charger in near)
        return [charger for metres, charger in ways if isfinite(metres)]
