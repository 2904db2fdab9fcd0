"""What is wrong with the VDA 5050 messages of a run: an auditor that knows only topics and bytes.

It reads what a broker passed on, in that order: pairs of seconds, topic and payload, or the trace
of `stockhelm sim run --trace`. Like its neighbours here it imports nothing of the product.

    python -m tests.fleet_audit.messages TRACE

It holds the worst that the messages leave possible: a vehicle may be anywhere on the released nodes
of every order that it may still take, until a state of its own shows that it has passed them or
works by a newer order. No two vehicles may ever hold the same node. And of each vehicle:

- header ids of order and instantActions have no gap; the same number again has the same bytes;
- an order begins with update 0, later updates are joined at the end of the base, the base comes
  before the horizon, and no released node is ever changed or taken back;
- no update of an order that was cancelled, or that the vehicle has forgotten;
- a state stands on the nodes of its order, and never goes back on them;
- where asked: enough charge for the way, and charging only on chargers;
- an action is finished by one vehicle only, and asked of nobody after it was begun elsewhere.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FINDINGS_MAX = 50
NEWS_TAKE_S = 2.0
"""A state that the broker passes on is known to the master after so long."""
KINDS = ("order", "instantActions", "state")
TOPIC_PARTS_MIN = 3
"""Manufacturer, serial, kind; what comes before may differ from vehicle to vehicle."""
BEGUN = frozenset({"RUNNING", "PAUSED", "FINISHED"})

Message = tuple[float, str, bytes]
"""Seconds, topic, payload."""


@dataclass(slots=True)
class _Order:
    update: int = -1
    nodes: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Released: sequence id to node and the update that released it."""
    forgotten: int = -1
    """The vehicle took updates up to this one, and works by another order now, or by none."""
    over_at_s: float = -1.0
    """When it was cancelled or forgotten."""
    why_over: str = ""


@dataclass(slots=True)
class _Vehicle:
    """What one vehicle was sent and has said."""

    place: str = ""
    order_id: str = ""
    update: int = -1
    sequence: int = -1
    ahead: frozenset[int] = frozenset()
    orders: dict[str, _Order] = field(default_factory=dict)
    """Those that it may still work by; oldest first."""
    past: dict[str, _Order] = field(default_factory=dict)
    headers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    state_number: int = -1
    state_time: str = ""
    held: frozenset[str] = frozenset()

    def may_be_on(self) -> frozenset[str]:
        """Return every node on which it may be, by what is known now."""
        nodes = {self.place} if self.place else set()
        for order_id, order in self.orders.items():
            for sequence, (node, update) in order.nodes.items():
                is_ahead = sequence in self.ahead or update > self.update
                if order_id == self.order_id:
                    may_come = sequence > self.sequence and is_ahead
                else:
                    may_come = update > order.forgotten
                if may_come:
                    nodes.add(node)
        return frozenset(nodes)


