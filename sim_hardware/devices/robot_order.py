"""The order a VDA 5050 vehicle works on: what it takes, what it refuses, what is left of it. Pure.

Rules from VDA 5050 2.0.0, chapter 6.6 (order, order update, cancellation) and 6.10.6 (errors).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from wire.vda5050.messages import Action, Edge, Node, Order, Reference, VehicleError

WAITING: Final = "WAITING"
INITIALIZING: Final = "INITIALIZING"
RUNNING: Final = "RUNNING"
PAUSED: Final = "PAUSED"
FINISHED: Final = "FINISHED"
FAILED: Final = "FAILED"
ENDED: Final = frozenset({FINISHED, FAILED})
BLOCKING_TYPES: Final = frozenset({"NONE", "SOFT", "HARD"})
VALIDATION_ERROR: Final = "validationError"
ORDER_ERROR: Final = "orderError"
ORDER_UPDATE_ERROR: Final = "orderUpdateError"
NO_ROUTE_ERROR: Final = "noRouteError"


class RefusedOrderError(Exception):
    """An order is not taken; what the vehicle was doing goes on."""

    def __init__(self, kind: str, text: str, **about: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.about = about

    def to_error(self, order: Order) -> VehicleError:
        """Return this refusal as it stands in the vehicle's state."""
        about = {
            "headerId": str(order.header_id),
            "orderId": order.order_id,
            "orderUpdateId": str(order.order_update_id),
            **self.about,
        }
        return VehicleError(
            error_type=self.kind,
            error_description=str(self),
            error_level="WARNING",
            error_references=references(about),
        )


def references(about: dict[str, str]) -> tuple[Reference, ...]:
    """Return what an error is about, in the order of `about`."""
    return tuple(Reference(reference_key=k, reference_value=v) for k, v in about.items())


class Kind(enum.Enum):
    """What a message on the order topic is."""

    NEW = "a new order"
    UPDATE = "the next part of the running order"
    REPEAT = "what the vehicle has already"


@dataclass(slots=True)
class RunningAction:
    """One action of the order and how far it is."""

    action: Action
    node_id: str
    status: str = WAITING
    result: str = ""
    left_s: float = 0.0
    """World seconds until it is done, while it runs."""
    waited_s: float = 0.0
    """World seconds it has waited for a tote."""

    @property
    def blocks_driving(self) -> bool:
        """Return whether the vehicle stands still until this is done."""
        return self.action.blocking_type != "NONE"


@dataclass(slots=True)
class OrderState:
    """Where the vehicle is in its order. Nodes and edges are what it has not reached yet."""

    last_node_id: str
    order_id: str = ""
    order_update_id: int = 0
    last_sequence_id: int = 0
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    actions: dict[str, RunningAction] = field(default_factory=dict)
    due: list[RunningAction] = field(default_factory=list)
    """Actions of nodes that were reached, not ended yet, in their order."""

    def is_active(self) -> bool:
        """Return whether something of the order is still to be driven or done."""
        return bool(self.nodes) or any(a.status not in ENDED for a in self.actions.values())

    def classify(self, order: Order) -> Kind:
        """Return what `order` is for a vehicle in this state. Raises RefusedOrderError."""
        check_form(order)
        if order.order_id != self.order_id:
            self._check_new(order)
            return Kind.NEW
        if order.order_update_id == self.order_update_id:
            return Kind.REPEAT
        self._check_update(order)
        return Kind.UPDATE

    def begin(self, order: Order) -> None:
        """Take a new order: the vehicle stands on its first node."""
        first = order.nodes[0]
        self.order_id = order.order_id
        self.order_update_id = order.order_update_id
        self.last_node_id = first.node_id
        self.last_sequence_id = first.sequence_id
        self.nodes = list(order.nodes[1:])
        self.edges = list(order.edges)
        self.actions = {}
        self.due = []
        for node in order.nodes:
            self._note_actions(node)
        self._reach_actions(first)

    def extend(self, order: Order) -> None:
        """Take an update: it replaces the horizon and goes on where the base ended."""
        self.order_update_id = order.order_update_id
        for node in self.nodes:
            if not node.released:
                for action in node.actions:
                    self.actions.pop(action.action_id, None)
        self.nodes = [node for node in self.nodes if node.released]
        self.edges = [edge for edge in self.edges if edge.released]
        stitch = order.nodes[0]
        fresh = [a for a in stitch.actions if a.action_id not in self.actions]
        for node in order.nodes:
            self._note_actions(node)
        if self.nodes:
            end = self.nodes[-1]
            self.nodes[-1] = _with_actions(end, (*end.actions, *fresh))
        else:
            self._reach_actions(_with_actions(stitch, tuple(fresh)))
        self.nodes += order.nodes[1:]
        self.edges += order.edges

    def reach_next(self) -> Node:
        """Note that the next node is reached; its actions are due now."""
        node = self.nodes.pop(0)
        self.edges = [e for e in self.edges if e.sequence_id > node.sequence_id]
        self.last_node_id = node.node_id
        self.last_sequence_id = node.sequence_id
        self._reach_actions(node)
        return node

    def clear(self, why: str) -> None:
        """Drop what is left to drive; actions that have not begun fail."""
        self.nodes.clear()
        self.edges.clear()
        for action in self.actions.values():
            if action.status == WAITING:
                action.status = FAILED
                action.result = why
        self.due = [action for action in self.due if action.status not in ENDED]

    def _note_actions(self, node: Node) -> None:
        for action in node.actions:
            if action.action_id not in self.actions:
                self.actions[action.action_id] = RunningAction(action, node.node_id)

    def _reach_actions(self, node: Node) -> None:
        self.due += [self.actions[a.action_id] for a in node.actions]

    def _check_new(self, order: Order) -> None:
        if self.is_active():
            raise RefusedOrderError(
                ORDER_ERROR,
                f"order {self.order_id} is not done: it has to end or be cancelled first",
            )
        first = order.nodes[0]
        if first.node_id != self.last_node_id:
            raise RefusedOrderError(
                NO_ROUTE_ERROR,
                f"the order starts at {first.node_id}, the vehicle stands at {self.last_node_id}",
                nodeId=first.node_id,
            )

    def _check_update(self, order: Order) -> None:
        if order.order_update_id < self.order_update_id:
            raise RefusedOrderError(
                ORDER_UPDATE_ERROR,
                f"update {order.order_update_id} is older than update {self.order_update_id}",
            )
        base = [node for node in self.nodes if node.released]
        end = (
            (base[-1].node_id, base[-1].sequence_id)
            if base
            else (self.last_node_id, self.last_sequence_id)
        )
        first = order.nodes[0]
        if (first.node_id, first.sequence_id) != end:
            raise RefusedOrderError(
                ORDER_UPDATE_ERROR,
                f"the update starts at {first.node_id} sequence {first.sequence_id},"
                f" the base ends at {end[0]} sequence {end[1]}",
                nodeId=first.node_id,
            )


