"""What is said to vehicles besides orders: instant actions and answers. On the fleet's lane.

As with orders, what is said has its number written down before it is published.
"""

from __future__ import annotations

from typing import Final

import structlog

from central.config import FleetConfig
from central.fleet.instants import CANCEL, PAUSE, RESUME, RETRY, SKIP, STATE_REQUEST, Instant
from central.fleet.orders import instant_bytes, response_bytes
from central.fleet.vehicle import Vehicle
from runtime.bus import Bus
from runtime.clock import NS_PER_S, Clock
from runtime.metrics import Metrics
from wire.vda5050.dialects import V2_0, V3_0
from wire.vda5050.topics import INSTANT_ACTIONS, RESPONSES, topic

ASK_AGAIN_S: Final = 10.0
CANCEL_AGAIN_S: Final = 30.0
"""A cancel that failed or was not answered is not said again sooner."""
OLD_KEY: Final = "reads instant actions under the key of version 1.1"
PAUSE_AGAIN_S: Final = 5.0
UNKNOWN: Final = ((V2_0, V2_0.major), (V3_0, V3_0.major))
"""Who never spoke is spoken to in each way that it may listen."""
log = structlog.get_logger()


class Voice:
    """Says instant actions and answers to vehicles, and hears whether they were done."""

    def __init__(self, config: FleetConfig, clock: Clock, metrics: Metrics, bus: Bus) -> None:
        self._config = config
        self._clock = clock
        self._metrics = metrics
        self._bus = bus

    # --- what a state tells ---------------------------------------------------------------------

    def follow(self, vehicle: Vehicle) -> None:
        """Take in what the newest state says of instant actions, and what it asks for."""
        state, now_ns = vehicle.state, self._clock.monotonic_ns()
        assert state is not None, "follow comes after a state"
        if not vehicle.reads_old_key and vehicle.asks_for_old_key():
            self._use_old_key(vehicle)
        for instant, status in vehicle.instants.answered(state, vehicle.vehicle_id.serial, now_ns):
            self._metrics.count("fleet_instants_ended", status)
            if status == "FAILED":
                log.info("instant action failed", robot=vehicle.robot_id, kind=instant.kind)
            elif instant.kind in {PAUSE, RESUME}:
                vehicle.was_paused = instant.kind == PAUSE
        for action in state.action_states:
            if action.action_status == "RETRIABLE":
                self._retry(vehicle, action.action_id)
        if not vehicle.dialect.knows("State.zone_requests"):
            return
        asked = (*(state.zone_requests or ()), *(state.edge_requests or ()))
        vehicle.requests = tuple(r.request_id for r in asked if r.request_status == "REQUESTED")
        if vehicle.requests:
            self._answer(vehicle)

    def _use_old_key(self, vehicle: Vehicle) -> None:
        """Say everything again so that a vehicle understands it that reads the key of 1.1."""
        vehicle.reads_old_key = True
        vehicle.remarks += (OLD_KEY,)
        self._metrics.count("fleet_old_keys")
        log.warning("odd vehicle", robot=vehicle.robot_id, why=OLD_KEY)
        for instant in vehicle.instants.waiting:
            if instant.sends:
                vehicle.memory.actions_header_id += 1
                instant.number, instant.payloads = vehicle.memory.actions_header_id, ()
                instant.sends = 0
                vehicle.changed = True

    def _retry(self, vehicle: Vehicle, action_id: str) -> None:
        """Have an action that waits for our word tried once more; the second time it fails."""
        if vehicle.instants.has(RETRY) or vehicle.instants.has(SKIP):
            return
        kind = SKIP if vehicle.retried == action_id else RETRY
        if vehicle.instants.rests(kind, self._clock.monotonic_ns(), 0.0):
            return
        vehicle.retried = action_id
        self.order(vehicle, kind, action_id)

    def _answer(self, vehicle: Vehicle) -> None:
        """Turn requests down: zones and corridors are not given by this master.

        Without an answer the vehicle would wait for ever; with one it can say so.
        """
        now_ns = self._clock.monotonic_ns()
        if vehicle.answered_at_ns >= 0 and now_ns - vehicle.answered_at_ns < ASK_AGAIN_S * NS_PER_S:
            return
        vehicle.answered_at_ns = now_ns
        vehicle.memory.responses_sent += 1
        vehicle.answers = vehicle.requests
        vehicle.changed = True
        self._metrics.count("fleet_requests_rejected")
        log.warning("zone requests rejected", robot=vehicle.robot_id, requests=vehicle.requests[:5])

    # --- what is said ---------------------------------------------------------------------------

    def ask(self, vehicle: Vehicle) -> None:
        """Ask the vehicle for its state, not too often."""
        now_ns = self._clock.monotonic_ns()
        if not self._bus.connected:
            return
        if vehicle.asked_at_ns >= 0 and now_ns - vehicle.asked_at_ns < ASK_AGAIN_S * NS_PER_S:
            return
        vehicle.asked_at_ns = now_ns
        self.order(vehicle, STATE_REQUEST)

    def cancel(self, vehicle: Vehicle) -> None:
        """Have the vehicle drop what it works on; again after a while where that fails."""
        now_ns = self._clock.monotonic_ns()
        resting = vehicle.instants.rests(CANCEL, now_ns, CANCEL_AGAIN_S)
        if not (resting or vehicle.is_in_other_hands):
            self.order(vehicle, CANCEL)

    def hold(self, vehicle: Vehicle, why: str) -> None:
        """Have the vehicle stand while there is a reason, and go on when there is none any more."""
        now_ns, memory = self._clock.monotonic_ns(), vehicle.memory
        kind, other = (PAUSE, RESUME) if why else (RESUME, PAUSE)
        if why and not memory.held:
            memory.held = vehicle.changed = True
        undecided = vehicle.instants.has(PAUSE) or vehicle.instants.has(RESUME)
        if not why and memory.held and not vehicle.is_paused and not undecided:
            memory.held, vehicle.changed = False, True
        if memory.held and (vehicle.is_paused is not bool(why) or vehicle.instants.has(other)):
            vehicle.instants.drop(other)
            if not vehicle.instants.rests(kind, now_ns, PAUSE_AGAIN_S):
                self.order(vehicle, kind)

    def order(self, vehicle: Vehicle, kind: str, about: str = "") -> None:
        """Have the vehicle do an instant action, unless one of its kind is not answered yet."""
        if vehicle.instants.add(kind, vehicle.memory.actions_header_id + 1, about):
            vehicle.memory.actions_header_id += 1
            vehicle.changed = True

    def repeat(self, vehicle: Vehicle) -> None:
        """Say again what is not answered in time, the same bytes; give it up after some times."""
        now_ns = self._clock.monotonic_ns()
        if not self._bus.connected:
            return
        for instant in vehicle.instants.due(now_ns, self._config.resend_s):
            if instant.sends <= self._config.resends_max:
                self._metrics.count("fleet_resends")
                self._publish_instant(vehicle, instant)
                vehicle.instants.sent(instant, now_ns)
                continue
            vehicle.instants.give_up(instant, now_ns)
            vehicle.complaint = f"has not answered {instant.kind}, sent {instant.sends} times"
            self._metrics.count("fleet_instants_unanswered")
            log.warning("instant action unanswered", robot=vehicle.robot_id, why=vehicle.complaint)

    def say_what_is_saved(self, vehicle: Vehicle) -> None:
        """Publish what waits for its number to be written down; to be called after that."""
        now_ns = self._clock.monotonic_ns()
        for instant in list(vehicle.instants.unsent()):
            self._publish_instant(vehicle, instant)
            vehicle.instants.sent(instant, now_ns)
        if vehicle.answers:
            payload = response_bytes(
                vehicle.vehicle_id, vehicle.memory, vehicle.answers, self._clock.now_ns()
            )
            vehicle.answers = ()
            self.publish(vehicle, RESPONSES, payload, vehicle.memory.major)

    def _publish_instant(self, vehicle: Vehicle, instant: Instant) -> None:
        if not instant.payloads:
            memory, now_ns = vehicle.memory, self._clock.now_ns()
            known = ((vehicle.dialect, memory.major),) if memory.version else UNKNOWN
            instant.payloads = tuple(
                (
                    major,
                    instant_bytes(
                        vehicle.vehicle_id, instant, now_ns, dialect, old_key=vehicle.reads_old_key
                    ),
                )
                for dialect, major in known
            )
        for major, payload in instant.payloads:
            self.publish(vehicle, INSTANT_ACTIONS, payload, major)

    def publish(self, vehicle: Vehicle, name: str, payload: bytes, major: str) -> None:
        """Publish with QoS 0, as the standard says: what is lost is sent again by us, not later."""
        who, interface = vehicle.vehicle_id, self._config.interface_name
        where = topic(interface, who.manufacturer, who.serial, name, major)
        self._bus.publish(where, payload, qos=0)
