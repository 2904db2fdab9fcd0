"""A simulated autopilot's mind: mission store, arming checks, flight, battery. Pure of wires.

It flies in straight lines at one speed and stands still at once: enough to be in front of the right
bin at the right time. Wind moves it a little around where it wants to be.
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

Place = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionItem:
    """One item as the mission store holds it; place in site metres."""

    command: int
    hold_s: float
    place: Place


class Mode(enum.Enum):
    """What the autopilot does."""

    GROUND = "on the ground"
    HOVER = "armed, waiting"
    MISSION = "flying a mission"
    RETURN = "returning"


class Autopilot:
    """Moves in world time; `advance` returns which mission items were reached."""

    def __init__(self, home: Place) -> None:
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
        x, y, z = self._at
        return x + WIND_M * math.sin(turn), y + WIND_M * math.cos(turn), z

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
        self.battery_pct = max(0.0, self.battery_pct - 100.0 * left_s / BATTERY_S)
        if self.battery_pct < BATTERY_TO_RETURN_PCT and self.mode is Mode.MISSION:
            self.mode = Mode.RETURN
        reached: list[int] = []
        while left_s > 0 and self.mode in (Mode.MISSION, Mode.RETURN):
            if self.mode is Mode.RETURN:
                left_s = self._fly_home(left_s)
            else:
                left_s = self._fly_item(left_s, reached)
        return reached

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
