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
    """Name or address of the broker."""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1883
    """Its port."""


class SimScanner(Section, frozen=True, kw_only=True):
    """A person's scanner: at the end of a serial line (`path`), or over MQTT (no path)."""

    device_id: Name
    """As in the edge's `[[scanners]]`."""
    person_id: Name
    """Who holds it; simulated too."""
    path: str = ""
    """Where the line's device end appears; empty: over MQTT."""


class SimCamera(Section, frozen=True, kw_only=True):
    """A fixed camera that serves JPEG snapshots of some bins."""

    camera_id: Name
    """Its name."""
    url: str
    """Where it serves its pictures; this process opens that port."""
    bins: tuple[Bin, ...]
    """What it sees."""


class SimDrone(Section, frozen=True, kw_only=True):
    """A drone: an autopilot behind a telemetry radio, and a camera."""

    drone_id: Name
    """Its name."""
    path: str
    """Where its radio's device end appears."""
    camera_url: str
    """Where it serves its pictures."""
    system_id: Annotated[int, Meta(ge=1, le=255)] = 1
    """MAVLink system id."""
    origin_lat_deg: float = 0.0
    """As in the edge's configuration."""
    origin_lon_deg: float = 0.0
    """As in the edge's configuration."""
    home_x_m: float = 0.0
    """Where it stands at first."""
    home_y_m: float = 0.0
    """Where it stands at first."""


class SimOrders(Section, frozen=True, kw_only=True):
    """Where customer orders come from: drawn at a rate, or replayed from a file of daily sales."""

    kind: Literal["generated", "file"] = "generated"
    """Drawn, or replayed from a file."""
    day_s: Annotated[float, Meta(ge=1)] = 60.0
    """Real seconds per sales day (the same number stands in central's planning.day_s)."""
    orders_per_day: Annotated[float, Meta(ge=0)] = 30.0
    """Drawn orders on a usual day."""
    path: str = ""
    """CSV with the columns `date,sku,quantity`."""
    first_date: str = ""
    """First sales date to replay (the days before it are history); empty: the file's first."""


class SimConfig(Section, frozen=True, kw_only=True):
    """Everything the simulated floor needs to know."""

    site_id: Name
    """Name of the site: part of every topic."""
    site_dir: str
    """Folder of the site's CSV files."""
    gln: Annotated[str, Meta(pattern=r"^[0-9]{13}$")]
    """The site's Global Location Number, as at the edges: labels carry it."""
    truth_file: str
    """Where the truth is written, on SIGUSR1 (the world then stands still) and at the end."""
    broker: SimBroker = SimBroker()
    seed: int = 0
    """Decides all chance."""
    speed: Annotated[float, Meta(gt=0, le=100)] = 4.0
    """How much faster than real the world moves."""
    interface_name: Name = "uagv"
    """First level of the robots' VDA 5050 topics."""
    scanners: tuple[SimScanner, ...] = ()
    cameras: tuple[SimCamera, ...] = ()
    drones: tuple[SimDrone, ...] = ()
    orders: SimOrders = SimOrders()
    stray_scan_share: Annotated[float, Meta(ge=0, le=1)] = 0.03
    """Share of scans that first hit a label which is no GS1 code (a poster, a parcel)."""
    robot_max_speed_mps: Annotated[float, Meta(gt=0, le=10)] = 1.5
    """Top speed of a robot, in its world."""
    battery_hours: Annotated[float, Meta(gt=0)] = 8.0
    """How long a charge lasts."""
