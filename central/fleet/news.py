"""Which robots a tick looks at: those that something happened to, and those whose time came. Pure.

All that is kept of a robot between ticks follows from what it said, what it was sent and what time
it is. So who said nothing, was sent nothing and whose time has not come need not be looked at.
"""

from __future__ import annotations

from heapq import heappop, heappush


class News:
    """Robots by number. At first there is news of all of them."""

    def __init__(self, robots: int) -> None:
        self._robots = range(robots)
        self._marked = set(self._robots)
        self._times: list[tuple[int, int]] = []
        self._timed: set[int] = set()

    def mark(self, robot: int) -> None:
        """Note that something happened to `robot`: the next tick looks at it."""
        self._marked.add(robot)

    def has_time(self, robot: int) -> bool:
        """Return whether `robot` will be looked at some time, whatever happens."""
        return robot in self._timed

    def look_after(self, robot: int, at_ns: int) -> None:
        """Have `robot` looked at by the first tick after a time, if not before."""
        self._timed.add(robot)
        heappush(self._times, (at_ns, robot))

    def take(self, now_ns: int) -> set[int]:
        """Return who is to be looked at now; from here on news is collected for the next tick."""
        looked, self._marked = self._marked, set()
        while self._times and self._times[0][0] < now_ns:
            robot = heappop(self._times)[1]
            self._timed.discard(robot)
            looked.add(robot)
        return looked
