"""How robots on the market depart from the standard; each by its name in the configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from runtime.lanes import Lane
from runtime.seeds import Random
from sim_hardware.config import Quirk
from wire.vda5050.messages import Node

LATE_S: Final = (0.5, 6.0)
"""How late states are at least and at most: some arrive after newer ones."""
IDS_MAX: Final = 10
"""Wrong header ids count to here over all topics together, then begin anew."""


class Quirks:
    """What is odd about one robot; of a robot without quirks, nothing."""

    def __init__(self, names: Collection[Quirk], lane: Lane, rng: Random) -> None:
        self._silent = "silent-after-reconnect" in names
        self._keeps_nodes = "node-states-never-emptied" in names
        self._wrong_ids = "wrong-header-ids" in names
        self._late = "late-states" in names
        self._lane = lane
        self._rng = rng
        self._mute = False
        self._said = 0
        self._last_node: Node | None = None

    def reconnected(self) -> None:
        """Note that the connection is back."""
        self._mute = self._silent

    def asked(self) -> None:
        """Note that the master has said something."""
        self._mute = False

    def reached(self, node_id: str, sequence_id: int) -> None:
        """Note the node that was reached last."""
        if self._keeps_nodes:
            self._last_node = Node(node_id=node_id, sequence_id=sequence_id, released=True)

    def forget(self) -> None:
        """Note that there is another order, or none any more."""
        self._last_node = None

    def nodes(self, left: list[Node]) -> list[Node]:
        """Return the nodes that the state shows: those that are left, or the last one for ever."""
        return [self._last_node] if self._last_node is not None and not left else left

    def header_id(self, right: int) -> int:
        """Return the number that a message gets."""
        if not self._wrong_ids:
            return right
        self._said = self._said % IDS_MAX + 1
        return self._said

    def say(self, publish: Callable[[], None]) -> None:
        """Publish a state now, later, or not at all."""
        if self._mute:
            return
        if self._late:
            self._lane.call_later(self._rng.uniform(*LATE_S), publish)
        else:
            publish()