def check_form(order: Order) -> None:
    """Raise RefusedOrderError where nodes and edges do not make a path."""
    nodes, edges = order.nodes, order.edges
    if not order.order_id or not nodes:
        raise RefusedOrderError(VALIDATION_ERROR, "expected an orderId and at least one node")
    if len(edges) != len(nodes) - 1:
        raise RefusedOrderError(
            VALIDATION_ERROR,
            f"{len(nodes)} nodes and {len(edges)} edges: expected one edge between two nodes",
        )
    if not nodes[0].released:
        raise RefusedOrderError(VALIDATION_ERROR, "the first node is not released")
    for edge, start, end in zip(edges, nodes, nodes[1:], strict=False):
        sequence = (start.sequence_id, edge.sequence_id, end.sequence_id)
        if sequence != tuple(range(start.sequence_id, start.sequence_id + 3)):
            raise RefusedOrderError(
                VALIDATION_ERROR,
                f"sequence ids {sequence}: expected node, edge, node one by one",
                edgeId=edge.edge_id,
            )
        if (edge.start_node_id, edge.end_node_id) != (start.node_id, end.node_id):
            raise RefusedOrderError(
                VALIDATION_ERROR,
                f"edge {edge.edge_id} leads from {edge.start_node_id} to {edge.end_node_id},"
                f" its nodes are {start.node_id} and {end.node_id}",
                edgeId=edge.edge_id,
            )
        if end.released and not (start.released and edge.released):
            raise RefusedOrderError(
                VALIDATION_ERROR,
                f"node {end.node_id} is released behind a part that is not",
                nodeId=end.node_id,
            )
    _check_actions(order)


def _check_actions(order: Order) -> None:
    seen: set[str] = set()
    for action in _all_actions(order):
        if action.action_id in seen or not action.action_id:
            raise RefusedOrderError(
                VALIDATION_ERROR,
                f"action id {action.action_id!r} is empty or stands there twice",
                actionId=action.action_id,
            )
        if action.blocking_type not in BLOCKING_TYPES:
            raise RefusedOrderError(
                VALIDATION_ERROR,
                f"blocking type {action.blocking_type!r}: expected NONE, SOFT or HARD",
                actionId=action.action_id,
            )
        seen.add(action.action_id)


def _all_actions(order: Order) -> Iterable[Action]:
    for node in order.nodes:
        yield from node.actions
    for edge in order.edges:
        yield from edge.actions


def _with_actions(node: Node, actions: tuple[Action, ...]) -> Node:
    return Node(
        node_id=node.node_id,
        sequence_id=node.sequence_id,
        node_description=node.node_description,
        released=node.released,
        node_position=node.node_position,
        actions=actions,
    )
