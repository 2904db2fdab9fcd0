"""The auditor of VDA 5050 messages finds nothing in a right tape, and each wrong done to it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.build_fleet import FleetWorld, transport
from tests.build_vehicle import Network
from tests.fleet_audit.messages import Audit, Message, audit, trace_messages

ONE, TWO = "uagv/v2/acme/r1", "uagv/v2/acme/r2"
Body = dict[str, Any]
Tape = list[tuple[str, str, Body]]
"""Vehicle's topic, kind, message."""


def order(
    header: int, order_id: str, update: int, first: int, nodes: str, base: int, action: str = ""
) -> Body:
    """Return an order along these nodes, a letter each, the first `base` of them released."""
    numbers = range(first, first + 2 * len(nodes), 2)
    made = [
        {"nodeId": node, "sequenceId": number, "released": i < base, "actions": []}
        for i, (node, number) in enumerate(zip(nodes, numbers, strict=True))
    ]
    if action:
        made[-1]["actions"] = [{"actionId": action, "actionType": "pick"}]
    return {
        "headerId": header, "timestamp": f"{header:03}", "orderId": order_id,
        "orderUpdateId": update, "nodes": made, "edges": [],
    }  # fmt: skip


def state(
    header: int, order_id: str, update: int, sequence: int, node: str, ahead: str = "",
    *actions: tuple[str, str], time: int = 0,
) -> Body:  # fmt: skip
    """Return a state on this node with others ahead, numbered on from it."""
    return {
        "headerId": header, "timestamp": f"{time or header:03}", "orderId": order_id,
        "orderUpdateId": update, "lastNodeId": node, "lastNodeSequenceId": sequence,
        "nodeStates": [
            {"nodeId": n, "sequenceId": sequence + 2 * i} for i, n in enumerate(ahead, 1)
        ],
        "actionStates": [{"actionId": a, "actionStatus": status} for a, status in actions],
    }  # fmt: skip


CANCEL: Body = {"headerId": 0, "actions": [{"actionType": "cancelOrder", "actionId": "c1"}]}
TAPE: Tape = [
    (ONE, "state", state(0, "", 0, 0, "A")),
    (TWO, "state", state(0, "", 0, 0, "F")),
    (ONE, "order", order(0, "O1", 0, 0, "ABCD", 3)),
    (ONE, "order", order(0, "O1", 0, 0, "ABCD", 3)),
    (TWO, "order", order(0, "P1", 0, 0, "FE", 2, "pick/7")),
    (ONE, "state", state(1, "O1", 0, 0, "A", "BC")),
    (ONE, "state", state(2, "O1", 0, 2, "B", "C")),
    (TWO, "state", state(1, "P1", 0, 0, "F", "E")),
    (TWO, "state", state(2, "P1", 0, 2, "E", "", ("pick/7", "RUNNING"))),
    (TWO, "state", state(3, "P1", 0, 2, "E", "", ("pick/7", "FINISHED"))),
    (ONE, "order", order(1, "O1", 1, 4, "CD", 2)),
    (ONE, "state", state(3, "O1", 1, 4, "C", "D")),
    (TWO, "order", order(1, "P2", 0, 0, "EB", 2)),
    (ONE, "state", state(4, "O1", 1, 6, "D")),
    (TWO, "state", state(4, "P2", 0, 0, "E", "B")),
    (TWO, "instantActions", CANCEL),
    (TWO, "state", state(5, "P2", 0, 0, "E")),
    (ONE, "order", order(2, "O2", 0, 0, "DCB", 3)),
    (ONE, "state", state(1, "", 0, 0, "D", time=9)),
]
"""Two robots; r2 enters B when r1 has left it, is cancelled before; r1 restarts at the end."""


def heard(tape: Tape) -> Audit:
    """Return what is found; each message comes a second after the last."""
    return audit(
        (float(at), f"{vehicle}/{kind}", json.dumps(body).encode())
        for at, (vehicle, kind, body) in enumerate(tape)
    )


