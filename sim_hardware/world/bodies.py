"""The bodies of many robots at once: those that only roll on or only stand.

A robot's firmware looks at its body each step while something may change. In between it lets the
body go: it rolls on towards the next node, or stands, with nothing but its battery to change. All
bodies that were let go move here, by the same sums as one by one, to the last bit. A body goes back
to its firmware in the step in which it would reach its node, or where its battery ends, or by
`take`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim_hardware.world.vehicle import (
    ACCELERATION_MPS2,
    LENGTH_EXACT_M,
    Vehicle,
)

HELD, ROLLS, STANDS = 0, 1, 2
"""The firmware has it; it rolls towards its next node; it stands."""
FIRST_ROOM: Final = 16
ROWS: Final = 11
NEVER: Final = 2**62
MARGIN_STEPS: Final = 2
"""So much earlier than the battery's end a body goes back: sums are rounded, quotients are too."""
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Bodies:
    """Vehicles by number, in the order in which they came."""

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s
        """How long each step is, in world seconds."""
        self.rolled = False
        """Whether a body that was let go moved in the last step."""
        self._vehicles: list[Vehicle] = []
        self._mode = np.zeros(FIRST_ROOM, np.uint8)
        self._rows = np.zeros((ROWS, FIRST_ROOM))
        self._name_rows()
        self._now = 0
        self._begun: list[int] = []
        """In which step each body was let go, or looked at since, to stand."""
        self._ends: list[int] = []
        """In which step each standing body goes back at the latest."""
        self._next_end = NEVER
        self._regroup = True
        self._held: list[int] = []
        self._rolling: Indices = np.zeros(0, np.intp)

    def __len__(self) -> int:
        return len(self._vehicles)

    def add(self, vehicle: Vehicle) -> int:
        """Return the number of a new body; its firmware holds it."""
        number = len(self._vehicles)
        if number == self._mode.size:
            self._mode = np.concatenate([self._mode, np.zeros_like(self._mode)])
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)], axis=1)
            self._name_rows()
        self._vehicles.append(vehicle)
        self._begun.append(0)
        self._ends.append(NEVER)
        self._regroup = True
        return number

    def let_stand(self, number: int, *, takes: float, until: float) -> None:
        """Let a body stand for itself, its battery losing `takes` each step until it is at `until`.

        A charger's current is a loss below 0. Where the end is near, the firmware keeps the body.
        """
        vehicle = self._vehicles[number]
        steps = NEVER
        if takes != 0.0:
            steps = int((vehicle.battery_share - until) / takes) - MARGIN_STEPS
            if steps < 1:
                return
        self._let_go(number, STANDS, takes)
        self._begun[number] = self._now
        self._ends[number] = self._now + steps
        self._next_end = min(self._next_end, self._ends[number])

    def let_roll(
        self, number: int, goal_m: tuple[float, float], *, ahead_m: float, limit_mps: float,
        takes: float,
    ) -> None:  # fmt: skip
        """Let a body roll on to `goal_m`, behind which `ahead_m` of straight way are free."""
        vehicle = self._vehicles[number]
        self._let_go(number, ROLLS, takes)
        self._speed_mps[number] = vehicle.speed_mps
        self._battery[number] = vehicle.battery_share
        self._distance_m[number] = vehicle.distance_m
        self._since_node_m[number] = vehicle.since_node_m
        self._goal_x_m[number], self._goal_y_m[number] = goal_m
        self._ahead_m[number] = ahead_m
        self._limit_mps[number] = min(vehicle.max_speed_mps, limit_mps)

    def take(self, number: int) -> None:
        """Give a body back to its firmware; one that it holds stays as it is."""
        if self._mode[number] != HELD:
            self.look(number)
            self._mode[number] = HELD
            self._ends[number] = NEVER
            self._regroup = True

    def stands(self, number: int) -> bool:
        """Return whether a body was let go to stand."""
        return bool(self._mode[number] == STANDS)

    def look(self, number: int) -> None:
        """Bring a vehicle's own numbers up to now; its body goes on as before."""
        mode, vehicle = self._mode[number], self._vehicles[number]
        if mode == ROLLS:
            vehicle.x_m, vehicle.y_m = float(self._x_m[number]), float(self._y_m[number])
            vehicle.speed_mps = float(self._speed_mps[number])
            vehicle.battery_share = float(self._battery[number])
            vehicle.distance_m = float(self._distance_m[number])
            vehicle.since_node_m = float(self._since_node_m[number])
        elif mode == STANDS:
            steps, takes = self._now - self._begun[number], self._takes[number]
            if steps and takes:
                # Step by step as the firmware would: the product rounds otherwise than the sum.
                terms = np.full(steps + 1, takes)
                terms[0] = vehicle.battery_share
                vehicle.battery_share = float(np.subtract.accumulate(terms)[-1])
            self._begun[number] = self._now

    def step(self) -> list[int]:
        """Let one step pass for those that were let go; return the others, in their order.

        Among them are those whose time for themselves ended before this step.
        """
        if self._now >= self._next_end:
            self._end_standing()
        if self._regroup:
            self._group()
        self.rolled = bool(self._rolling.size)
        ended = self._roll(self._rolling) if self.rolled else []
        for number in ended:
            self.take(number)
        self._now += 1
        return sorted(self._held + ended) if ended else self._held

    def positions_m(self) -> tuple[Floats, Floats]:
        """Return x and y of all bodies now."""
        if self._regroup:
            self._group()
        x_m, y_m = self._x_m, self._y_m
        for number in self._held:
            vehicle = self._vehicles[number]
            x_m[number], y_m[number] = vehicle.x_m, vehicle.y_m
        return x_m[: len(self)], y_m[: len(self)]

    def _name_rows(self) -> None:
        (
            self._x_m, self._y_m, self._speed_mps, self._battery, self._distance_m,
            self._since_node_m, self._goal_x_m, self._goal_y_m, self._ahead_m, self._limit_mps,
            self._takes,
        ) = self._rows  # fmt: skip

    def _let_go(self, number: int, mode: int, takes: float) -> None:
        assert self._mode[number] == HELD, "only its firmware lets a body go"
        vehicle = self._vehicles[number]
        self._x_m[number], self._y_m[number] = vehicle.x_m, vehicle.y_m
        self._mode[number] = mode
        self._takes[number] = takes
        self._regroup = True

    def _group(self) -> None:
        mode = self._mode[: len(self)]
        self._held = np.flatnonzero(mode == HELD).tolist()
        self._rolling = np.flatnonzero(mode == ROLLS)
        self._regroup = False

    def _end_standing(self) -> None:
        """Give back the bodies whose battery is near an end."""
        for number, end in enumerate(self._ends):
            if end <= self._now:
                self.take(number)
        self._next_end = min(self._ends, default=NEVER)

    def _roll(self, rolling: Indices) -> list[int]:
        """Let bodies roll for a step; return those that would be at their node, or empty."""
        x_m, y_m = self._x_m[rolling], self._y_m[rolling]
        there_x_m, there_y_m = self._goal_x_m[rolling] - x_m, self._goal_y_m[rolling] - y_m
        way_m = np.sqrt(there_x_m * there_x_m + there_y_m * there_y_m)
        braking_mps = np.sqrt(2.0 * ACCELERATION_MPS2 * (way_m + self._ahead_m[rolling]))
        faster_mps = self._speed_mps[rolling] + ACCELERATION_MPS2 * self.step_s
        speed_mps = np.minimum(np.minimum(self._limit_mps[rolling], braking_mps), faster_mps)
        step_m = speed_mps * self.step_s
        left = self._battery[rolling] - self._takes[rolling]
        goes = (step_m < way_m - LENGTH_EXACT_M) & (left > 0.0)
        ended: list[int] = []
        if not goes.all():
            # Those stay as they are: their firmware does this step.
            ended = rolling[~goes].tolist()
            step_m = np.where(goes, step_m, 0.0)
            speed_mps = np.where(goes, speed_mps, self._speed_mps[rolling])
            left = np.where(goes, left, self._battery[rolling])
        share = step_m / way_m
        self._x_m[rolling] = x_m + there_x_m * share
        self._y_m[rolling] = y_m + there_y_m * share
        self._speed_mps[rolling] = speed_mps
        self._battery[rolling] = left
        self._distance_m[rolling] += step_m
        self._since_node_m[rolling] += step_m
        return ended
