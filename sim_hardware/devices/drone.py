"""A drone: an autopilot behind a telemetry radio (MAVLink 2), a battery, and a camera."""

from __future__ import annotations

from runtime.lanes import Lane
from runtime.runtime import Runtime
from sim_hardware.config import SimDrone
from sim_hardware.devices.view import WorldView


class Drone:
    """Flies missions over its radio; `tick` moves it in world time."""

    def __init__(
        self, runtime: Runtime, lane: Lane, view: WorldView, config: SimDrone, gln: str
    ) -> None:
        self._runtime = runtime
        self._lane = lane
        self._view = view
        self._config = config
        self._gln = gln

    def start(self) -> None:
        """Switch on: the radio appears, heartbeats begin, the camera serves pictures."""

    def stop(self) -> None:
        """Switch off."""

    def tick(self, world_dt_s: float) -> None:
        """Let `world_dt_s` seconds of the world pass. Call on the drone's lane."""
