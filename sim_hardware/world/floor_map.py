"""The floor as it is walked and driven: nodes, lanes, shortest ways, doors and what lies around."""

from __future__ import annotations

import heapq
import math
from collections import Counter, OrderedDict
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from wire.site import BinRow, Site, SiteError

STARTS_KEPT_MAX: Final = 2_000
"""Nodes from which the shortest ways are kept; the longest unused go first."""
HUB_STARTS: Final = 8
"""A node to which ways were sought from so many others: from now on they are sought from it."""
HUBS_MAX: Final = 100
"""Where more are sought so, the others are sought as before."""
Ways = dict[str, tuple[float, str]]
"""By node the metres to it, and the node before it."""


class FloorMap:
    """Nodes with coordinates, and the lengths of shortest ways between them.

    A closed edge is passed by nobody; on a blocked node nobody passes, but people reach what stands
    beside it. Closed or blocked twice, it is to be opened twice.
    """

    def __init__(self, site: Site) -> None:
        if not site.nodes:
            raise SiteError("nodes.csv: no node; the simulated floor needs nodes and edges")
        self._at = {name: (row.x_m, row.y_m) for name, row in site.nodes.items()}
        self._next: dict[str, list[tuple[str, float]]] = {name: [] for name in self._at}
        for edge in site.edges:
            length_m = math.dist(self._at[edge.from_node], self._at[edge.to_node])
            self._next[edge.from_node].append((edge.to_node, length_m))
        self._before: dict[str, list[tuple[str, float]]] = {name: [] for name in self._at}
        for start, steps in self._next.items():
            for end, length_m in steps:
                self._before[end].append((start, length_m))
        self._turns: dict[tuple[str, str, str], float] = {}
        """By three nodes one behind the other: as many as lanes meet, at most."""
        self._lanes = {(edge.from_node, edge.to_node) for edge in site.edges}
        self._closed: Counter[tuple[str, str]] = Counter()
        self._blocked: Counter[str] = Counter()
        self.changes = 0
        """How often a door was opened or shut, a node blocked or freed."""
        self._open_ways: OrderedDict[str, _Search] = OrderedDict()
        self._ways: OrderedDict[str, _Search] = OrderedDict()
        self._sought: Counter[str] = Counter()
        self._hubs: dict[str, _Search] = {}
        """By node the search backwards from it."""

    def knows(self, node_id: str) -> bool:
        """Return whether there is such a node."""
        return node_id in self._at

    def position(self, node_id: str) -> tuple[float, float]:
        """Return x and y of a node, metres."""
        return self._at[node_id]

    def is_lane(self, from_node: str, to_node: str) -> bool:
        """Return whether one drives from one node to the next in this direction, by the map."""
        return (from_node, to_node) in self._lanes

    def turn_rad(self, before: str, node: str, after: str) -> float:
        """Return how far one turns at `node` on the way between its neighbours; 0: not at all."""
        key = (before, node, after)
        turn = self._turns.get(key)
        if turn is None:
            (x0, y0), (x1, y1), (x2, y2) = self._at[before], self._at[node], self._at[after]
            angle = math.atan2(y2 - y1, x2 - x1) - math.atan2(y1 - y0, x1 - x0)
            turn = self._turns[key] = math.remainder(angle, math.tau)
        return turn

    # --- doors and obstacles ------------------------------------------------------------------

    def close_edge(self, from_node: str, to_node: str) -> None:
        """Close a door between two nodes, in both directions where lanes lead both ways.

        Raises ValueError where no lane leads there.
        """
        for pair in self._both(from_node, to_node):
            self._closed[pair] += 1
        self._note_change()

    def open_edge(self, from_node: str, to_node: str) -> None:
        """Open it again. Raises ValueError where it is not closed."""
        pairs = self._both(from_node, to_node)
        if not all(self._closed[pair] for pair in pairs):
            raise ValueError(f"the door from {from_node} to {to_node} is not closed")
        self._closed.subtract(pairs)
        self._closed += Counter()
        self._note_change()

    def block_node(self, node_id: str) -> None:
        """Let something stand in the way on a node. Raises ValueError for one that is not there."""
        if node_id not in self._at:
            raise ValueError(f"node {node_id!r} is not in nodes.csv")
        self._blocked[node_id] += 1
        self._note_change()

    def unblock_node(self, node_id: str) -> None:
        """Take it away. Raises ValueError where nothing is there."""
        if not self._blocked[node_id]:
            raise ValueError(f"node {node_id!r} is not blocked")
        self._blocked[node_id] -= 1
        self._blocked += Counter()
        self._note_change()

    def is_blocked(self, node_id: str) -> bool:
        """Return whether something stands in the way there."""
        return node_id in self._blocked

    def is_closed(self, from_node: str, to_node: str) -> bool:
        """Return whether a closed door is between two nodes."""
        return (from_node, to_node) in self._closed

    def obstacle(self, from_node: str, to_node: str) -> str:
        """Return what keeps one from going to the next node, in words; empty: nothing."""
        if self._blocked and to_node in self._blocked:
            return f"something stands on node {to_node}"
        if self._closed and (from_node, to_node) in self._closed:
            return f"the door from {from_node} to {to_node} is closed"
        return ""

    def _both(self, from_node: str, to_node: str) -> list[tuple[str, str]]:
        if (from_node, to_node) not in self._lanes:
            raise ValueError(f"no lane leads from {from_node} to {to_node} in edges.csv")
        back = (to_node, from_node)
        return [(from_node, to_node), *([back] if back in self._lanes else [])]

    def _note_change(self) -> None:
        self._ways.clear()
        self.changes += 1

    # --- ways -----------------------------------------------------------------------------------

    def walk_m(self, from_node: str, to_node: str) -> float:
        """Return the length of the shortest way now; inf while doors and obstacles leave none.

        Where no lane leads there at all one walks straight through.
        """
        hub = self._hubs.get(to_node)
        if hub is not None and not (self._closed or self._blocked):
            if from_node not in hub.found:
                self._go_on(hub, from_node, self._before)
            found = hub.found.get(from_node)
        else:
            found = self._from(from_node, to_node).get(to_node)
        if found is not None:
            return found[0]
        if (self._closed or self._blocked) and to_node in self._plain(from_node, to_node):
            return math.inf
        return math.dist(self._at[from_node], self._at[to_node])

    def way(self, from_node: str, to_node: str) -> list[str]:
        """Return the nodes of the shortest way now, both ends among them; else only the ends."""
        found = self._from(from_node, to_node)
        if to_node not in found:
            return [from_node, to_node]
        nodes = [to_node]
        while nodes[-1] != from_node:
            nodes.append(found[nodes[-1]][1])
        return nodes[::-1]

    def on_way(self, from_node: str, to_node: str, share: float) -> tuple[float, float]:
        """Return x and y of who has gone this share of the shortest way, metres."""
        left_m = self.walk_m(from_node, to_node) * share
        way = self.way(from_node, to_node)
        for here, there in pairwise(way):
            (x0, y0), (x1, y1) = self.position(here), self.position(there)
            step_m = math.dist((x0, y0), (x1, y1))
            if left_m <= step_m and step_m > 0.0:
                part = left_m / step_m
                return x0 + part * (x1 - x0), y0 + part * (y1 - y0)
            left_m -= step_m
        return self.position(way[-1])

    def nearest(self, from_node: str, bins: Iterable[BinRow]) -> BinRow:
        """Return the bin with the shortest way; the first by name where several are as near."""
        return min(bins, key=lambda row: (self.walk_m(from_node, row.node_id), row.bin_id))

    def next_to(self, node_id: str) -> list[str]:
        """Return the nodes to which a lane leads from here."""
        return [other for other, _ in self._next[node_id]]

    def _from(self, start: str, goal: str) -> Ways:
        """Return the ways from `start` now, that to `goal` among them where there is one."""
        if self._closed or self._blocked:
            return self._search(self._ways, start, goal)
        return self._plain(start, goal)

    def _plain(self, start: str, goal: str) -> Ways:
        """Return the ways from `start` with all doors open and nothing around."""
        return self._search(self._open_ways, start, goal)

    def _search(self, kept: OrderedDict[str, _Search], start: str, goal: str) -> Ways:
        """Return the ways from `start` as far as they were looked for, now or before."""
        search = kept.get(start)
        if search is None:
            search = kept[start] = _Search(start)
            if len(kept) > STARTS_KEPT_MAX:
                kept.popitem(last=False)
        kept.move_to_end(start)
        if goal not in search.found:
            free = kept is self._open_ways
            self._go_on(search, goal, self._next, free=free)
            self._sought[goal] += free
            if self._sought[goal] == HUB_STARTS and len(self._hubs) < HUBS_MAX:
                self._hubs[goal] = _Search(goal)
        return search.found

    def _go_on(
        self, search: _Search, goal: str, steps: dict[str, list[tuple[str, float]]], *,
        free: bool = True,
    ) -> None:  # fmt: skip
        """Go on with a search until `goal` is found; most people walk to what is near."""
        found, heap = search.found, search.heap
        while heap and goal not in found:
            length_m, node, before = heapq.heappop(heap)
            if node in found:
                continue
            found[node] = (length_m, before)
            if not free and node != search.start and node in self._blocked:
                continue
            for other, step_m in steps[node]:
                if other not in found and (free or (node, other) not in self._closed):
                    heapq.heappush(heap, (length_m + step_m, other, node))


class _Search:
    """A search for shortest ways from one node, as far as it went: it goes on where it stopped."""

    __slots__ = ("found", "heap", "start")

    def __init__(self, start: str) -> None:
        self.start = start
        self.found: Ways = {}
        self.heap: list[tuple[float, str, str]] = [(0.0, start, "")]
