"""A robot under way: where it may go next, how fast, and what stops its body.

What stops it is said in its state, as the standard wants: an obstacle or a closed door is a WARNING
(it goes on by itself when the way is free), a lost position and an empty battery are FATAL.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from runtime.seeds import Random
from sim_hardware.config import SimRobotBody
from sim_hardware.devices.robot_hands import Hands
from sim_hardware.devices.robot_messages import LOADS_MAX
from sim_hardware.devices.robot_order import OrderState, references
from sim_hardware.world.bodies import Bodies
from sim_hardware.world.vehicle import ACCELERATION_MPS2, Vehicle
from sim_hardware.world.world import World
from wire.vda5050.messages import Node, VehicleError

STRAIGHT_RAD: Final = 1e-3
EDGE_SPEED_MPS_MIN: Final = 0.05
NEAR_PERSON_M: Final = 1.5
NEAR_PERSON_MPS: Final = 0.3
SLIP_LOST_M: Final = 0.5
"""Slipped further than this at once, a robot no longer knows where it is."""
M_PER_KM: Final = 1_000.0
NO_STOP: Final = "NONE"
E_STOPS: Final = ("AUTOACK", "MANUAL", "REMOTE")


@dataclass(frozen=True, slots=True)
class Standing:
    """Why the robot shall stand, as far as its order and its master say so."""

    paused: bool = False
    cancelling: bool = False


class Drive:
    """One robot's way along its order. `go` is called with world time."""

    def __init__(
        self, world: World, vehicle: Vehicle, hands: Hands, *, serial: str, body: SimRobotBody,
        rng: Random,
    ) -> None:  # fmt: skip
        self.e_stop = NO_STOP
        self.obstacle = ""
        """What stands in the way, in words; empty: nothing."""
        self.stuck = 0
        """How many things block the wheels; the robot does not know why it stands."""
        self._world = world
        self._vehicle = vehicle
        self._hands = hands
        self._serial = serial
        self._body = body
        self._rng = rng
        self._slipped_m = 0.0
        self._lost_until_s = 0.0
        self._obstacle_node = ""

    # --- what befalls it --------------------------------------------------------------------------

    @property
    def is_lost(self) -> bool:
        """Return whether the robot does not know where it is."""
        return self._world.time.now_s < self._lost_until_s

    def lose_position(self, seconds: float) -> None:
        """Let the robot not know where it is for so many world seconds (or until told)."""
        self._lost_until_s = max(self._lost_until_s, self._world.time.now_s + seconds)

    def find_position(self) -> None:
        """Let the robot know where it is."""
        self._lost_until_s = 0.0

    def slip(self, metres: float) -> None:
        """Let the wheels have turned so much further than the robot went."""
        self._slipped_m += metres
        if metres > SLIP_LOST_M:
            self.lose_position(self._body.relocate_s)

    @property
    def is_held(self) -> bool:
        """Return whether nothing may move: emergency stop, or no position."""
        return self.e_stop != NO_STOP or (self._lost_until_s > 0.0 and self.is_lost)

    def is_charging(self, last_node: str) -> bool:
        """Return whether it stands on a charger that gives it current: nothing to switch on."""
        chargers = self._world.chargers
        if self._vehicle.is_moving or not chargers.is_charger(last_node):
            chargers.leave(self._serial)
            return False
        chargers.stand(self._serial, last_node, full=self._vehicle.battery_share >= 1.0)
        return chargers.gives(self._serial)

    @property
    def trouble(self) -> int:
        """Return how bad it is: 0 well, 1 in its way, 2 stuck, 3 flat, 4 lost, 5 emergency stop."""
        troubles = (
            self.obstacle, self.stuck, self._vehicle.battery_share <= 0.0, self.is_lost,
            self.e_stop != NO_STOP,
        )  # fmt: skip
        return max((level for level, has in enumerate(troubles, start=1) if has), default=0)

    def errors(self) -> tuple[VehicleError, ...]:
        """Return what keeps the robot from driving, whatever it is ordered."""
        found = []
        if self._vehicle.battery_share <= 0.0:
            found.append(("batteryEmpty", "the battery is empty: bring the robot to a charger"))
        if self.is_lost:
            found.append(("localizationLost", "the robot does not know where it is"))
        fatal = [
            VehicleError(error_type=kind, error_description=text, error_level="FATAL")
            for kind, text in found
        ]
        if self.obstacle:
            fatal.append(
                VehicleError(
                    error_type="pathBlocked", error_description=self.obstacle,
                    error_level="WARNING",
                    error_references=references({"nodeId": self._obstacle_node}),
                )
            )  # fmt: skip
        return tuple(fatal)

    # --- the battery ------------------------------------------------------------------------------

    def use_battery(self, dt_s: float, last_node: str) -> None:
        """Let the battery give what so many seconds need, or take what a charger gives."""
        self._vehicle.use_battery(self._takes(dt_s, charging=self.is_charging(last_node)))

    def rest(self, dt_s: float, last_node: str) -> None:
        """Let the battery give what standing needs; on a charger, what `use_battery` says."""
        vehicle, chargers = self._vehicle, self._world.chargers
        if not chargers.is_charger(last_node):
            vehicle.use_battery(vehicle.takes(dt_s, charging=False))
        elif vehicle.battery_share < 1.0 or not chargers.keeps_full(self._serial, last_node):
            self.use_battery(dt_s, last_node)

    def _takes(self, dt_s: float, *, charging: bool) -> float:
        body = self._body
        load = body.load_power_share * self._load_share() if body.load_power_share else 0.0
        return self._vehicle.takes(dt_s, charging=charging, load=load, taper_from=body.taper_from)

    # --- letting the body go ----------------------------------------------------------------------

    def let_stand(self, bodies: Bodies, number: int, last_node: str) -> None:
        """Let a body that stands do so for itself, where its battery changes evenly meanwhile."""
        vehicle, chargers = self._vehicle, self._world.chargers
        charging = False
        if chargers.is_charger(last_node):
            if chargers.at_once:
                return  # who gets current depends on the others
            charging = self.is_charging(last_node)
        if charging and vehicle.battery_share >= 1.0:
            takes, until = 0.0, 1.0
        elif charging:
            takes, until = self._takes(bodies.step_s, charging=True), self._body.taper_from
        else:
            takes, until = vehicle.takes(bodies.step_s, charging=False), 0.0
            takes = takes if vehicle.battery_share > 0.0 else 0.0
        bodies.let_stand(number, takes=takes, until=until)

    def let_roll(self, bodies: Bodies, number: int, order: OrderState) -> None:
        """Let a body that rolls do so for itself, where nothing changes before its next node."""
        vehicle, body = self._vehicle, self._body
        if (
            not order.nodes or not order.nodes[0].released or self.obstacle or self.stuck
            or vehicle.omega_radps != 0.0 or vehicle.battery_share <= 0.0 or self._slipped_m > 0.0
            or body.slip_per_m or body.yields_to_people
        ):  # fmt: skip
            return
        goal = order.nodes[0].node_id
        if self._world.floor.obstacle(order.last_node_id, goal):
            return
        bodies.let_roll(
            number,
            self._world.floor.position(goal),
            ahead_m=self._ahead_m(order),
            limit_mps=self._speed_limit_mps(order),
            takes=self._takes(bodies.step_s, charging=False),
        )

    def lift_s(self, bin_id: str) -> float:
        """Return how long the lift takes to the height of this bin."""
        row = self._world.bins.get(bin_id)
        if not self._body.lift_s or row is None:
            return 0.0
        return self._body.lift_s * row.z_m / max(self._world.top_z_m, row.z_m, 0.01)

    def lift(self) -> None:
        """Let the battery give what one lift takes."""
        left = self._vehicle.battery_share - self._body.lift_energy_share
        self._vehicle.battery_share = max(0.0, left)

    def _load_share(self) -> float:
        return min(1.0, len(self._hands.loads()) / LOADS_MAX)

    # --- driving ----------------------------------------------------------------------------------

    def go(self, order: OrderState, dt_s: float, standing: Standing) -> bool:
        """Drive on along what is released, for `dt_s` seconds; return whether a node was reached.

        `obstacle` says after it what is in the way.
        """
        vehicle, left_s, reached = self._vehicle, dt_s, False
        self.obstacle = ""
        paused = standing.paused or self.is_held or bool(self.stuck)
        while left_s > 0.0:
            goal = self._next_node(order, standing)
            if goal is None:
                vehicle.stand()
                break
            x_m, y_m = self._world.floor.position(goal.node_id)
            held = paused or self._is_barred(order, goal)
            if vehicle.speed_mps == 0.0:
                if held:
                    vehicle.stand()
                    break
                left_s = vehicle.turn_to(x_m, y_m, left_s)
                if left_s <= 0.0:
                    break
            free_m = 0.0 if held else self._free_way_m(order, goal, standing)
            left_s = self._roll(x_m, y_m, left_s, free_m, order)
            if (vehicle.x_m, vehicle.y_m) == (x_m, y_m):
                self._reach(order, standing)
                reached = True
            elif held:
                break
        return reached

    def _roll(
        self, x_m: float, y_m: float, left_s: float, free_m: float, order: OrderState
    ) -> float:
        """Drive at a point; return the seconds left once there. Wheels that slip take longer."""
        vehicle = self._vehicle
        if self._slipped_m > 0.0 and vehicle.speed_mps > 0.0:
            spun_m = min(self._slipped_m, vehicle.speed_mps * left_s)
            self._slipped_m -= spun_m
            vehicle.distance_m += spun_m
            left_s -= spun_m / vehicle.speed_mps
            if left_s <= 0.0:
                return 0.0
        before_m = vehicle.distance_m
        left_s = vehicle.drive_to(
            x_m, y_m, left_s, free_m=free_m, limit_mps=self._speed_limit_mps(order)
        )
        if self._body.slip_per_m:
            driven_m = vehicle.distance_m - before_m
            self._slipped_m += 2.0 * self._rng.random() * self._body.slip_per_m * driven_m
        return left_s

    def _next_node(self, order: OrderState, standing: Standing) -> Node | None:
        """Return the node to drive to now; None where the robot shall stand."""
        vehicle = self._vehicle
        if not order.nodes or not order.nodes[0].released or vehicle.battery_share == 0.0:
            return None
        at_node = vehicle.since_node_m == 0.0
        if at_node and (standing.cancelling or any(a.blocks_driving for a in order.due)):
            return None
        return order.nodes[0]

    def _is_barred(self, order: OrderState, goal: Node) -> bool:
        """Return whether something is in the way to the next node, and note what."""
        self.obstacle = self._world.floor.obstacle(order.last_node_id, goal.node_id)
        self._obstacle_node = goal.node_id
        return bool(self.obstacle)

    def _reach(self, order: OrderState, standing: Standing) -> None:
        vehicle = self._vehicle
        goes_on = self._goes_straight_on(order, 0)
        order.reach_next()
        chance = self._body.position_loss_per_km * vehicle.since_node_m / M_PER_KM
        if chance > 0.0 and self._rng.random() < chance:
            self.lose_position(self._body.relocate_s)
        vehicle.since_node_m = 0.0
        if not goes_on or standing.cancelling:
            vehicle.stand()

    def _goes_straight_on(self, order: OrderState, index: int) -> bool:
        """Return whether the robot drives through node `index` of the order without a stop."""
        nodes = order.nodes
        if index + 1 >= len(nodes) or not nodes[index + 1].released:
            return False
        if any(action.blocking_type != "NONE" for action in nodes[index].actions):
            return False
        floor = self._world.floor
        if floor.obstacle(nodes[index].node_id, nodes[index + 1].node_id):
            return False
        before = nodes[index - 1].node_id if index else order.last_node_id
        turn = floor.turn_rad(before, nodes[index].node_id, nodes[index + 1].node_id)
        return abs(turn) < STRAIGHT_RAD

    def _free_way_m(self, order: OrderState, goal: Node, standing: Standing) -> float:
        """Return how far it is to where the robot has to stand next; far is far enough."""
        way_m = self._vehicle.way_m(*self._world.floor.position(goal.node_id))
        return way_m if standing.cancelling else way_m + self._ahead_m(order)

    def _ahead_m(self, order: OrderState) -> float:
        """Return how far the way goes straight on behind the next node; far is far enough."""
        floor, nodes = self._world.floor, order.nodes
        enough_m = self._vehicle.max_speed_mps**2 / (2.0 * ACCELERATION_MPS2) + 1.0
        ahead_m, index = 0.0, 0
        while ahead_m < enough_m and self._goes_straight_on(order, index):
            here = floor.position(nodes[index].node_id)
            ahead_m += math.dist(here, floor.position(nodes[index + 1].node_id))
            index += 1
        return ahead_m

    def _speed_limit_mps(self, order: OrderState) -> float:
        edge = order.edges[0] if order.edges else None
        limit = edge.max_speed if edge is not None else None
        speed = max(limit, EDGE_SPEED_MPS_MIN) if isinstance(limit, float | int) else math.inf
        if self._body.load_speed_share < 1.0:
            slower = 1.0 - (1.0 - self._body.load_speed_share) * self._load_share()
            speed = min(speed, self._vehicle.max_speed_mps * slower)
        if self._body.yields_to_people and self._is_near_somebody():
            speed = min(speed, NEAR_PERSON_MPS)
        return speed

    def _is_near_somebody(self) -> bool:
        here = (self._vehicle.x_m, self._vehicle.y_m)
        return any(
            math.dist(here, there) < NEAR_PERSON_M for there in self._world.look_for_people()
        )
