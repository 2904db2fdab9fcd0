"""What a robot's firmware says: state, position, connection, factsheet, each with its own count."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from runtime.clock import Clock
from sim_hardware.devices.robot_order import OrderState
from sim_hardware.devices.robot_quirks import Quirks
from sim_hardware.world.vehicle import ACCELERATION_MPS2, RADIUS_M, Vehicle
from wire.vda5050.codec import encode
from wire.vda5050.dialects import V2_0, Dialect
from wire.vda5050.messages import (
    ActionState,
    AgvPosition,
    BatteryState,
    Connection,
    EdgeState,
    Factsheet,
    HeaderFields,
    Load,
    NodeState,
    SafetyState,
    State,
    VehicleError,
    Velocity,
    Visualization,
    header,
)
from wire.vda5050.topics import CONNECTION, FACTSHEET, STATE, VISUALIZATION

HEIGHT_M: Final = 2.2
LOADS_MAX: Final = 4
NODES_MAX: Final = 2_000


class Voice:
    """Makes the messages of one robot. Header ids count up per topic, from 1."""

    def __init__(
        self,
        manufacturer: str,
        serial: str,
        map_id: str,
        clock: Clock,
        quirks: Quirks,
        *,
        dialect: Dialect = V2_0,
    ) -> None:
        self.dialect = dialect
        self._refers = dialect.knows("Visualization.reference_state_header_id")
        self._manufacturer = manufacturer
        self._serial = serial
        self._map_id = map_id
        self._clock = clock
        self._said: dict[str, int] = {}
        self._quirks = quirks

    def state(
        self,
        order: OrderState,
        vehicle: Vehicle,
        *,
        actions: tuple[ActionState, ...],
        instants: tuple[ActionState, ...],
        loads: tuple[Load, ...],
        errors: tuple[VehicleError, ...],
        paused: bool,
        charging: bool,
        e_stop: str,
        is_lost: bool,
    ) -> bytes:
        """Return everything the robot knows of itself."""
        base = sum(node.released for node in order.nodes)
        apart = self.dialect.knows("State.instant_action_states")
        message = State(
            **self._header(STATE),
            order_id=order.order_id,
            order_update_id=order.order_update_id,
            last_node_id=order.last_node_id,
            last_node_sequence_id=order.last_sequence_id,
            driving=vehicle.is_moving,
            paused=paused,
            new_base_request=base <= 1 and len(order.nodes) > base,
            distance_since_last_node=round(vehicle.since_node_m, 3),
            node_states=tuple(
                NodeState(node_id=n.node_id, sequence_id=n.sequence_id, released=n.released)
                for n in self._quirks.nodes(order.nodes)
            ),
            edge_states=tuple(
                EdgeState(edge_id=e.edge_id, sequence_id=e.sequence_id, released=e.released)
                for e in order.edges
            ),
            agv_position=self._position(vehicle, is_lost=is_lost),
            velocity=_velocity(vehicle),
            loads=loads,
            action_states=actions if apart else (*actions, *instants),
            battery_state=BatteryState(
                battery_charge=round(100.0 * vehicle.battery_share, 1), charging=charging
            ),
            errors=errors,
            safety_state=SafetyState(e_stop=e_stop),
            instant_action_states=instants if apart else UNSET,
        )
        return encode(message, self.dialect)

    def visualization(self, vehicle: Vehicle, *, is_lost: bool = False) -> bytes:
        """Return where the robot is now."""
        message = Visualization(
            **self._header(VISUALIZATION),
            agv_position=self._position(vehicle, is_lost=is_lost),
            velocity=_velocity(vehicle),
            reference_state_header_id=self._said.get(STATE, 0) if self._refers else UNSET,
        )
        return encode(message, self.dialect)

    def connection(self, connection_state: str) -> bytes:
        """Return ONLINE, OFFLINE or the last will CONNECTIONBROKEN."""
        message = Connection(**self._header(CONNECTION), connection_state=connection_state)
        return encode(message, self.dialect)

    def factsheet(self, vehicle: Vehicle) -> bytes:
        """Return what this kind of robot can do."""
        message = Factsheet(
            **self._header(FACTSHEET),
            type_specification={
                "seriesName": "shelf-mover",
                "agvKinematic": "DIFF",
                "agvClass": "CARRIER",
                "maxLoadMass": 120.0,
                "localizationTypes": ["NATURAL"],
                "navigationTypes": ["VIRTUAL_LINE_GUIDED"],
            },
            physical_parameters={
                "speedMin": 0.05,
                "speedMax": vehicle.max_speed_mps,
                "accelerationMax": ACCELERATION_MPS2,
                "decelerationMax": ACCELERATION_MPS2,
                "heightMin": HEIGHT_M,
                "heightMax": HEIGHT_M,
                "width": 2 * RADIUS_M,
                "length": 2 * RADIUS_M,
            },
            protocol_limits={
                "maxStringLens": {"idLen": 200},
                "maxArrayLens": {"order.nodes": NODES_MAX, "edge.actions": 0},
                "timing": {"minOrderInterval": 0.0, "minStateInterval": 0.0},
            },
            protocol_features={"optionalParameters": [], "agvActions": _agv_actions()},
            agv_geometry={},
            load_specification={
                "loadPositions": [f"shelf-{n}" for n in range(1, LOADS_MAX + 1)],
                "loadSets": [
                    {"setName": kind, "loadType": kind, "maxAmount": LOADS_MAX}
                    for kind in ("carton", "tote")
                ],
            },
        )
        return encode(message, self.dialect)

    def forget(self) -> None:
        """Count messages from 1 again, as after a boot."""
        self._said.clear()

    def _header(self, topic: str) -> HeaderFields:
        self._said[topic] = self._said.get(topic, 0) + 1
        return header(
            self._manufacturer,
            self._serial,
            header_id=self._quirks.header_id(self._said[topic]),
            now_ns=self._clock.now_ns(),
            version=self.dialect.version,
        )

    def _position(self, vehicle: Vehicle, *, is_lost: bool) -> AgvPosition:
        return AgvPosition(
            x=round(vehicle.x_m, 3),
            y=round(vehicle.y_m, 3),
            theta=round(vehicle.theta_rad, 4),
            map_id=self._map_id,
            position_initialized=not is_lost,
        )


def _velocity(vehicle: Vehicle) -> Velocity:
    return Velocity(vx=round(vehicle.speed_mps, 3), vy=0.0, omega=round(vehicle.omega_radps, 3))


def _agv_actions() -> list[dict[str, Any]]:
    parameters = [
        {"key": key, "valueDataType": "STRING", "isOptional": optional}
        for key, optional in (("stationName", False), ("loadType", True), ("loadId", True))
    ]
    return [
        {
            "actionType": kind,
            "actionScopes": ["NODE"],
            "actionParameters": parameters,
            "pauseAllowed": "true",
            "cancelAllowed": "false",
        }
        for kind in ("pick", "drop")
    ] + [
        {
            "actionType": kind,
            "actionScopes": ["INSTANT"],
            "pauseAllowed": "false",
            "cancelAllowed": "false",
        }
        for kind in (
            "cancelOrder",
            "startPause",
            "stopPause",
            "stateRequest",
            "factsheetRequest",
            "initPosition",
        )
    ]
