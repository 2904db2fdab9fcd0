"""An edge agent takes scans, robots' moves and commands once; the rest is refused aloud."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.agent import build_edge
from edge.config import CameraConfig, EdgeConfig, ScannerConfig, SmartCameraConfig
from edge.counting.store import FILE_NAME, why_not_to_be_kept
from edge.counting.verify import verify_counts
from edge.scanning.core import Arrival
from edge.writer import WORKS_WAITING_MAX
from runtime.bus import BusOptions, Incoming
from runtime.clock import NS_PER_S
from runtime.config import ConfigError
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from tests.build import movement
from tests.edge_world import (
    FOREIGN_BIN,
    MUG,
    PEN,
    SITE,
    EdgeWorld,
    SerialDevice,
    article_label,
    bin_label,
    command_label,
    edge_config,
    task,
)
from wire.codec import decode, encode
from wire.messages import DeviceScan, DeviceStatus, FlyMission, RecordMove, ScanFeedback
from wire.topics import DEVICE_STATUS, EDGE_STATUS, PERSON_TASKS
from wire.vda5050.action_ids import StockAction

FAR = 2**62


@pytest.fixture
def world(tmp_path: Path) -> EdgeWorld:
    return EdgeWorld(tmp_path).start()


PICK_AT_A01 = (command_label("PICK"), bin_label("A-01"))


def test_a_good_scan_moves_the_count_and_tells_central(world: EdgeWorld) -> None:
    world.tell_tasks(task())
    answer = world.scan(*PICK_AT_A01, article_label(units=3))
    assert (answer.ok, answer.code, answer.seq, answer.boot_epoch) == (True, "booked", 3, 1)
    assert (world.book("bin:A-01"), world.book("tote:O1")) == (17, 3)
    (moved,) = world.movements()
    assert (moved.event_id, moved.task_id, moved.person_id) == ("mqtt-1/1/3", "T1", "P1")
    assert world.counter("scans_accepted") == 3
    assert world.metrics.snapshot().latencies_ms["scan_to_durable_ms"].count == 3


def test_the_opening_stock_of_its_own_bins_is_written_once(world: EdgeWorld) -> None:
    assert (world.book("bin:A-01"), world.book("bin:A-02", PEN)) == (20, 10)
    assert world.book("opening:") == -20
    assert world.book(f"bin:{FOREIGN_BIN}") == 0
    world.restart()
    assert world.book("bin:A-01") == 20
    assert world.agent.store.last_seq == 2


def test_a_repeated_scan_gets_the_same_answer_and_counts_nothing(world: EdgeWorld) -> None:
    world.tell_tasks(task())
    first = world.scan(*PICK_AT_A01, article_label(units=3))
    for _ in range(3):
        world.scanner.scan(article_label(units=3), seq=3)
    world.run()
    assert world.scanner.answers[-3:] == [first] * 3
    assert world.book("bin:A-01") == 17
    assert world.counter("scans_repeated") == 3
    world.restart()
    world.tell_tasks(task())
    world.scanner.scan(article_label(units=3), seq=3)
    world.run()
    assert world.scanner.answers[-1] == first
    assert world.book("bin:A-01") == 17


def test_a_refused_scan_is_refused_again_in_the_same_words(world: EdgeWorld) -> None:
    world.scanner.scan(article_label(), seq=5)
    world.run()
    world.tell_tasks(task())
    world.scanner.scan(article_label(), seq=5)
    world.run()
    assert world.scanner.answers[0] == world.scanner.answers[1]
    assert not world.scanner.answers[0].ok


def test_a_scan_that_comes_after_a_later_one_is_refused(world: EdgeWorld) -> None:
    world.tell_tasks(task())
    world.scan(*PICK_AT_A01)
    world.scanner.scan(article_label(units=1), seq=9)
    world.scanner.scan(article_label(units=1), seq=8)
    world.run()
    assert [a.code for a in world.scanner.answers[-2:]] == ["booked", "out_of_order"]
    assert world.book("bin:A-01") == 19


def test_a_session_goes_on_after_a_kill(world: EdgeWorld) -> None:
    world.tell_tasks(task())
    world.scan(*PICK_AT_A01, article_label(units=3))
    world.restart()
    world.tell_tasks(task(units=2, done_units=3))
    world.scanner.seq = 3
    assert world.scan(article_label(units=2)).code == "booked"
    assert verify_counts(world.agent.store.db) == []


def scan_payload(**fields: Any) -> bytes:
    values: dict[str, Any] = {
        "type": "DeviceScan", "device_id": "mqtt-1", "boot_epoch": 1, "seq": 1,
        "text": "]C191SH-PICK", "scanned_at_ns": 1,
    }  # fmt: skip
    return msgspec.json.encode(values | fields)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "malformed"),
        (b"\x00\xff", "malformed"),
        (b"[]", "malformed"),
        (b'"DeviceScan"', "malformed"),
        (scan_payload(seq=0), "malformed"),
        (scan_payload(seq="1"), "malformed"),
        (scan_payload(seq=2**70), "malformed"),
        (scan_payload(text=""), "malformed"),
        (scan_payload(text="x" * 513), "malformed"),
        (scan_payload(type="Movement"), "malformed"),
        (scan_payload(device_id="mqtt/1"), "malformed"),
        (scan_payload(device_id="mqtt-2"), "foreign_device"),
        (scan_payload(text="x" * 70_000), "too_long"),
        (b"[" * 66_000, "too_long"),
        (b"[" * 60_000, "malformed"),
    ],
)
def test_a_malformed_message_is_answered_counted_and_stops_nothing(
    world: EdgeWorld, payload: bytes, code: str
) -> None:
    world.scanner.publish(payload)
    world.run()
    (answer,) = world.scanner.answers
    assert (answer.ok, answer.code, answer.seq) == (False, code, 0)
    assert answer.text
    assert world.counter(f"scans_refused{{{code}}}") == 1
    assert world.scan(command_label("PICK")).ok


def test_serial_scanners_beep_after_the_commit_and_say_why_not(tmp_path: Path) -> None:
    own = ScannerConfig(device_id="serial-1", person_id="P1", path="/dev/s1")
    world = EdgeWorld(tmp_path, own)
    device = SerialDevice(world.runtime, "/dev/s1")
    world.start()
    world.tell_tasks(task())
    device.scan(*PICK_AT_A01, article_label(units=3), article_label(units=9), "rubbish")
    device.send(b"\x00\x01\x02\r\n")
    world.run()
    good, too_many, rubbish, noise = device.heard.split(b"\x07")
    assert good == b"\x06\x06\x06"
    assert too_many.startswith(b"too_many: 9 scanned")
    assert rubbish.startswith(b"not_gs1: 'rubbish'")
    assert noise.startswith(b"malformed: byte 0x00")
    (moved,) = world.movements()
    assert moved.device_id == "serial-1"
    assert world.book("bin:A-01") == 17


def test_a_disk_that_is_full_beeps_badly_and_counts_nothing_until_there_is_room(
    world: EdgeWorld,
) -> None:
    world.tell_tasks(task(units=1_000_000, from_place="supplier:S1", to_place="bin:A-03",
                          kind="receive"))  # fmt: skip
    world.scan(command_label("RECEIVE"), bin_label("A-03"))
    db = world.agent.store.db
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0] + 2}")
    accepted = 0
    while (answer := world.scan(article_label())).ok:
        accepted += 1
    assert answer.code == "store_failed"
    assert "full" in answer.text
    assert world.book("bin:A-03") == accepted
    assert world.counter("scans_refused{store_failed}") == 1
    db.execute("PRAGMA max_page_count = 1000000")
    world.scanner.scan(article_label(), seq=world.scanner.seq)
    world.run()
    assert world.scanner.answers[-1].code == "booked"
    assert world.book("bin:A-03") == accepted + 1
    assert verify_counts(db) == []


def test_facts_wait_in_memory_while_the_disk_is_full(world: EdgeWorld) -> None:
    db = world.agent.store.db
    db.execute("PRAGMA max_page_count = 1")
    world.agent._take_events([movement(event_id=f"m{n}") for n in range(200)])
    world.run(5)
    assert world.movements() == []
    assert world.counter("commits_failed") >= 3
    db.execute("PRAGMA max_page_count = 1000000")
    world.run(5)
    assert len(world.movements()) == 200


def test_a_full_journal_refuses_scans_in_words(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path, journal_rows_max=1_000).start()
    events = [movement(event_id=f"m{n}") for n in range(1_000)]
    world.agent._take_events(events)
    world.run()
    assert world.scan(command_label("PICK")).code == "store_full"


def test_scans_beyond_what_may_wait_are_told_so_and_may_come_again(world: EdgeWorld) -> None:
    """Nothing of the edge runs meanwhile: that is what a disk that hangs looks like."""
    agent = world.agent
    answers: list[ScanFeedback] = []
    for seq in range(1, WORKS_WAITING_MAX + 3):
        scan = DeviceScan(
            device_id="mqtt-1", boot_epoch=9, seq=seq, text=command_label("PICK"), scanned_at_ns=1
        )
        agent._intake.take(Arrival(scan=scan, received_at_ns=1), answers.append)
    assert [(told.seq, told.code) for told in answers] == [
        (WORKS_WAITING_MAX + 1, "busy"), (WORKS_WAITING_MAX + 2, "busy"),
    ]  # fmt: skip
    assert world.counter("scans_refused{busy}") == 2
    world.run()
    assert len(answers) == WORKS_WAITING_MAX + 2
    assert all(told.ok for told in answers[2:])
    again = DeviceScan(
        device_id="mqtt-1", boot_epoch=9, seq=WORKS_WAITING_MAX + 1, text=command_label("PICK"),
        scanned_at_ns=1,
    )  # fmt: skip
    agent._intake.take(Arrival(scan=again, received_at_ns=1), answers.append)
    world.run()
    assert answers[-1].ok


def test_facts_are_held_back_while_too_much_waits(world: EdgeWorld) -> None:
    for seq in range(1, WORKS_WAITING_MAX + 1):
        scan = DeviceScan(
            device_id="mqtt-1", boot_epoch=9, seq=seq, text=command_label("PICK"), scanned_at_ns=1
        )
        world.agent._intake.take(Arrival(scan=scan, received_at_ns=1), lambda _told: None)
    world.agent._writer.submit_facts([movement(event_id=f"m{n}") for n in range(20)])
    assert len(world.agent._writer._held) == 20
    world.run(5)
    assert len(world.movements()) == 20


# --- robots ------------------------------------------------------------------------------------


def tell_state(
    world: EdgeWorld, *actions: tuple[str, str], serial: str = "agv-1", **fields: Any
) -> None:
    states = [{"actionId": a, "actionStatus": s} for a, s in actions]
    payload = {"orderId": "x", "serialNumber": serial, "actionStates": states} | fields
    world.central.bus.publish(f"uagv/v2/acme/{serial}/state", msgspec.json.encode(payload), qos=0)
    world.run()


def action(verb: str, bin_id: str = "A-01", units: int = 4, task_id: str = "R1") -> str:
    assert verb in {"pick", "drop"}
    return StockAction(verb, task_id, bin_id, MUG, units).action_id  # type: ignore[arg-type]


def test_a_robots_finished_actions_are_booked_once(world: EdgeWorld) -> None:
    pick, drop = action("pick"), action("drop", "A-02")
    tell_state(world, (pick, "RUNNING"), (drop, "WAITING"))
    assert world.movements() == []
    for _ in range(3):
        tell_state(world, (pick, "FINISHED"), (drop, "RUNNING"))
    tell_state(world, (pick, "FINISHED"), (drop, "FINISHED"))
    world.restart()
    tell_state(world, (pick, "FINISHED"), (drop, "FINISHED"))
    assert [(m.event_id, m.from_place, m.to_place, m.task_id) for m in world.movements()] == [
        (pick, "bin:A-01", "robot:agv-1", "R1"),
        (drop, "robot:agv-1", "bin:A-02", "R1"),
    ]
    assert (world.book("bin:A-01"), world.book("bin:A-02")) == (16, 4)
    assert world.book("robot:agv-1") == 0


def test_what_moves_nothing_of_ours_is_not_booked(world: EdgeWorld) -> None:
    tell_state(
        world, (action("pick", FOREIGN_BIN), "FINISHED"), ("load/D1", "FINISHED"),
        (action("pick"), "FAILED"), ("pick/R1/A-01/123/4", "FINISHED"),
        (StockAction("pick", "R1", "A-01", "09780201379624", 1).action_id, "FINISHED"),  # type: ignore[arg-type]
    )  # fmt: skip
    tell_state(world, (action("pick"), "FINISHED"), serial="stranger")
    assert world.movements() == []
    assert world.counter("wire_refused{unknown-robot}") == 1
    assert world.counter("wire_refused{robot-unknown-article}") == 1


def test_a_robot_that_took_more_than_the_book_says_is_booked_and_noted(world: EdgeWorld) -> None:
    tell_state(world, (action("pick", units=25), "FINISHED"))
    assert world.book("bin:A-01") == -5
    assert world.counter("discrepancies") == 1


@pytest.mark.parametrize("payload", [b"", b"{", b'{"actionStates":7}', b"\xff" * 70_000])
def test_a_malformed_robot_state_stops_nothing(world: EdgeWorld, payload: bytes) -> None:
    world.central.bus.publish("uagv/v2/acme/agv-1/state", payload, qos=0)
    tell_state(world, (action("pick"), "FINISHED"))
    assert world.counter("wire_refused{robot-state}") == 1
    assert len(world.movements()) == 1


def test_what_no_movement_can_be_never_comes_into_the_journal(world: EdgeWorld) -> None:
    tell_state(world, (action("pick", units=9_999_999), "FINISHED"))
    command = encode(
        RecordMove(command_id="c1", expires_at_ns=FAR, movement=movement(from_place="bin:A-01"))
    )
    for field in ("person_id", "task_id"):
        found = msgspec.json.decode(command)
        found["movement"][field] = "x" * 60_000
        world.central.bus.publish(f"stockhelm/v1/{SITE}/edge/A/command", msgspec.json.encode(found))
    world.run()
    assert world.movements() == []
    assert world.counter("commands_refused{malformed}") == 2
    world.restart()
    tell_state(world, (action("pick"), "FINISHED"))
    assert len(world.movements()) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"units": 2_000_000}, "Expected `int` <= 1000000 - at `$.units`"),
        ({"from_place": "nowhere"}, "Expected `str` matching regex"),
        ({"reason": "x" * 20_000}, "at most 16384 are kept"),
        ({}, ""),
    ],
)
def test_an_event_that_could_not_be_sent_is_not_kept(fields: dict[str, Any], reason: str) -> None:
    found = why_not_to_be_kept(movement(**fields))
    assert reason in found
    assert bool(found) is bool(reason)


# --- central's commands -------------------------------------------------------------------------


def record(world: EdgeWorld, expires_at_ns: int = FAR, nonce: str = "", **fields: Any) -> None:
    move = movement(**fields)
    world.central.command(
        RecordMove(command_id="c1", expires_at_ns=expires_at_ns, movement=move, nonce=nonce)
    )
    world.run()


def test_a_commanded_move_is_written_once_also_after_the_robot_told_it(world: EdgeWorld) -> None:
    told = action("pick")
    tell_state(world, (told, "FINISHED"))
    for _ in range(3):
        record(world, event_id=told, from_place="bin:A-01", to_place="robot:agv-1", units=4)
        record(world, event_id="D1/1", from_place="tote:O1", to_place="customer:O1", units=2)
    assert [m.event_id for m in world.movements()] == [told, "D1/1"]
    assert world.book("bin:A-01") == 16


def test_a_command_that_comes_too_late_or_to_the_wrong_edge_is_refused(world: EdgeWorld) -> None:
    record(world, expires_at_ns=1, event_id="late", from_place="bin:A-01")
    record(world, event_id="foreign", from_place=f"bin:{FOREIGN_BIN}")
    record(world, event_id="unknown", from_place="bin:Z-9")
    world.central.bus.publish(f"stockhelm/v1/{SITE}/edge/A/command", b"{}")
    world.run()
    assert world.movements() == []
    assert world.counter("commands_refused{expired}") == 1
    assert world.counter("commands_refused{foreign_bin}") == 2
    assert world.counter("commands_refused{malformed}") == 1


NONCE = "0123456789abcdef0123456789abcdef"


def test_a_repeated_command_changes_nothing_and_a_changed_one_is_refused(world: EdgeWorld) -> None:
    first = {"event_id": "D1/1", "from_place": "bin:A-01", "to_place": "robot:agv-1", "units": 4}

    def command(nonce: str, expires_at_ns: int = FAR, **fields: Any) -> None:
        move = movement(**(first | fields))
        world.central.command(
            RecordMove(command_id="c1", expires_at_ns=expires_at_ns, movement=move, nonce=nonce)
        )
        world.run()

    command(NONCE)
    command(NONCE)
    command(NONCE, expires_at_ns=FAR - 1)
    assert world.book("bin:A-01") == 16
    assert world.counter("commands_refused{command_reused}") == 0
    command("f" * 32)
    command("")
    command(NONCE, event_id="D1/2")
    command("f" * 32, event_id="D1/3")
    assert world.counter("commands_refused{command_reused}") == 4
    command(NONCE, expires_at_ns=1)
    assert world.counter("commands_refused{expired}") == 1
    command("not-a-nonce")
    assert world.counter("commands_refused{malformed}") == 1
    assert [m.event_id for m in world.movements()] == ["D1/1"]


def test_a_refused_command_does_not_keep_its_id_from_the_right_one(world: EdgeWorld) -> None:
    record(world, event_id="x", from_place=f"bin:{FOREIGN_BIN}", nonce="f" * 32)
    record(world, event_id="D1/1", from_place="bin:A-01", units=4, nonce=NONCE)
    assert [m.event_id for m in world.movements()] == ["D1/1"]


def test_an_edge_remembers_so_many_commands_and_no_more(
    world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.commands.HANDLED_MAX", 2)

    def command(number: int, event_id: str = "") -> None:
        move = movement(event_id=event_id or f"D{number}", from_place="bin:A-01", units=1)
        expires_at_ns = world.runtime.clock.now_ns() + 10 * NS_PER_S
        world.central.command(
            RecordMove(
                command_id=f"c{number}", expires_at_ns=expires_at_ns, movement=move, nonce=NONCE
            )
        )
        world.run()

    for number in range(4):
        command(number)
    assert world.counter("commands_refused{full}") == 2
    for number in (0, 1):
        command(number, event_id="another")
    assert world.counter("commands_refused{command_reused}") == 2
    assert [m.event_id for m in world.movements()] == ["D0", "D1"]
    world.run(11)
    for number in (2, 3):  # central sends them again, and the others are expired
        command(number)
    assert [m.event_id for m in world.movements()] == ["D0", "D1", "D2", "D3"]
    assert [name for name, *_ in world.agent.store.commands()] == ["c2", "c3"]


def test_a_handled_command_is_known_after_a_restart(world: EdgeWorld) -> None:
    record(world, event_id="D1/1", from_place="bin:A-01", units=4, nonce=NONCE)
    world.restart()
    record(world, event_id="D1/1", from_place="bin:A-01", units=4, nonce=NONCE)
    assert world.counter("commands_refused{command_reused}") == 0
    record(world, event_id="D1/1", from_place="bin:A-01", units=4, nonce="f" * 32)
    record(world, event_id="D1/2", from_place="bin:A-01", units=5, nonce=NONCE)
    record(world, event_id="D1/3", from_place="bin:A-01", units=5)
    assert world.counter("commands_refused{command_reused}") == 3
    assert [m.event_id for m in world.movements()] == ["D1/1"]


def test_a_mission_whose_end_is_in_the_journal_is_not_flown_after_a_restart(
    world: EdgeWorld,
) -> None:
    mission = FlyMission(
        command_id="c1", expires_at_ns=FAR, mission_id="M1", drone_id="none", bins=("A-01",),
        nonce=NONCE,
    )  # fmt: skip
    world.central.command(mission)
    world.run()
    assert world.counter("missions_ended{failed}") == 1
    world.restart()
    world.central.command(mission)
    world.central.command(msgspec.structs.replace(mission, bins=("A-02",)))
    world.run()
    assert world.counter("missions_ended{failed}") == 0
    assert world.counter("commands_refused{command_reused}") == 1


def test_a_command_that_could_not_be_written_is_taken_when_it_comes_again(
    world: EdgeWorld,
) -> None:
    other = sqlite3.connect(Path(world.config.data_dir) / FILE_NAME)
    world.agent.store.db.execute("PRAGMA busy_timeout=1")
    other.execute("BEGIN IMMEDIATE")
    record(world, event_id="D1/1", from_place="bin:A-01", units=4, nonce=NONCE)
    assert world.movements() == []
    other.rollback()
    other.close()
    record(world, event_id="D1/2", from_place="bin:A-01", units=4, nonce="f" * 32)
    assert world.counter("commands_refused{command_reused}") == 0
    assert [m.event_id for m in world.movements()] == ["D1/2"]


# --- tasks, status, configuration -----------------------------------------------------------------


def test_a_malformed_task_list_leaves_the_older_one_in_place(world: EdgeWorld) -> None:
    world.tell_tasks(task())
    topic = PERSON_TASKS.of(site=SITE, person="P1")
    for payload in (b"", b"{}", b'{"type":"PersonTasks","person_id":"P2","tasks":[]}'):
        world.central.bus.publish(topic, payload)
    world.run()
    assert world.counter("wire_refused{person-tasks}") == 3
    assert world.scan(*PICK_AT_A01).ok


def test_birth_and_death_of_edge_and_scanners_stand_at_the_broker(tmp_path: Path) -> None:
    own = ScannerConfig(device_id="serial-1", person_id="P1", path="/dev/s1")
    world = EdgeWorld(tmp_path, own)
    SerialDevice(world.runtime, "/dev/s1")
    told: list[DeviceStatus] = []

    def hear(messages: list[Incoming]) -> None:
        told.extend(decode(message.payload, DeviceStatus) for message in messages)

    bus = world.runtime.bus(BusOptions(client_id="desk"))
    lane = world.runtime.lane("desk")
    bus.subscribe(EDGE_STATUS.of(site=SITE, edge="A"), lane, hear)
    bus.subscribe(DEVICE_STATUS.of(site=SITE, device="serial-1"), lane, hear)
    bus.start()
    world.start()
    assert {(s.device_id, s.online) for s in told} == {("A", True), ("serial-1", True)}
    told.clear()
    world.agent.stop()
    world.run()
    assert {(s.device_id, s.online) for s in told} == {("A", False), ("serial-1", False)}
    told.clear()
    world.restart()
    agent_bus: Any = world.agent._bus
    late = world.runtime.bus(BusOptions(client_id="late"))
    late.subscribe(EDGE_STATUS.of(site=SITE, edge="A"), world.runtime.lane("late"), hear)
    late.start()
    world.run()
    agent_bus.drop()
    world.run()
    assert [s.online for s in told] == [True, False], "the last will tells it"


def test_a_broker_that_lost_all_it_knew_is_told_again_how_devices_are(tmp_path: Path) -> None:
    own = ScannerConfig(device_id="serial-1", person_id="P1", path="/dev/s1")
    camera = CameraConfig(camera_id="camera-1", url="http://camera/1")
    smart = SmartCameraConfig(camera_id="smart-1", silent_after_s=5)
    world = EdgeWorld(tmp_path, own, cameras=(camera,), smart_cameras=(smart,))
    SerialDevice(world.runtime, "/dev/s1")
    world.start()
    world.run(10)
    world.runtime.broker.fail()
    world.run(1)
    world.runtime.broker.recover()
    world.run(10)
    told: list[DeviceStatus] = []

    def hear(messages: list[Incoming]) -> None:
        told.extend(decode(message.payload, DeviceStatus) for message in messages)

    late = world.runtime.bus(BusOptions(client_id="late"))
    late.subscribe(DEVICE_STATUS.any(site=SITE), world.runtime.lane("late"), hear)
    late.start()
    world.run(1)
    assert sorted((s.device_id, s.kind, s.online, s.detail) for s in told) == [
        ("camera-1", "camera", False, "http://camera/1: no picture: no such camera"),
        ("serial-1", "scanner", True, ""),
        ("smart-1", "camera", False, "no look for 5 s"),
    ]


def test_a_wrong_location_number_stops_the_start_and_is_named(tmp_path: Path) -> None:
    config = edge_config(tmp_path, gln="4049111000009")
    with pytest.raises(ConfigError, match="gln = '4049111000009'"):
        build_edge(VirtualRuntime(), Metrics(), config)


def test_devices_of_another_edge_are_left_to_it(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path, ScannerConfig(device_id="other", person_id="P1")).start()
    world.scanner.publish(encode(DeviceScan(device_id="mqtt-1", boot_epoch=1, seq=1, text="x",
                                            scanned_at_ns=1)))  # fmt: skip
    world.run()
    assert world.scanner.answers == []
    assert isinstance(world.config, EdgeConfig)
