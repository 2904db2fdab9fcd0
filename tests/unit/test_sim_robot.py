"""The simulated robot's firmware against orders written by hand, in virtual time."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sim_hardware.world.world import World
from tests.sim_floor import Bench, Master, make_bench, stock_action, tote_action
from wire.vda5050.messages import Action, State


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


@pytest.fixture
def master(bench: Bench) -> Master:
    return Master(bench)


def reserve_stock(bench: Bench, units_min: int = 6) -> tuple[str, str, str, int]:
    """Return (bin, node, GTIN, units) of a full reserve bin."""
    row = next(o for o in bench.site.opening if o.bin_id.startswith("A-") and o.units >= units_min)
    return row.bin_id, bench.site.bins[row.bin_id].node_id, row.gtin, row.units


def error_types(state: State) -> list[str]:
    return [error.error_type for error in state.errors]


def about(state: State) -> dict[str, str]:
    return {r.reference_key: r.reference_value for r in state.errors[-1].error_references or ()}


def test_it_says_where_it_is_before_any_order(master: Master) -> None:
    state = master.state
    assert (state.order_id, state.last_node_id) == ("", master.start_node)
    assert (state.driving, state.operating_mode, state.errors) == (False, "AUTOMATIC", ())
    connection = json.loads(master.bench.payloads(master.topic("connection"))[-1])
    assert connection["connectionState"] == "ONLINE"


def test_nodes_and_edges_disappear_as_they_are_driven(master: Master) -> None:
    way = master.way("N03R00")
    master.send("o1", way)
    assert [n.node_id for n in master.state.node_states] == way[1:]
    assert len(master.state.edge_states) == len(way) - 1
    master.bench.runtime.run_for(15)
    seen: list[str] = []
    for state in master.states():
        if state.order_id == "o1" and state.last_node_id not in seen:
            seen.append(state.last_node_id)
            left = way[way.index(state.last_node_id) + 1 :]
            assert [n.node_id for n in state.node_states] == left
            assert len(state.edge_states) == len(left)
    assert seen == way
    end = master.state
    assert (end.driving, end.node_states, end.last_node_sequence_id) == (
        False, (), 2 * (len(way) - 1),
    )  # fmt: skip
    position = end.agv_position
    assert position
    assert (position.x, position.y) == (4.5, 0.0)


def test_it_speeds_up_slows_down_and_turns_on_the_spot(master: Master) -> None:
    master.send("o1", master.way("N04R04"))
    robot = master.bench.floor.robots[master.serial]
    vehicle = robot.vehicle
    speeds, turned_at_speed = [0.0], []
    for _ in range(400):
        before = vehicle.theta_rad
        master.bench.runtime.run_for(0.0125)
        vehicle = robot.vehicle
        speeds.append(vehicle.speed_mps)
        if vehicle.theta_rad != before and vehicle.omega_radps:
            turned_at_speed.append(vehicle.speed_mps)
    gains = [b - a for a, b in pairwise(speeds)]
    assert 1.0 < max(speeds) <= 1.5
    assert max(gains) <= 1.0 * 0.05 + 1e-9
    assert turned_at_speed
    assert set(turned_at_speed) == {0.0}


def test_pick_and_drop_move_the_units_and_their_ids_say_which(master: Master) -> None:
    bench = master.bench
    bin_id, node, gtin, units = reserve_stock(bench)
    other = next(b for b in bench.site.bins.values() if b.node_id != node and b.kind == "reserve")
    pick, drop = f"pick/T1/{bin_id}/{gtin}/5", f"drop/T1/{other.bin_id}/{gtin}/5"
    way = master.way(node)
    master.send("o1", way, actions={len(way) - 1: (stock_action(pick),)})
    assert master.status(pick) == "WAITING"
    bench.runtime.run_for(30)
    assert master.status(pick) == "FINISHED"
    assert [load.load_id for load in master.state.loads or ()] == [gtin]
    assert bench.units(f"bin:{bin_id}", gtin) == units - 5
    assert bench.units("robot:agv-1", gtin) == 5
    before = bench.units(f"bin:{other.bin_id}", gtin)
    way = master.way(other.node_id)
    master.send("o2", way, actions={len(way) - 1: (stock_action(drop),)})
    bench.runtime.run_for(40)
    assert master.status(drop) == "FINISHED"
    assert master.state.loads == ()
    assert bench.units(f"bin:{other.bin_id}", gtin) == before + 5
    statuses = [
        a.action_status for s in master.states() for a in s.action_states if a.action_id == drop
    ]
    assert list(dict.fromkeys(statuses)) == ["WAITING", "INITIALIZING", "RUNNING", "FINISHED"]
    assert bench.floor.truth().units_missing == {}


def test_a_pick_of_more_than_is_there_fails_and_moves_nothing(master: Master) -> None:
    bin_id, node, gtin, units = reserve_stock(master.bench)
    pick = f"pick/T1/{bin_id}/{gtin}/{units + 1}"
    way = master.way(node)
    master.send("o1", way, actions={len(way) - 1: (stock_action(pick),)})
    master.bench.runtime.run_for(30)
    assert master.status(pick) == "FAILED"
    result = master.state.action_states[0].result_description
    assert result == f"{units} of {units + 1} units of {gtin} are at bin:{bin_id}"
    assert master.bench.units(f"bin:{bin_id}", gtin) == units
    assert not master.state.driving


def test_a_bin_at_another_node_cannot_be_reached(master: Master) -> None:
    bin_id, node, gtin, _ = reserve_stock(master.bench)
    pick = f"pick/T1/{bin_id}/{gtin}/1"
    master.send("o1", [master.start_node], actions={0: (stock_action(pick),)})
    master.bench.runtime.run_for(3)
    assert node != master.start_node
    assert master.status(pick) == "FAILED"


def test_an_update_extends_the_base_without_a_stop(master: Master) -> None:
    way = master.way("N05R00")
    master.send("o1", way[:4], released=4)
    master.send("o1", way[3:], update=1, first=6)
    assert master.state.order_update_id == 1
    assert [n.node_id for n in master.state.node_states] == way[1:]
    master.bench.runtime.run_for(20)
    assert master.state.last_node_id == way[-1]
    stops = [s for s in master.states() if s.order_id == "o1" and s.last_node_id == way[3]]
    assert all(state.driving for state in stops)


def test_it_stops_at_the_end_of_the_base_and_asks_for_more(master: Master) -> None:
    way = master.way("N05R00")
    master.send("o1", way, released=3)
    master.bench.runtime.run_for(20)
    state = master.state
    assert (state.last_node_id, state.driving, state.new_base_request) == (way[2], False, True)
    assert [n.released for n in state.node_states] == [False] * (len(way) - 3)
    master.send("o1", way[2:], update=1, first=4)
    master.bench.runtime.run_for(20)
    assert master.state.last_node_id == way[-1]


def test_a_repeated_message_changes_nothing(master: Master) -> None:
    way = master.way("N03R00")
    master.send("o1", way)
    master.bench.runtime.run_for(1.5)
    before = master.state
    master.send("o1", way)
    assert master.state.node_states == before.node_states
    assert master.state.errors == ()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"order_id": "o1", "first": 4, "update": 1}, "orderUpdateError"),  # wrong stitch
        ({"order_id": "o2"}, "orderError"),  # the first one is not done
        ({"order_id": "o1", "update": 1, "nodes": ["N00R01", "N77R77"]}, "noRouteError"),
        ({"order_id": "o1", "update": 1, "nodes": ["N00R01", "N03R00"]}, "noRouteError"),
    ],
)
def test_what_it_cannot_do_it_refuses_and_goes_on(
    master: Master, message: dict[str, Any], kind: str
) -> None:
    way = master.way("N03R00")
    master.send("o1", way[:1])
    if message["order_id"] == "o2":
        master.send("o1", way, update=1)
    values = {"nodes": way, **message}
    master.send(values.pop("order_id"), values.pop("nodes"), **values)
    assert error_types(master.state) == [kind]
    assert about(master.state)["orderId"] == message["order_id"]
    assert about(master.state)["orderUpdateId"] == str(message.get("update", 0))
    assert master.state.order_id == "o1"
    master.bench.runtime.run_for(15)
    if message["order_id"] == "o2":
        assert master.state.last_node_id == way[-1]
    master.send("o1", way, update=9)
    assert master.state.errors == () or message["order_id"] == "o2"


def test_an_older_update_is_refused(master: Master) -> None:
    way = master.way("N03R00")
    master.send("o1", way, update=5)
    master.send("o1", way, update=4)
    assert error_types(master.state) == ["orderUpdateError"]
    assert master.state.order_update_id == 5


def test_an_order_that_starts_elsewhere_is_refused(master: Master) -> None:
    way = master.way("N03R00")
    master.send("o1", way[1:])
    assert error_types(master.state) == ["noRouteError"]
    assert about(master.state)["nodeId"] == way[1]
    assert master.state.order_id == ""


def test_an_action_it_does_not_know_is_refused(master: Master) -> None:
    action = Action(action_type="dance", action_id="d1")
    master.send("o1", [master.start_node], actions={0: (action,)})
    assert error_types(master.state) == ["orderError"]
    assert about(master.state)["actionId"] == "d1"


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"orderId": 3}', b"\xff" * 70_000])
def test_bytes_that_are_no_order_are_refused_in_the_state(master: Master, payload: bytes) -> None:
    master.bench.bus.publish(master.topic("order"), payload)
    master.bench.runtime.run_for(0.1)
    assert error_types(master.state) == ["validationError"]
    assert master.bench.metrics.snapshot().counters["wire_refused{Order}"] == 1


def test_cancelling_stops_at_the_next_node_and_frees_the_rest(master: Master) -> None:
    bin_id, _node, gtin, _ = reserve_stock(master.bench)
    pick = f"pick/T1/{bin_id}/{gtin}/1"
    way = master.way("N09R00")
    master.send("o1", way, actions={len(way) - 1: (stock_action(pick),)})
    master.bench.runtime.run_for(1.3)
    master.at_once("cancelOrder", "c1")
    assert master.status("c1") == "RUNNING"
    master.bench.runtime.run_for(10)
    state = master.state
    assert master.status("c1") == "FINISHED"
    assert master.status(pick) == "FAILED"
    assert (state.node_states, state.edge_states, state.driving) == ((), (), False)
    assert state.last_node_id in way[1:4]
    back = master.way(master.start_node)
    master.send("o2", back)
    master.bench.runtime.run_for(20)
    assert master.state.last_node_id == master.start_node


def test_there_may_be_no_order_to_cancel(master: Master) -> None:
    master.at_once("cancelOrder", "c1")
    assert master.status("c1") == "FAILED"
    assert error_types(master.state) == ["noOrderToCancel"]


def test_a_pause_stops_it_between_nodes_and_it_goes_on(master: Master) -> None:
    way = master.way("N06R00")
    master.send("o1", way)
    master.bench.runtime.run_for(1.6)
    master.at_once("startPause", "p1")
    master.bench.runtime.run_for(5)
    state = master.state
    assert (state.paused, state.driving) == (True, False)
    assert state.last_node_id != way[-1]
    master.at_once("stopPause", "p2")
    master.bench.runtime.run_for(20)
    assert (master.state.paused, master.state.last_node_id) == (False, way[-1])


def test_a_factsheet_and_a_state_come_when_asked_for(master: Master) -> None:
    said, sheets = len(master.states()), len(master.bench.payloads(master.topic("factsheet")))
    master.at_once("stateRequest", "s1")
    master.at_once("factsheetRequest", "f1")
    assert len(master.states()) >= said + 2
    assert len(master.bench.payloads(master.topic("factsheet"))) == sheets + 1
    assert (master.status("s1"), master.status("f1")) == ("FINISHED", "FINISHED")


def test_a_state_comes_at_least_every_thirty_seconds(master: Master) -> None:
    said = len(master.states())
    master.bench.runtime.run_for(61)
    assert len(master.states()) >= said + 2


def test_header_ids_count_up_without_gaps(master: Master) -> None:
    master.send("o1", master.way("N03R00"))
    master.bench.runtime.run_for(10)
    ids = [state.header_id for state in master.states()]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_a_tote_waits_for_its_last_goods_and_leaves_with_all_of_them(master: Master) -> None:
    bench = master.bench
    world: World = bench.floor.world
    gtin = bench.site.opening[0].gtin
    place = f"bin:{bench.site.opening[0].bin_id}"
    world.stock.move(gtin, 1, from_place=place, to_place="tote:O1")
    world.bring("tote:O1")  # somebody is on the way with more
    hand, pack = world.handover_bins[0], bench.site.bins["PACK-1"]
    way = master.way(hand.node_id)
    load = tote_action("pick", "load/D1", "tote:O1", hand.bin_id)
    master.send("o1", way, actions={len(way) - 1: (load,)})
    bench.runtime.run_for(40)
    assert master.status("load/D1") == "RUNNING"
    world.brought("tote:O1")
    bench.runtime.run_for(1)
    assert master.status("load/D1") == "FINISHED"
    assert [(x.load_type, x.load_id) for x in master.state.loads or ()] == [("tote", "tote:O1")]
    assert bench.units("tote:O1", gtin) == 1
    way = master.way(pack.node_id)
    unload = tote_action("drop", "unload/D1", "tote:O1", pack.bin_id)
    master.send("o2", way, actions={len(way) - 1: (unload,)})
    bench.runtime.run_for(40)
    assert master.status("unload/D1") == "FINISHED"
    assert bench.units("tote:O1", gtin) == 0
    assert bench.floor.truth().units_missing == {}


def test_a_tote_that_nobody_filled_cannot_be_taken(master: Master) -> None:
    hand = master.bench.floor.world.handover_bins[0]
    way = master.way(hand.node_id)
    load = tote_action("pick", "load/D1", "tote:O9", hand.bin_id)
    master.send("o1", way, actions={len(way) - 1: (load,)})
    master.bench.runtime.run_for(40)
    assert master.status("load/D1") == "FAILED"


def test_two_robots_on_one_spot_are_one_conflict(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    one, other = Master(bench, "agv-1"), Master(bench, "agv-3")
    meet = one.way(other.start_node)
    one.send("o1", meet)
    bench.runtime.run_for(30)
    assert one.state.last_node_id == other.start_node
    assert bench.floor.truth().robot_conflicts == 1
    one.send("o2", meet[::-1])
    bench.runtime.run_for(30)
    assert bench.floor.truth().robot_conflicts == 1


def test_the_battery_drains_and_fills_at_a_charger(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, battery_hours=0.02)
    master = Master(bench)
    way = master.way("N09R06")
    master.send("o1", way)
    bench.runtime.run_for(20)
    assert master.state.battery_state.battery_charge < 80
    master.send("o2", way[::-1])
    bench.runtime.run_for(30)
    assert master.state.battery_state.charging
    bench.runtime.run_for(60)
    assert master.state.battery_state.battery_charge == 100.0


def test_an_empty_battery_is_a_fatal_error(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, battery_hours=0.001)
    master = Master(bench)
    master.send("o1", master.way("N09R06"))
    bench.runtime.run_for(60)
    assert [(e.error_type, e.error_level) for e in master.state.errors] == [
        ("batteryEmpty", "FATAL")
    ]
    assert not master.state.driving


def test_a_frozen_world_stands_still_but_the_firmware_answers(master: Master) -> None:
    master.send("o1", master.way("N09R00"))
    master.bench.runtime.run_for(2)
    master.bench.floor.freeze()
    master.bench.runtime.run_for(0.1)
    master.at_once("stateRequest", "s1")
    place = master.state.agv_position
    master.bench.runtime.run_for(30)
    master.at_once("stateRequest", "s2")
    assert (master.status("s1"), master.status("s2")) == ("FINISHED", "FINISHED")
    assert master.state.agv_position == place


def test_it_says_goodbye_and_leaves_a_last_will(bench: Bench, master: Master) -> None:
    def last() -> str:
        bench.runtime.run_for(0.1)
        payload = bench.payloads(master.topic("connection"))[-1]
        return str(json.loads(payload)["connectionState"])

    uplink = bench.floor.robots[master.serial].uplink
    uplink.lose()
    assert last() == "CONNECTIONBROKEN"
    uplink.find()
    assert last() == "ONLINE"
    bench.floor.stop()
    assert last() == "OFFLINE"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("state", "2.0.0/state.schema"),
        ("visualization", "2.0.0/visualization.schema"),
        ("connection", "2.0.0/connection.schema"),
        ("factsheet", "2.0.0/factsheet.json"),
    ],
)
def test_what_it_says_is_valid_by_the_published_schema(
    master: Master, data_dir: Path, name: str, file: str
) -> None:
    bin_id, node, gtin, _ = reserve_stock(master.bench)
    way = master.way(node)
    pick = f"pick/T1/{bin_id}/{gtin}/1"
    master.send("o1", way, actions={len(way) - 1: (stock_action(pick),)})
    master.send("o9", way[2:])
    master.bench.runtime.run_for(30)
    schema = json.loads((data_dir / "vda5050" / file).read_text(encoding="utf-8-sig"))
    validator = Draft202012Validator(schema)
    payloads = master.bench.payloads(master.topic(name))
    assert payloads
    for payload in payloads:
        validator.validate(json.loads(payload))
