"""Robots' finished picks and drops: read from their own telemetry, booked as movements, each once.

The action id says what moves (wire/vda5050/action_ids.py) and is the event id. A robot repeats its
action states until its next order, so a state that we missed is not a movement that we missed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set as AbstractSet
from typing import Final

import structlog

from edge.writer import Writer
from runtime.bus import Incoming
from runtime.metrics import Metrics
from wire.codec import WireError
from wire.ids import IdError, bin_location, location
from wire.messages import Movement
from wire.vda5050.action_ids import StockAction, parse_action_id
from wire.vda5050.codec import decode
from wire.vda5050.messages import ActionsOfState
from wire.vda5050.topics import STATE, VehicleId, every_vehicle, vehicle_of

FINISHED: Final = "FINISHED"
IDS_REMEMBERED_MAX: Final = 5_000
log = structlog.get_logger()


class RobotMoves:
    """The movements that robots make in the bins of one edge. On the store lane."""

    def __init__(
        self,
        *,
        bins: AbstractSet[str],
        articles: AbstractSet[str],
        robots: AbstractSet[VehicleId],
        writer: Writer,
        metrics: Metrics,
    ) -> None:
        self._bins = bins
        self._articles = articles
        self._robots = robots
        self._writer = writer
        self._metrics = metrics
        self._handed_over: OrderedDict[str, None] = OrderedDict()

    @staticmethod
    def topics(interface_name: str) -> tuple[str, ...]:
        """Return the filters of what robots say of themselves.

        What is read of it is called the same in all versions.
        """
        return every_vehicle(interface_name, STATE)

    def handle(self, messages: list[Incoming]) -> None:
        """Book what is finished in these states."""
        movements: list[Movement] = []
        for message in messages:
            try:
                vehicle = vehicle_of(message.topic)
                state = decode(message.payload, ActionsOfState)
            except (WireError, IdError) as error:
                self._metrics.count("wire_refused", "robot-state")
                log.warning("robot state refused", topic=message.topic, reason=str(error))
                continue
            if self._robots and vehicle not in self._robots:
                self._metrics.count("wire_refused", "unknown-robot")
                continue
            movements += self._finished(state, vehicle.serial, message.received_at_ns)
        self._writer.submit_facts(movements)

    def _finished(self, state: ActionsOfState, serial: str, received_at_ns: int) -> list[Movement]:
        found = []
        for done in state.action_states:
            if done.action_status != FINISHED or done.action_id in self._handed_over:
                continue
            action = parse_action_id(done.action_id)
            if action is None or action.bin_id not in self._bins:
                continue
            self._remember(done.action_id)
            if action.gtin not in self._articles:
                self._metrics.count("wire_refused", "robot-unknown-article")
                continue
            found.append(movement_of(action, serial, received_at_ns))
        return found

    def _remember(self, action_id: str) -> None:
        """Spare the database the repeats; what is forgotten here is still unique in the journal."""
        self._handed_over[action_id] = None
        if len(self._handed_over) > IDS_REMEMBERED_MAX:
            self._handed_over.popitem(last=False)


def movement_of(action: StockAction, serial: str, at_ns: int) -> Movement:
    """Return the movement that a robot's finished action was."""
    here, robot = bin_location(action.bin_id), location("robot", serial)
    picked = action.verb == "pick"
    return Movement(
        event_id=action.action_id, gtin=action.gtin, units=action.units,
        from_place=here if picked else robot, to_place=robot if picked else here,
        reason=f"robot-{action.verb}", device_id=serial, observed_at_ns=at_ns,
        received_at_ns=at_ns, task_id=action.task_id,
    )  # fmt: skip
