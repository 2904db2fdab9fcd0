"""VDA 5050 versions: which name each field has in which of them, in one table.

Inside there is one set of messages (messages.py, with the names of 2.0.0). For each version the
table makes message types that differ from those in nothing but what they are called on the wire, so
a State of 3.0.0 is a State. Sources: VDA 5050 2.0.0, 2.1.0 and 3.0.0, and their JSON schemas.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import fields

from wire.vda5050 import messages
from wire.vda5050.messages import Ellipse, Factsheet, Header, NodePosition, Order, Part

T = TypeVar("T", bound=Header)
VERSIONS: Final = ("2.0.0", "2.1.0", "3.0.0")
ABSENT: Final = ""
"""The version has no such field: it is read where somebody writes it, and never written."""

_FIELDS: Final[Mapping[str, tuple[str, str, str]]] = {
    # what                               2.0.0                 2.1.0                 3.0.0
    "Order.zone_set_id": ("zoneSetId", "zoneSetId", ABSENT),
    "Action.action_description": ("actionDescription", "actionDescription", "actionDescriptor"),
    "NodePosition.map_description": ("mapDescription", "mapDescription", ABSENT),
    "Node.node_description": ("nodeDescription", "nodeDescription", "nodeDescriptor"),
    "Edge.edge_description": ("edgeDescription", "edgeDescription", "edgeDescriptor"),
    "Edge.start_node_id": ("startNodeId", "startNodeId", ABSENT),
    "Edge.end_node_id": ("endNodeId", "endNodeId", ABSENT),
    "Edge.max_speed": ("maxSpeed", "maxSpeed", "maximumSpeed"),
    "Edge.max_height": ("maxHeight", "maxHeight", "maximumMobileRobotHeight"),
    "Edge.min_height": ("minHeight", "minHeight", "minimumLoadHandlingDeviceHeight"),
    "Edge.rotation_allowed": ("rotationAllowed", "rotationAllowed", ABSENT),
    "NodeState.node_description": ("nodeDescription", "nodeDescription", "nodeDescriptor"),
    "EdgeState.edge_description": ("edgeDescription", "edgeDescription", "edgeDescriptor"),
    "ActionState.action_description": (
        "actionDescription", "actionDescription", "actionDescriptor",
    ),
    "ActionState.result_description": ("resultDescription", "resultDescription", "actionResult"),
    "AgvPosition.map_description": ("mapDescription", "mapDescription", ABSENT),
    "AgvPosition.position_initialized": (
        "positionInitialized", "positionInitialized", "localized",
    ),
    "BatteryState.battery_charge": ("batteryCharge", "batteryCharge", "stateOfCharge"),
    "BatteryState.reach": ("reach", "reach", "range"),
    "SafetyState.e_stop": ("eStop", "eStop", "activeEmergencyStop"),
    "VehicleError.error_hint": (ABSENT, "errorHint", "errorHint"),
    "State.zone_set_id": ("zoneSetId", "zoneSetId", ABSENT),
    "State.agv_position": ("agvPosition", "agvPosition", "mobileRobotPosition"),
    "State.battery_state": ("batteryState", "batteryState", "powerSupply"),
    "State.maps": (ABSENT, "maps", "maps"),
    "State.instant_action_states": (ABSENT, ABSENT, "instantActionStates"),
    "State.zone_action_states": (ABSENT, ABSENT, "zoneActionStates"),
    "State.zone_sets": (ABSENT, ABSENT, "zoneSets"),
    "State.zone_requests": (ABSENT, ABSENT, "zoneRequests"),
    "State.edge_requests": (ABSENT, ABSENT, "edgeRequests"),
    "Visualization.agv_position": ("agvPosition", "agvPosition", "mobileRobotPosition"),
    "Visualization.reference_state_header_id": (ABSENT, ABSENT, "referenceStateHeaderId"),
    "Factsheet.agv_geometry": ("agvGeometry", "agvGeometry", "mobileRobotGeometry"),
    "Factsheet.localization_parameters": ("localizationParameters", ABSENT, ABSENT),
}  # fmt: skip
"""Every field that is not called the same, or not there, in all versions."""

_WORDS: Final[Mapping[str, Mapping[str, tuple[str, str, str]]]] = {
    "Connection.connection_state": {
        "CONNECTIONBROKEN": ("CONNECTIONBROKEN", "CONNECTIONBROKEN", "CONNECTION_BROKEN"),
    },
    "State.operating_mode": {"TEACHIN": ("TEACHIN", "TEACHIN", "TEACH_IN")},
    "SafetyState.e_stop": {"AUTOACK": ("AUTOACK", "AUTOACK", "MANUAL")},
    "Action.action_type": {"initPosition": ("initPosition", "initPosition", "initializePosition")},
}
"""Words that are not written the same in all versions. Readers take the words of all of them."""

_FACTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "agvKinematic": ("agvKinematic", "agvKinematic", "mobileRobotKinematics"),
    "agvClass": ("agvClass", "agvClass", "mobileRobotClass"),
    "maxLoadMass": ("maxLoadMass", "maxLoadMass", "maximumLoadMass"),
    "speedMin": ("speedMin", "speedMin", "minimumSpeed"),
    "speedMax": ("speedMax", "speedMax", "maximumSpeed"),
    "accelerationMax": ("accelerationMax", "accelerationMax", "maximumAcceleration"),
    "decelerationMax": ("decelerationMax", "decelerationMax", "maximumDeceleration"),
    "heightMin": ("heightMin", "heightMin", "minimumHeight"),
    "heightMax": ("heightMax", "heightMax", "maximumHeight"),
    "maxStringLens": ("maxStringLens", "maxStringLens", "maximumStringLengths"),
    "idLen": ("idLen", "idLen", "maximumIdLength"),
    "maxArrayLens": ("maxArrayLens", "maxArrayLens", "maximumArrayLengths"),
    "minOrderInterval": ("minOrderInterval", "minOrderInterval", "minimumOrderInterval"),
    "minStateInterval": ("minStateInterval", "minStateInterval", "minimumStateInterval"),
    "agvActions": ("agvActions", "agvActions", "mobileRobotActions"),
    "pauseAllowed": (ABSENT, ABSENT, "pauseAllowed"),
    "cancelAllowed": (ABSENT, ABSENT, "cancelAllowed"),
}
"""The same for the keys inside a factsheet's sections."""

