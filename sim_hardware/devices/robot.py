"""A VDA 5050 2.0.0 robot: its firmware between the master's messages and its own body.

It takes orders and updates or refuses them in its state, drives the released part, does the actions
of each node when it has reached it, and says so at once. Driving and acting take world time; the
firmware answers in the product's time, also while the world stands still.
"""

from __future__ import annotations

import math
from typing import Final

import structlog

from runtime.bus import BusOptions, Incoming, Will
from runtime.lanes import Lane, Timer
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from sim_hardware.config import SimConfig
from sim_hardware.devices.device_clock import DeviceClock
from sim_hardware.devices.robot_hands import CannotError, Hands
from sim_hardware.devices.robot_messages import Voice
from sim_hardware.devices.robot_order import (
    ENDED,
    FAILED,
    FINISHED,
    INITIALIZING,
    NO_ROUTE_ERROR,
    ORDER_ERROR,
    ORDER_UPDATE_ERROR,
    PAUSED,
    RUNNING,
    VALIDATION_ERROR,
    WAITING,
    Kind,
    OrderState,
    RefusedOrderError,
    RunningAction,
    references,
)
from sim_hardware.devices.uplink import Uplink
from sim_hardware.world.vehicle import ACCELERATION_MPS2, Vehicle
from sim_hardware.world.world import World
from wire.codec import WireError
from wire.site import RobotRow
from wire.vda5050.codec import decode, decode_instant_actions
from wire.vda5050.messages import Action, ActionState, Node, Order, VehicleError
from wire.vda5050.topics import (
    CONNECTION,
    FACTSHEET,
    INSTANT_ACTIONS,
    ORDER,
    STATE,
    VISUALIZATION,
    topic,
)

STATE_S_MAX: Final = 25.0
"""The standard wants a state every 30 s at least."""
VISUALIZATION_S: Final = 0.35
PREPARE_S: Final = 0.5
HANDLE_S: Final = 3.5
TOTE_WAIT_S_MAX: Final = 180.0
"""How long a robot waits for the last goods of a tote before it gives up."""
ERRORS_MAX: Final = 10
INSTANTS_MAX: Final = 10
STRAIGHT_RAD: Final = 1e-3
EDGE_SPEED_MPS_MIN: Final = 0.05
ROLL_MPS: Final = 0.4
log = structlog.get_logger()


