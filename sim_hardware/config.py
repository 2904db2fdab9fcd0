"""Configuration of the simulated floor."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wire.messages import Bin, Name


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; an unknown key stops the start."""


class SimBroker(Section, frozen=True, kw_only=True):
    """Where the message broker listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1883


class SimScanner(Section, frozen=True, kw_only=True):
    """A person's scanner: at the end of a serial line (`path`), or over MQTT (no path)."""

    device_id: Name
    person_id: Name
    path: str = ""


class SimCamera(Section, frozen=True, kw_only=True):
    """A fixed camera that serves JPEG snapshots of some bins."""

    camera_id: Name
    url: str
    bins: tuple[Bin, ...]


class SimDrone(Section, frozen=True, kw_only=True):
    """A drone: an autopilot behind a telemetry radio, and a camera."""

    drone_id: Name
    path: str
    camera_url: str
    system_id: Annotated[int, Meta(ge=1, le=255)] = 1
    origin_lat_deg: float = 0.0
    origin_lon_deg: float = 0.0
    home_x_m: float = 0.0
    home_y_m: float = 0.0


class SimOrders(Section, frozen=True, kw_only=True):
    """Where customer orders come from: drawn at a rate, or replayed from a file of daily sales."""

    kind: Literal["generated", "file"] = "generated"
    day_s: Annotated[float, Meta(ge=1)] = 60.0
    """Real seconds per sales day (the same number stands in central's planning.day_s)."""
    orders_per_day: Annotated[float, Meta(ge=0)] = 30.0
    path: str = ""
    first_date: str = ""
    """First sales date to replay (the days before it are history); empty: the file's first."""


class SimConfig(Section, frozen=True, kw_only=True):
    """Everything the simulated floor needs to know."""

    site_id: Name
    site_dir: str
    gln: Annotated[str, Meta(pattern=r"^[0-9]{13}$")]
    truth_file: str
    """Where the truth is written, on SIGUSR1 (the world then stands still) and at the end."""
    broker: SimBroker = SimBroker()
    seed: int = 0
    speed: Annotated[float, Meta(gt=0, le=100)] = 4.0
    interface_name: Name = "uagv"
    scanners: tuple[SimScanner, ...] = ()
    cameras: tuple[SimCamera, ...] = ()
    drones: tuple[SimDrone, ...] = ()
    orders: SimOrders = SimOrders()
    stray_scan_share: Annotated[float, Meta(ge=0, le=1)] = 0.03
    """Share of scans that first hit a label which is no GS1 code (a poster, a parcel)."""
    robot_max_speed_mps: Annotated[float, Meta(gt=0, le=10)] = 1.5
    battery_hours: Annotated[float, Meta(gt=0)] = 8.0
