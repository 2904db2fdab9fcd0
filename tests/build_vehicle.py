"""A small vehicle of the tests' own, after the text of VDA 5050, on a bad network if wanted.

It shares nothing with the product's simulated robots. It is strict: an order that does not join
what it has is refused with an error. A `Floor` watches that no two vehicles are ever on one node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

import msgspec
from msgspec import UNSET

from runtime.bus import BusOptions, Incoming
from runtime.virtual import VirtualRuntime
from wire.vda5050.codec import decode, decode_order, encode, parameter
from wire.vda5050.dialects import DIALECTS, Dialect
from wire.vda5050.messages import (
    Action,
    ActionState,
    AgvPosition,
    BatteryState,
    Connection,
    EdgeState,
    HeaderFields,
    InstantActions,
    Node,
    NodeState,
    Order,
    Reference,
    Request,
    Responses,
    SafetyState,
    State,
    VehicleError,
    header,
)
from wire.vda5050.topics import CONNECTION, INSTANT_ACTIONS, ORDER, RESPONSES, STATE, topic

INTERFACE = "uagv"
MANUFACTURER = "acme"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What goes wrong between broker and vehicle, each message by itself.

    What comes to the vehicle stays in order, as MQTT promises; what it says may overtake itself.
    """

    lose_p: float = 0.0
    double_p: float = 0.0
    late_p: float = 0.0
    late_s_max: float = 4.0


@dataclass(slots=True)
class Floor:
    """Who is physically on which node. `conflicts` stays empty or the fleet is broken."""

    on: dict[str, str] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)

    def enter(self, node: str, vehicle: str) -> None:
        other = self.on.get(node, vehicle)
        if other != vehicle:
            self.conflicts.append(f"{vehicle} enters {node}, where {other} is")
        self.on[node] = vehicle

    def leave(self, node: str, vehicle: str) -> None:
        if self.on.get(node) == vehicle:
            del self.on[node]


