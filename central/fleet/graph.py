"""The floor as the planner sees it: a compact directed graph, and the distances to goals on it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from math import hypot
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from central.fleet.kernels import distance_field
from central.fleet.turning import turning_field
from wire.site import EdgeRow, NodeRow, RobotRow

FIELDS_MAX: Final = 4_096
FIELD_BYTES_MAX: Final = 2 * 1024**3
SAME_PLACE_M: Final = 0.6
"""A vehicle that knows no node but a position within this distance of one stands on that node."""
log = structlog.get_logger()


def lanes_for_all(edges: Iterable[EdgeRow], robots: Iterable[RobotRow]) -> list[EdgeRow]:
    """Return the lanes that every robot may take.

    Plans are made for all robots on one graph: a lane that is not for all of them is for none.
    """
    types = {robot.robot_type for robot in robots}
    lanes = list(edges)
    taken = [e for e in lanes if not e.robot_types or types <= set(e.robot_types.split())]
    if len(taken) < len(lanes):
        log.warning(
            "lanes are closed: not every robot is of their robot_types",
            lanes=len(lanes) - len(taken),
            types=sorted(types),
        )
    return taken


class FloorGraph:
    """Nodes by number, and who leads where. `edge_m` are the lengths of `indices`.

    A lane that is slower than the fastest one counts as longer by as much.
    """

    def __init__(self, nodes: Mapping[str, NodeRow], edges: Iterable[EdgeRow]) -> None:
        self.ids: tuple[str, ...] = tuple(nodes)
        self.number: dict[str, int] = {node_id: i for i, node_id in enumerate(self.ids)}
        self.kinds: tuple[str, ...] = tuple(node.kind for node in nodes.values())
        self.places_m = [(float(n.x_m), float(n.y_m)) for n in nodes.values()]
        self.xy_m = np.array(self.places_m, np.float64).reshape(-1, 2)
        self.xy32_m = self.xy_m.astype(np.float32)
        turns_m = [float(node.turn_cost_m) for node in nodes.values()]
        self.turn_m = np.array(turns_m, np.float32)
        """By node: what a quarter turn there costs."""
        self.has_turns = any(turns_m)
        lanes = {(self.number[e.from_node], self.number[e.to_node]): e for e in edges}
        for i in range(len(self.ids)):
            lanes.pop((i, i), None)
        fastest_m_s = max((e.speed_m_s_max for e in lanes.values()), default=0.0)
        pairs = {
            pair: hypot(*(self.xy_m[pair[0]] - self.xy_m[pair[1]]))
            * (fastest_m_s / e.speed_m_s_max if e.speed_m_s_max else 1.0)
            for pair, e in lanes.items()
        }
        self.indptr, self.indices, self.edge_m = self._rows(pairs)
        self.reverse = self._rows({(v, u): metres for (u, v), metres in pairs.items()})
        self.pocket, self.depth = self._pockets(pairs)
        """By node: its dead end, -1: none; and how many nodes it is from the way out."""

    def __len__(self) -> int:
        return len(self.ids)

    def neighbours(self, node: int) -> list[int]:
        """Return where a robot may go from `node`."""
        return [int(v) for v in self.indices[self.indptr[node] : self.indptr[node + 1]]]

    def nearest(self, x_m: float, y_m: float) -> int | None:
        """Return the node at this position, or None where none is within SAME_PLACE_M."""
        if not len(self):
            return None
        distances = np.hypot(self.xy_m[:, 0] - x_m, self.xy_m[:, 1] - y_m)
        best = int(np.argmin(distances))
        return best if distances[best] <= SAME_PLACE_M else None

    def nearest_of(self, node: int, others: Sequence[int]) -> list[int]:
        """Return these nodes, the nearest to `node` in a straight line first."""
        if not others:
            return []
        away_m = np.hypot(*(self.xy_m[list(others)] - self.xy_m[node]).T)
        return [others[i] for i in np.argsort(away_m, kind="stable").tolist()]

    def _pockets(
        self, pairs: Iterable[tuple[int, int]]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return which nodes lie in dead ends, parts that hang on the rest by one lane, how deep.

        What is left when nodes with one neighbour are taken away again and again has ways round;
        the nodes taken away are the dead ends. A floor without any way round has none: there
        nobody could pass anywhere.
        """
        beside: list[set[int]] = [set() for _ in self.ids]
        for u, v in pairs:
            beside[u].add(v)
            beside[v].add(u)
        left = [set(others) for others in beside]
        taken = [node for node, others in enumerate(left) if len(others) == 1]
        for node in taken:  # grows meanwhile
            for other in left[node]:
                left[other].discard(node)
                if len(left[other]) == 1:
                    taken.append(other)
            left[node] = set()
        pocket = np.full(len(self.ids), -1, np.int32)
        depth = np.zeros(len(self.ids), np.float32)
        if any(left):
            dead, ends = set(taken), 0
            for node in reversed(taken):  # from the way out inwards
                way = beside[node] - dead or {n for n in beside[node] if pocket[n] >= 0}
                out = min(way, default=node)
                pocket[node], depth[node] = (pocket[out], depth[out] + 1)
                if pocket[node] < 0:
                    pocket[node], ends = ends, ends + 1
        return pocket, depth

    def _rows(
        self, metres: Mapping[tuple[int, int], float]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Return (indptr, indices, metres) of these pairs of nodes."""
        pairs = sorted(metres)
        indptr = np.zeros(len(self.ids) + 1, np.int32)
        for u, _ in pairs:
            indptr[u + 1] += 1
        return (
            np.cumsum(indptr, dtype=np.int32),
            np.array([v for _, v in pairs], np.int32),
            np.array([metres[pair] for pair in pairs], np.float32),
        )


class Fields:
    """Distances to goals, made when asked for; the longest unused goes when there are too many."""

    def __init__(self, graph: FloorGraph) -> None:
        self._graph = graph
        nodes = max(1, len(graph))
        self._rows_max = max(2, min(FIELDS_MAX, FIELD_BYTES_MAX // (4 * nodes)))
        self.matrix: NDArray[np.float32] = np.full((min(64, self._rows_max), nodes), np.inf, "f4")
        """One row per goal; `row` says which."""
        self._row_of: OrderedDict[int, int] = OrderedDict()
        self.closed: NDArray[np.uint8] = np.zeros(nodes, np.uint8)
        """Nodes that nobody may enter."""
        self.any_closed = False
        self.version = 0
        """Counts up when a row may be another goal's from then on."""
        self._closed_nodes: frozenset[int] = frozenset()

    def close(self, nodes: AbstractSet[int]) -> bool:
        """Set which nodes are closed; return whether that changed anything."""
        if nodes == self._closed_nodes:
            return False
        self._closed_nodes = frozenset(nodes)
        self.any_closed = bool(nodes)
        self.closed = np.zeros_like(self.closed)
        self.closed[list(nodes)] = 1
        self._row_of.clear()
        self.version += 1
        return True

    def row(self, goal: int, keep: int = 0) -> int:
        """Return the row of `goal` in `matrix`; the `keep` rows asked for before it stay valid."""
        row = self._row_of.get(goal)
        if row is None:
            row = self._free_row(keep)
            self.matrix[row] = self._field(goal)
            self._row_of[goal] = row
        self._row_of.move_to_end(goal)
        return row

    def way_m(self, node: int, goal: int) -> float:
        """Return the way from `node` to `goal` in metres; inf where there is none."""
        row = self.row(goal)  # first: it may make a larger matrix
        return float(self.matrix[row, node])

    def _field(self, goal: int) -> NDArray[np.float32]:
        graph = self._graph
        if graph.has_turns:
            return turning_field(*graph.reverse, self.closed, graph.xy32_m, graph.turn_m, goal)
        return distance_field(*graph.reverse, self.closed, goal)

    def _free_row(self, keep: int) -> int:
        used = len(self._row_of)
        if used < len(self.matrix):
            return used
        if used < self._rows_max or keep >= used:
            more = np.full((min(used, max(1, self._rows_max - used)), len(self.closed)), np.inf)
            self.matrix = np.vstack([self.matrix, more.astype(np.float32)])
            return used
        self.version += 1
        return self._row_of.popitem(last=False)[1]
