"""Whether a robot can do what an order asks for, by its map and its hands."""

from __future__ import annotations

from sim_hardware.devices.robot_hands import Hands
from sim_hardware.devices.robot_order import NO_ROUTE_ERROR, ORDER_ERROR, RefusedOrderError
from sim_hardware.world.floor_map import FloorMap
from wire.vda5050.messages import Order


def check_able(order: Order, floor: FloorMap, hands: Hands) -> None:
    """Raise RefusedOrderError where the order asks for what this robot cannot do."""
    for node in order.nodes:
        if not floor.knows(node.node_id):
            raise RefusedOrderError(
                NO_ROUTE_ERROR,
                f"node {node.node_id} is not on the robot's map",
                nodeId=node.node_id,
            )
        for action in node.actions:
            if not hands.understands(action):
                raise RefusedOrderError(
                    ORDER_ERROR,
                    f"action {action.action_type} {action.action_id}: expected pick or drop of"
                    " units (in the action id) or of a tote (loadType, loadId, stationName)",
                    actionId=action.action_id,
                )
    for edge in order.edges:
        if edge.actions or edge.trajectory:
            raise RefusedOrderError(
                ORDER_ERROR,
                f"edge {edge.edge_id}: expected neither actions nor a trajectory",
                edgeId=edge.edge_id,
            )
        if not floor.is_lane(edge.start_node_id, edge.end_node_id):
            raise RefusedOrderError(
                NO_ROUTE_ERROR,
                f"no lane leads from {edge.start_node_id} to {edge.end_node_id}",
                edgeId=edge.edge_id,
            )