@dataclass
class TestVehicle:
    """Drives an edge in `edge_s`, acts for `action_s`, says its state on changes and each 5 s."""

    __test__ = False

    runtime: VirtualRuntime
    serial: str
    node: str
    floor: Floor
    random: Random
    network: Network = Network()
    edge_s: float = 1.5
    action_s: float = 4.0
    state_s: float = 5.0
    x_y_m: tuple[float, float] | None = None
    fail_actions: set[str] = field(default_factory=set)
    refuse_all: bool = False
    deaf: bool = False
    dumb: bool = False
    names_passed: bool = False
    """It goes on naming every node of its order, whether it has passed it or not."""
    named: list[Node] = field(default_factory=list)
    version: str = "2.0.0"
    mode: str = "AUTOMATIC"
    paused: bool = False
    says_paused: bool = True
    """Whether its state has the field `paused`."""
    e_stop: str = "NONE"
    answers: bool = True
    """Whether it does instant actions, and shows how they ended."""
    instants: dict[str, ActionState] = field(default_factory=dict)
    heard_instants: list[Action] = field(default_factory=list)
    retriable: set[str] = field(default_factory=set)
    """Actions that stop once and wait for the master's word (3.0.0)."""
    always_retriable: bool = False
    """What is RETRIABLE is so again after it was tried again."""
    deaf_instants: int = 0
    """So many instant actions do not arrive."""
    names_node: bool = False
    """It names its node also where it says its position."""
    orders_begun: int = 0
    clock_off_s: float = 0.0
    is_lost: bool = False
    """It does not know on which node it stands."""
    zone_requests: tuple[Request, ...] = ()
    answered: list[Responses] = field(default_factory=list)
    charge: float = 80.0
    reach_m: float | None = None
    """How far it says that it gets."""
    order_id: str = ""
    update_id: int = 0
    sequence: int = 0
    ahead: list[Node] = field(default_factory=list)
    actions: list[ActionState] = field(default_factory=list)
    errors: list[VehicleError] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    driving: bool = False
    acting: bool = False
    received: list[bytes] = field(default_factory=list)
    headers: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    delivered_ns: int = 0

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.version]

    def start(self) -> None:
        lane = self.runtime.lane(self.serial)
        self.lane = lane
        self.bus = self.runtime.bus(BusOptions(client_id=self.serial))
        self.bus.subscribe(self._topic(ORDER), lane, self._handle_orders)
        self.bus.subscribe(self._topic(INSTANT_ACTIONS), lane, self._handle_instant_actions)
        self.bus.subscribe(self._topic(RESPONSES), lane, self._handle_responses)
        self.bus.start()
        self.floor.enter(self.node, self.serial)
        self._publish(CONNECTION, Connection(**self._header(CONNECTION), connection_state="ONLINE"))
        self.say()
        lane.call_every(self.state_s, self.say)

    def reboot(self, at: str = "", *, known: bool = True) -> None:
        """Forget the order and the counters; it stands on the node that it last reached.

        `at`: somebody pushed it to that node. Not `known`: it does not know where it is.
        """
        self.epoch += 1
        if self.driving and self.ahead:
            self.floor.leave(self.ahead[0].node_id, self.serial)
        self.is_lost = not known
        if at and at != self.node:
            self.floor.leave(self.node, self.serial)
            self.floor.enter(at, self.serial)
            self.node = at
        self.order_id, self.update_id, self.sequence = "", 0, 0
        self.ahead, self.actions, self.errors, self.headers = [], [], [], {}
        self.instants = {}
        self.driving = self.acting = False
        self.say()

    def find(self, node: str) -> None:
        """Have it know where it is again."""
        self.node, self.is_lost = node, False
        self.say()

    # --- orders ---------------------------------------------------------------------------------

    def _handle_orders(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            self.received.append(incoming.payload)
            if not self.deaf:
                order = decode_order(incoming.payload, self.dialect)
                self._through_network(partial(self._receive, order, self.epoch), in_order=True)

    def _handle_instant_actions(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            for action in decode(incoming.payload, InstantActions, self.dialect).actions:
                if self.deaf_instants:
                    self.deaf_instants -= 1
                    continue
                self.heard_instants.append(action)
                known = action.action_id in self.instants
                if self.answers and not self.deaf and not known:
                    self._do_at_once(action)
                self.say()

    def _do_at_once(self, action: Action) -> None:
        status = "FINISHED"
        if action.action_type == "cancelOrder":
            if not self.ahead and not self._unfinished():
                status = "FAILED"
            self.ahead = self.ahead[:1] if self.driving else []
            for waiting in self.actions:
                if waiting.action_status == "WAITING":
                    self._set(waiting.action_id, "FAILED", "cancelled")
            self.ahead = [msgspec.structs.replace(n, actions=()) for n in self.ahead]
        elif action.action_type in {"startPause", "stopPause"}:
            self.paused = action.action_type == "startPause"
        elif action.action_type in {"retry", "skipRetry"}:
            self._resume(str(parameter(action, "actionId")), again=action.action_type == "retry")
        self.instants[action.action_id] = ActionState(
            action_id=action.action_id, action_type=action.action_type, action_status=status
        )
        self._go_on()

    def _resume(self, action_id: str, *, again: bool) -> None:
        """Try an action that is RETRIABLE again, or let it fail."""
        self._set(action_id, "RUNNING" if again else "FAILED")
        action = Action(action_type="pick", action_id=action_id)
        if again:
            self.lane.call_later(self.action_s, partial(self._end_action, action, self.epoch))
        else:
            self.acting = False

    def _handle_responses(self, batch: list[Incoming]) -> None:
        self.answered += [decode(m.payload, Responses, self.dialect) for m in batch]

    def _receive(self, order: Order, epoch: int) -> None:
        if epoch == self.epoch:  # a restart ends the connection and what was on its way
            self._take(order)

    def _take(self, order: Order) -> None:
        if self.refuse_all:
            self._refuse(order, "orderError", "not today")
        elif order.order_id == self.order_id:
            last = self.ahead[-1] if self.ahead else None
            end = (last.node_id, last.sequence_id) if last else (self.node, self.sequence)
            first = order.nodes[0]
            if order.order_update_id <= self.update_id:
                return
            if (first.node_id, first.sequence_id) != end:
                self._refuse(order, "orderUpdateError", f"does not join {end}")
                return
            assert not first.actions, "the joint is sent without actions"
            self.update_id = order.order_update_id
            self._append(order.nodes[1:])
        elif self.ahead or self._unfinished():
            self._refuse(order, "orderError", f"busy with {self.order_id}")
        elif order.order_update_id != 0 or order.nodes[0].node_id != self.node:
            self._refuse(order, "noRouteError", f"stands on {self.node}")
        else:
            self.orders_begun += 1
            self.order_id, self.update_id = order.order_id, 0
            self.sequence, self.actions, self.errors = 0, [], []
            self.named = [order.nodes[0]]
            self._append(order.nodes[1:])
            self._begin_actions(order.nodes[0].actions)
        self.say()
        self._go_on()

    def _append(self, nodes: tuple[Node, ...]) -> None:
        self.ahead += nodes
        self.named += nodes
        for node in nodes:
            self.actions += [
                ActionState(action_id=a.action_id, action_type=a.action_type) for a in node.actions
            ]

    def _refuse(self, order: Order, kind: str, why: str) -> None:
        about = {"orderId": order.order_id, "orderUpdateId": str(order.order_update_id)}
        self.errors = [
            VehicleError(
                error_type=kind,
                error_description=why,
                error_references=tuple(
                    Reference(reference_key=k, reference_value=v) for k, v in about.items()
                ),
            )
        ]
        self.say()

    # --- driving and acting -----------------------------------------------------------------------

    def _go_on(self) -> None:
        if self.driving or self.acting or self.is_held or not self.ahead:
            return
        self.driving = True
        self.floor.enter(self.ahead[0].node_id, self.serial)
        epoch = self.epoch
        self.lane.call_later(
            self.edge_s * self.random.uniform(0.7, 1.6), lambda: self._arrive(epoch)
        )

    def _arrive(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        if self.is_held:  # it stands between two nodes
            self.lane.call_later(0.5, lambda: self._arrive(epoch))
            return
        node = self.ahead.pop(0)
        self.driving = False
        self.floor.leave(self.node, self.serial)
        self.floor.enter(node.node_id, self.serial)
        self.node, self.sequence = node.node_id, node.sequence_id
        self._begin_actions(node.actions)
        self.say()
        self._go_on()

    def _begin_actions(self, actions: tuple[Action, ...]) -> None:
        epoch = self.epoch
        for action in actions:
            if all(a.action_id != action.action_id for a in self.actions):
                self.actions.append(
                    ActionState(action_id=action.action_id, action_type=action.action_type)
                )
            self.acting = True
            self._set(action.action_id, "RUNNING")
            self.lane.call_later(self.action_s, partial(self._end_action, action, epoch))

    @property
    def is_held(self) -> bool:
        """Return whether it must not move."""
        return self.paused or self.e_stop != "NONE"

    def stop(self, e_stop: str) -> None:
        """Press an emergency stop, or release it (NONE)."""
        self.e_stop = e_stop
        self.say()
        self._go_on()

    def _end_action(self, action: Action, epoch: int) -> None:
        if epoch != self.epoch:
            return
        if self.is_held:
            self.lane.call_later(0.5, lambda: self._end_action(action, epoch))
            return
        if action.action_id in self.retriable:
            if not self.always_retriable:
                self.retriable.discard(action.action_id)
            self._set(action.action_id, "RETRIABLE")
            self.say()
            return
        self.acting = False
        if action.action_id in self.fail_actions:
            self._set(action.action_id, "FAILED", "bin is empty")
        else:
            self.done.append(action.action_id)
            self._set(action.action_id, "FINISHED")
        self.say()
        self._go_on()

    def _set(self, action_id: str, status: str, result: str = "") -> None:
        self.actions = [
            msgspec.structs.replace(a, action_status=status, result_description=result)
            if a.action_id == action_id
            else a
            for a in self.actions
        ]

    def _unfinished(self) -> bool:
        return any(a.action_status not in {"FINISHED", "FAILED"} for a in self.actions)

    # --- what it says -----------------------------------------------------------------------------

    def say(self) -> None:
        if self.dumb:
            return
        apart = self.dialect.knows("State.instant_action_states")
        shown = tuple(self.instants.values())
        state = State(
            **self._header(STATE),
            order_id=self.order_id,
            order_update_id=self.update_id,
            last_node_id="" if self.is_lost or (self.x_y_m and not self.names_node) else self.node,
            last_node_sequence_id=self.sequence,
            driving=self.driving,
            operating_mode=self.mode,
            node_states=tuple(
                NodeState(node_id=n.node_id, sequence_id=n.sequence_id, released=n.released)
                for n in (self.named if self.names_passed else self.ahead)
            ),
            edge_states=tuple(
                EdgeState(edge_id="e", sequence_id=n.sequence_id - 1) for n in self.ahead
            ),
            paused=self.paused if self.says_paused else UNSET,
            action_states=(*self.actions, *(() if apart else shown)),
            instant_action_states=shown if apart else UNSET,
            zone_requests=self.zone_requests or UNSET,
            errors=tuple(self.errors),
            battery_state=BatteryState(
                battery_charge=self.charge, reach=UNSET if self.reach_m is None else self.reach_m
            ),
            safety_state=SafetyState(e_stop=self.e_stop),
            agv_position=(
                AgvPosition(x=self.x_y_m[0], y=self.x_y_m[1], map_id="FC1") if self.x_y_m else UNSET
            ),
        )
        self._publish(STATE, state)

    def _publish(self, name: str, message: State | Connection) -> None:
        payload = encode(message, self.dialect)

        def send() -> None:
            self.bus.publish(self._topic(name), payload)

        self._through_network(send)

    def _through_network(self, call: Callable[[], None], *, in_order: bool = False) -> None:
        network, random = self.network, self.random
        if random.random() < network.lose_p:
            return
        for _ in range(2 if random.random() < network.double_p else 1):
            late = random.random() < network.late_p
            delay_s = random.uniform(0, network.late_s_max) if late else 0.01
            if in_order:
                now_ns = self.runtime.clock.now_ns()
                self.delivered_ns = max(self.delivered_ns, now_ns + round(delay_s * 1e9))
                delay_s = (self.delivered_ns - now_ns) / 1e9
            self.lane.call_later(delay_s, call)

    def _header(self, name: str) -> HeaderFields:
        number = self.headers.get(name, -1) + 1
        self.headers[name] = number
        return header(
            MANUFACTURER,
            self.serial,
            header_id=number,
            now_ns=self.runtime.clock.now_ns() + round(self.clock_off_s * 1e9),
            version=self.version,
        )

    def _topic(self, name: str) -> str:
        return topic(INTERFACE, MANUFACTURER, self.serial, name, self.dialect.major)