@dataclass(slots=True)
class Audit:
    """Takes messages one after the other. `findings` are sentences; `figures` say what was read."""

    may_lose: bool = False
    """What we send may be lost before it is heard here, as by a broker that is gone."""
    charge_min_percent: float = 0.0
    """No vehicle that works by an order gets below; 0: not asked."""
    chargers: frozenset[str] = frozenset()
    """The nodes on which vehicles charge; none: not asked."""
    findings: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    _vehicles: dict[str, _Vehicle] = field(default_factory=dict)
    _owner: dict[str, str] = field(default_factory=dict)
    _asked: dict[str, str] = field(default_factory=dict)
    """Action to the vehicle that was asked for it last."""
    _begun_by: dict[str, str] = field(default_factory=dict)
    _finished_by: dict[str, str] = field(default_factory=dict)

    def take(self, at_s: float, topic: str, payload: bytes) -> None:
        """Take one message; topics that are none of a vehicle's are left alone."""
        parts = topic.split("/")
        if len(parts) < TOPIC_PARTS_MIN or parts[0] == "stockhelm" or parts[-1] not in KINDS:
            return
        vehicle_id, kind = "/".join(parts[-3:-1]), parts[-1]
        vehicle = self._vehicles.setdefault(vehicle_id, _Vehicle())
        self.figures[kind] += 1
        try:
            message = json.loads(payload)
            if kind == "state":
                self._state(at_s, vehicle_id, vehicle, message)
            elif self._is_new(at_s, vehicle_id, vehicle, kind, message["headerId"], payload):
                if kind == "order":
                    self._order(at_s, vehicle_id, vehicle, message)
                else:
                    self._instant(at_s, vehicle, message)
        except (ValueError, KeyError, TypeError) as error:
            self.figures["unreadable"] += 1
            if kind != "state":  # vehicles may say what they like
                self._tell(at_s, vehicle_id, f"{kind} is not to be read: {error!r}")
            return
        self._hold(at_s, vehicle_id, vehicle)

    @property
    def unfinished(self) -> frozenset[str]:
        """Return the actions that were asked of a vehicle and are not finished."""
        return frozenset(self._asked.keys() - self._finished_by.keys())

    # --- what we send ---------------------------------------------------------------------------

    def _is_new(
        self, at_s: float, name: str, vehicle: _Vehicle, kind: str, number: int, payload: bytes
    ) -> bool:
        """Return whether this is no repetition; tells of numbers left out or used twice."""
        last = vehicle.headers.get(kind)
        vehicle.headers[kind] = (number, payload)
        if last is None or number == last[0] + 1:
            return True
        if number == last[0]:
            if payload != last[1]:
                self._tell(at_s, name, f"{kind} headerId {number} was sent with other bytes")
            self.figures["repeated"] += 1
            return payload != last[1]
        if self.may_lose and number > last[0]:
            self.figures["lost"] += number - last[0] - 1
            return True
        self._tell(at_s, name, f"{kind} headerId {number} after {last[0]}, expected {last[0] + 1}")
        return True

    def _order(self, at_s: float, name: str, vehicle: _Vehicle, message: dict[str, Any]) -> None:
        order_id, update = message["orderId"], message["orderUpdateId"]
        label = f"order {order_id} update {update}"
        nodes = {n["sequenceId"]: n["nodeId"] for n in message["nodes"] if n["released"]}
        flags = [n["released"] for n in message["nodes"]]
        if sorted(flags, reverse=True) != flags or not nodes:
            self._tell(at_s, name, f"{label}: released are {flags}, expected the base first")
        steps = [n["sequenceId"] for n in message["nodes"]]
        if any(s % 2 for s in steps) or steps != list(range(steps[0], steps[-1] + 1, 2)):
            self._tell(at_s, name, f"{label}: nodes are numbered {steps}, expected even, by twos")
        order = vehicle.orders.get(order_id)
        if order is None:
            if order_id in vehicle.past:
                self._tell(at_s, name, f"{label}: {vehicle.past[order_id].why_over or 'is over'}")
            if update:
                self._tell(at_s, name, f"{label}: a new order begins with update 0")
            order = vehicle.orders[order_id] = _Order()
        else:
            self._check_joint(at_s, name, order, label, update, nodes)
        for sequence, node in nodes.items():
            order.nodes.setdefault(sequence, (node, update))
        order.update = max(order.update, update)
        self._ask(at_s, name, message)

    def _check_joint(
        self, at_s: float, name: str, order: _Order, label: str, update: int, nodes: dict[int, str]
    ) -> None:
        if order.over_at_s >= 0 and at_s > order.over_at_s + NEWS_TAKE_S:
            self._tell(at_s, name, f"{label}: {order.why_over} at {order.over_at_s:.1f} s")
        if update <= order.update:
            self._tell(at_s, name, f"{label} comes after update {order.update}")
        end = max(order.nodes)
        first = min(nodes, default=end)
        if first > end:
            self._tell(at_s, name, f"{label} begins at {first}, the base ends at {end}")
        for sequence, (node, _) in order.nodes.items():
            now = nodes.get(sequence, "not released")
            if sequence >= first and now != node:
                text = f"{label} takes node {node} (sequence {sequence}) back: it is {now} now"
                self._tell(at_s, name, text)

    def _ask(self, at_s: float, name: str, message: dict[str, Any]) -> None:
        for part in (*message["nodes"], *message["edges"]):
            for action in part["actions"] if part["released"] else ():
                action_id = action["actionId"]
                begun_by = self._begun_by.get(action_id, name)
                if begun_by != name:
                    text = f"is asked for action {action_id}, which {begun_by} has begun"
                    self._tell(at_s, name, text)
                self._asked[action_id] = name

    def _instant(self, at_s: float, vehicle: _Vehicle, message: dict[str, Any]) -> None:
        actions = message.get("actions", message.get("instantActions", ()))
        order = vehicle.orders.get(vehicle.order_id)
        if order is not None and any(a["actionType"] == "cancelOrder" for a in actions):
            order.over_at_s, order.why_over = at_s, "was cancelled"

    # --- what vehicles say ----------------------------------------------------------------------

    def _state(self, at_s: float, name: str, vehicle: _Vehicle, message: dict[str, Any]) -> None:
        number, time = message["headerId"], message["timestamp"]
        if number <= vehicle.state_number and time <= vehicle.state_time:
            self.figures["late_states"] += 1
            return
        restarted = number <= vehicle.state_number
        vehicle.state_number, vehicle.state_time = number, time
        order_id, sequence = message["orderId"], message["lastNodeSequenceId"]
        place = message["lastNodeId"]
        if order_id != vehicle.order_id:
            self._other_order(at_s, vehicle, order_id)
        elif sequence < vehicle.sequence and not restarted:
            text = f"goes back from {vehicle.sequence} to {sequence} in order {order_id}"
            self._tell(at_s, name, text)
        order = vehicle.orders.get(order_id)
        if order is not None:
            expected = order.nodes.get(sequence, ("no released node", 0))[0]
            if place not in {expected, ""}:
                text = f"is on {place} by sequence {sequence} of order {order_id}: {expected}"
                self._tell(at_s, name, text)
            if place != vehicle.place:
                self.figures["nodes_reached"] += 1
        vehicle.order_id, vehicle.update = order_id, message["orderUpdateId"]
        vehicle.place, vehicle.sequence = place or vehicle.place, sequence
        vehicle.ahead = frozenset(node["sequenceId"] for node in message["nodeStates"])
        self._power(at_s, name, vehicle, message)
        for action in message["actionStates"]:
            self._action(at_s, name, action["actionId"], action["actionStatus"])

    def _power(self, at_s: float, name: str, vehicle: _Vehicle, message: dict[str, Any]) -> None:
        """Look at the charge, as 2.x and 3.0.0 call it."""
        power = message.get("batteryState") or message.get("powerSupply") or {}
        percent = power.get("batteryCharge", power.get("stateOfCharge", 100.0))
        if percent < self.charge_min_percent and vehicle.ahead:
            text = f"has {percent:g} % left on its way, expected {self.charge_min_percent:g} %"
            self._tell(at_s, name, text)
        if power.get("charging") and self.chargers and vehicle.place not in self.chargers:
            self._tell(at_s, name, f"charges on {vehicle.place}, which is no charger")

    def _other_order(self, at_s: float, vehicle: _Vehicle, order_id: str) -> None:
        """The vehicle works by another order than before, or by none."""
        left = vehicle.orders.get(vehicle.order_id)
        if left is not None:
            left.forgotten = vehicle.update
            left.over_at_s, left.why_over = at_s, "is no longer the vehicle's own"
        if order_id in vehicle.orders:
            for older in list(vehicle.orders):
                if older == order_id:
                    break
                vehicle.past[older] = vehicle.orders.pop(older)

    def _action(self, at_s: float, name: str, action_id: str, status: str) -> None:
        if action_id not in self._asked or status not in BEGUN:
            return
        begun_by = self._begun_by.setdefault(action_id, name)
        if begun_by != name:
            self._tell(at_s, name, f"begins action {action_id}, which {begun_by} has begun")
        if status == "FINISHED" and action_id not in self._finished_by:
            self._finished_by[action_id] = name
            self.figures["actions_finished"] += 1

    # --- who may be where -----------------------------------------------------------------------

    def _hold(self, at_s: float, name: str, vehicle: _Vehicle) -> None:
        now = vehicle.may_be_on()
        if now == vehicle.held:
            return
        for node in vehicle.held - now:
            if self._owner.get(node) == name:
                del self._owner[node]
        for node in sorted(now - vehicle.held):
            owner = self._owner.setdefault(node, name)
            if owner != name:
                self._tell(at_s, name, f"holds node {node}, which {owner} holds too")
        vehicle.held = now

    def _tell(self, at_s: float, name: str, text: str) -> None:
        self.figures["findings"] += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(f"{at_s:.3f} s: {name}: {text}")


