"""The body of a robot: it drives straight, turns on the spot, speeds up and slows down. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

ACCELERATION_MPS2: Final = 1.0
TURN_RADPS: Final = 2.2
ANGLE_EXACT_RAD: Final = 1e-6
LENGTH_EXACT_M: Final = 1e-6
RADIUS_M: Final = 0.45
DRIVE_SHARE: Final = 1.0
IDLE_SHARE: Final = 0.2
"""How much of the drive's power an idle robot draws."""
CHARGE_SHARE: Final = 6.0
TAPER_END_SHARE: Final = 0.1
"""What is left of a falling charging current when the battery is full."""
S_PER_H: Final = 3_600.0


@dataclass(slots=True)
class Vehicle:
    """Where a robot is, how it moves, how much charge is left."""

    x_m: float
    y_m: float
    max_speed_mps: float
    battery_hours: float
    theta_rad: float = 0.0
    speed_mps: float = 0.0
    omega_radps: float = 0.0
    battery_share: float = 1.0
    distance_m: float = 0.0
    since_node_m: float = 0.0

    @property
    def is_moving(self) -> bool:
        """Return whether it drives or turns."""
        return self.speed_mps > 0.0 or self.omega_radps != 0.0

    def takes(
        self, dt_s: float, *, charging: bool, load: float = 0.0, taper_from: float = 1.0
    ) -> float:
        """Return what share of the battery `dt_s` seconds take; below 0 where a charger gives.

        `load` is what the load adds to driving; the current falls from the charge `taper_from` on.
        """
        share = DRIVE_SHARE * (1.0 + load) if self.is_moving else IDLE_SHARE
        if charging:
            share = -CHARGE_SHARE
            if self.battery_share > taper_from:
                done = (self.battery_share - taper_from) / (1.0 - taper_from)
                share *= 1.0 - (1.0 - TAPER_END_SHARE) * done
        return share * dt_s / S_PER_H / self.battery_hours

    def use_battery(self, taken: float) -> None:
        """Let the battery give so much, or take it below 0."""
        self.battery_share = min(1.0, max(0.0, self.battery_share - taken))

    def turn_to(self, x_m: float, y_m: float, dt_s: float) -> float:
        """Turn towards a point; return the seconds that are left once it looks there."""
        self.omega_radps = 0.0
        goal = math.atan2(y_m - self.y_m, x_m - self.x_m)
        error = math.remainder(goal - self.theta_rad, math.tau)
        if abs(error) <= ANGLE_EXACT_RAD:
            return dt_s
        need_s = abs(error) / TURN_RADPS
        if need_s <= dt_s:
            self.theta_rad = goal
            return dt_s - need_s
        self.omega_radps = math.copysign(TURN_RADPS, error)
        self.theta_rad = math.remainder(self.theta_rad + self.omega_radps * dt_s, math.tau)
        return 0.0

    def way_m(self, x_m: float, y_m: float) -> float:
        """Return how far a point is, by the very sum that is used for many bodies at once."""
        there_x_m, there_y_m = x_m - self.x_m, y_m - self.y_m
        return math.sqrt(there_x_m * there_x_m + there_y_m * there_y_m)

    def drive_to(
        self, x_m: float, y_m: float, dt_s: float, *, free_m: float, limit_mps: float
    ) -> float:
        """Drive straight at a point for `dt_s`; return the seconds left once it is there.

        `free_m` is the straight way (from here) after which it must stand; 0 brakes at once.
        """
        way_m = self.way_m(x_m, y_m)
        braking_mps = math.sqrt(2.0 * ACCELERATION_MPS2 * max(free_m, 0.0))
        goal_mps = min(self.max_speed_mps, limit_mps, braking_mps)
        step_mps = ACCELERATION_MPS2 * dt_s
        speed = min(goal_mps, self.speed_mps + step_mps)
        if free_m <= 0.0:
            speed = max(0.0, self.speed_mps - step_mps)
        self.speed_mps = speed
        step_m = speed * dt_s
        if step_m < way_m - LENGTH_EXACT_M:
            share = step_m / way_m
            self.x_m += (x_m - self.x_m) * share
            self.y_m += (y_m - self.y_m) * share
            self._count(step_m)
            return 0.0
        self.x_m, self.y_m = x_m, y_m
        self._count(way_m)
        return dt_s - way_m / speed if speed > 0.0 else 0.0

    def stand(self) -> None:
        """Stand still."""
        self.speed_mps = 0.0
        self.omega_radps = 0.0

    def _count(self, step_m: float) -> None:
        self.distance_m += step_m
        self.since_node_m += step_m