_ALWAYS: Final[Mapping[str, Any]] = {
    "State.instant_action_states": (),
    "Visualization.reference_state_header_id": 0,
}
"""Fields that have to be there in the versions that know them, with what stands for nothing."""

_VERSION: Final = re.compile(r"\s*[vV]?\s*([0-9]{1,3})(?:\.([0-9]{1,3}))?")
_PLAIN: Final = (ABSENT, ABSENT, ABSENT)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one type of message is written: as what, and of each field its words and emptiness."""

    kind: type[Part]
    fields: tuple[tuple[str, Mapping[str, str], Any], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """One version of VDA 5050 as it is spoken on the wire."""

    version: str
    """As it is written in headers."""
    major: str
    """As it stands in topics."""
    _column: int
    _types: dict[type[Part], type[Part]] = field(default_factory=dict)
    _lacks: dict[type[Part], tuple[str, ...]] = field(default_factory=dict)
    _plans: dict[type[Part], _Plan] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.version

    def knows(self, what: str) -> bool:
        """Return whether this version has the field `Type.field`."""
        row = _FIELDS.get(what)
        return row is None or row[self._column] != ABSENT

    def type_of(self, kind: type[T]) -> type[T]:
        """Return the type of messages that are a `kind` and have the names of this version."""
        return cast("type[T]", self._types.get(kind) or self._make(kind))

    def fit(self, message: T) -> T:
        """Return `message` as this version writes it; what the version lacks is left out."""
        if self._column != _V3 and not self._says_too_much(message):
            return message  # the names are those of 2.0.0
        fitted: T = self._fit(message)
        return fitted

    def _says_too_much(self, message: Header) -> bool:
        if isinstance(message, Factsheet):
            return True
        names = self._absent(type(message))
        return any(getattr(message, name) is not UNSET for name in names)

    def _absent(self, kind: type[Part]) -> tuple[str, ...]:
        """Return the fields of `kind` that this version does not have."""
        found = self._lacks.get(kind)
        if found is None:
            names = (one.name for one in fields(kind))
            found = tuple(n for n in names if not self.knows(f"{kind.__name__}.{n}"))
            self._lacks[kind] = found
        return found

    def facts(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """Return a factsheet's section with the keys of this version."""
        found: dict[str, Any] = {}
        for key, value in section.items():
            row = _FACTS.get(key)
            name = row[self._column] if row else key
            if name != ABSENT:
                found[name] = self._fact(value)
        return found

    def _fact(self, value: object) -> object:
        if isinstance(value, Mapping):
            return self.facts(value)
        return [self._fact(item) for item in value] if isinstance(value, list) else value

    def _make(self, kind: type[Part]) -> type[Part]:
        """Return a subclass of `kind` that differs in names, and in the types of its parts."""
        hints = get_type_hints(kind, include_extras=True)
        changed: list[tuple[str, Any, Any]] = []
        for one in fields(kind):
            what = f"{kind.__name__}.{one.name}"
            name = _FIELDS.get(what, _PLAIN)[self._column] or one.encode_name
            annotation = self._translate(hints[one.name])
            default: Any = one.default
            if not self.knows(what) and default is msgspec.NODEFAULT:
                annotation, default = annotation | UnsetType, UNSET
            if self._column == _V3 and what == "NodePosition.allowed_deviation_xy":
                annotation = annotation | Ellipse
            if (annotation, name, default) != (hints[one.name], one.encode_name, one.default):
                options = {} if default is msgspec.NODEFAULT else {"default": default}
                if one.default_factory is not msgspec.NODEFAULT:
                    options = {"default_factory": one.default_factory}
                changed.append((one.name, annotation, msgspec.field(name=name, **options)))
        made: Any = kind
        if changed:
            made = msgspec.defstruct(
                kind.__name__, changed, bases=(kind,), frozen=True, kw_only=True
            )
        self._types[kind] = made
        return self._types[kind]

    def _translate(self, hint: Any) -> Any:
        """Return a field's type with the message parts in it as this version names them."""
        if isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, Part):
            return self._types.get(hint) or self._make(hint)
        origin, inside = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return Annotated[(self._translate(inside[0]), *inside[1:])]
        if origin in (types.UnionType, Union):
            return Union[tuple(self._translate(one) for one in inside)]  # noqa: UP007 - from a list
        if origin is tuple:
            return tuple[tuple(self._translate(one) for one in inside)]  # type: ignore[misc]
        return hint

    def _fit(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._fit(item) for item in value)
        if not isinstance(value, Part):
            return value
        plan = self._plans.get(type(value)) or self._plan(type(value))
        said: dict[str, Any] = {}
        for name, words, empty in plan.fields:
            found = getattr(value, name)
            if found is UNSET:
                found = empty
            elif isinstance(found, str):
                found = words.get(found, found)
            elif isinstance(found, tuple | Part):
                found = self._fit(found)
            said[name] = found
        if isinstance(value, Factsheet):
            said = {k: self.facts(v) if isinstance(v, dict) else v for k, v in said.items()}
        elif isinstance(value, NodePosition) and self._column == _V3:
            said["allowed_deviation_xy"] = _ellipse(said["allowed_deviation_xy"])
        return plan.kind(**said)

    def _plan(self, kind: type[Part]) -> _Plan:
        """Return how messages of this type are written: by its type here, and field by field."""
        ours = next(k for k in kind.__mro__ if k.__module__ == messages.__name__)
        found = []
        for one in fields(ours):
            what = f"{ours.__name__}.{one.name}"
            if self.knows(what):
                words = {w: row[self._column] for w, row in _WORDS.get(what, {}).items()}
                found.append((one.name, words, _ALWAYS.get(what, UNSET)))
        self._plans[kind] = _Plan(self._types.get(ours) or self._make(ours), tuple(found))
        return self._plans[kind]


