"""The rules of the VDA 5050 master, each against a vehicle that keeps the standard strictly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from central.config import FleetConfig
from central.fleet import service
from tests.build_fleet import FleetWorld, grid_site, transport
from tests.build_vehicle import Network
from tests.fleet_hand import head, publish, say_connection, written
from wire.vda5050.codec import encode
from wire.vda5050.messages import (
    SafetyState,
    State,
    VehicleError,
    header,
)

ONE = {"r1": "N0-0"}
SPOKEN = {"version": "2.0.0"}


@pytest.fixture(
    autouse=True,
    params=["2.0.0", *(pytest.param(v, marks=pytest.mark.soak) for v in ("2.1.0", "3.0.0"))],
)
def version(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the version of VDA 5050 that the vehicles of a test speak."""
    SPOKEN["version"] = request.param
    yield request.param
    SPOKEN["version"] = "2.0.0"


def made_world(**options: object) -> FleetWorld:
    """Return a fleet whose vehicles have not said anything yet."""
    return FleetWorld(**{"robots": ONE, **SPOKEN, **options})  # type: ignore[arg-type]


def world(**options: object) -> FleetWorld:
    made = made_world(**options)
    made.start_vehicles()
    made.runtime.run_for(0.2)
    return made


# --- the normal way ---------------------------------------------------------------------------


def test_a_robot_picks_and_drops_and_everything_is_told() -> None:
    floor = world()
    floor.submit(transport("T1", "N3-2", "N5-4"))
    assert floor.run_until_ended(1)
    assert [(e.event, e.stop_index, e.robot_id) for e in floor.told] == [
        ("assigned", 0, "acme/r1"),
        ("stop_done", 0, "acme/r1"),
        ("stop_done", 1, "acme/r1"),
        ("done", 2, "acme/r1"),
    ]
    assert floor.vehicles["r1"].done == ["pick0/T1", "drop1/T1"]
    assert floor.vehicles["r1"].node == "N5-4"
    assert "acme/r1 costs" in floor.detail("T1", "assigned")


def test_on_a_large_floor_states_are_followed_by_the_next_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "ROBOTS_AT_ONCE_MAX", 0)
    floor = world(robots={"r1": "N0-0", "r2": "N5-0", "r3": "N0-4"})
    floor.submit(*(transport(f"T{n}", "N3-2", "N5-4") for n in range(6)))
    assert floor.run_until_ended(6)
    assert set(floor.actions_done().values()) == {1}
    assert len(floor.actions_done()) == 12


def test_a_fleet_with_nothing_to_do_rests_until_somebody_says_something() -> None:
    floor = world()

    def ticks() -> int:
        return floor.metrics.snapshot().latencies_ms["fleet_tick_ms"].count

    floor.runtime.run_for(1.0)
    before = ticks()
    floor.runtime.run_for(15.0)
    assert ticks() - before == 3  # it says where it stands each 5 s; there are 100 ticks in time
    floor.submit(transport("T1", "N0-0", "N1-0"))
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "done"


def test_a_fleet_that_rests_notices_who_falls_silent() -> None:
    floor = world(fleet_config=FleetConfig(silent_after_s=10))
    floor.runtime.run_for(7.0)
    floor.vehicles["r1"].dumb = True
    floor.runtime.run_for(7.0)
    assert floor.view("r1").available
    floor.runtime.run_for(2.0)
    assert floor.view("r1").detail.startswith("silent for")


def test_a_stop_where_the_robot_stands_is_an_order_of_one_node() -> None:
    floor = world()
    floor.submit(transport("T1", "N0-0", "N0-0"))
    assert floor.run_until_ended(1)
    assert [[len(o.nodes), len(o.edges)] for o in floor.orders("r1")] == [[1, 0], [1, 0]]
    assert floor.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}


def test_orders_grow_by_updates_that_start_at_the_last_node_of_the_base() -> None:
    floor = world(fleet_config=FleetConfig(base_nodes_max=2))
    floor.submit(transport("T1", "N5-4"))
    assert floor.run_until_ended(1)
    first, *updates = floor.orders("r1")
    assert len(updates) > 2
    assert {o.order_id for o in updates} == {first.order_id}
    assert [o.order_update_id for o in (first, *updates)] == list(range(1 + len(updates)))
    end = first.nodes[-1]
    for update in updates:
        assert (update.nodes[0].node_id, update.nodes[0].sequence_id) == (
            end.node_id,
            end.sequence_id,
        )
        assert update.nodes[0].actions == ()
        end = update.nodes[-1]


