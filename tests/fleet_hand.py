"""What tests say on robots' topics by hand, in the version that the floor's vehicles speak."""

from __future__ import annotations

from runtime.bus import BusOptions
from tests.build_fleet import FleetWorld
from wire.vda5050.codec import encode
from wire.vda5050.dialects import DIALECTS
from wire.vda5050.messages import Connection, Header, HeaderFields, header


def head(floor: FleetWorld, serial: str, number: int, now_ns: int = -1) -> HeaderFields:
    """Return a header as the floor's vehicles write it."""
    at_ns = floor.runtime.clock.now_ns() if now_ns < 0 else now_ns
    return header("acme", serial, header_id=number, now_ns=at_ns, version=floor.version)


def written(floor: FleetWorld, message: Header) -> bytes:
    return encode(message, DIALECTS[floor.version])


def publish(floor: FleetWorld, topic: str, payload: bytes) -> None:
    bus = floor.runtime.bus(BusOptions(client_id=f"by-hand-{len(floor.sent)}"))
    bus.start()
    bus.publish(f"uagv/{DIALECTS[floor.version].major}/{topic}", payload)
    bus.stop()


def say_connection(floor: FleetWorld, serial: str, word: str) -> None:
    said = Connection(**head(floor, serial, 99), connection_state=word)
    publish(floor, f"acme/{serial}/connection", written(floor, said))