_V3: Final = 2
V2_0: Final = Dialect("2.0.0", "v2", 0)
V2_1: Final = Dialect("2.1.0", "v2", 1)
V3_0: Final = Dialect("3.0.0", "v3", _V3)
DIALECTS: Final = {dialect.version: dialect for dialect in (V2_0, V2_1, V3_0)}


def dialect_of(version: str, major: str = "") -> Dialect:
    """Return the dialect of who writes `version` in its headers and uses topics of `major`.

    A version between two of ours is read as the older one, one after ours as the newest. Where the
    header says nothing the topic does.
    """
    found = _VERSION.match(version) or _VERSION.match(major)
    if found is None:
        return V2_0
    number = int(found[1]), int(found[2] or 0)
    if number >= (3, 0):
        return V3_0
    return V2_1 if number >= (2, 1) else V2_0


def with_ends(order: Order) -> Order:
    """Return an order whose edges say where they begin and end: 3.0.0 leaves that to the nodes."""
    if type(order) is Order:
        return order  # of a version that says it
    by_sequence = {node.sequence_id: node.node_id for node in order.nodes}
    edges = tuple(
        msgspec.structs.replace(
            edge,
            start_node_id=by_sequence.get(edge.sequence_id - 1, ""),
            end_node_id=by_sequence.get(edge.sequence_id + 1, ""),
        )
        for edge in order.edges
    )
    return msgspec.structs.replace(order, edges=edges)


def names_markdown() -> str:
    """Return the table of names as it stands in the docs."""
    lines = ["| what | " + " | ".join(VERSIONS) + " |", "|---|" + "---|" * len(VERSIONS)]
    for what, row in _FIELDS.items():
        cells = " | ".join(f"`{name}`" if name else "-" for name in row)
        lines.append(f"| `{what}` | {cells} |")
    return "\n".join(lines) + "\n"


def _ellipse(radius: Any) -> Any:
    """Return a radius as the ellipse that 3.0.0 wants."""
    if isinstance(radius, int | float) and not isinstance(radius, bool):
        return Ellipse(a=float(radius), b=float(radius), theta=0.0)
    return radius
