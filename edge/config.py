"""Configuration of one edge agent."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from wire.messages import Name

Port = Annotated[int, Meta(ge=1, le=65_535)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; an unknown key stops the start."""


class BrokerConfig(Section, frozen=True, kw_only=True):
    """Where the message broker listens."""

    host: str = "127.0.0.1"
    port: Port = 1883
    username: str = ""
    password: str = ""


class ScannerConfig(Section, frozen=True, kw_only=True):
    """One scanner: on a serial port (`path`), or over MQTT (no path)."""

    device_id: Name
    person_id: Name
    path: str = ""
    baud: Annotated[int, Meta(ge=1_200, le=4_000_000)] = 115_200


class CameraConfig(Section, frozen=True, kw_only=True):
    """One fixed camera that gives a JPEG snapshot per HTTP GET."""

    camera_id: Name
    url: str
    period_s: Annotated[float, Meta(ge=0.05, le=3_600)] = 0.5
    repeat_s: Annotated[float, Meta(ge=1, le=86_400)] = 30.0
    """The same sighting is told again after this long."""


class DroneConfig(Section, frozen=True, kw_only=True):
    """One drone: MAVLink 2 on a serial port (its telemetry radio), and its camera."""

    drone_id: Name
    path: str
    camera_url: str
    baud: Annotated[int, Meta(ge=1_200, le=4_000_000)] = 57_600
    system_id: Annotated[int, Meta(ge=1, le=255)] = 1
    origin_lat_deg: Annotated[float, Meta(ge=-90, le=90)] = 0.0
    origin_lon_deg: Annotated[float, Meta(ge=-180, le=180)] = 0.0
    """Geographic position of the site's (0, 0); x is east, y is north."""
    mission_timeout_s: Annotated[float, Meta(ge=1, le=3_600)] = 600.0


class EdgeConfig(Section, frozen=True, kw_only=True):
    """Everything one edge agent needs to know."""

    site_id: Name
    edge_id: Name
    site_dir: str
    data_dir: str
    gln: Annotated[str, Meta(pattern=r"^[0-9]{13}$")]
    """The site's Global Location Number: bin labels carry it (AI 414) and the bin (AI 254)."""
    broker: BrokerConfig = BrokerConfig()
    scanners: tuple[ScannerConfig, ...] = ()
    cameras: tuple[CameraConfig, ...] = ()
    drones: tuple[DroneConfig, ...] = ()
    interface_name: Name = "uagv"
    """First level of the robots' VDA 5050 topics."""
    outbox_resend_s: Annotated[float, Meta(ge=0.1, le=600)] = 2.0
    journal_rows_max: Annotated[int, Meta(ge=1_000, le=2**40)] = 50_000_000
