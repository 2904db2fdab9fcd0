"""Who drives to a charger, and when it is back at work. Pure.

Chargers are nodes where a robot charges by standing there. Where a site has none, or one that does
not charge, robots just go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Final

from central.fleet.graph import FloorGraph
from runtime.clock import NS_PER_S

LOW_PERCENT: Final = 20.0
ENOUGH_PERCENT: Final = 60.0
NO_CURRENT_S: Final = 60.0
"""A robot that stands on a charger for so long and does not charge goes back to work."""
NOT_AGAIN_S: Final = 600.0


@dataclass(slots=True)
class _Stay:
    """A robot on its way to a charger, or on it."""

    node: int
    without_current_since_ns: int = -1


class Charging:
    """The chargers of a site and who has which."""

    def __init__(self, graph: FloorGraph) -> None:
        self._chargers = [i for i, kind in enumerate(graph.kinds) if kind == "charger"]
        self._stays: dict[int, _Stay] = {}
        self._not_before_ns: dict[int, int] = {}

    @property
    def anybody(self) -> bool:
        """Return whether a robot has a charger."""
        return bool(self._stays)

    def goal(self, robot: int) -> int | None:
        """Return the charger that `robot` has, or None."""
        stay = self._stays.get(robot)
        return stay.node if stay is not None else None

    def review(
        self,
        robot: int,
        *,
        node: int,
        percent: float,
        charging: bool,
        way_m: Callable[[int], float],
        now_ns: int,
    ) -> None:
        """Send a robot without a job to the nearest free charger, or back to work."""
        stay = self._stays.get(robot)
        if stay is None:
            if percent < LOW_PERCENT and now_ns >= self._not_before_ns.get(robot, 0):
                self._send(robot, way_m)
            return
        if percent >= ENOUGH_PERCENT:
            del self._stays[robot]
        elif node != stay.node or charging:
            stay.without_current_since_ns = -1
        elif stay.without_current_since_ns < 0:
            stay.without_current_since_ns = now_ns
        elif now_ns - stay.without_current_since_ns > NO_CURRENT_S * NS_PER_S:
            self._not_before_ns[robot] = now_ns + round(NOT_AGAIN_S * NS_PER_S)
            del self._stays[robot]

    def _send(self, robot: int, way_m: Callable[[int], float]) -> None:
        taken = {stay.node for stay in self._stays.values()}
        ways = sorted((way_m(node), node) for node in self._chargers if node not in taken)
        if ways and isfinite(ways[0][0]):
            self._stays[robot] = _Stay(ways[0][1])
