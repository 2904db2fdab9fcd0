"""Configuration of one edge agent."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from runtime.broker_link import BrokerConfig
from runtime.config import Folder, HttpUrl, check_unique, check_url
from wire.messages import EDGE_DEVICES_MAX, Name


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; an unknown key stops the start."""


class ScannerConfig(Section, frozen=True, kw_only=True):
    """One scanner: on a serial port (`path`), or over MQTT (no path)."""

    device_id: Name
    """Unique in the site; over MQTT a part of its topics."""
    person_id: Name
    """Who holds it: its scans are checked against this person's tasks."""
    path: str = ""
    """Serial device, best by its lasting name (`/dev/serial/by-id/...`); empty: over MQTT."""
    baud: Annotated[int, Meta(ge=1_200, le=4_000_000)] = 115_200
    """Speed of the serial line; 8 data bits, no parity."""


class CameraConfig(Section, frozen=True, kw_only=True):
    """One fixed camera that gives a JPEG snapshot per HTTP GET."""

    camera_id: Name
    """Unique in the site."""
    url: HttpUrl
    """Where one GET gives one JPEG."""
    period_s: Annotated[float, Meta(ge=0.05, le=3_600)] = 0.5
    """How often it is asked."""
    repeat_s: Annotated[float, Meta(ge=1, le=86_400)] = 30.0
    """The same sighting is told again after this long."""


class SmartCameraConfig(Section, frozen=True, kw_only=True):
    """One fixed camera that decodes by itself and says over MQTT which labels it sees."""

    camera_id: Name
    """Unique in the site; a part of its topics."""
    repeat_s: Annotated[float, Meta(ge=1, le=86_400)] = 30.0
    """The same sighting is told again after this long."""
    silent_after_s: Annotated[float, Meta(ge=1, le=86_400)] = 20.0
    """After so long without a look it counts as gone; more than the time between its looks."""


class DroneConfig(Section, frozen=True, kw_only=True):
    """One drone: MAVLink 2 on a serial port (its telemetry radio), and its camera."""

    drone_id: Name
    """Unique in the site; central names it in missions."""
    path: str
    """Serial device of the telemetry radio."""
    camera_url: HttpUrl
    """Where one GET gives one JPEG of what the drone sees."""
    baud: Annotated[int, Meta(ge=1_200, le=4_000_000)] = 57_600
    """Speed of the serial line."""
    system_id: Annotated[int, Meta(ge=1, le=255)] = 1
    """MAVLink system id of the autopilot."""
    origin_lat_deg: Annotated[float, Meta(ge=-90, le=90)] = 0.0
    """Latitude of the site's (0, 0)."""
    origin_lon_deg: Annotated[float, Meta(ge=-180, le=180)] = 0.0
    """Longitude of the site's (0, 0); x is east, y is north."""
    mission_timeout_s: Annotated[float, Meta(ge=1, le=3_600)] = 600.0
    """A mission that is not over by then is called home."""


class EdgeConfig(Section, frozen=True, kw_only=True):
    """Everything one edge agent needs to know."""

    site_id: Name
    """Name of the site: part of every topic."""
    edge_id: Name
    """The zone: it owns the bins that have it in bins.csv."""
    site_dir: Folder
    """Folder of the site's CSV files."""
    data_dir: Folder
    """Folder that this process alone writes; it is made where it is missing."""
    gln: Annotated[str, Meta(pattern=r"^[0-9]{13}\Z")]
    """The site's Global Location Number: bin labels carry it (AI 414) and the bin (AI 254)."""
    broker: BrokerConfig = BrokerConfig()
    scanners: Annotated[tuple[ScannerConfig, ...], Meta(max_length=EDGE_DEVICES_MAX)] = ()
    cameras: tuple[CameraConfig, ...] = ()
    smart_cameras: Annotated[tuple[SmartCameraConfig, ...], Meta(max_length=EDGE_DEVICES_MAX)] = ()
    drones: tuple[DroneConfig, ...] = ()
    interface_name: Name = "uagv"
    """First level of the robots' VDA 5050 topics."""
    outbox_resend_s: Annotated[float, Meta(ge=0.1, le=600)] = 2.0
    """After so long without an acknowledgement the journal is sent again; doubles up to 60 s."""
    journal_rows_max: Annotated[int, Meta(ge=1_000, le=2**40)] = 50_000_000
    """With so many rows scans are refused (`store_full`)."""

    def __post_init__(self) -> None:
        """Raise ValueError where two devices share a name or a line."""
        check_unique(scanners=[("device_id", row.device_id) for row in self.scanners])
        check_unique(
            cameras=[("camera_id", row.camera_id) for row in self.cameras],
            smart_cameras=[("camera_id", row.camera_id) for row in self.smart_cameras],
        )
        check_unique(drones=[("drone_id", row.drone_id) for row in self.drones])
        check_unique(
            scanners=[("path", row.path) for row in self.scanners],
            drones=[("path", row.path) for row in self.drones],
        )
        for index, camera in enumerate(self.cameras):
            check_url(f"cameras[{index}].url", camera.url)
        for index, drone in enumerate(self.drones):
            check_url(f"drones[{index}].camera_url", drone.camera_url)
