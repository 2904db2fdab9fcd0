"""Vehicles are followed and sent orders; what is sent is on disk before it is on the wire."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, hypot
from typing import Final

import structlog

from central.config import FleetConfig
from central.fleet.graph import FloorGraph
from central.fleet.instants import wait_s
from central.fleet.memory import NO_STOP, JobEnd, KeptJob, MemoryBusyError, OrderMemory, SentNode
from central.fleet.orders import order_bytes
from central.fleet.traffic import Traffic
from central.fleet.vehicle import ENDED, MODE, ORDER_NODES_MAX, UNTOUCHED, Vehicle
from central.fleet.voice import Voice
from runtime.bus import Bus
from runtime.clock import NS_PER_S, Clock
from runtime.metrics import Metrics
from wire.vda5050.messages import State
from wire.vda5050.topics import MAJOR, ORDER

SHORT_AFTER_S: Final = 3.0
"""Idle before the end of its base for so long: the vehicle has dropped the rest."""
CLOSE_AFTER_S: Final = 5.0
STUCK_AFTER_S: Final = 20.0
ON_NODE_M: Final = 0.1
BESIDE_M_MAX: Final = 3.0
"""Who is farther from its node has another map, or is lost."""
NEVER_EMPTIES: Final = "goes on naming nodes that it has passed"
HELD_UP_AFTER_S: Final = 30.0
"""A vehicle that stands so long in an order of somebody else has that order cancelled."""
log = structlog.get_logger()


class Doubt(enum.Enum):
    """What is not known of the action at the end of an order that is given up."""

    NONE = "it was not begun and will not be"
    MAY_COME = "it was sent, nobody knows where the message is"
    MAYBE_DONE = "it was begun, or may have been"


@dataclass(frozen=True, slots=True)
class Leg:
    """What a vehicle's next nodes are for."""

    key: tuple[str, int]
    goal: int
    stop_index: int = NO_STOP
    kept: KeptJob | None = None


