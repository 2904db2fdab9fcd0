"""VDA 5050 messages, with the names of 2.0.0: strictly valid out, lenient in.

Required fields of the standard are always written; an optional field that is UNSET is left out.
On the way in any field may be missing, unknown fields are ignored and unknown words in enumerations
stay plain text, because vehicles differ and a state that is nearly right still says where one is.
Field names and meanings: VDA 5050 version 2.0.0, chapters 6.6 to 6.15; what later versions call
otherwise, add or leave out stands in dialects.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, TypedDict

import msgspec
from msgspec import UNSET, Meta, UnsetType

VERSION: Final = "2.0.0"
ITEMS_MAX: Final = 2_000
"""Longest array taken from a vehicle; 64 KiB hold fewer anyway."""

Id = Annotated[str, Meta(max_length=200)]
Value = str | bool | int | float | list[Any] | dict[str, Any] | None
OptText = str | UnsetType | None
OptNumber = float | UnsetType | None
OptBool = bool | UnsetType | None


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A piece of a message."""


class HeaderFields(TypedDict):
    """The five fields that every message begins with, ready for `Order(**header, ...)`."""

    header_id: int
    timestamp: str
    version: str
    manufacturer: str
    serial_number: str


class Header(Part, frozen=True, kw_only=True):
    """What every message begins with. `header_id` counts up by one per topic, without gaps."""

    header_id: int = 0
    timestamp: str = ""
    version: str = ""
    manufacturer: str = ""
    serial_number: str = ""