def audit(messages: Iterable[Message], *, may_lose: bool = False) -> Audit:
    """Return what was found in these messages."""
    done = Audit(may_lose=may_lose)
    for at_s, topic, payload in messages:
        done.take(at_s, topic, payload)
    return done


def trace_messages(path: Path) -> Iterator[Message]:
    """Yield the messages of a simulator's trace; what was retained is there a second time."""
    with path.open("rb") as lines:
        for line in lines:
            at_s, kind, rest = line.rstrip(b"\n").split(b" ", 2)
            if kind == b"mqtt":
                topic, payload = rest.split(b" ", 1)
                if not payload.startswith(b"retained "):
                    yield float(at_s), topic.decode(), payload


def main() -> int:
    """Audit one trace; 0 where nothing was found, 1 where something was, 2 for a wrong file."""
    parser = argparse.ArgumentParser(description="Audit the VDA 5050 messages of a trace.")
    parser.add_argument("trace", type=Path, help="what `stockhelm sim run --trace` wrote")
    asked = parser.parse_args()
    try:
        done = audit(trace_messages(asked.trace))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"fleet_audit.messages: {asked.trace}: expected a trace: {error}\n")
        return 2
    sys.stdout.write("\n".join(done.findings or ["nothing found"]) + f"\n{dict(done.figures)}\n")
    return 1 if done.findings else 0


if __name__ == "__main__":
    sys.exit(main())