def test_never_more_nodes_are_released_than_the_configuration_says() -> None:
    floor = world(fleet_config=FleetConfig(base_nodes_max=3))
    floor.submit(transport("T1", "N5-4", "N0-4"))
    ahead = []
    while not floor.ended():
        floor.runtime.run_for(0.5)
        ahead.append(len(floor.vehicles["r1"].ahead))
    assert max(ahead) == 3


def test_nodes_are_even_edges_odd_and_positions_those_of_the_site() -> None:
    floor = world()
    floor.submit(transport("T1", "N3-0"))
    assert floor.run_until_ended(1)
    [order, *_] = floor.orders("r1")
    assert [n.sequence_id for n in order.nodes] == [0, 2, 4, 6]
    assert [(e.sequence_id, e.start_node_id, e.end_node_id) for e in order.edges] == [
        (1, "N0-0", "N1-0"),
        (3, "N1-0", "N2-0"),
        (5, "N2-0", "N3-0"),
    ]
    position = order.nodes[3].node_position
    assert position
    assert (position.x, position.y, position.map_id) == (4.5, 0.0, "FC1")
    assert all(node.released for node in order.nodes)
    assert [a.action_id for a in order.nodes[3].actions] == ["pick0/T1"]
    assert order.nodes[3].actions[0].blocking_type == "HARD"


def test_header_ids_have_no_gaps_and_order_ids_are_never_used_twice(tmp_path: Path) -> None:
    floor = world(url=f"sqlite:///{tmp_path}/c.db", robots={"r1": "N0-0", "r2": "N5-0"})
    floor.submit(*(transport(f"T{i}", "N3-2", "N1-4") for i in range(3)))
    assert floor.run_until_ended(3)
    floor.kill_central()
    floor.start_central()
    floor.submit(*(transport(f"U{i}", "N3-2", "N1-4") for i in range(3)))
    assert floor.run_until_ended(6)
    for serial in ("r1", "r2"):
        orders = floor.orders(serial)
        assert [o.header_id for o in orders] == list(range(len(orders)))
        begun = [o.order_id for o in orders if o.order_update_id == 0]
        assert len(set(begun)) == len(begun)


def test_an_idle_robot_makes_room_with_an_order_without_actions() -> None:
    floor = world(robots={"r1": "N0-0", "r2": "N3-0"}, width=6, height=2)
    floor.submit(transport("T1", "N3-0"))
    floor.vehicles["r2"].mode = "AUTOMATIC"
    floor.runtime.run_for(1)
    busy = floor.told[0].robot_id
    assert busy == "acme/r2"  # it stands there already
    floor.submit(transport("T2", "N3-0"))
    assert floor.run_until_ended(2)
    room = floor.orders("r2")[-1]
    assert room.order_id.startswith("move.")
    assert all(not node.actions for node in room.nodes)
    assert not floor.floor.conflicts


# --- acknowledging, repeating, refusing -------------------------------------------------------


def test_an_unacknowledged_order_is_sent_again_with_the_same_bytes() -> None:
    floor = world()
    floor.runtime.run_for(1)
    floor.vehicles["r1"].deaf = True
    floor.submit(transport("T1", "N3-0"))
    floor.runtime.run_for(7)
    payloads = floor.payloads("r1")
    assert len(payloads) == 3  # at once, after 3 s, after 6 s
    assert len(set(payloads)) == 1
    floor.vehicles["r1"].deaf = False
    assert floor.run_until_ended(1)
    assert floor.actions_done() == {"pick0/T1": 1}


def test_a_robot_that_never_acknowledges_is_named_and_its_job_goes_to_another() -> None:
    floor = world(robots={"r1": "N3-0", "r2": "N5-4"}, fleet_config=FleetConfig(base_nodes_max=2))
    floor.vehicles["r1"].deaf = True
    floor.submit(transport("T1", "N0-0", "N0-4", due_at_ns=1))
    floor.runtime.run_for(45)  # 3 + 3 + 6 + 6 + 12 + 12 s
    assert floor.counters()["fleet_unanswered"] == 1
    assert "has not acknowledged order T1.r1.0 update 0, sent 6 times" in floor.view("r1").detail
    assert not floor.view("r1").available
    assert floor.run_until_ended(1)
    assert floor.events("T1") == ["assigned", "assigned", "stop_done", "stop_done", "done"]
    assert floor.told[-1].robot_id == "acme/r2"
    assert floor.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}


