"""Where a drone shall fly: places on the site in metres to the items of a MAVLink mission. Pure.

Site metres to geographic position: x is east, y is north of the site's origin, on a plane that
touches the earth at the origin. One degree of latitude is 111 319.49 m (the equatorial radius of
WGS 84, 6 378 137 m, times pi / 180), one of longitude that times the cosine of the origin's
latitude. The ellipsoid differs from it by up to 0.6 %: 6 cm at 10 m, so a drone that finds its way
by satellites needs the origin close to where it flies. Positions travel as 1e-7 degrees: 1.1 cm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

M_PER_DEG: Final = 6_378_137.0 * math.pi / 180
E7: Final = 10_000_000
MAV_FRAME_GLOBAL: Final = 0
MAV_FRAME_MISSION: Final = 2
MAV_FRAME_GLOBAL_RELATIVE_ALT_INT: Final = 6
MAV_CMD_NAV_WAYPOINT: Final = 16
MAV_CMD_NAV_RETURN_TO_LAUNCH: Final = 20
MAV_CMD_NAV_TAKEOFF: Final = 22
STOPS_MAX: Final = 1_000
TAKEOFF_M: Final = 1.0
HOVER_M_MIN: Final = 0.5
ACCEPT_RADIUS_M: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Geographic position of the site's (0, 0)."""

    lat_deg: float
    lon_deg: float

    def to_geo(self, x_m: float, y_m: float) -> tuple[int, int]:
        """Return latitude and longitude of a place on the site, in 1e-7 degrees."""
        lat_deg = self.lat_deg + y_m / M_PER_DEG
        lon_deg = self.lon_deg + x_m / (M_PER_DEG * math.cos(math.radians(self.lat_deg)))
        return round(lat_deg * E7), round(lon_deg * E7)

    def to_site(self, lat_e7: int, lon_e7: int) -> tuple[float, float]:
        """Return x and y in metres of a geographic position."""
        metres_per_lon_deg = M_PER_DEG * math.cos(math.radians(self.lat_deg))
        x_m = (lon_e7 / E7 - self.lon_deg) * metres_per_lon_deg
        return x_m, (lat_e7 / E7 - self.lat_deg) * M_PER_DEG


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One place to hover at, in site metres; z is height above the floor where the drone starts."""

    x_m: float
    y_m: float
    z_m: float
    yaw_deg: float
    """Where the camera looks: 0 is north (y), 90 east (x)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One MISSION_ITEM_INT without its addresses."""

    seq: int
    frame: int
    command: int
    params: tuple[float, float, float, float]
    lat_e7: int
    lon_e7: int
    alt_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A mission as it is uploaded, and which of its items is which stop."""

    items: tuple[Item, ...]
    stops: tuple[Stop, ...]
    first_stop_seq: int

    def stop_of(self, seq: int) -> int | None:
        """Return the stop that item `seq` is, counted from 0, or None where it is none."""
        stop = seq - self.first_stop_seq
        return stop if 0 <= stop < len(self.stops) else None


def make_plan(
    stops: Sequence[Stop], *, origin: Origin, hold_s: float, start: tuple[int, int], home_item: bool
) -> Plan:
    """Return the mission that takes off, hovers `hold_s` at each stop, returns and lands.

    `start` is where the drone stands (1e-7 degrees). `home_item`: ArduPilot keeps the home position
    as item 0 and ignores what is uploaded there; other autopilots begin with the first real item.
    """
    if not 1 <= len(stops) <= STOPS_MAX:
        raise ValueError(f"{len(stops)} stops: a mission has 1 to {STOPS_MAX}")
    relative = MAV_FRAME_GLOBAL_RELATIVE_ALT_INT
    raw: list[tuple[int, int, tuple[float, float, float, float], tuple[int, int], float]] = []
    if home_item:
        raw.append((MAV_FRAME_GLOBAL, MAV_CMD_NAV_WAYPOINT, (0, 0, 0, 0), start, 0.0))
    raw.append((relative, MAV_CMD_NAV_TAKEOFF, (0, 0, 0, math.nan), start, TAKEOFF_M))
    first_stop_seq = len(raw)
    for stop in stops:
        at = origin.to_geo(stop.x_m, stop.y_m)
        params = (hold_s, ACCEPT_RADIUS_M, 0.0, stop.yaw_deg)
        raw.append((relative, MAV_CMD_NAV_WAYPOINT, params, at, stop.z_m))
    raw.append((MAV_FRAME_MISSION, MAV_CMD_NAV_RETURN_TO_LAUNCH, (0, 0, 0, 0), (0, 0), 0.0))
    items = tuple(
        Item(
            seq=seq, frame=frame, command=command, params=params,
            lat_e7=at[0], lon_e7=at[1], alt_m=alt_m,
        )
        for seq, (frame, command, params, at, alt_m) in enumerate(raw)
    )  # fmt: skip
    return Plan(items=items, stops=tuple(stops), first_stop_seq=first_stop_seq)


def hover_before(
    x_m: float, y_m: float, z_m: float, *, from_x_m: float, from_y_m: float, away_m: float
) -> Stop:
    """Return the stop `away_m` before a bin, on the side from which it is reached.

    Racks stand along an axis of the site, so the drone hovers straight before the bin along the
    axis in which the aisle is farther away; lower than `HOVER_M_MIN` it does not fly.
    """
    dx, dy = from_x_m - x_m, from_y_m - y_m
    if abs(dx) > abs(dy):
        at = (x_m + math.copysign(away_m, dx), y_m)
    else:
        at = (x_m, y_m + math.copysign(away_m, dy))
    yaw_deg = math.degrees(math.atan2(x_m - at[0], y_m - at[1])) % 360
    return Stop(x_m=at[0], y_m=at[1], z_m=max(z_m, HOVER_M_MIN), yaw_deg=yaw_deg)
