"""Our messages to a vehicle, made from what is remembered: the same memory gives the same bytes."""

from __future__ import annotations

from itertools import pairwise

from msgspec import UNSET

from central.fleet.graph import FloorGraph
from central.fleet.instants import Instant
from central.fleet.jobs import Stop, TransportJob
from central.fleet.memory import NO_STOP, Memory, SentNode
from wire.vda5050.codec import OldInstantActions, encode, parameters
from wire.vda5050.dialects import Dialect, dialect_of
from wire.vda5050.messages import (
    Action,
    Edge,
    InstantActions,
    Node,
    NodePosition,
    Order,
    Response,
    Responses,
    header,
)
from wire.vda5050.topics import VehicleId


def order_bytes(vehicle: VehicleId, memory: Memory, graph: FloorGraph, map_id: str) -> bytes:
    """Return the last order message that `memory` tells of: the order, or its newest update.

    An update begins with the last node before it, without that node's actions (there are none: a
    node with an action is always the last one of its order).
    """
    update = memory.order_update_id
    fresh = [i for i, node in enumerate(memory.nodes) if node.update_id == update]
    first = fresh[0] - 1 if update > 0 else fresh[0]
    assert first >= 0, "the node before an update stays in memory until the update is acknowledged"
    sent = memory.nodes[first:]
    dialect = dialect_of(memory.version)
    job = memory.kept.job if memory.kept else None
    message = Order(
        **header(
            vehicle.manufacturer,
            vehicle.serial,
            header_id=memory.order_header_id,
            now_ns=memory.sent_at_ns,
            version=dialect.version,
        ),
        order_id=memory.order_id,
        order_update_id=update,
        nodes=tuple(_node(node, job, graph, map_id) for node in sent),
        edges=tuple(_edge(a, b) for a, b in pairwise(sent)),
    )
    return encode(message, dialect)


def instant_bytes(
    vehicle: VehicleId, instant: Instant, now_ns: int, dialect: Dialect, *, old_key: bool
) -> bytes:
    """Return the message of an instant action; `old_key`: also under the key of 1.1."""
    number = instant.number
    about = parameters({"actionId": instant.about}) if instant.about else UNSET
    action = Action(
        action_type=instant.kind,
        action_id=instant.action_id(vehicle.serial),
        blocking_type="NONE",
        action_parameters=about,
    )
    fields = header(
        vehicle.manufacturer,
        vehicle.serial,
        header_id=number,
        now_ns=now_ns,
        version=dialect.version,
    )
    message = InstantActions(**fields, actions=(action,))
    if old_key:
        message = OldInstantActions(**fields, actions=(action,), instant_actions=(action,))
    return encode(message, dialect)


def response_bytes(
    vehicle: VehicleId, memory: Memory, requests: tuple[str, ...], now_ns: int
) -> bytes:
    """Return the message that turns requests down."""
    dialect = dialect_of(memory.version)
    message = Responses(
        **header(
            vehicle.manufacturer,
            vehicle.serial,
            header_id=memory.responses_sent - 1,
            now_ns=now_ns,
            version=dialect.version,
        ),
        responses=tuple(Response(request_id=r, grant_type="REJECTED") for r in requests),
    )
    return encode(message, dialect)


def _node(sent: SentNode, job: TransportJob | None, graph: FloorGraph, map_id: str) -> Node:
    x_m, y_m = graph.places_m[graph.number[sent.node_id]]
    actions: tuple[Action, ...] = ()
    if sent.stop_index != NO_STOP:
        assert job is not None, "an action belongs to a job"
        actions = (_action(job.stops[sent.stop_index]),)
    return Node(
        node_id=sent.node_id,
        sequence_id=sent.sequence_id,
        released=True,
        node_position=NodePosition(
            x=x_m, y=y_m, allowed_deviation_xy=sent.beside_m or UNSET, map_id=map_id
        ),
        actions=actions,
    )


def _action(stop: Stop) -> Action:
    """Return the stop's action; HARD: the vehicle stands still and does nothing else meanwhile."""
    return Action(
        action_type=stop.action_type,
        action_id=stop.action_id,
        blocking_type="HARD",
        action_parameters=parameters(dict(stop.parameters)),
    )


def _edge(start: SentNode, end: SentNode) -> Edge:
    return Edge(
        edge_id=f"{start.node_id}--{end.node_id}",
        sequence_id=start.sequence_id + 1,
        released=True,
        start_node_id=start.node_id,
        end_node_id=end.node_id,
    )