def put(index: int, *others: tuple[str, str, Body], instead: int = 1) -> Tape:
    """Return the tape with others at a place."""
    return [*TAPE[:index], *others, *TAPE[index + instead :]]


WRONGS: dict[str, tuple[Tape, str]] = {
    "released twice": (
        put(12, (TWO, "order", order(1, "P2", 0, 0, "ED", 2))),
        "12.000 s: acme/r2: holds node D, which acme/r1 holds too",
    ),
    "released before it is left": (
        put(6, (TWO, "order", order(1, "P2", 0, 0, "FB", 2)), instead=0),
        "6.000 s: acme/r2: holds node B, which acme/r1 holds too",
    ),
    "driven into another": (
        put(8, (TWO, "state", state(2, "P1", 0, 2, "B"))),
        "acme/r2: is on B by sequence 2 of order P1: E",
    ),
    "taken back": (
        put(10, (ONE, "order", order(1, "O1", 1, 2, "BD", 2))),
        "acme/r1: order O1 update 1 takes node C (sequence 4) back: it is D now",
    ),
    "unreleased again": (
        put(10, (ONE, "order", order(1, "O1", 1, 2, "BCD", 1))),
        "takes node C (sequence 4) back: it is not released now",
    ),
    "not joined": (
        put(10, (ONE, "order", order(1, "O1", 1, 6, "D", 1))),
        "order O1 update 1 begins at 6, the base ends at 4",
    ),
    "an old update": (
        put(10, (ONE, "order", order(1, "O1", 0, 4, "CD", 2))),
        "order O1 update 0 comes after update 0",
    ),
    "a gap": (put(10, (ONE, "order", order(2, "O1", 1, 4, "CD", 2))), "order headerId 2 after 0"),
    "other bytes": (
        put(3, (ONE, "order", order(0, "O1", 0, 0, "ABC", 2))),
        "order headerId 0 was sent with other bytes",
    ),
    "odd": (put(2, (ONE, "order", order(0, "O1", 0, 1, "ABC", 3))), "numbered [1, 3, 5]"),
    "not from 0": (put(2, (ONE, "order", order(0, "O1", 4, 0, "ABC", 3))), "begins with update 0"),
    "going back": (
        put(11, (ONE, "state", state(3, "O1", 1, 0, "A", "BCD"))),
        "acme/r1: goes back from 2 to 0 in order O1",
    ),
    "after a cancel": (
        [*TAPE, *[(ONE, "state", state(2, "", 0, 0, "D", time=10))] * 3,
         (TWO, "order", order(2, "P2", 1, 2, "BA", 2))],
        "acme/r2: order P2 update 1: was cancelled at 15.0 s",
    ),
    "after a restart": (
        [*TAPE, (ONE, "state", state(2, "O2", 0, 0, "D", "CB", time=10)),
         (ONE, "state", state(1, "", 0, 0, "D", time=11)),
         *[(ONE, "state", state(2, "", 0, 0, "D", time=12))] * 3,
         (ONE, "order", order(3, "O2", 1, 4, "BA", 2))],
        "acme/r1: order O2 update 1: is no longer the vehicle's own",
    ),
    "asked of another": (
        put(17, (ONE, "order", order(2, "O2", 0, 0, "DC", 2, "pick/7"))),
        "acme/r1: is asked for action pick/7, which acme/r2 has begun",
    ),
    "done twice": (
        put(18, (ONE, "state", state(5, "O1", 1, 6, "D", "", ("pick/7", "FINISHED")))),
        "acme/r1: begins action pick/7, which acme/r2 has begun",
    ),
    "unreadable": (put(10, (ONE, "order", {"headerId": 1})), "order is not to be read"),
}  # fmt: skip


def test_a_right_tape_has_no_finding() -> None:
    done = heard(TAPE)
    assert done.findings == []
    assert done.figures == {
        "order": 6, "state": 12, "instantActions": 1, "repeated": 1, "nodes_reached": 4,
        "actions_finished": 1,
    }  # fmt: skip
    assert not done.unfinished


