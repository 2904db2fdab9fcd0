"""A drone's driver: the radio's line, the protocol, the pilot and the timers, joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, assert_never

import structlog

from firmware_bridge.drones.core import (
    Arrived,
    Deed,
    Ended,
    Phase,
    Pilot,
    SendCommand,
    SendCount,
    SendItem,
)
from firmware_bridge.drones.mavlink import MavlinkCodec, MavlinkCounters
from firmware_bridge.drones.plan import Origin, Plan, Stop, make_plan
from firmware_bridge.errors import BridgeError
from firmware_bridge.link import SerialLink
from runtime.clock import Clock
from runtime.lanes import Lane, Timer
from runtime.ports import Ports

HEARTBEAT_S: Final = 1.0
TICK_S: Final = 0.2
log = structlog.get_logger()


class DroneDriver:
    """One drone on one serial line. Everything happens on `lane`, which must not be kept busy.

    `on_arrived` gets the stop (from 0) at which the drone hovers; `on_ended` how a mission ended.
    """

    def __init__(
        self,
        name: str,
        path: str,
        baud: int,
        *,
        system_id: int,
        origin: Origin,
        hold_s: float,
        timeout_s: float,
        ports: Ports,
        clock: Clock,
        lane: Lane,
        on_arrived: Callable[[int], None],
        on_ended: Callable[[Ended], None],
    ) -> None:
        self.name = name
        self._origin = origin
        self._hold_s = hold_s
        self._clock = clock
        self._lane = lane
        self._on_arrived = on_arrived
        self._on_ended = on_ended
        self._codec = MavlinkCodec(system_id)
        self._pilot = Pilot(origin=origin, timeout_s=timeout_s)
        self._timers: list[Timer] = []
        self._link = SerialLink(
            name, path, baud, ports=ports, clock=clock, lane=lane,
            on_bytes=self._receive, on_up=self._on_up, on_down=self._on_down,
        )  # fmt: skip

    @property
    def phase(self) -> Phase:
        """Return where the mission stands."""
        return self._pilot.phase

    @property
    def counters(self) -> MavlinkCounters:
        """Return what came in."""
        return self._codec.counters

    @property
    def link_reason(self) -> str:
        """Return why the radio is not reached; empty while it is."""
        return self._link.reason

    def start(self) -> None:
        """Open the radio and begin to send heartbeats."""
        self._link.start()
        self._timers = [
            self._lane.call_every(HEARTBEAT_S, self._beat),
            self._lane.call_every(TICK_S, self._tick),
        ]

    def stop(self) -> None:
        """Call a flying drone home and close the radio; to be called on its lane."""
        self._do(self._pilot.abort("the edge agent stops", self._clock.monotonic_ns()))
        for timer in self._timers:
            timer.cancel()
        self._link.stop()

    def fly(self, stops: Sequence[Stop]) -> None:
        """Fly to these stops; `on_ended` will be called once. One mission at a time."""

        def plan(start: tuple[int, int], *, home_item: bool) -> Plan:
            return make_plan(
                stops, origin=self._origin, hold_s=self._hold_s, start=start, home_item=home_item
            )

        self._do(self._pilot.begin(plan, self._clock.monotonic_ns()))

    def _beat(self) -> None:
        if self._link.up:
            self._send(self._codec.heartbeat())

    def _tick(self) -> None:
        self._do(self._pilot.tick(self._clock.monotonic_ns()))

    def _receive(self, chunks: list[tuple[bytes, int]]) -> None:
        for data, _ in chunks:
            for message in self._codec.decode(data):
                self._do(self._pilot.heard(message, self._clock.monotonic_ns()))

    def _on_up(self, _epoch: int) -> None:
        self._codec.reset()

    def _on_down(self, _reason: str) -> None:
        self._pilot.link_lost()

    def _do(self, deeds: list[Deed]) -> None:
        for deed in deeds:
            match deed:
                case SendCount():
                    self._send(self._codec.count(deed))
                case SendItem(seq):
                    plan = self._pilot.plan
                    assert plan is not None, "items are asked for while a plan is uploaded"
                    self._send(self._codec.item(plan.items[seq]))
                case SendCommand():
                    self._send(self._codec.command(deed))
                case Arrived(stop):
                    self._on_arrived(stop)
                case Ended(ok, detail):
                    log.info("mission ended", drone=self.name, ok=ok, detail=detail)
                    self._on_ended(deed)
                case _:
                    assert_never(deed)

    def _send(self, data: bytes) -> None:
        """Send, or let it be: what matters is said again until it is answered."""
        try:
            self._link.write(data)
        except BridgeError as error:
            log.debug("not sent", drone=self.name, reason=str(error))