def test_nodes_of_an_unacknowledged_order_stay_reserved_until_something_newer_is() -> None:
    floor = world(robots={"r1": "N3-0", "r2": "N5-4"}, fleet_config=FleetConfig(base_nodes_max=2))
    floor.vehicles["r1"].deaf = True
    floor.submit(transport("T1", "N0-0", "N1-0"))
    floor.runtime.run_for(120)
    assert floor.events("T1") == ["assigned", "assigned", "stop_done"]
    assert len(floor.fleet._traffic.owned(0)) == 3
    assert all(node.node_id != "N1-0" for order in floor.orders("r2") for node in order.nodes)
    floor.vehicles["r1"].deaf = False
    assert floor.run_until_ended(1)
    assert floor.told[-1].robot_id == "acme/r2"
    assert not floor.floor.conflicts


def test_an_order_that_is_taken_after_it_was_given_up_is_cancelled() -> None:
    floor = world(robots={"r1": "N3-0", "r2": "N5-4"}, fleet_config=FleetConfig(base_nodes_max=2))
    vehicle = floor.vehicles["r1"]
    vehicle.deaf = True
    floor.submit(transport("T1", "N0-0", "N0-4"))
    assert floor.runtime.run_until(lambda: "fleet_orders_broken" in floor.counters())
    vehicle.deaf = False
    publish(floor, "acme/r1/order", floor.payloads("r1")[0])
    floor.runtime.run_for(1)
    asked = floor.said_to("r1", "instantActions")
    assert b'"actionType":"cancelOrder"' in asked[-1]
    assert floor.run_until_ended(1)
    assert vehicle.node == "N2-0"  # not N1-0, the end of what was given up
    assert not floor.floor.conflicts


def test_an_action_on_its_way_to_a_robot_is_asked_of_no_other() -> None:
    floor = world(robots={"r1": "N3-0", "r2": "N5-4"})
    floor.vehicles["r1"].deaf = True
    floor.submit(transport("T1", "N0-0", "N0-4"))
    assert floor.run_until_ended(1)
    assert floor.events("T1") == ["assigned", "failed"]
    assert floor.told[-1].robot_id == "acme/r1"
    assert "has not acknowledged order" in floor.detail("T1", "failed")


def test_a_refused_order_is_not_repeated_and_the_job_goes_to_another() -> None:
    floor = world(robots={"r1": "N2-0", "r2": "N5-4"})
    floor.runtime.run_for(1)
    floor.vehicles["r1"].refuse_all = True
    floor.submit(transport("T1", "N0-0", "N0-4"))
    assert floor.run_until_ended(1)
    assert len(floor.orders("r1")) == 1
    assert floor.counters()["fleet_refused"] == 1
    assert floor.told[-1].robot_id == "acme/r2"


def test_a_job_that_everybody_refuses_fails_with_the_robots_words() -> None:
    floor = world()
    floor.vehicles["r1"].refuse_all = True
    floor.submit(transport("T1", "N0-0"))
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "failed"
    assert "refused its order: orderError: not today; tried 4 times" in floor.detail("T1", "failed")


def test_a_failed_action_fails_the_job_with_the_result_and_frees_the_robot() -> None:
    floor = world()
    floor.vehicles["r1"].fail_actions = {"pick0/T1"}
    floor.submit(transport("T1", "N3-0", "N0-4"))
    floor.submit(transport("T2", "N2-0"))
    assert floor.run_until_ended(2)
    assert floor.detail("T1", "failed") == "pick failed: bin is empty"
    assert floor.events("T2")[-1] == "done"
    assert "drop1/T1" not in floor.actions_done()


# --- states, connections, strangers -----------------------------------------------------------


