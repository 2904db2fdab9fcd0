"""Faults of devices on the network show on the broker while they last, and are over after."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sim_hardware.devices.scanner import ANSWER_S
from sim_hardware.devices.uplink import Message, Passing, Uplink
from tests.fault_stage import Faulty, Trigger, make_stage
from tests.sim_floor import Master
from wire import topics
from wire.codec import decode, encode
from wire.messages import DeviceScan, DeviceStatus, ScanFeedback

SCANNER = "scanner-p5"
ROBOT = "agv-1"
SITE = "FC1"
CHATTER = "test/chatter"


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return make_stage(tmp_path)


@pytest.fixture
def trigger(faulty: Faulty) -> Trigger:
    return Trigger(faulty, SCANNER)


def uplink(faulty: Faulty, name: str = ROBOT) -> Uplink:
    found: Any = faulty.bench.floor.robots.get(name) or faulty.bench.floor.scanners[name]
    assert isinstance(found.uplink, Uplink)
    return found.uplink


def chatter(faulty: Faulty, count: int = 60, *, qos: int = 1) -> list[int]:
    """Let the robot's connection say numbers; return which arrive, in their order."""
    faulty.bench.said.clear()
    for number in range(count):
        uplink(faulty).publish(CHATTER, str(number).encode(), qos=qos)
        faulty.run(0.1)
    faulty.run(5)
    return [int(payload) for payload in faulty.bench.payloads(CHATTER)]


def states(faulty: Faulty, since: int = 0) -> list[dict[str, Any]]:
    payloads = faulty.bench.payloads(Master(faulty.bench).topic("state"))
    return [json.loads(payload) for payload in payloads[since:]]


def drive(faulty: Faulty, steps: int = 6) -> Master:
    """Order the robot to drive a few nodes and let it arrive."""
    master = faulty.master()
    far = max(faulty.bench.site.nodes, key=lambda n: len(master.way(n)))
    master.send("o1", master.way(far)[:steps])
    faulty.run(15)
    return master


def scans(faulty: Faulty) -> list[DeviceScan]:
    wanted = topics.DEVICE_SCAN.of(site=SITE, device=SCANNER)
    return [decode(payload, DeviceScan) for payload in faulty.bench.payloads(wanted)]


def status(faulty: Faulty) -> DeviceStatus:
    wanted = topics.DEVICE_STATUS.of(site=SITE, device=SCANNER)
    return decode(faulty.bench.payloads(wanted)[-1], DeviceStatus)


def answer(faulty: Faulty, scan: DeviceScan) -> None:
    feedback = ScanFeedback(
        device_id=SCANNER, boot_epoch=scan.boot_epoch, seq=scan.seq, ok=True, code="ok", text="",
        sound="good",
    )  # fmt: skip
    wanted = topics.DEVICE_FEEDBACK.of(site=SITE, device=SCANNER)
    faulty.bench.bus.publish(wanted, encode(feedback))
    faulty.run(0.1)


def test_without_trouble_every_message_comes_once_and_in_order(faulty: Faulty) -> None:
    assert chatter(faulty, qos=0) == list(range(60))


def test_messages_come_twice(faulty: Faulty) -> None:
    end = faulty.begin("message-duplicate", ROBOT, share=0.5)
    heard = chatter(faulty)
    assert set(heard) == set(range(60))
    assert 75 < len(heard) < 105
    end()
    assert chatter(faulty) == list(range(60))


def test_messages_overtake_each_other_and_none_is_lost(faulty: Faulty) -> None:
    end = faulty.begin("message-reorder", ROBOT, share=0.3, delay="1 s")
    heard = chatter(faulty)
    assert sorted(heard) == list(range(60))
    assert sum(b < a for a, b in pairwise(heard)) >= 5
    end()
    assert chatter(faulty) == list(range(60))


def test_late_messages_keep_their_order(faulty: Faulty) -> None:
    end = faulty.begin("message-delay", ROBOT, delay="3 s", direction="from-device")
    faulty.bench.said.clear()
    for number in range(10):
        uplink(faulty).publish(CHATTER, str(number).encode())
    faulty.run(0.05)
    assert len(faulty.bench.payloads(CHATTER)) < 5
    faulty.run(3)
    assert [int(p) for p in faulty.bench.payloads(CHATTER)] == list(range(10))
    end()
    assert chatter(faulty) == list(range(60))


