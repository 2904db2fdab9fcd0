"""Topics of VDA 5050: `{interface}/v2/{manufacturer}/{serial}/{name}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wire.ids import IdError, parse_name

MAJOR: Final = "v2"
ORDER: Final = "order"
INSTANT_ACTIONS: Final = "instantActions"
STATE: Final = "state"
VISUALIZATION: Final = "visualization"
CONNECTION: Final = "connection"
FACTSHEET: Final = "factsheet"
NAMES: Final = (ORDER, INSTANT_ACTIONS, STATE, VISUALIZATION, CONNECTION, FACTSHEET)
_LEVELS: Final = 5


@dataclass(frozen=True, slots=True, order=True)
class VehicleId:
    """Who a vehicle is: the pair is unique. Written `manufacturer/serial`."""

    manufacturer: str
    serial: str

    def __str__(self) -> str:
        return f"{self.manufacturer}/{self.serial}"


def topic(interface: str, manufacturer: str, serial: str, name: str) -> str:
    """Return one topic of one vehicle."""
    return f"{interface}/{MAJOR}/{manufacturer}/{serial}/{name}"


def any_vehicle(interface: str, name: str) -> str:
    """Return the subscription filter for `name` of every vehicle."""
    return topic(interface, "+", "+", name)


def vehicle_of(text: str) -> VehicleId:
    """Return the vehicle that a topic is about, or raise IdError where it has no such form."""
    parts = text.split("/")
    if len(parts) != _LEVELS or parts[1] != MAJOR or parts[4] not in NAMES:
        raise IdError(f"topic {text!r}: expected interface/{MAJOR}/manufacturer/serial/name")
    return VehicleId(parse_name(parts[2], "manufacturer"), parse_name(parts[3], "serial number"))
