"""What vehicles say, read in the dialect of each; who is none of ours is listed. On one lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import structlog

from central.fleet.vehicle import Vehicle
from runtime.bus import Incoming
from runtime.clock import Clock
from runtime.metrics import Metrics
from runtime.reading import refuse
from wire.ids import IdError
from wire.vda5050 import topics
from wire.vda5050.codec import WireError, decode_as_said
from wire.vda5050.messages import Connection, Header, State

STRANGERS_MAX: Final = 1_000
T = TypeVar("T", bound=Header)
log = structlog.get_logger()


class Ears:
    """Turns messages of vehicles into what they say; each is answered in the dialect it speaks."""

    def __init__(
        self, interface: str, vehicles: Sequence[Vehicle], clock: Clock, metrics: Metrics
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._by_id = {vehicle.vehicle_id: vehicle for vehicle in vehicles}
        self._states = {
            topics.topic(interface, v.manufacturer, v.serial, topics.STATE, major): (known, major)
            for v, known in self._by_id.items()
            for major in topics.MAJORS
        }
        self._strangers: dict[topics.VehicleId, int] = {}

    def state(self, incoming: Incoming) -> tuple[Vehicle, State] | None:
        """Return who says what in a message on a state topic; None where it is not for us."""
        return self._read(incoming, State)

    def connection(self, incoming: Incoming) -> tuple[Vehicle, Connection] | None:
        """Return who says what in a message on a connection topic; None where it is not for us."""
        return self._read(incoming, Connection)

    def strangers(self) -> tuple[str, ...]:
        """Return vehicles that speak here and are not in robots.csv: they get no orders."""
        return tuple(sorted(str(vehicle) for vehicle in tuple(self._strangers)))

    def _read(self, incoming: Incoming, kind: type[T]) -> tuple[Vehicle, T] | None:
        known = self._states.get(incoming.topic) or self._whose(incoming.topic)
        if known is None:
            return None
        vehicle, major = known
        try:
            said, dialect = decode_as_said(incoming.payload, kind, vehicle.dialect, major)
        except WireError as error:
            self._refuse(incoming.topic, str(error))
            return None
        if kind is State or vehicle.state is None:  # what is retained may be of an older firmware
            vehicle.hear(dialect, major)
        return vehicle, said

    def _whose(self, topic: str) -> tuple[Vehicle, str] | None:
        try:
            vehicle_id, major = topics.address_of(topic)
        except IdError as error:
            self._refuse(topic, str(error))
            return None
        vehicle = self._by_id.get(vehicle_id)
        if vehicle is not None:
            return vehicle, major
        if vehicle_id not in self._strangers:
            if len(self._strangers) < STRANGERS_MAX:
                self._strangers[vehicle_id] = self._clock.now_ns()
            log.info("unknown vehicle: not in robots.csv, gets no orders", robot=str(vehicle_id))
        return None

    def _refuse(self, topic: str, why: str) -> None:
        refuse(topic, why, self._metrics, "vda5050")