def test_qos_0_is_lost_and_qos_1_only_late(faulty: Faulty) -> None:
    end = faulty.begin("message-loss", ROBOT, share=0.3)
    heard = chatter(faulty, qos=0)
    assert 20 < len(heard) < 55
    assert heard == sorted(heard)
    assert sorted(chatter(faulty, qos=1)) == list(range(60))
    end()
    assert chatter(faulty, qos=0) == list(range(60))


def test_messages_to_a_device_are_lost_too(faulty: Faulty) -> None:
    end = faulty.begin("message-loss", ROBOT, share=1, direction="to-device")
    master = drive(faulty)
    assert master.state.order_id == ""
    end()
    assert drive(faulty).state.order_id == "o1"


def test_a_lost_link_says_the_last_will_and_comes_back_with_its_hello(faulty: Faulty) -> None:
    connection = Master(faulty.bench).topic("connection")

    def last() -> str:
        return str(json.loads(faulty.bench.payloads(connection)[-1])["connectionState"])

    end = faulty.begin("link-lost", ROBOT)
    faulty.run(1)
    assert last() == "CONNECTIONBROKEN"
    said = len(faulty.bench.said)
    uplink(faulty).publish(CHATTER, b"1")
    faulty.run(5)
    assert len(faulty.bench.said) == said
    end()
    faulty.run(1)
    assert last() == "ONLINE"
    assert faulty.bench.payloads(CHATTER) == [b"1"]


def test_a_link_lost_twice_comes_back_once_both_are_over(faulty: Faulty) -> None:
    ends = [faulty.begin("link-lost", SCANNER), faulty.begin("link-lost", SCANNER)]
    faulty.run(1)
    ends[0]()
    faulty.run(1)
    assert not status(faulty).online
    ends[1]()
    faulty.run(1)
    assert status(faulty).online


def test_a_silent_device_hears_and_says_nothing(faulty: Faulty, trigger: Trigger) -> None:
    end = faulty.begin("silent", SCANNER)
    trigger.pull()
    faulty.run(1)
    assert scans(faulty) == []
    assert status(faulty).online
    end()
    faulty.run(3)
    answer(faulty, scans(faulty)[-1])
    assert [a is not None and a.ok for a in trigger.answers] == [True]


def test_a_robot_that_is_silent_after_reconnect_drives_and_says_nothing(faulty: Faulty) -> None:
    connection = Master(faulty.bench).topic("connection")
    end = faulty.begin("silent-after-reconnect", ROBOT)
    faulty.run(2)
    state = json.loads(faulty.bench.payloads(connection)[-1])["connectionState"]
    assert state == "CONNECTIONBROKEN"
    before = len(states(faulty))
    drive(faulty)
    assert len(states(faulty)) == before
    assert faulty.bench.floor.robots[ROBOT].orders_taken == 1
    end()
    faulty.run(30)
    assert states(faulty)[-1]["orderId"] == "o1"


def test_a_clock_jumps_and_is_set_right(faulty: Faulty, trigger: Trigger) -> None:
    def ahead_s() -> float:
        trigger.pull()
        faulty.run(0.1)
        scan = scans(faulty)[-1]
        answer(faulty, scan)
        return (scan.scanned_at_ns - faulty.bench.runtime.clock.now_ns()) / 1e9

    end = faulty.begin("clock-jump", SCANNER, by="-1 h")
    assert ahead_s() == pytest.approx(-3600, abs=1)
    end()
    assert ahead_s() == pytest.approx(0, abs=1)


def test_a_clock_runs_too_fast_and_is_set_right(faulty: Faulty) -> None:
    clock = faulty.bench.floor.robots[ROBOT].clock
    end = faulty.begin("clock-skew", ROBOT, drift="10 %")
    faulty.run(100)
    assert clock.ahead_ns / 1e9 == pytest.approx(10, abs=0.1)
    end()
    faulty.run(100)
    assert clock.ahead_ns == 0