class Robot:
    """One robot with its firmware, its connection and its body."""

    def __init__(
        self,
        runtime: Runtime,
        lane: Lane,
        world: World,
        config: SimConfig,
        row: RobotRow,
        metrics: Metrics,
    ) -> None:
        x_m, y_m = world.floor.position(row.node_id)
        self.serial = row.serial
        self.actions_finished = 0
        self.orders_taken = 0
        self.vehicle = Vehicle(
            x_m, y_m, max_speed_mps=config.robot_max_speed_mps, battery_hours=config.battery_hours
        )
        self.hands = Hands(world, f"robot:{row.serial}")
        self._world = world
        self._lane = lane
        self._metrics = metrics
        self._order = OrderState(last_node_id=row.node_id)
        self.clock = DeviceClock(runtime.clock)
        self._voice = Voice(row.manufacturer, row.serial, config.site_id, self.clock)
        self._errors: list[VehicleError] = []
        self._instants: dict[str, ActionState] = {}
        self._cancelling = ""
        self._paused = False
        self._changed = False
        self._shown = (math.nan, math.nan, math.nan)
        self._timers: list[Timer] = []
        self._topics = {
            name: topic(config.interface_name, row.manufacturer, row.serial, name)
            for name in (ORDER, INSTANT_ACTIONS, STATE, VISUALIZATION, CONNECTION, FACTSHEET)
        }
        self._dark = False
        self._boots = False
        self._options = BusOptions(
            client_id=f"{config.site_id}-{row.manufacturer}-{row.serial}",
            host=config.broker.host,
            port=config.broker.port,
            will=Will(
                topic=self._topics[CONNECTION],
                payload=self._voice.connection("CONNECTIONBROKEN"),
            ),
        )
        self.uplink = self._bus = Uplink(runtime, lane, self._options, incoming_qos=0)
        self._bus.subscribe(self._topics[ORDER], lane, self._handle_orders)
        self._bus.subscribe(self._topics[INSTANT_ACTIONS], lane, self._handle_instants)
        self._bus.on_connect(lane, self._say_hello)

    def start(self) -> None:
        """Switch on and join the network."""
        self._set_timers()
        self._bus.start()

    def stop(self) -> None:
        """Say goodbye and switch off."""
        for timer in self._timers:
            timer.cancel()
        payload = self._voice.connection("OFFLINE")
        self._bus.publish(self._topics[CONNECTION], payload, retain=True)
        self._bus.stop()

    def power_off(self) -> None:
        """Lose the computer's power: its order and all it knows are gone, what it carries is not.

        Between two nodes the drive brings the body slowly to the next one, where it can be found.
        """
        if self._dark:
            return
        self._dark, self._boots = True, False
        for timer in self._timers:
            timer.cancel()
        self._bus.lose()

    def power_on(self) -> None:
        """Boot, once the body stands on a node."""
        self._boots = True

    def _boot(self) -> None:
        """Begin anew: no order, no errors, message numbers from 1."""
        self._dark = False
        self.vehicle.stand()
        self._order = OrderState(last_node_id=self._order.last_node_id)
        self._errors, self._instants = [], {}
        self._cancelling, self._paused = "", False
        self._voice.forget()
        self._set_timers()
        self._bus.boot(self._options)

    def _set_timers(self) -> None:
        self._timers = [
            self._lane.call_every(STATE_S_MAX, self._publish_state),
            self._lane.call_every(VISUALIZATION_S, self._show),
        ]

    def _tick_dark(self, dt_s: float) -> bool:
        """Roll to the next node without a mind; boot there, where the power is back."""
        vehicle, order = self.vehicle, self._order
        if vehicle.since_node_m > 0.0:
            goal = order.nodes[0]
            x_m, y_m = self._world.floor.position(goal.node_id)
            free_m = math.dist((vehicle.x_m, vehicle.y_m), (x_m, y_m))
            vehicle.drive_to(x_m, y_m, dt_s, free_m=free_m, limit_mps=ROLL_MPS)
            if (vehicle.x_m, vehicle.y_m) != (x_m, y_m):
                return True
            order.reach_next()
            vehicle.since_node_m = 0.0
        vehicle.stand()
        if self._boots:
            self._boot()
        return False

    def tick(self, dt_s: float) -> bool:
        """Let `dt_s` world seconds pass for the body; return whether it moved."""
        if self._dark:
            return self._tick_dark(dt_s)
        vehicle = self.vehicle
        was_moving = vehicle.is_moving
        vehicle.use_battery(dt_s, charging=self._is_charging())
        if self._order.due:
            self._act(dt_s)
        if self._order.nodes or was_moving:
            self._drive(dt_s)
        if self._cancelling:
            self._cancel_when_standing()
        if was_moving != vehicle.is_moving:
            self._changed = True
        if self._changed:
            self._publish_state()
        return was_moving or vehicle.is_moving

    # --- the master's messages ------------------------------------------------------------------

    def _handle_orders(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            try:
                order = decode(incoming.payload, Order)
            except WireError as error:
                self._metrics.count("wire_refused", "Order")
                self._complain(VALIDATION_ERROR, str(error))
                continue
            try:
                self._take(order)
            except RefusedOrderError as refusal:
                self._metrics.count("orders_refused", refusal.kind)
                log.info("order refused", robot=self.serial, why=str(refusal))
                self._errors = [*self._errors, refusal.to_error(order)][-ERRORS_MAX:]
        self._publish_state()

    def _take(self, order: Order) -> None:
        """Take an order or update. Raises RefusedOrderError."""
        kind = self._order.classify(order)
        if kind is Kind.REPEAT:
            return
        self._check_able(order)
        if kind is Kind.UPDATE and self._cancelling:
            raise RefusedOrderError(ORDER_UPDATE_ERROR, "the order is being cancelled")
        self._errors.clear()
        if kind is Kind.NEW:
            self.orders_taken += 1
            self._instants = {
                k: v for k, v in self._instants.items() if v.action_status not in ENDED
            }
            self._order.begin(order)
        else:
            self._order.extend(order)

    def _check_able(self, order: Order) -> None:
        """Raise RefusedOrderError where the order asks for what this robot cannot do."""
        floor = self._world.floor
        for node in order.nodes:
            if not floor.knows(node.node_id):
                raise RefusedOrderError(
                    NO_ROUTE_ERROR,
                    f"node {node.node_id} is not on the robot's map",
                    nodeId=node.node_id,
                )
            for action in node.actions:
                if not self.hands.understands(action):
                    raise RefusedOrderError(
                        ORDER_ERROR,
                        f"action {action.action_type} {action.action_id}: expected pick or drop of"
                        " units (in the action id) or of a tote (loadType, loadId, stationName)",
                        actionId=action.action_id,
                    )
        for edge in order.edges:
            if edge.actions or edge.trajectory:
                raise RefusedOrderError(
                    ORDER_ERROR,
                    f"edge {edge.edge_id}: expected neither actions nor a trajectory",
                    edgeId=edge.edge_id,
                )
            if not floor.is_lane(edge.start_node_id, edge.end_node_id):
                raise RefusedOrderError(
                    NO_ROUTE_ERROR,
                    f"no lane leads from {edge.start_node_id} to {edge.end_node_id}",
                    edgeId=edge.edge_id,
                )

    def _handle_instants(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            try:
                message = decode_instant_actions(incoming.payload)
            except WireError as error:
                self._metrics.count("wire_refused", "InstantActions")
                self._complain(VALIDATION_ERROR, str(error))
                continue
            for action in message.actions:
                if action.action_id not in self._instants:
                    self._do_at_once(action)
        self._publish_state()

    def _do_at_once(self, action: Action) -> None:
        """Do one instant action, or say why not."""
        match action.action_type:
            case "cancelOrder":
                self._cancel(action)
            case "startPause" | "stopPause":
                self._paused = action.action_type == "startPause"
                self._settle(action, FINISHED)
            case "stateRequest":
                self._settle(action, FINISHED)
            case "factsheetRequest":
                self._bus.publish(
                    self._topics[FACTSHEET], self._voice.factsheet(self.vehicle), qos=0
                )
                self._settle(action, FINISHED)
            case other:
                self._settle(action, FAILED, f"{other} is no instant action of this robot")

    def _cancel(self, action: Action) -> None:
        if not self._order.is_active():
            self._settle(action, FAILED, "there is no order to cancel")
            self._complain("noOrderToCancel", "there is no order to cancel", action.action_id)
            return
        if self._cancelling:
            self._settle(action, FAILED, "the order is being cancelled already")
            return
        self._cancelling = action.action_id
        self._settle(action, RUNNING)

    def _settle(self, action: Action, status: str, result: str = "") -> None:
        """Note how an instant action stands; only the last few are kept."""
        self._instants[action.action_id] = ActionState(
            action_id=action.action_id,
            action_type=action.action_type,
            action_status=status,
            result_description=result,
        )
        while len(self._instants) > INSTANTS_MAX:
            del self._instants[next(iter(self._instants))]

    def _complain(self, kind: str, text: str, action_id: str = "") -> None:
        about = references({"actionId": action_id}) if action_id else ()
        error = VehicleError(
            error_type=kind,
            error_description=text,
            error_level="WARNING",
            error_references=about,
        )
        self._errors = [*self._errors, error][-ERRORS_MAX:]
        self._changed = True

    # --- acting -----------------------------------------------------------------------------------

    def _act(self, dt_s: float) -> None:
        """Go on with the actions of the node: begin what may begin, end what is done."""
        for running in self._order.due:
            if running.status in (INITIALIZING, RUNNING, PAUSED):
                self._go_on(running, dt_s)
        self._order.due = [a for a in self._order.due if a.status not in ENDED]
        if not self._paused and not self._cancelling:
            self._begin_actions()

    def _begin_actions(self) -> None:
        """Begin what may run now: a HARD action runs alone, the others side by side."""
        busy = [a for a in self._order.due if a.status != WAITING]
        for waiting in [a for a in self._order.due if a.status == WAITING]:
            hard = waiting.action.blocking_type == "HARD"
            if any(a.action.blocking_type == "HARD" for a in busy) or (hard and busy):
                return
            if waiting.blocks_driving and self.vehicle.is_moving:
                return
            try:
                self.hands.check(waiting.action, waiting.node_id)
            except CannotError as error:
                self._end(waiting, FAILED, str(error))
                continue
            waiting.status = INITIALIZING
            waiting.left_s = PREPARE_S + HANDLE_S
            self._changed = True
            busy.append(waiting)

    def _go_on(self, running: RunningAction, dt_s: float) -> None:
        wanted = PAUSED if self._paused else RUNNING
        if running.status in (RUNNING, PAUSED) and running.status != wanted:
            running.status = wanted
            self._changed = True
        if self._paused:
            return
        if running.left_s > dt_s:
            running.left_s -= dt_s
            if running.status == INITIALIZING and running.left_s <= HANDLE_S:
                running.status = RUNNING
                self._changed = True
            return
        if self.hands.is_waiting(running.action) and running.waited_s < TOTE_WAIT_S_MAX:
            running.waited_s += dt_s
            return
        try:
            self._end(running, FINISHED, self.hands.do(running.action, running.node_id))
            self.actions_finished += 1
        except CannotError as error:
            self._end(running, FAILED, str(error))

    def _end(self, running: RunningAction, status: str, result: str) -> None:
        running.status = status
        running.result = result
        self._changed = True
        if status == FAILED:
            log.info("action failed", robot=self.serial, why=result)
            self._complain("actionFailed", result, running.action.action_id)

    # --- driving ----------------------------------------------------------------------------------

    def _drive(self, dt_s: float) -> None:
        """Drive on along what is released, for `dt_s` seconds."""
        vehicle, left_s = self.vehicle, dt_s
        while left_s > 0.0:
            goal = self._next_node()
            if goal is None:
                vehicle.stand()
                return
            x_m, y_m = self._world.floor.position(goal.node_id)
            if vehicle.speed_mps == 0.0:
                if self._paused:
                    vehicle.stand()
                    return
                left_s = vehicle.turn_to(x_m, y_m, left_s)
                if left_s <= 0.0:
                    return
            free_m = 0.0 if self._paused else self._free_way_m(goal)
            left_s = vehicle.drive_to(
                x_m, y_m, left_s, free_m=free_m, limit_mps=self._speed_limit_mps()
            )
            if (vehicle.x_m, vehicle.y_m) == (x_m, y_m):
                self._reach()
            elif self._paused:
                return

    def _next_node(self) -> Node | None:
        """Return the node to drive to now; None where the robot shall stand."""
        order = self._order
        if not order.nodes or not order.nodes[0].released or self.vehicle.battery_share == 0.0:
            return None
        at_node = self.vehicle.since_node_m == 0.0
        if at_node and (self._cancelling or any(a.blocks_driving for a in order.due)):
            return None
        return order.nodes[0]

    def _reach(self) -> None:
        goes_on = self._goes_straight_on(0)
        self._order.reach_next()
        self.vehicle.since_node_m = 0.0
        self._changed = True
        if not goes_on or self._cancelling:
            self.vehicle.stand()

    def _goes_straight_on(self, index: int) -> bool:
        """Return whether the robot drives through node `index` of the order without a stop."""
        nodes = self._order.nodes
        if index + 1 >= len(nodes) or not nodes[index + 1].released:
            return False
        if any(action.blocking_type != "NONE" for action in nodes[index].actions):
            return False
        floor = self._world.floor
        before = nodes[index - 1].node_id if index else self._order.last_node_id
        (x0, y0), (x1, y1), (x2, y2) = (
            floor.position(name)
            for name in (before, nodes[index].node_id, nodes[index + 1].node_id)
        )
        turn = math.atan2(y2 - y1, x2 - x1) - math.atan2(y1 - y0, x1 - x0)
        return abs(math.remainder(turn, math.tau)) < STRAIGHT_RAD

    def _free_way_m(self, goal: Node) -> float:
        """Return how far it is to where the robot has to stand next; far is far enough."""
        floor, vehicle = self._world.floor, self.vehicle
        x_m, y_m = floor.position(goal.node_id)
        free_m = math.dist((vehicle.x_m, vehicle.y_m), (x_m, y_m))
        enough_m = vehicle.max_speed_mps**2 / (2.0 * ACCELERATION_MPS2) + 1.0
        index = 0
        while free_m < enough_m and not self._cancelling and self._goes_straight_on(index):
            here = floor.position(self._order.nodes[index].node_id)
            free_m += math.dist(here, floor.position(self._order.nodes[index + 1].node_id))
            index += 1
        return free_m

    def _speed_limit_mps(self) -> float:
        edge = self._order.edges[0] if self._order.edges else None
        limit = edge.max_speed if edge is not None else None
        return max(limit, EDGE_SPEED_MPS_MIN) if isinstance(limit, float | int) else math.inf

    def _cancel_when_standing(self) -> None:
        """End a cancelled order once the robot stands on a node and its hands are still."""
        busy = any(a.status != WAITING for a in self._order.due)
        if self.vehicle.since_node_m > 0.0 or self.vehicle.is_moving or busy:
            return
        self._order.clear("the order was cancelled")
        state = self._instants.get(self._cancelling)
        if state is not None:
            action = Action(action_type="cancelOrder", action_id=self._cancelling)
            self._settle(action, FINISHED)
        self._cancelling = ""
        self._changed = True

    def _is_charging(self) -> bool:
        """Return whether it stands on a charger: plates in the floor, nothing to switch on."""
        node = self._world.site.nodes[self._order.last_node_id]
        return node.kind == "charger" and not self.vehicle.is_moving

    # --- what it says -----------------------------------------------------------------------------

    def _say_hello(self) -> None:
        payload = self._voice.connection("ONLINE")
        self._bus.publish(self._topics[CONNECTION], payload, retain=True)
        self._bus.publish(self._topics[FACTSHEET], self._voice.factsheet(self.vehicle), qos=0)
        self._publish_state()

    def _publish_state(self) -> None:
        self._changed = False
        actions = tuple(
            ActionState(
                action_id=a.action.action_id,
                action_type=a.action.action_type,
                action_status=a.status,
                result_description=a.result,
            )
            for a in self._order.actions.values()
        )
        payload = self._voice.state(
            self._order,
            self.vehicle,
            actions=(*actions, *self._instants.values()),
            loads=self.hands.loads(),
            errors=(*self._errors, *self._body_errors()),
            paused=self._paused,
            charging=self._is_charging(),
        )
        if self._bus.publish(self._topics[STATE], payload, qos=0) and self._bus.connected:
            self.hands.touched_bins.clear()

    def _body_errors(self) -> tuple[VehicleError, ...]:
        """Return what keeps the robot from driving, whatever it is ordered."""
        if self.vehicle.battery_share > 0.0:
            return ()
        text = "the battery is empty: bring the robot to a charger"
        return (
            VehicleError(error_type="batteryEmpty", error_description=text, error_level="FATAL"),
        )

    def _show(self) -> None:
        """Publish the position where it differs from the last one shown."""
        vehicle = self.vehicle
        now = (vehicle.x_m, vehicle.y_m, vehicle.theta_rad)
        if now != self._shown:
            self._shown = now
            payload = self._voice.visualization(vehicle)
            self._bus.publish(self._topics[VISUALIZATION], payload, qos=0)
