"""Where faults find what they act on, among the devices of a floor."""

from __future__ import annotations

from typing import Protocol

from sim_hardware.devices.camera import FixedCamera
from sim_hardware.devices.device_clock import DeviceClock
from sim_hardware.devices.drone import Drone
from sim_hardware.devices.lens import Lens
from sim_hardware.devices.line import Line
from sim_hardware.devices.robot import Robot
from sim_hardware.devices.scanner import MqttScanner, SerialScanner
from sim_hardware.devices.smart_camera import SmartCamera
from sim_hardware.devices.uplink import Uplink
from sim_hardware.floor import SimulatedFloor


class Powered(Protocol):
    """A device that can lose its power and boot again."""

    def power_off(self) -> None:
        """Go dark at once and forget what is only in memory."""

    def power_on(self) -> None:
        """Boot."""


def line_of(floor: SimulatedFloor, name: str) -> Line:
    """Return the serial line of a scanner or drone that has one."""
    device = floor.scanners.get(name) or floor.drones.get(name)
    assert isinstance(device, SerialScanner | Drone), f"{name} has no serial line"
    return device.line


def has_line(floor: SimulatedFloor, name: str) -> bool:
    """Return whether a device stands at the end of a serial line."""
    return name in floor.drones or isinstance(floor.scanners.get(name), SerialScanner)


def uplink_of(floor: SimulatedFloor, name: str) -> Uplink:
    """Return the connection to the broker of a scanner or robot that has one."""
    return _on_mqtt(floor, name).uplink


def touched(floor: SimulatedFloor, name: str) -> int:
    """Return how many chunks or messages of a device did not arrive as they were said."""
    if has_line(floor, name):
        return sum(way.touched for way in line_of(floor, name).ways.values())
    uplink = uplink_of(floor, name)
    return uplink.outgoing.touched + uplink.incoming.touched


def clock_of(floor: SimulatedFloor, name: str) -> DeviceClock:
    """Return the clock inside a device that writes times into its messages."""
    return _on_mqtt(floor, name).clock


def powered(floor: SimulatedFloor, name: str) -> Powered:
    """Return a device by its name."""
    device = (
        floor.scanners.get(name) or floor.robots.get(name) or floor.drones.get(name)
        or floor.cameras.get(name) or floor.smart_cameras.get(name)
    )  # fmt: skip
    known = SerialScanner | MqttScanner | Robot | Drone | FixedCamera | SmartCamera
    assert isinstance(device, known), f"no device {name}"
    return device


def lens_of(floor: SimulatedFloor, name: str) -> Lens:
    """Return the lens of a camera or drone that takes pictures."""
    device = floor.cameras.get(name) or floor.drones.get(name)
    assert isinstance(device, FixedCamera | Drone), f"{name} takes no pictures"
    return device.lens


def _on_mqtt(floor: SimulatedFloor, name: str) -> MqttScanner | Robot | SmartCamera:
    device = floor.scanners.get(name) or floor.robots.get(name) or floor.smart_cameras.get(name)
    assert isinstance(device, MqttScanner | Robot | SmartCamera), (
        f"{name} does not speak to the broker itself"
    )
    return device