class Dispatcher:
    """Turns released nodes into orders and states into reports. Lives on the fleet's lane."""

    def __init__(
        self,
        graph: FloorGraph,
        traffic: Traffic,
        vehicles: Sequence[Vehicle],
        *,
        map_id: str,
        config: FleetConfig,
        clock: Clock,
        metrics: Metrics,
        bus: Bus,
        voice: Voice,
        memory: OrderMemory,
        on_broken: Callable[[Vehicle, str, Doubt], None],
    ) -> None:
        self._graph = graph
        self._traffic = traffic
        self._vehicles = vehicles
        self._map_id = map_id
        self._config = config
        self._clock = clock
        self._metrics = metrics
        self._bus = bus
        self._voice = voice
        self._memory = memory
        self._on_broken = on_broken
        self._silent_after_ns = round(config.silent_after_s * NS_PER_S)
        self._outbox: list[Vehicle] = []
        self._ends: list[JobEnd] = []
        self._astray: dict[int, int] = {}
        self._stuck: set[int] = set()
        self._unsaved: set[int] = set()

    # --- following --------------------------------------------------------------------------

    def follow(self, vehicle: Vehicle) -> None:
        """Take in what the vehicle's newest state says about its order and its place."""
        self._voice.follow(vehicle)
        if self._is_held_up(vehicle) or vehicle.took_what_was_given_up():
            self._voice.cancel(vehicle)
        if vehicle.has_order:
            self._follow_order(vehicle)
        if len(vehicle.memory.nodes) <= 1:
            self._follow_place(vehicle)
        self._remember(vehicle)

    def _follow_order(self, vehicle: Vehicle) -> None:
        state, memory = vehicle.state, vehicle.memory
        assert state is not None, "follow comes after a state"
        if not vehicle.acknowledged and vehicle.shows_order():
            self._acknowledge(vehicle)
        elif not vehicle.acknowledged and (refusal := vehicle.refusal()):
            self._metrics.count("fleet_refused")
            fresh = sum(n.update_id == memory.order_update_id for n in memory.nodes[1:])
            self._break(vehicle, f"refused its order: {refusal}", Doubt.NONE)
            # It has read this message and will not drive there; what it had before, it still does.
            self._traffic.forget_ghosts(vehicle.number, fresh)
            return
        elif vehicle.has_forgotten_order():
            self._break_forgotten(vehicle, state)
            return
        vehicle.is_found = vehicle.is_found or vehicle.acknowledged
        index = vehicle.reached()
        if index > 0:
            self._traffic.report(vehicle.number, index)
            memory.nodes = memory.nodes[index:]
            vehicle.moved_at_ns = self._clock.monotonic_ns()
            vehicle.moved = True
        vehicle.see_action()
        if NEVER_EMPTIES not in vehicle.remarks and vehicle.names_what_it_passed():
            vehicle.remarks += (NEVER_EMPTIES,)
            self._metrics.count("fleet_nodes_not_emptied")
            log.warning("odd vehicle", robot=vehicle.robot_id, why=NEVER_EMPTIES)
        self._check_short(vehicle)

    def _is_held_up(self, vehicle: Vehicle) -> bool:
        """Return whether it stands for long in an order that this master knows nothing of."""
        now_ns = self._clock.monotonic_ns()
        if not vehicle.stands_in_another_order():
            vehicle.held_up_since_ns = -1
        elif vehicle.held_up_since_ns < 0:
            vehicle.held_up_since_ns = now_ns
        since_ns = vehicle.held_up_since_ns
        return since_ns >= 0 and now_ns - since_ns > HELD_UP_AFTER_S * NS_PER_S

    def let_go(self, vehicle: Vehicle) -> None:
        """Give up the order of a vehicle that somebody drives by hand, where no action was sent.

        An action that was sent may be done by the vehicle afterwards: that job waits for it.
        """
        if vehicle.has_order and not vehicle.action_id:
            assert vehicle.state is not None, "its state says who drives it"
            self._break(vehicle, f"is in {MODE} {vehicle.state.operating_mode}", Doubt.NONE)

    def _break_forgotten(self, vehicle: Vehicle, state: State) -> None:
        memory = vehicle.memory
        here = state.last_node_id == memory.nodes[-1].node_id
        doubt = Doubt.NONE
        if vehicle.action_id:
            # Elsewhere, an update on its way may bring the action to one that forgot nothing.
            on_its_way = Doubt.NONE if vehicle.acknowledged else Doubt.MAY_COME
            doubt = Doubt.MAYBE_DONE if here else on_its_way
        self._break(vehicle, f"no longer knows order {memory.order_id} (restarted?)", doubt)

    def _acknowledge(self, vehicle: Vehicle) -> None:
        vehicle.acknowledged = True
        vehicle.unanswered = False
        vehicle.complaint = ""
        self._traffic.forget_ghosts(vehicle.number)
        if vehicle.resends == 0 and vehicle.sent_at_ns >= 0:
            took_ns = self._clock.monotonic_ns() - vehicle.sent_at_ns
            self._metrics.latency("fleet_acknowledge_ms", took_ns / 1e6)

    def _check_short(self, vehicle: Vehicle) -> None:
        now_ns = self._clock.monotonic_ns()
        if not vehicle.stopped_short():
            vehicle.short_since_ns = -1
        elif vehicle.short_since_ns < 0:
            vehicle.short_since_ns = now_ns
        elif now_ns - vehicle.short_since_ns > SHORT_AFTER_S * NS_PER_S:
            self._break(vehicle, "stands idle before the end of its order", Doubt.NONE)

    def _break(self, vehicle: Vehicle, why: str, doubt: Doubt) -> None:
        """Give the order up: its nodes stay reserved until something newer is acknowledged."""
        log.warning("order broken", robot=vehicle.robot_id, why=why)
        self._metrics.count("fleet_orders_broken")
        rest_s = self._config.resend_s * self._config.resends_max
        vehicle.complaint = why
        vehicle.not_before_ns = self._clock.monotonic_ns() + round(rest_s * NS_PER_S)
        if vehicle.is_acting_by_another_order():
            doubt = Doubt.MAY_COME
        elif vehicle.action_last not in ENDED | UNTOUCHED:
            doubt = Doubt.MAYBE_DONE
        self._on_broken(vehicle, why, doubt)
        self._traffic.give_up(vehicle.number, 1)
        if vehicle in self._outbox:  # it was neither saved nor sent: nobody misses its number
            self._outbox.remove(vehicle)
            vehicle.memory.order_header_id -= 1
        vehicle.forget_order()
        self._follow_place(vehicle)
        self._remember(vehicle)

    def _remember(self, vehicle: Vehicle) -> None:
        """Keep where the vehicle is and what is reserved for it, for a restart of central."""
        number, memory = vehicle.number, vehicle.memory
        if memory.ghosts or self._traffic.has_ghosts(number):
            ghosts = tuple(self._graph.ids[node] for node in self._traffic.ghosts(number))
            if ghosts != memory.ghosts:
                memory.ghosts = ghosts
                vehicle.changed = True
        if vehicle.has_order or not self._traffic.is_placed(number):
            return
        place = self._graph.ids[self._traffic.node(number)]
        if len(memory.nodes) != 1 or memory.nodes[0].node_id != place:
            memory.nodes = (SentNode(node_id=place, sequence_id=0, update_id=0),)
            vehicle.changed = True

    def _follow_place(self, vehicle: Vehicle) -> None:
        """Put a vehicle that stands where it says it stands."""
        state, number = vehicle.state, vehicle.number
        assert state is not None, "follow comes after a state"
        if not (vehicle.is_idle() or (vehicle.is_in_other_hands and not vehicle.has_order)):
            return
        node = self._node_of(state)
        placed = self._traffic.is_placed(number)
        if node is None:
            where = state.last_node_id
            vehicle.complaint = (
                f"stands on {where!r}, which is not in nodes.csv"
                if where
                else "does not say where it stands"
            )
            vehicle.is_found = False
            return
        vehicle.is_found = True
        if placed and self._traffic.node(number) == node:
            self._astray.pop(number, None)
            return
        if self._traffic.place(number, node):
            self._astray.pop(number, None)
            if vehicle.has_order:
                vehicle.forget_order()
        elif self._astray.get(number) != node:
            self._astray[number] = node
            vehicle.complaint = f"stands on {self._graph.ids[node]}, which is another robot's now"
            self._metrics.count("fleet_astray")
            log.warning("robot astray", robot=vehicle.robot_id, why=vehicle.complaint)

    def _node_of(self, state: State) -> int | None:
        node = self._graph.number.get(state.last_node_id)
        if node is None and state.agv_position and state.agv_position.position_initialized:
            node = self._graph.nearest(state.agv_position.x, state.agv_position.y)
        return node

    # --- availability -----------------------------------------------------------------------

    def why_unavailable(self, vehicle: Vehicle, now_ns: int) -> str:
        """Return why the vehicle gets no nodes now; empty: it does. Notes since when."""
        why = vehicle.why_unavailable(now_ns, silent_after_ns=self._silent_after_ns)
        lost = not vehicle.is_found or not self._traffic.is_placed(vehicle.number)
        if not why and (lost or vehicle.number in self._astray):
            why = vehicle.complaint or "it is not known where it stands"
        if not why:
            vehicle.unavailable_since_ns = -1
        elif vehicle.unavailable_since_ns < 0:
            vehicle.unavailable_since_ns = now_ns
        return why

    def closed_nodes(self, looked: Iterable[Vehicle], away: Iterable[int]) -> set[int]:
        """Return the nodes of vehicles that do not get on: the others go around them.

        `looked`: those that may have got stuck, or on again, since this was last asked; `away`: all
        that get no nodes now.
        """
        now_ns = self._clock.monotonic_ns()
        for vehicle in looked:
            if self._is_stuck(vehicle, now_ns):
                self._stuck.add(vehicle.number)
            else:
                self._stuck.discard(vehicle.number)
        gone = {n for n in away if self._is_gone(self._vehicles[n], now_ns)}
        closed = set(self._astray.values())
        for number in gone | self._stuck:
            closed |= self._traffic.owned(number)
        return closed

    def look_again_at_ns(self, vehicle: Vehicle, now_ns: int) -> int:
        """Return until when time alone makes no difference to what is done with a vehicle.

        It falls silent after its newest state, and is stuck after it moved last; one that begins to
        drive later is stuck later. Who is away already is looked at all the time.
        """
        stuck_after_ns = round(STUCK_AFTER_S * NS_PER_S)
        silent_ns = vehicle.state_at_ns + self._silent_after_ns
        stuck_ns = vehicle.moved_at_ns + stuck_after_ns
        if silent_ns < now_ns:  # what it says next comes from now on
            silent_ns = now_ns + self._silent_after_ns
        if stuck_ns < now_ns or len(vehicle.memory.nodes) <= 1:  # so does its next way
            stuck_ns = now_ns + stuck_after_ns
        return min(silent_ns, stuck_ns)

    def _is_gone(self, vehicle: Vehicle, now_ns: int) -> bool:
        away_ns = now_ns - vehicle.unavailable_since_ns
        return vehicle.unavailable_since_ns >= 0 and away_ns > CLOSE_AFTER_S * NS_PER_S

    def _is_stuck(self, vehicle: Vehicle, now_ns: int) -> bool:
        late = now_ns - vehicle.moved_at_ns > STUCK_AFTER_S * NS_PER_S
        return (late or vehicle.says_blocked()) and len(vehicle.memory.nodes) > 1

    # --- sending ----------------------------------------------------------------------------

    def extend(self, vehicle: Vehicle, leg: Leg) -> bool:
        """Release what can be released and make the message for it; return whether there is one."""
        number, memory = vehicle.number, vehicle.memory
        if not vehicle.acknowledged:
            return False
        nodes = self._traffic.grantable(number)
        arrives = leg.stop_index != NO_STOP and self._traffic.would_end_at(
            number, leg.goal, len(nodes)
        )
        goes_on = (
            vehicle.has_order
            and vehicle.order_key == leg.key
            and not memory.action_is_sent
            and memory.nodes[-1].sequence_id < ORDER_NODES_MAX
            # Nodes that were sent without their action cannot get it by an update: a plan that went
            # on from there was dropped. A new order brings it, once the robot stands.
            and not (arrives and not nodes)
        )
        # An order to stay is news enough: once acknowledged, older messages cannot come any more.
        stays = not nodes and not goes_on and (arrives or self._traffic.has_ghosts(number))
        if not (nodes or stays) or not (goes_on or vehicle.is_idle()):
            return False
        if leg.kept is not None:
            memory.kept = leg.kept
            memory.stops_done = leg.key[1]
        if goes_on:
            memory.order_update_id += 1
        else:
            start = self._graph.ids[self._traffic.node(number)]
            beside_m = self._beside_m(vehicle)
            vehicle.begin_order(self._order_id(vehicle, leg), start, leg.key, beside_m)
        names = [self._graph.ids[node] for node in nodes]
        vehicle.extend_order(names, leg.stop_index if arrives else NO_STOP)
        self._traffic.release(number, len(nodes))
        vehicle.stamp(now_ns=self._clock.now_ns(), monotonic_ns=self._clock.monotonic_ns())
        self._outbox.append(vehicle)
        self._metrics.count("fleet_order_updates" if goes_on else "fleet_orders")
        return True

    def _beside_m(self, vehicle: Vehicle) -> float:
        """Return how far from its node the vehicle stands, a bit more; 0: on it, or too far away.

        One that stopped between two nodes takes no order that wants it to be on the first.
        """
        position = vehicle.state.agv_position if vehicle.state is not None else None
        if not position or not position.position_initialized:
            return 0.0
        x_m, y_m = self._graph.places_m[self._traffic.node(vehicle.number)]
        off_m = hypot(position.x - x_m, position.y - y_m)
        return ceil(10 * off_m + 1) / 10 if ON_NODE_M < off_m < BESIDE_M_MAX else 0.0

    def repeat(self, vehicle: Vehicle) -> bool:
        """Send the last message again where due; return whether the limit is reached just now."""
        now_ns = self._clock.monotonic_ns()
        if vehicle.acknowledged or vehicle in self._outbox:
            return False
        if vehicle.sent_at_ns < 0:  # sent before central's restart: its first state may show it
            vehicle.sent_at_ns = now_ns if vehicle.state is not None else -1
            return False
        if not self._bus.connected:
            vehicle.sent_at_ns = now_ns
            return False
        wait_ns = round(wait_s(self._config.resend_s, 1 + vehicle.resends) * NS_PER_S)
        if now_ns - vehicle.sent_at_ns < wait_ns:
            return False
        is_alive = vehicle.state_at_ns > vehicle.sent_at_ns
        vehicle.sent_at_ns = now_ns
        if vehicle.resends < self._config.resends_max or (vehicle.unanswered and not is_alive):
            vehicle.resends += 1
            self._metrics.count("fleet_resends")
            self._publish_order(vehicle)
            return False
        why = (
            f"has not acknowledged order {vehicle.memory.order_id} update"
            f" {vehicle.memory.order_update_id}, sent {1 + vehicle.resends} times"
        )
        first = not vehicle.unanswered
        if first:
            self._metrics.count("fleet_unanswered")
        if is_alive:  # it speaks and does not take it: it is free for something else
            self._break(vehicle, why, Doubt.MAY_COME if vehicle.action_id else Doubt.NONE)
            return False
        vehicle.unanswered = True
        vehicle.complaint = why
        log.warning("order unanswered", robot=vehicle.robot_id, why=why)
        return first

    def keep_end(self, end: JobEnd) -> None:
        """Write down with the next flush how a job ended."""
        self._ends.append(end)

    def end_of(self, job_id: str) -> JobEnd | None:
        """Return how a job ended, written down already or not; None where it did not."""
        waiting = (end for end in self._ends if end.job_id == job_id)
        return next(waiting, None) or self._memory.end_of(job_id)

    def flush(self, looked: Iterable[int]) -> bool:
        """Write what changed, then publish what waits for it; False where the database is busy.

        `looked`: those of whom something may have changed since this was last called.
        """
        vehicles = self._vehicles
        self._unsaved |= {n for n in looked if vehicles[n].changed or vehicles[n].moved}
        if not self._ends and not any(vehicles[n].changed for n in self._unsaved):
            return True
        rows = [vehicles[n] for n in sorted(self._unsaved)]
        try:
            self._memory.save((v.memory for v in rows), self._ends)
        except MemoryBusyError as error:
            self._metrics.count("fleet_memory_busy")
            log.warning("orders wait for the database", error=str(error))
            return False
        self._ends.clear()
        self._unsaved.clear()
        for vehicle in rows:
            vehicle.changed = vehicle.moved = False
            self._voice.say_what_is_saved(vehicle)
        for vehicle in self._outbox:
            self._publish_order(vehicle)
        self._outbox.clear()
        return True

    def _publish_order(self, vehicle: Vehicle) -> None:
        if not vehicle.payload:
            vehicle.payload = order_bytes(
                vehicle.vehicle_id, vehicle.memory, self._graph, self._map_id
            )
        self._voice.publish(vehicle, ORDER, vehicle.payload, vehicle.memory.major or MAJOR)

    def _order_id(self, vehicle: Vehicle, leg: Leg) -> str:
        """Return an order id that nobody had before: header ids of a vehicle are kept for ever."""
        serial = vehicle.vehicle_id.serial[-12:]
        return f"{leg.key[0] or 'move'}.{serial}.{vehicle.memory.order_header_id + 1}"
