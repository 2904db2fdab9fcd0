"""Topics of VDA 5050: `{interface}/{major version}/{manufacturer}/{serial}/{name}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wire.ids import IdError, parse_name

MAJOR: Final = "v2"
MAJORS: Final = ("v2", "v3")
"""2.0.0 and 2.1.0 have the same topics; 3.0.0 has its own."""
ORDER: Final = "order"
INSTANT_ACTIONS: Final = "instantActions"
STATE: Final = "state"
VISUALIZATION: Final = "visualization"
CONNECTION: Final = "connection"
FACTSHEET: Final = "factsheet"
RESPONSES: Final = "responses"
"""From the master, since 3.0.0: answers to the requests in a state."""
ZONE_SET: Final = "zoneSet"
"""From the master, since 3.0.0."""
NAMES: Final = (
    ORDER, INSTANT_ACTIONS, STATE, VISUALIZATION, CONNECTION, FACTSHEET, RESPONSES, ZONE_SET,
)  # fmt: skip
SINCE_V3: Final = (RESPONSES, ZONE_SET)
_LEVELS: Final = 5


@dataclass(frozen=True, slots=True, order=True)
class VehicleId:
    """Who a vehicle is: the pair is unique. Written `manufacturer/serial`."""

    manufacturer: str
    serial: str

    def __str__(self) -> str:
        return f"{self.manufacturer}/{self.serial}"


def topic(interface: str, manufacturer: str, serial: str, name: str, major: str = MAJOR) -> str:
    """Return one topic of one vehicle."""
    return f"{interface}/{major}/{manufacturer}/{serial}/{name}"


def any_vehicle(interface: str, name: str, major: str = MAJOR) -> str:
    """Return the subscription filter for `name` of every vehicle that speaks one major version."""
    return topic(interface, "+", "+", name, major)


def every_vehicle(interface: str, name: str) -> tuple[str, ...]:
    """Return the subscription filters for `name` of every vehicle, whatever its version."""
    return tuple(any_vehicle(interface, name, major) for major in MAJORS)


def vehicle_of(text: str) -> VehicleId:
    """Return the vehicle that a topic is about, or raise IdError where it has no such form."""
    return address_of(text)[0]


def address_of(text: str) -> tuple[VehicleId, str]:
    """Return the vehicle that a topic is about and the topic's major version, or raise IdError."""
    parts = text.split("/")
    if len(parts) != _LEVELS or parts[1] not in MAJORS or parts[4] not in NAMES:
        majors = " or ".join(MAJORS)
        raise IdError(f"topic {text!r}: expected interface/{majors}/manufacturer/serial/name")
    vehicle = VehicleId(parse_name(parts[2], "manufacturer"), parse_name(parts[3], "serial number"))
    return vehicle, parts[1]
