"""Chargers: plates in the floor at nodes of that kind. Their current may be limited, or gone."""

from __future__ import annotations

from collections.abc import Iterable


class Chargers:
    """Who stands on which charger, and who gets current: first come, first served."""

    def __init__(self, nodes: Iterable[str], *, at_once: int = 0) -> None:
        self.changes = 0
        """How often it changed which chargers give current."""
        self._at_once = at_once
        self._nodes = frozenset(nodes)
        self._broken: set[str] = set()
        self._standing: dict[str, tuple[str, bool]] = {}
        """By robot, in the order in which they came: (node, full)."""

    @property
    def at_once(self) -> int:
        """Return how many robots get current at the same time; 0: all."""
        return self._at_once

    @at_once.setter
    def at_once(self, robots: int) -> None:
        self._at_once = robots
        self.changes += 1

    def is_charger(self, node_id: str) -> bool:
        """Return whether there is a charger at this node."""
        return node_id in self._nodes

    def stand(self, robot: str, node_id: str, *, full: bool) -> None:
        """Note that a robot stands on a charger; a full one leaves its current to others."""
        before = self._standing.get(robot)
        if before is None or before[0] != node_id:
            self._standing.pop(robot, None)
        self._standing[robot] = (node_id, full)

    def leave(self, robot: str) -> None:
        """Note that a robot stands on no charger."""
        self._standing.pop(robot, None)

    def gives(self, robot: str) -> bool:
        """Return whether a robot gets current now, or is full where it would."""
        place = self._standing.get(robot)
        if place is None or place[0] in self._broken:
            return False
        if not self.at_once:
            return True
        hungry = [
            name for name, (node, full) in self._standing.items()
            if node not in self._broken and (not full or name == robot)
        ]  # fmt: skip
        return robot in hungry[: self.at_once]

    def keeps_full(self, robot: str, node_id: str) -> bool:
        """Return whether a robot that is full stays so: it stands there, nobody waits for it."""
        standing = self._standing.get(robot) == (node_id, True)
        return standing and not self.at_once and node_id not in self._broken

    def break_down(self, node_id: str) -> None:
        """Let a charger give no current. Raises ValueError where there is none."""
        if node_id not in self._nodes:
            known = ", ".join(sorted(self._nodes)) or "none"
            raise ValueError(f"node {node_id!r} is no charger; there is {known}")
        self._broken.add(node_id)
        self.changes += 1

    def mend(self, node_id: str) -> None:
        """Let it give current again."""
        self._broken.discard(node_id)
        self.changes += 1