def header(
    manufacturer: str, serial: str, *, header_id: int, now_ns: int, version: str = VERSION
) -> HeaderFields:
    """Return the header of a message to or from one vehicle."""
    return HeaderFields(
        header_id=header_id,
        timestamp=format_time(now_ns),
        version=version,
        manufacturer=manufacturer,
        serial_number=serial,
    )


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def format_time(at_ns: int) -> str:
    """Return UTC nanoseconds as ISO 8601 with milliseconds: `2026-01-31T08:05:09.120Z`."""
    seconds, ms = divmod(at_ns // 1_000_000, 1_000)
    return f"{_format_second(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=8)
def _format_second(at_s: int) -> str:
    """Return UTC seconds as ISO 8601: most messages are written in the second of others."""
    return (_EPOCH + timedelta(seconds=at_s)).strftime("%Y-%m-%dT%H:%M:%S")


def parse_time(text: str) -> int | None:
    """Return UTC nanoseconds of an ISO 8601 time; None where it is none. Without a zone: UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000


# --- order, instantActions: master -> vehicle -----------------------------------------


class ActionParameter(Part, frozen=True, kw_only=True):
    """One parameter of an action."""

    key: str
    value: Value


class Action(Part, frozen=True, kw_only=True):
    """Something to do at a node, along an edge or at once."""

    action_type: str
    action_id: Id
    action_description: OptText = UNSET
    blocking_type: str = "HARD"  # NONE, SOFT, HARD
    action_parameters: tuple[ActionParameter, ...] | UnsetType | None = UNSET


class Ellipse(Part, frozen=True, kw_only=True):
    """How far from a node a vehicle may pass (3.0.0): half axes in metres, angle in radians."""

    a: float
    b: float
    theta: float = 0.0


class NodePosition(Part, frozen=True, kw_only=True):
    """Where a node is, metres and radians in the map's frame."""

    x: float
    y: float
    theta: OptNumber = UNSET
    allowed_deviation_xy: OptNumber = msgspec.field(default=UNSET, name="allowedDeviationXY")
    allowed_deviation_theta: OptNumber = UNSET
    map_id: str = ""
    map_description: OptText = UNSET


class Node(Part, frozen=True, kw_only=True):
    """A node of an order: even sequence ids. Released: part of the base, never taken back."""

    node_id: Id
    sequence_id: int
    node_description: OptText = UNSET
    released: bool
    node_position: NodePosition | UnsetType | None = UNSET
    actions: tuple[Action, ...] = ()


class Edge(Part, frozen=True, kw_only=True):
    """An edge of an order: odd sequence ids, between two nodes."""

    edge_id: Id
    sequence_id: int
    edge_description: OptText = UNSET
    released: bool
    start_node_id: Id
    end_node_id: Id
    max_speed: OptNumber = UNSET
    max_height: OptNumber = UNSET
    min_height: OptNumber = UNSET
    orientation: OptNumber = UNSET
    orientation_type: OptText = UNSET
    direction: OptText = UNSET
    rotation_allowed: OptBool = UNSET
    max_rotation_speed: OptNumber = UNSET
    length: OptNumber = UNSET
    trajectory: dict[str, Any] | UnsetType | None = UNSET
    actions: tuple[Action, ...] = ()


class Order(Header, frozen=True, kw_only=True):
    """Where to drive and what to do there; an update starts at the last base node before it."""

    order_id: Id
    order_update_id: int
    zone_set_id: OptText = UNSET
    nodes: Annotated[tuple[Node, ...], Meta(max_length=ITEMS_MAX)]
    edges: Annotated[tuple[Edge, ...], Meta(max_length=ITEMS_MAX)]


class InstantActions(Header, frozen=True, kw_only=True):
    """Actions to do at once, whatever the order says."""

    actions: tuple[Action, ...] = ()


class Response(Part, frozen=True, kw_only=True):
    """The answer to one request of a vehicle (3.0.0): GRANTED, QUEUED, REVOKED, REJECTED."""

    request_id: Id
    grant_type: str
    lease_expiry: OptText = UNSET


class Responses(Header, frozen=True, kw_only=True):
    """Answers to the requests that stand in a vehicle's state (3.0.0)."""

    responses: Annotated[tuple[Response, ...], Meta(max_length=ITEMS_MAX)] = ()


class ZoneSet(Header, frozen=True, kw_only=True):
    """Zones of one map (3.0.0). They stay as they come: no vehicle is given any by us."""

    zone_set: dict[str, Any] = {}


# --- state, visualization, connection, factsheet: vehicle -> master ----------------------


class NodeState(Part, frozen=True, kw_only=True):
    """A node that the vehicle still has to reach."""

    node_id: Id = ""
    sequence_id: int = 0
    node_description: OptText = UNSET
    node_position: NodePosition | UnsetType | None = UNSET
    released: bool = True


class EdgeState(Part, frozen=True, kw_only=True):
    """An edge that the vehicle still has to drive."""

    edge_id: Id = ""
    sequence_id: int = 0
    edge_description: OptText = UNSET
    released: bool = True
    trajectory: dict[str, Any] | UnsetType | None = UNSET


class ActionState(Part, frozen=True, kw_only=True):
    """How far an action is: WAITING, INITIALIZING, RUNNING, PAUSED, FINISHED, FAILED."""

    action_id: Id = ""
    action_type: OptText = UNSET
    action_description: OptText = UNSET
    action_status: str = "WAITING"
    result_description: OptText = UNSET


class AgvPosition(Part, frozen=True, kw_only=True):
    """Where the vehicle is, metres and radians in the map's frame."""

    x: float = 0.0
    y: float = 0.0
    theta: float = 0.0
    map_id: str = ""
    map_description: OptText = UNSET
    position_initialized: bool = True
    localization_score: OptNumber = UNSET
    deviation_range: OptNumber = UNSET


class Velocity(Part, frozen=True, kw_only=True):
    """Speed in the vehicle's own frame, metres and radians per second."""

    vx: OptNumber = UNSET
    vy: OptNumber = UNSET
    omega: OptNumber = UNSET


class Load(Part, frozen=True, kw_only=True):
    """What the vehicle carries."""

    load_id: OptText = UNSET
    load_type: OptText = UNSET
    load_position: OptText = UNSET
    bounding_box_reference: dict[str, Any] | UnsetType | None = UNSET
    load_dimensions: dict[str, Any] | UnsetType | None = UNSET
    weight: OptNumber = UNSET


class BatteryState(Part, frozen=True, kw_only=True):
    """The battery: charge in per cent."""

    battery_charge: float = 100.0
    battery_voltage: OptNumber = UNSET
    battery_health: OptNumber = UNSET
    charging: bool = False
    reach: OptNumber = UNSET


class Reference(Part, frozen=True, kw_only=True):
    """What an error or information is about."""

    reference_key: str = ""
    reference_value: str = ""


class VehicleError(Part, frozen=True, kw_only=True):
    """Something is wrong: WARNING goes away by itself, FATAL needs a person."""

    error_type: str = ""
    error_references: tuple[Reference, ...] | UnsetType | None = UNSET
    error_description: OptText = UNSET
    error_hint: OptText = UNSET
    error_level: str = "WARNING"


class SafetyState(Part, frozen=True, kw_only=True):
    """Emergency stop (AUTOACK, MANUAL, REMOTE, NONE) and protective field."""

    e_stop: str = "NONE"
    field_violation: bool = False


class Request(Part, frozen=True, kw_only=True):
    """What a vehicle asks for (3.0.0): REQUESTED, GRANTED, REVOKED, EXPIRED.

    A zone's ACCESS or REPLANNING, or an edge's CORRIDOR.
    """

    request_id: Id = ""
    request_type: str = ""
    request_status: str = ""
    zone_id: OptText = UNSET
    zone_set_id: OptText = UNSET
    edge_id: OptText = UNSET
    sequence_id: int | UnsetType | None = UNSET


Requests = Annotated[tuple[Request, ...], Meta(max_length=ITEMS_MAX)] | UnsetType | None
ActionStates = Annotated[tuple[ActionState, ...], Meta(max_length=ITEMS_MAX)]


class State(Header, frozen=True, kw_only=True):
    """Everything a vehicle says of itself. `order_id` empty: it never had an order."""

    order_id: Id = ""
    order_update_id: int = 0
    zone_set_id: OptText = UNSET
    last_node_id: Id = ""
    last_node_sequence_id: int = 0
    driving: bool = False
    paused: OptBool = UNSET
    new_base_request: OptBool = UNSET
    distance_since_last_node: OptNumber = UNSET
    operating_mode: str = "AUTOMATIC"
    node_states: Annotated[tuple[NodeState, ...], Meta(max_length=ITEMS_MAX)] = ()
    edge_states: Annotated[tuple[EdgeState, ...], Meta(max_length=ITEMS_MAX)] = ()
    agv_position: AgvPosition | UnsetType | None = UNSET
    velocity: Velocity | UnsetType | None = UNSET
    loads: tuple[Load, ...] | UnsetType | None = UNSET
    action_states: ActionStates = ()
    battery_state: BatteryState = BatteryState()
    errors: tuple[VehicleError, ...] = ()
    information: tuple[dict[str, Any], ...] | UnsetType | None = UNSET
    safety_state: SafetyState = SafetyState()
    maps: tuple[dict[str, Any], ...] | UnsetType | None = UNSET
    instant_action_states: ActionStates | UnsetType | None = UNSET
    """UNSET: they stand among `action_states`, as before 3.0.0."""
    zone_action_states: ActionStates | UnsetType | None = UNSET
    zone_sets: tuple[dict[str, Any], ...] | UnsetType | None = UNSET
    zone_requests: Requests = UNSET
    edge_requests: Requests = UNSET


class ActionsOfState(Header, frozen=True, kw_only=True):
    """Of a State what it says of actions: a third of the work for whom the rest is nothing."""

    action_states: ActionStates = ()


class Visualization(Header, frozen=True, kw_only=True):
    """Position and speed, often and without a promise."""

    agv_position: AgvPosition | UnsetType | None = UNSET
    velocity: Velocity | UnsetType | None = UNSET
    reference_state_header_id: int | UnsetType | None = UNSET
    """Header id of the last state before it (3.0.0)."""


class Connection(Header, frozen=True, kw_only=True):
    """ONLINE, OFFLINE (said goodbye), HIBERNATING or CONNECTIONBROKEN (the last will); retained."""

    connection_state: str = ""


class Factsheet(Header, frozen=True, kw_only=True):
    """What a vehicle is and can do. Its sections stay as they come: few of their fields matter."""

    type_specification: dict[str, Any] = {}
    physical_parameters: dict[str, Any] = {}
    protocol_limits: dict[str, Any] = {}
    protocol_features: dict[str, Any] = {}
    agv_geometry: dict[str, Any] = {}
    load_specification: dict[str, Any] = {}
    localization_parameters: dict[str, Any] | UnsetType | None = UNSET
