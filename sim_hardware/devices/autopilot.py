"""A simulated autopilot's mind: mission store, arming checks, flight, battery. Pure of wires.

It flies in straight lines at one speed and stands still at once: enough to be in front of the right
bin at the right time. Wind moves it a little around where it wants to be, slows it where it flies
against it, and costs battery.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

SPEED_MPS: Final = 2.0
CLIMB_MPS: Final = 1.0
WIND_M: Final = 0.04
WIND_PERIOD_S: Final = 7.0
BATTERY_S: Final = 1_200.0
"""Flight time of a full battery."""
CHARGE_S: Final = 900.0
ITEMS_MAX: Final = 1_100
BATTERY_TO_ARM_PCT: Final = 20.0
BATTERY_TO_RETURN_PCT: Final = 10.0
GROUND_M: Final = 0.05
TAKEOFF_M: Final = 1.0

NAV_WAYPOINT: Final = 16
NAV_LAND: Final = 21
NAV_RETURN: Final = 20
NAV_TAKEOFF: Final = 22
COMMANDS: Final = (NAV_WAYPOINT, NAV_LAND, NAV_RETURN, NAV_TAKEOFF)

AIRSPEED_MPS: Final = 3.0
"""What the motors can do against the wind."""
CREEP_MPS: Final = 0.1
"""However hard the wind blows, it does not go back."""
SWAY_S: Final = 0.05
"""How far a metre of wind a second moves what hovers."""
GUST_S: Final = (11.0, 4.3)
"""Gusts come and go with these two periods."""
HOME_MARGIN: Final = 1.5
"""It returns with so many times what the way home takes, at least."""

Place = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionItem:
    """One item as the mission store holds it; place in site metres."""

    command: int
    hold_s: float
    place: Place


@dataclass(slots=True, kw_only=True)
class Wind:
    """What blows where it flies; may be changed at any time."""

    mps: float = 0.0
    from_deg: float = 270.0
    """0: from the north (y), 90: from the east (x)."""
    gust_share: float = 0.3

    def strength_mps(self, air_s: float) -> float:
        """Return how hard it blows at this moment of the flight."""
        one, other = (math.sin(2 * math.pi * air_s / period_s) for period_s in GUST_S)
        return self.mps * (1.0 + self.gust_share * one * other)

    def against_mps(self, dx: float, dy: float, air_s: float) -> tuple[float, float]:
        """Return the wind against a way and across it."""
        far = math.hypot(dx, dy)
        if not self.mps or not far:
            return 0.0, 0.0
        strength, turn = self.strength_mps(air_s), math.radians(self.from_deg)
        x, y = strength * math.sin(turn), strength * math.cos(turn)
        return (x * dx + y * dy) / far, (x * dy - y * dx) / far


class Mode(enum.Enum):
    """What the autopilot does."""

    GROUND = "on the ground"
    HOVER = "armed, waiting"
    MISSION = "flying a mission"
    RETURN = "returning"


class Autopilot:
    """Moves in world time; `advance` returns which mission items were reached."""

    def __init__(
        self,
        home: Place,
        *,
        wind: Wind | None = None,
        battery_s: float = BATTERY_S,
        reserve_pct: float = BATTERY_TO_RETURN_PCT,
    ) -> None:
        self.wind = wind or Wind()
        self.mode = Mode.GROUND
        self.items: tuple[MissionItem, ...] = ()
        self.current = 0
        self.battery_pct = 100.0
        self.yaw_deg = 0.0
        self._home = home
        self._at = home
        self._hold_s = 0.0
        self._holding = False
        self._air_s = 0.0
        self._battery_s = battery_s
        self._reserve_pct = reserve_pct

    @property
    def armed(self) -> bool:
        """Return whether the motors may turn."""
        return self.mode is not Mode.GROUND

    @property
    def place(self) -> Place:
        """Return where the drone truly is, wind included."""
        if self.mode is Mode.GROUND:
            return self._at
        turn = 2 * math.pi * self._air_s / WIND_PERIOD_S
        sway_m = WIND_M + SWAY_S * self.wind.strength_mps(self._air_s)
        x, y, z = self._at
        return x + sway_m * math.sin(turn), y + sway_m * math.cos(turn), z

    def refuse_arming(self) -> str:
        """Return why the drone must not be armed; empty where it may."""
        if self.battery_pct < BATTERY_TO_ARM_PCT:
            return f"PreArm: battery at {self.battery_pct:.0f} %"
        return ""

    def arm(self) -> None:
        """Let the motors turn."""
        if self.mode is Mode.GROUND:
            self.mode = Mode.HOVER

    def start_mission(self, first: int) -> bool:
        """Begin the mission at its first item; False where it is disarmed or has no mission."""
        if self.mode is Mode.GROUND or first >= len(self.items):
            return False
        self.mode = Mode.MISSION
        self._turn_to(first)
        return True

    def return_home(self) -> None:
        """Fly home and land."""
        if self.mode is not Mode.GROUND:
            self.mode = Mode.RETURN

    def forget_mission(self) -> None:
        """Lose the mission store; fly home where it is in the air."""
        self.items, self.current = (), 0
        self.return_home()

    def advance(self, world_dt_s: float) -> list[int]:
        """Let world time pass; return the mission items that were reached, in order."""
        left_s = world_dt_s
        if self.mode is Mode.GROUND:
            self.battery_pct = min(100.0, self.battery_pct + 100.0 * left_s / CHARGE_S)
            return []
        self._air_s += left_s
        self.battery_pct = max(0.0, self.battery_pct - self._use_pct(left_s))
        low = self.battery_pct < max(self._reserve_pct, HOME_MARGIN * self._way_home_pct())
        if low and self.mode is Mode.MISSION:
            self.mode = Mode.RETURN
        reached: list[int] = []
        while left_s > 0 and self.mode in (Mode.MISSION, Mode.RETURN):
            if self.mode is Mode.RETURN:
                left_s = self._fly_home(left_s)
            else:
                left_s = self._fly_item(left_s, reached)
        return reached

    def _use_pct(self, seconds: float) -> float:
        """Return how much battery so many seconds in the air take, in this wind."""
        effort = 1.0 + (self.wind.mps / AIRSPEED_MPS) ** 2
        return 100.0 * seconds * effort / self._battery_s

    def _way_home_pct(self) -> float:
        """Return how much battery the way home takes, in this wind."""
        if not self.wind.mps:
            return self._use_pct(math.dist(self._at, self._home) / SPEED_MPS)
        speed_mps = self._ground_mps(self._home, SPEED_MPS)
        return self._use_pct(math.dist(self._at, self._home) / speed_mps)

    def _ground_mps(self, target: Place, speed_mps: float) -> float:
        """Return how fast it gets on towards a place, in this wind."""
        dx, dy = target[0] - self._at[0], target[1] - self._at[1]
        against, across = self.wind.against_mps(dx, dy, self._air_s)
        left = math.sqrt(max(0.0, AIRSPEED_MPS**2 - across**2)) - against
        return max(CREEP_MPS, min(speed_mps, left))

    def _fly_item(self, left_s: float, reached: list[int]) -> float:
        item = self.items[self.current]
        if item.command in (NAV_RETURN, NAV_LAND):
            reached.append(self.current)
            self.mode = Mode.RETURN
            return left_s
        if not self._holding:
            left_s = self._move(self._target(item), left_s)
            if self._at != self._target(item):
                return 0.0
            reached.append(self.current)
            self._holding, self._hold_s = True, item.hold_s
        spent_s = min(left_s, self._hold_s)
        self._hold_s -= spent_s
        if self._hold_s <= 0:
            if self.current + 1 >= len(self.items):
                self.mode = Mode.RETURN
            else:
                self._turn_to(self.current + 1)
        return left_s - spent_s

    def _target(self, item: MissionItem) -> Place:
        if item.command == NAV_TAKEOFF:
            return self._at[0], self._at[1], self._home[2] + item.place[2]
        return item.place

    def _fly_home(self, left_s: float) -> float:
        """Fly over home, then down; disarm on the ground."""
        x, y, z = self._home
        above = (x, y, max(self._at[2], z + TAKEOFF_M))
        if self._at[:2] != (x, y):
            return self._move(above, left_s)
        left_s = self._move(self._home, left_s, CLIMB_MPS)
        if self._at == self._home:
            self.mode = Mode.GROUND
        return left_s

    def _move(self, target: Place, left_s: float, speed_mps: float = SPEED_MPS) -> float:
        """Move towards a place; return the time that is left on arrival."""
        far_m = math.dist(self._at, target)
        if self.wind.mps:
            speed_mps = self._ground_mps(target, speed_mps)
        if far_m <= speed_mps * left_s:
            self._at = target
            return left_s - far_m / speed_mps
        share = speed_mps * left_s / far_m
        a, b = self._at, target
        self._at = (
            a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2])
        )  # fmt: skip
        self.yaw_deg = math.degrees(math.atan2(b[0] - a[0], b[1] - a[1])) % 360
        return 0.0

    def _turn_to(self, item: int) -> None:
        self.current, self._holding, self._hold_s = item, False, 0.0
