"""What can be seen only while a run goes on.

The beeps on the wire, the nodes that robots hold, what is said of each device's state.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from runtime.bus import Incoming
from sim_hardware.floor import SimulatedFloor
from wire import topics
from wire.codec import WireError, decode
from wire.messages import DeviceStatus, ScanFeedback

LOOK_EVERY_S: Final = 0.5
"""World seconds between two looks at the robots."""
BEEPS_MAX: Final = 1_000_000
OVERLAPS_MAX: Final = 100
DEVICES_MAX: Final = 10_000
log = structlog.get_logger()

Beep = tuple[str, int, int]
"""(device, boot epoch, sequence) of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a witness saw so far."""

    now_ns: int
    good_beeps: frozenset[Beep]
    """Good answers to scanners over MQTT; at most BEEPS_MAX."""
    overlaps: tuple[str, ...]
    """Nodes that were released to two robots at once, with the time; at most OVERLAPS_MAX."""
    devices: Mapping[str, DeviceStatus] = field(default_factory=dict)
    """By device: what was last said of it, as the planners' page hears it; at most DEVICES_MAX."""


class Witness:
    """Listens on the floor's connection and looks at its robots. Lives on the floor's lane."""

    def __init__(self, floor: SimulatedFloor) -> None:
        self._floor = floor
        self._beeps: set[Beep] = set()
        self._overlaps: dict[tuple[str, str, str], float] = {}
        self._devices: dict[str, DeviceStatus] = {}

    def listen_to_devices(self) -> None:
        """Begin to hear how devices are; call before the floor starts, or on its lane."""
        floor = self._floor
        wanted = topics.DEVICE_STATUS.any(site=floor.config.site_id)
        floor.bus.subscribe(wanted, floor.lane, self._hear_status)

    def start(self) -> None:
        """Begin with beeps and robots; call before the floor starts, or on its lane."""
        floor = self._floor
        wanted = topics.DEVICE_FEEDBACK.any(site=floor.config.site_id)
        floor.bus.subscribe(wanted, floor.lane, self._hear)
        floor.world.time.after(LOOK_EVERY_S, self._look)

    def seen(self) -> Seen:
        """Return what was seen so far."""
        return Seen(
            now_ns=self._floor.clock.now_ns(),
            good_beeps=frozenset(self._beeps),
            overlaps=tuple(
                f"{node} was released to {one} and {other} at {at_s:.1f} s"
                for (node, one, other), at_s in self._overlaps.items()
            ),
            devices=dict(self._devices),
        )

    def _hear(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            try:
                feedback = decode(incoming.payload, ScanFeedback)
            except WireError as error:
                log.warning("an answer on the wire is none", error=str(error))
                continue
            if feedback.ok and len(self._beeps) < BEEPS_MAX:
                self._beeps.add((feedback.device_id, feedback.boot_epoch, feedback.seq))

    def _hear_status(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            try:
                status = decode(incoming.payload, DeviceStatus)
            except WireError as error:
                log.warning("a status on the wire is none", error=str(error))
                continue
            if status.device_id in self._devices or len(self._devices) < DEVICES_MAX:
                self._devices[status.device_id] = status

    def _look(self) -> None:
        time = self._floor.world.time
        time.after(LOOK_EVERY_S, self._look)
        held = {serial: robot.nodes_held() for serial, robot in self._floor.robots.items()}
        nodes = [node for own in held.values() for node in set(own)]
        if len(set(nodes)) == len(nodes):
            return
        for one, other in itertools.combinations(held, 2):
            for node in sorted({*held[one]} & {*held[other]}):
                if len(self._overlaps) < OVERLAPS_MAX:
                    self._overlaps.setdefault((node, one, other), time.now_s)
