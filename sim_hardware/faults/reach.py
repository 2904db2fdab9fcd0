"""Where faults find what they act on, among the devices of a floor."""

from __future__ import annotations

from typing import Protocol

from sim_hardware.devices.line import Line
from sim_hardware.floor import SimulatedFloor


class Powered(Protocol):
    """A device that can lose its power and boot again."""

    def power_off(self) -> None:
        """Go dark at once and forget what is only in memory."""

    def power_on(self) -> None:
        """Boot."""


class OnLine(Powered, Protocol):
    """A device at the end of a serial line."""

    @property
    def line(self) -> Line:
        """Return its line."""


def line_of(floor: SimulatedFloor, name: str) -> Line:
    """Return the serial line of a scanner or drone that has one."""
    device: object = floor.scanners.get(name) or floor.drones.get(name)
    line = getattr(device, "line", None)
    assert isinstance(line, Line), f"{name} has no serial line"
    return line