@pytest.mark.parametrize("how", ["zero", "random", "backwards"])
def test_header_ids_do_not_count_up(faulty: Faulty, how: str) -> None:
    end = faulty.begin("wrong-header-ids", ROBOT, how=how)
    said = len(states(faulty))
    drive(faulty)
    ids = [state["headerId"] for state in states(faulty, said)]
    assert len(ids) > 5
    assert not any(b == a + 1 for a, b in pairwise(ids))
    end()
    said = len(states(faulty))
    faulty.run(60)
    ids = [state["headerId"] for state in states(faulty, said)]
    assert all(b == a + 1 for a, b in pairwise(ids))


def test_old_states_come_once_more_behind_new_ones(faulty: Faulty) -> None:
    end = faulty.begin("repeats-old-state", ROBOT, share=0.5)
    said = len(states(faulty))
    drive(faulty)
    ids = [state["headerId"] for state in states(faulty, said)]
    assert any(b < a for a, b in pairwise(ids))
    assert len(set(ids)) < len(ids)
    end()
    said = len(states(faulty))
    faulty.run(60)
    ids = [state["headerId"] for state in states(faulty, said)]
    assert ids == sorted(set(ids))


def test_a_state_goes_on_naming_what_was_passed(faulty: Faulty) -> None:
    end = faulty.begin("node-states-never-emptied", ROBOT)
    drive(faulty)
    assert len(states(faulty)[-1]["nodeStates"]) == 5
    assert len(states(faulty)[-1]["edgeStates"]) == 5
    end()
    faulty.run(30)
    assert states(faulty)[-1]["nodeStates"] == []


def test_a_scanner_boots_with_a_new_epoch_and_counts_from_one(
    faulty: Faulty, trigger: Trigger
) -> None:
    trigger.pull()
    faulty.run(0.1)
    first = scans(faulty)[-1]
    answer(faulty, first)
    trigger.pull()
    faulty.run(0.1)
    end = faulty.begin("brown-out", SCANNER)
    faulty.run(ANSWER_S + 0.1)
    assert trigger.answers[1:] == [None]
    assert not status(faulty).online
    trigger.pull()
    faulty.run(ANSWER_S + 0.1)
    assert trigger.answers[1:] == [None, None]
    end()
    faulty.run(0.1)
    assert status(faulty).online
    trigger.pull()
    faulty.run(0.1)
    again = scans(faulty)[-1]
    assert again.boot_epoch == status(faulty).boot_epoch > first.boot_epoch
    assert again.seq == 1


def test_a_robot_forgets_its_order_and_stands_on_a_node_when_it_boots(faulty: Faulty) -> None:
    master = faulty.master()
    far = max(faulty.bench.site.nodes, key=lambda n: len(master.way(n)))
    master.send("o1", master.way(far))
    faulty.run(1.3)
    robot = faulty.bench.floor.robots[ROBOT]
    assert robot.vehicle.since_node_m > 0.0
    end = faulty.begin("brown-out", ROBOT)
    faulty.run(10)
    assert (
        json.loads(faulty.bench.payloads(master.topic("connection"))[-1])["connectionState"]
        == "CONNECTIONBROKEN"
    )
    end()
    faulty.run(1)
    state = master.state
    assert (state.order_id, state.header_id) == ("", 1)
    place = (robot.vehicle.x_m, robot.vehicle.y_m)
    node = faulty.bench.site.nodes[state.last_node_id]
    assert place == (node.x_m, node.y_m)
    assert state.last_node_id in master.way(far, from_node=master.start_node)
    master.send("o2", master.way(far))
    faulty.run(40)
    assert (master.state.order_id, master.state.last_node_id) == ("o2", far)


def test_effects_act_one_after_the_other(faulty: Faulty) -> None:
    class Shout:
        def apply(self, message: Message) -> list[Passing]:
            return [Passing(Message(message.topic, message.payload + b"0", message.qos))]

    uplink(faulty).outgoing.effects.append(Shout())
    faulty.begin("message-duplicate", ROBOT, share=1, direction="from-device")
    heard = chatter(faulty, 3)
    assert sorted(heard) == [0, 0, 10, 10, 20, 20]