def test_a_late_state_changes_nothing() -> None:
    floor = world()
    floor.submit(transport("T1", "N3-0"))
    floor.runtime.run_for(4)
    early = floor.said_to("r1", "state")[0]
    assert len(floor.vehicles["r1"].ahead) < 3
    publish(floor, "acme/r1/state", early)
    floor.runtime.run_for(0.1)
    assert floor.counters()["fleet_late_states"] == 1
    assert floor.run_until_ended(1)
    assert "fleet_orders_broken" not in floor.counters()


def test_a_robot_whose_numbers_and_clock_were_far_ahead_comes_back() -> None:
    floor = world()
    far_ns = floor.runtime.clock.now_ns() + 10 * 365 * 86_400 * 10**9
    ahead = State(
        **head(floor, "r1", 2**31, far_ns),
        last_node_id="N0-0",
        safety_state=SafetyState(e_stop="NONE"),
    )
    publish(floor, "acme/r1/state", written(floor, ahead))
    floor.submit(transport("T1", "N3-0"))
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "done"
    assert floor.actions_done() == {"pick0/T1": 1}


def test_a_fresh_state_proves_life_without_a_word_on_connection() -> None:
    floor = world()
    floor.runtime.run_for(1)
    say_connection(floor, "r1", "CONNECTIONBROKEN")
    floor.runtime.run_for(0.3)
    assert floor.view("r1").detail == "its connection broke; no state since"
    floor.runtime.run_for(6)  # its next state comes every 5 s; it never says ONLINE again
    assert floor.view("r1").available
    floor.submit(transport("T1", "N3-0"))
    assert floor.run_until_ended(1)


def test_a_suspect_is_asked_for_its_state() -> None:
    floor = world()
    floor.runtime.run_for(1)
    say_connection(floor, "r1", "OFFLINE")
    floor.runtime.run_for(1)
    asked = floor.said_to("r1", "instantActions")
    assert b'"actionType":"stateRequest"' in asked[-1]


def test_a_vehicle_that_is_not_in_the_site_is_listed_and_gets_nothing() -> None:
    floor = world()
    fields = header("other", "x9", header_id=0, now_ns=0)
    publish(floor, "other/x9/state", encode(State(**fields, last_node_id="N1-1")))
    floor.submit(transport("T1", "N1-1"))
    assert floor.run_until_ended(1)
    assert floor.fleet.strangers() == ("other/x9",)
    assert not [m for m in floor.sent if m.topic.endswith("other/x9/order")]


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"[]", b'{"nodeStates":3}', b"x" * 70_000])
def test_a_malformed_state_is_counted_and_changes_nothing(payload: bytes) -> None:
    floor = world()
    publish(floor, "acme/r1/state", payload)
    publish(floor, "acme/r1/connection", b'{"connectionState":1}')
    floor.submit(transport("T1", "N1-1"))
    assert floor.run_until_ended(1)
    assert floor.counters()["wire_refused{vda5050}"] == 2


def test_a_robot_that_knows_no_node_is_found_by_its_position() -> None:
    made = made_world(robots=ONE)
    vehicle = made.vehicles["r1"]
    vehicle.node, vehicle.x_y_m = "N2-2", (3.2, 2.9)
    made.start_vehicles()
    made.runtime.run_for(1)
    assert made.view("r1").node_id == "N2-2"


def test_a_robot_that_stands_on_anothers_node_is_left_alone_and_named() -> None:
    made = made_world(robots={"r1": "N0-0", "r2": "N5-4"})
    made.vehicles["r2"].node = "N0-0"
    made.start_vehicles()
    made.runtime.run_for(1)
    assert "stands on N0-0, which is another robot's now" in made.view("r2").detail
    assert made.counters()["fleet_astray"] == 1


def test_manual_mode_emergency_stop_and_fatal_errors_hold_a_robot() -> None:
    floor = world(robots={"r1": "N0-0", "r2": "N5-4"})
    vehicle = floor.vehicles["r1"]
    vehicle.mode = "MANUAL"
    floor.runtime.run_for(6)
    assert floor.view("r1").detail == "operating mode MANUAL"
    floor.submit(transport("T1", "N0-1"))
    assert floor.run_until_ended(1)
    assert floor.told[-1].robot_id == "acme/r2"
    vehicle.mode = "AUTOMATIC"
    vehicle.errors = [
        VehicleError(error_type="motor", error_description="hot", error_level="FATAL")
    ]
    floor.runtime.run_for(6)
    assert floor.view("r1").detail == "error motor: hot"
    vehicle.errors = []
    floor.runtime.run_for(6)
    assert floor.view("r1").available
    stopped = State(
        **head(floor, "r1", 10**6),
        last_node_id=vehicle.node,
        safety_state=SafetyState(e_stop="MANUAL"),
    )
    publish(floor, "acme/r1/state", written(floor, stopped))
    floor.runtime.run_for(0.2)
    assert floor.view("r1").detail == "emergency stop MANUAL"


