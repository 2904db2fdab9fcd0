"""The floor as it is walked and driven: nodes, lanes, shortest ways."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

from wire.site import BinRow, Site, SiteError


class FloorMap:
    """Nodes with coordinates, and the lengths of shortest ways between them."""

    def __init__(self, site: Site) -> None:
        if not site.nodes:
            raise SiteError("nodes.csv: no node; the simulated floor needs nodes and edges")
        self._at = {name: (row.x_m, row.y_m) for name, row in site.nodes.items()}
        self._next: dict[str, list[tuple[str, float]]] = {name: [] for name in self._at}
        for edge in site.edges:
            length_m = math.dist(self._at[edge.from_node], self._at[edge.to_node])
            self._next[edge.from_node].append((edge.to_node, length_m))
        self._ways: dict[str, dict[str, float]] = {}

    def knows(self, node_id: str) -> bool:
        """Return whether there is such a node."""
        return node_id in self._at

    def position(self, node_id: str) -> tuple[float, float]:
        """Return x and y of a node, metres."""
        return self._at[node_id]

    def is_lane(self, from_node: str, to_node: str) -> bool:
        """Return whether one drives from one node to the next in this direction."""
        return any(other == to_node for other, _ in self._next.get(from_node, ()))

    def walk_m(self, from_node: str, to_node: str) -> float:
        """Return the length of the shortest way; straight through where no lane leads there."""
        if from_node not in self._ways:
            self._ways[from_node] = self._shortest(from_node)
        straight_m = math.dist(self._at[from_node], self._at[to_node])
        return self._ways[from_node].get(to_node, straight_m)

    def nearest(self, from_node: str, bins: Iterable[BinRow]) -> BinRow:
        """Return the bin with the shortest way; the first by name where several are as near."""
        return min(bins, key=lambda row: (self.walk_m(from_node, row.node_id), row.bin_id))

    def _shortest(self, start: str) -> dict[str, float]:
        found: dict[str, float] = {}
        heap = [(0.0, start)]
        while heap:
            length_m, node = heapq.heappop(heap)
            if node in found:
                continue
            found[node] = length_m
            for other, step_m in self._next[node]:
                if other not in found:
                    heapq.heappush(heap, (length_m + step_m, other))
        return found