@pytest.mark.parametrize("wrong", WRONGS)
def test_one_wrong_is_found_and_named(wrong: str) -> None:
    tape, said = WRONGS[wrong]
    assert said in "\n".join(heard(tape).findings)


def test_a_repeated_or_late_state_says_nothing_new() -> None:
    late = (ONE, "state", state(1, "O1", 0, 0, "A", "BC"))
    assert heard([*TAPE[:12], late, *TAPE[12:]]).findings == []


BAD = Network(lose_p=0.1, double_p=0.1, late_p=0.1)


@pytest.mark.parametrize(
    ("network", "version"), [(Network(), "2.0.0"), (BAD, "2.0.0"), (BAD, "2.1.0"), (BAD, "3.0.0")]
)
def test_a_real_fleet_is_right_also_on_a_bad_network_and_killed(
    network: Network, version: str, tmp_path: Path
) -> None:
    random = Random(3)
    world = FleetWorld(
        robots={f"r{i}": f"N{i}-0" for i in range(6)}, seed=3, network=network, version=version,
        url=f"sqlite:///{tmp_path}/central.db",
    )  # fmt: skip
    world.start_vehicles()
    world.runtime.run_for(0.2)
    cells = [f"N{x}-{y}" for x in range(6) for y in range(1, 5)]
    world.submit(*(transport(f"T{i}", *random.sample(cells, 2)) for i in range(12)))
    world.runtime.run_for(60)
    world.kill_central()
    world.runtime.run_for(2)
    world.start_central()
    world.vehicles["r2"].reboot()
    world.runtime.run_for(240)
    tape: list[Message] = [(m.received_at_ns / 1e9, m.topic, m.payload) for m in world.sent]
    done = audit(tape)
    assert done.findings == []
    assert done.figures["actions_finished"] >= 12
    # Whatever node the master gives away too early, it shows.
    early = [_earlier(tape, index) for index, (_, topic, _) in enumerate(tape) if "order" in topic]
    caught = sum(bool(audit(wronged).findings) for wronged in early)
    assert caught >= len(early) // 10


def _earlier(tape: list[Message], index: int) -> list[Message]:
    """Return the tape with one message as if it had been sent 20 messages before."""
    wronged = [*tape[:index], *tape[index + 1 :]]
    wronged.insert(max(0, index - 20), tape[index])
    return wronged


def test_charge_and_chargers_are_looked_at_where_asked() -> None:
    power: list[Body] = [
        {"batteryState": {"batteryCharge": 9.0, "charging": False}},
        {"powerSupply": {"stateOfCharge": 8.0, "charging": True}},
    ]
    done = Audit(charge_min_percent=10.0, chargers=frozenset({"Z"}))
    for at, said in enumerate(power):
        body = state(at, "O1", 0, 0, "A", "BC") | said
        done.take(float(at), f"{ONE}/state", json.dumps(body).encode())
    assert done.findings == [
        "0.000 s: acme/r1: has 9 % left on its way, expected 10 %",
        "1.000 s: acme/r1: has 8 % left on its way, expected 10 %",
        "1.000 s: acme/r1: charges on A, which is no charger",
    ]


def test_numbers_of_lost_messages_may_be_missing() -> None:
    tape, _ = WRONGS["a gap"]
    messages = [
        (float(at), f"{vehicle}/{kind}", json.dumps(body).encode())
        for at, (vehicle, kind, body) in enumerate(tape[:11])
    ]
    done = audit(messages, may_lose=True)
    assert (done.findings, done.figures["lost"]) == ([], 1)


def test_traces_of_the_simulator_are_read(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(
        '0.100000 log level=info event="x y"\n'
        "1.250000 mqtt uagv/v2/a/b/state {}\n"
        "1.500000 mqtt uagv/v2/a/b/state retained {}\n"
    )
    assert list(trace_messages(path)) == [(1.25, "uagv/v2/a/b/state", b"{}")]
    assert audit(trace_messages(path)).figures == {"state": 1, "unreadable": 1}