# --- what goes wrong on the way ---------------------------------------------------------------


def test_others_go_around_a_robot_that_falls_silent() -> None:
    floor = world(robots={"r1": "N0-1", "r2": "N2-1"}, width=6, height=3)
    floor.runtime.run_for(1)
    floor.vehicles["r2"].dumb = True
    floor.vehicles["r2"].deaf = True
    floor.runtime.run_for(60)
    assert floor.view("r2").detail.startswith("silent for")
    floor.submit(transport("T1", "N4-1"))
    assert floor.run_until_ended(1)
    assert floor.vehicles["r1"].node == "N4-1"
    driven = {node.node_id for order in floor.orders("r1") for node in order.nodes}
    assert "N2-1" not in driven


@pytest.mark.parametrize("says_so", [True, False])
def test_others_go_around_a_robot_that_says_its_path_is_blocked_at_once(*, says_so: bool) -> None:
    floor = world(robots={"r1": "N0-0", "r2": "N1-0"}, width=14, height=2)
    floor.vehicles["r2"].edge_s = 600.0
    floor.submit(transport("T2", "N12-0"))
    floor.runtime.run_for(1)
    held = {node.node_id for order in floor.orders("r2") for node in order.nodes}
    assert len(held) > 3
    if says_so:
        blocked = VehicleError(error_type="pathBlocked", error_level="WARNING")
        floor.vehicles["r2"].errors = [blocked]
        floor.vehicles["r2"].say()
        floor.runtime.run_for(1)
    floor.submit(transport("T1", "N11-0"))
    floor.runtime.run_for(12)
    driven = {node.node_id for order in floor.orders("r1") for node in order.nodes}
    assert not driven & held
    assert ("N3-1" in driven) == says_so
    assert floor.runtime.run_until(lambda: "done" in floor.events("T1"), 90)


def test_a_job_on_a_robot_that_is_lost_with_its_load_fails() -> None:
    floor = world(fleet_config=FleetConfig(silent_after_s=10))
    floor.submit(transport("T1", "N1-0", "N5-4"))
    assert floor.runtime.run_until(lambda: "stop_done" in floor.events("T1"))
    floor.vehicles["r1"].dumb = True
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "failed"
    assert "acme/r1 silent for" in floor.detail("T1", "failed")


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_robot_that_goes_on_naming_the_nodes_it_passed_works_like_the_others(
    loss: float,
) -> None:
    floor = world(robots={"r1": "N0-0", "r2": "N5-0"}, network=Network(lose_p=loss))
    for vehicle in floor.vehicles.values():
        vehicle.names_passed = True
    floor.submit(*(transport(f"T{n}", f"N{n}-2", f"N{5 - n}-4") for n in range(6)))
    assert floor.run_until_ended(6)
    assert {e.event for e in floor.told if e.event in ("done", "failed")} == {"done"}
    assert {e.robot_id for e in floor.told if e.event == "done"} == {"acme/r1", "acme/r2"}
    assert set(floor.actions_done().values()) == {1}


def test_a_robot_that_names_passed_nodes_is_followed_after_central_came_back(
    tmp_path: Path,
) -> None:
    floor = world(url=f"sqlite:///{tmp_path}/central.db")
    floor.vehicles["r1"].names_passed = True
    floor.submit(transport("T1", "N3-2", "N5-4"))
    floor.runtime.run_for(4.0)
    floor.kill_central()
    floor.start_central()
    assert floor.run_until_ended(1)
    floor.submit(transport("T2", "N1-2", "N2-4"))
    assert floor.run_until_ended(2)
    assert floor.vehicles["r1"].node == "N2-4"


