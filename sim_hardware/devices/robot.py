"""A VDA 5050 robot: its firmware between the master's messages and its own body.

It takes orders and updates or refuses them in its state, drives the released part, does the actions
of each node when it has reached it, and says so at once. Driving and acting take world time; the
firmware answers in the product's time, also while the world stands still.
"""

from __future__ import annotations

import math
from typing import Final

import structlog

from runtime.bus import Incoming, Will
from runtime.lanes import Lane, Timer
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from sim_hardware.config import SimConfig
from sim_hardware.devices.device_clock import DeviceClock
from sim_hardware.devices.robot_checks import check_able
from sim_hardware.devices.robot_drive import E_STOPS, NO_STOP, Drive, Standing
from sim_hardware.devices.robot_hands import CannotError, Hands
from sim_hardware.devices.robot_messages import Voice
from sim_hardware.devices.robot_order import (
    ENDED,
    FAILED,
    FINISHED,
    INITIALIZING,
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
from sim_hardware.devices.robot_quirks import Quirks
from sim_hardware.devices.uplink import Uplink
from sim_hardware.world.vehicle import Vehicle
from sim_hardware.world.world import World
from wire.codec import WireError
from wire.site import RobotRow
from wire.vda5050.codec import decode_instant_actions, decode_order
from wire.vda5050.dialects import V2_0, dialect_of
from wire.vda5050.messages import Action, ActionState, Order, VehicleError
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
ROLL_MPS: Final = 0.4
CONDITIONS: Final = ("well", "blocked", "stuck", "flat", "lost", "stopped", "dark")
"""How a robot can be, the worst last: nothing is wrong, something stands in its way (and it says
so), something blocks its wheels, its battery is empty, it does not know where it is, its emergency
stop is pressed, it has no power."""
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
        self._vehicle = Vehicle(
            x_m, y_m, max_speed_mps=config.robot_max_speed_mps, battery_hours=config.battery_hours
        )
        self._bodies = world.bodies
        self._body = world.bodies.add(self._vehicle)
        self.hands = Hands(world, f"robot:{row.serial}")
        self._world = world
        self._lane = lane
        self._metrics = metrics
        self._order = OrderState(last_node_id=row.node_id)
        self.clock = DeviceClock(runtime.clock)
        own = next((robot for robot in config.robots if robot.serial == row.serial), None)
        self._quirks = Quirks(
            own.quirks if own else (), lane, runtime.random(f"quirks of {row.serial}")
        )
        self._dialect = dialect_of(own.version) if own else V2_0
        self._voice = Voice(
            row.manufacturer, row.serial, config.site_id, self.clock, self._quirks,
            dialect=self._dialect,
        )  # fmt: skip
        self._drive = Drive(
            world, self._vehicle, self.hands, serial=row.serial, body=config.robot_body,
            rng=runtime.random(f"wheels of {row.serial}"),
        )  # fmt: skip
        self._was_held = False
        self._errors: list[VehicleError] = []
        self._instants: dict[str, ActionState] = {}
        self._cancelling = ""
        self._paused = False
        self._changed = False
        self._shown = (math.nan, math.nan, math.nan)
        self._shown_standing = False
        """Whether that was since the body was let go to stand, if it was."""
        self._timers: list[Timer] = []
        self._topics = {
            name: topic(
                config.interface_name, row.manufacturer, row.serial, name, self._dialect.major
            )
            for name in (ORDER, INSTANT_ACTIONS, STATE, VISUALIZATION, CONNECTION, FACTSHEET)
        }
        self._dark = False
        self._boots = False
        self._options = config.broker.options(
            row.serial,
            f"{config.site_id}-{row.manufacturer}-{row.serial}",
            Will(
                topic=self._topics[CONNECTION],
                payload=self._voice.connection("CONNECTIONBROKEN"),
            ),
        )
        self.uplink = self._bus = Uplink(runtime, lane, self._options, incoming_qos=0)
        self._bus.subscribe(self._topics[ORDER], lane, self._handle_orders)
        self._bus.subscribe(self._topics[INSTANT_ACTIONS], lane, self._handle_instants)
        self._bus.on_connect(lane, self._say_hello)

    @property
    def vehicle(self) -> Vehicle:
        """Return the body as it is now; it may be changed."""
        self.take_body()
        return self._vehicle

    @property
    def drive(self) -> Drive:
        """Return the drive; it may be changed."""
        self.take_body()
        return self._drive

    @property
    def condition(self) -> str:
        """Return how the robot is, one of CONDITIONS."""
        return CONDITIONS[-1 if self._dark else self._drive.trouble]

    def take_body(self) -> None:
        """Look after the body again from the next step on: something is no longer as it was."""
        self._bodies.take(self._body)

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
        self.take_body()
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
        self._vehicle.stand()
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
        vehicle, order = self._vehicle, self._order
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
        """Let `dt_s` world seconds pass for the body; return whether it moved.

        To be called in each step in which the body was not let go.
        """
        if self._dark:
            return self._tick_dark(dt_s)
        vehicle, drive, order = self._vehicle, self._drive, self._order
        was_moving = vehicle.is_moving
        if not (
            order.nodes or order.due or was_moving or self._changed or self._cancelling
            or self._was_held or drive.obstacle or drive.is_held
        ):  # fmt: skip
            drive.rest(dt_s, order.last_node_id)
            self._let_stand()
            return False
        drive.use_battery(dt_s, order.last_node_id)
        if order.due:
            self._act(dt_s)
        if self._order.nodes or was_moving or drive.obstacle:
            self._drive_on(dt_s)
        if drive.is_held != self._was_held:
            self._was_held = drive.is_held
            self._changed = True
        if self._cancelling:
            self._cancel_when_standing()
        if was_moving != vehicle.is_moving:
            self._changed = True
        if self._changed:
            self._publish_state()
        if was_moving == vehicle.is_moving:
            self._let_body_go()
        return was_moving or vehicle.is_moving

    def _let_body_go(self) -> None:
        """Let the body go where nothing but time will change it before its next node."""
        if self._order.due or self._paused or self._cancelling or self._was_held:
            return
        if self._vehicle.is_moving:
            self._drive.let_roll(self._bodies, self._body, self._order)
        elif not self._order.nodes or not self._order.nodes[0].released:
            self._let_stand()

    def _let_stand(self) -> None:
        self._shown_standing = False
        self._drive.let_stand(self._bodies, self._body, self._order.last_node_id)

    # --- what befalls it ------------------------------------------------------------------------

    def nodes_ahead(self) -> list[str]:
        """Return the nodes that it was released to drive to, nearest first."""
        return [node.node_id for node in self._order.nodes if node.released]

    def nodes_held(self) -> list[str]:
        """Return the node that it reached last and those that it was released to."""
        return [self._order.last_node_id, *self.nodes_ahead()]

    def press_estop(self, kind: str = "MANUAL") -> None:
        """Press the emergency stop: everything stands until it is released."""
        assert kind in E_STOPS, f"emergency stop {kind!r}: expected one of {', '.join(E_STOPS)}"
        self.drive.e_stop = kind
        self._changed = True

    def release_estop(self) -> None:
        """Release the emergency stop."""
        self.drive.e_stop = NO_STOP
        self._changed = True

    def lose_position(self, seconds: float = math.inf) -> None:
        """Let the robot not know where it is, for so many world seconds or until it is found."""
        self.drive.lose_position(seconds)

    def find_position(self) -> None:
        """Let the robot know where it is again."""
        self.drive.find_position()

    def slip(self, metres: float) -> None:
        """Let the wheels spin so far; over half a metre the robot loses its position."""
        self.drive.slip(metres)

    def block_wheels(self) -> None:
        """Let something block the wheels; blocked twice, they are to be freed twice."""
        self.drive.stuck += 1

    def free_wheels(self) -> None:
        """Take it away."""
        self.drive.stuck -= 1

    def drop_load(self) -> None:
        """Let the cartons on the robot fall down beside it."""
        self.take_body()
        self.hands.let_fall()

    def pick_up_load(self) -> None:
        """Let somebody put back what fell down."""
        self.take_body()
        self.hands.put_back()

    def drain(self, to_share: float = 0.0) -> None:
        """Let the battery be no fuller than this."""
        self.vehicle.battery_share = min(self.vehicle.battery_share, to_share)
        self._changed = True

    def swap_battery(self) -> None:
        """Give the robot a full battery."""
        self.vehicle.battery_share = 1.0
        self._changed = True

    # --- the master's messages ------------------------------------------------------------------

    def _handle_orders(self, batch: list[Incoming]) -> None:
        self.take_body()
        self._quirks.asked()
        for incoming in batch:
            try:
                order = decode_order(incoming.payload, self._dialect)
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
        check_able(order, self._world.floor, self.hands)
        if kind is Kind.UPDATE and self._cancelling:
            raise RefusedOrderError(ORDER_UPDATE_ERROR, "the order is being cancelled")
        self._errors.clear()
        if kind is Kind.NEW:
            self.orders_taken += 1
            self._instants = {
                k: v for k, v in self._instants.items() if v.action_status not in ENDED
            }
            self._quirks.forget()
            self._order.begin(order)
        else:
            self._order.extend(order)

    def _handle_instants(self, batch: list[Incoming]) -> None:
        self.take_body()
        self._quirks.asked()
        for incoming in batch:
            try:
                message = decode_instant_actions(incoming.payload, self._dialect)
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
            case "initPosition" | "initializePosition":
                self._drive.find_position()
                self._settle(action, FINISHED)
            case "factsheetRequest":
                self._bus.publish(
                    self._topics[FACTSHEET], self._voice.factsheet(self._vehicle), qos=0
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

    @property
    def _is_paused(self) -> bool:
        """Return whether nothing may move: by the master's word, or by what befell the robot."""
        return self._paused or self._drive.is_held

    def _act(self, dt_s: float) -> None:
        """Go on with the actions of the node: begin what may begin, end what is done."""
        for running in self._order.due:
            if running.status in (INITIALIZING, RUNNING, PAUSED):
                self._go_on(running, dt_s)
        self._order.due = [a for a in self._order.due if a.status not in ENDED]
        if not self._is_paused and not self._cancelling:
            self._begin_actions()

    def _begin_actions(self) -> None:
        """Begin what may run now: a HARD action runs alone, the others side by side."""
        busy = [a for a in self._order.due if a.status != WAITING]
        for waiting in [a for a in self._order.due if a.status == WAITING]:
            hard = waiting.action.blocking_type == "HARD"
            if any(a.action.blocking_type == "HARD" for a in busy) or (hard and busy):
                return
            if waiting.blocks_driving and self._vehicle.is_moving:
                return
            try:
                self.hands.check(waiting.action, waiting.node_id)
            except CannotError as error:
                self._end(waiting, FAILED, str(error))
                continue
            waiting.status = INITIALIZING
            bin_id = self.hands.bin_of(waiting.action)
            waiting.left_s = PREPARE_S + HANDLE_S + self._drive.lift_s(bin_id)
            self._changed = True
            busy.append(waiting)

    def _go_on(self, running: RunningAction, dt_s: float) -> None:
        wanted = PAUSED if self._is_paused else RUNNING
        if running.status in (RUNNING, PAUSED) and running.status != wanted:
            running.status = wanted
            self._changed = True
        if self._is_paused:
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
            self._drive.lift()
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

    def _drive_on(self, dt_s: float) -> None:
        """Drive on along what is released, for `dt_s` seconds."""
        order, drive, in_the_way = self._order, self._drive, self._drive.obstacle
        standing = Standing(paused=self._paused, cancelling=bool(self._cancelling))
        if drive.go(order, dt_s, standing):
            self._quirks.reached(order.last_node_id, order.last_sequence_id)
            self._changed = True
        if drive.obstacle != in_the_way:
            log.info("robot's way", robot=self.serial, obstacle=drive.obstacle or "none")
            self._changed = True

    def _cancel_when_standing(self) -> None:
        """End a cancelled order once the robot stands on a node and its hands are still."""
        busy = any(a.status != WAITING for a in self._order.due)
        if self._vehicle.since_node_m > 0.0 or self._vehicle.is_moving or busy:
            return
        self._order.clear("the order was cancelled")
        state = self._instants.get(self._cancelling)
        if state is not None:
            action = Action(action_type="cancelOrder", action_id=self._cancelling)
            self._settle(action, FINISHED)
        self._cancelling = ""
        self._changed = True

    # --- what it says -----------------------------------------------------------------------------

    def _say_hello(self) -> None:
        self._quirks.reconnected()
        payload = self._voice.connection("ONLINE")
        self._bus.publish(self._topics[CONNECTION], payload, retain=True)
        self._bus.publish(self._topics[FACTSHEET], self._voice.factsheet(self._vehicle), qos=0)
        self._publish_state()

    def _publish_state(self) -> None:
        self._bodies.look(self._body)
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
            self._vehicle,
            actions=actions,
            instants=tuple(self._instants.values()),
            loads=self.hands.loads(),
            errors=(*self._errors, *self._drive.errors()),
            paused=self._paused,
            charging=self._drive.is_charging(self._order.last_node_id),
            e_stop=self._drive.e_stop,
            is_lost=self._drive.is_lost,
        )
        touched = self.hands.touched_bins.copy()

        def publish() -> None:
            if self._bus.publish(self._topics[STATE], payload, qos=0) and self._bus.connected:
                self.hands.touched_bins -= touched

        self._quirks.say(publish)

    def _show(self) -> None:
        """Publish the position where it differs from the last one shown."""
        stands = self._bodies.stands(self._body)
        if stands and self._shown_standing:
            return
        self._shown_standing = stands
        self._bodies.look(self._body)
        vehicle = self._vehicle
        now = (vehicle.x_m, vehicle.y_m, vehicle.theta_rad)
        if now != self._shown:
            self._shown = now
            payload = self._voice.visualization(vehicle, is_lost=self._drive.is_lost)
            self._bus.publish(self._topics[VISUALIZATION], payload, qos=0)
