"""A fixed camera over some bins: its picture shows the physical truth as printed labels."""

from __future__ import annotations

from runtime.lanes import Lane
from runtime.runtime import Runtime
from sim_hardware.config import SimCamera
from sim_hardware.devices.view import WorldView


class FixedCamera:
    """Serves a JPEG of its bins at its address."""

    def __init__(
        self, runtime: Runtime, lane: Lane, view: WorldView, config: SimCamera, gln: str
    ) -> None:
        self._runtime = runtime
        self._lane = lane
        self._view = view
        self._config = config
        self._gln = gln

    def start(self) -> None:
        """Begin to serve pictures."""

    def stop(self) -> None:
        """Go dark."""