def test_a_robot_that_restarts_before_its_pick_begins_again() -> None:
    floor = world()
    floor.submit(transport("T1", "N5-4", "N0-0"))
    floor.runtime.run_for(4)
    floor.vehicles["r1"].reboot()
    floor.runtime.run_for(1)
    assert "no longer knows order T1.r1.0 (restarted?)" in floor.view("r1").detail
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "done"
    assert floor.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}


def test_a_robot_that_restarts_with_its_load_brings_it_home() -> None:
    floor = world()
    floor.submit(transport("T1", "N1-0", "N5-4"))
    assert floor.runtime.run_until(lambda: "stop_done" in floor.events("T1"))
    floor.runtime.run_for(4)
    floor.vehicles["r1"].reboot()
    assert floor.run_until_ended(1)
    assert floor.events("T1") == ["assigned", "stop_done", "stop_done", "done"]
    assert floor.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}


def test_a_robot_that_restarts_in_its_pick_is_not_sent_to_pick_twice() -> None:
    floor = world()
    floor.submit(transport("T1", "N1-0", "N5-4"))
    vehicle = floor.vehicles["r1"]
    assert floor.runtime.run_until(lambda: vehicle.acting)
    floor.runtime.run_for(0.5)
    vehicle.reboot()
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "failed"
    assert floor.detail("T1", "failed").endswith("in its pick")
    assert sum(b"pick0/T1" in p for p in set(floor.payloads("r1"))) == 1


def test_the_broker_may_lose_everything_in_the_middle() -> None:
    floor = world()
    floor.submit(transport("T1", "N5-4", "N0-4"))
    floor.runtime.run_for(5)
    floor.runtime.broker.fail()
    floor.runtime.run_for(20)
    floor.runtime.broker.recover()
    assert floor.run_until_ended(1)
    assert floor.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}


# --- withdrawing ------------------------------------------------------------------------------


def test_a_waiting_job_is_handed_back_when_withdrawn() -> None:
    made = made_world(robots=ONE)
    made.submit(transport("T1", "N5-4"))
    made.runtime.run_for(1)
    made.fleet.withdraw("T1")
    made.runtime.run_for(1)
    assert made.events("T1") == ["handed_back"]


def test_a_job_on_its_way_to_the_first_stop_is_handed_back_when_withdrawn() -> None:
    floor = world(fleet_config=FleetConfig(base_nodes_max=2))
    floor.submit(transport("T1", "N5-4"))
    floor.runtime.run_for(3)
    floor.fleet.withdraw("T1")
    floor.submit(transport("T2", "N0-1"))
    assert floor.run_until_ended(2)
    assert floor.events("T1") == ["assigned", "handed_back"]
    assert floor.actions_done() == {"pick0/T2": 1}


def test_a_job_whose_pick_is_sent_goes_on_when_withdrawn() -> None:
    floor = world()
    floor.submit(transport("T1", "N1-0", "N2-0"))
    floor.runtime.run_for(1)
    floor.fleet.withdraw("T1")
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "done"


def test_a_stop_that_is_not_on_the_floor_fails_at_once() -> None:
    floor = world()
    floor.submit(transport("T1", "N0-0", "X9"))
    assert floor.run_until_ended(1)
    assert floor.detail("T1", "failed") == "node 'X9' is not in nodes.csv"


# --- charging ---------------------------------------------------------------------------------


def test_a_robot_with_little_charge_goes_to_a_charger_first() -> None:
    site = grid_site(6, 5, ONE)
    charger = msgspec.structs.replace(site.nodes["N4-4"], kind="charger")
    site = msgspec.structs.replace(site, nodes={**site.nodes, "N4-4": charger})
    made = made_world(robots=ONE, site=site)
    vehicle = made.vehicles["r1"]
    vehicle.charge = 12.0
    made.start_vehicles()
    made.submit(transport("T1", "N1-0"))
    made.runtime.run_for(40)
    assert vehicle.node == "N4-4"
    assert made.events("T1") == []
    vehicle.charge = 70.0
    assert made.run_until_ended(1)


def test_without_a_charger_a_robot_goes_on() -> None:
    made = made_world(robots=ONE)
    made.vehicles["r1"].charge = 12.0
    made.start_vehicles()
    made.submit(transport("T1", "N1-0"))
    assert made.run_until_ended(1)
