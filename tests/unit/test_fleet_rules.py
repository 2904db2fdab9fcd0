"""The rules of the VDA 5050 master that keep it from getting stuck, each in every version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine

from central.config import FleetConfig
from central.robot_pause import Pause, pause_robots
from runtime.clock import NS_PER_S
from tests.build_fleet import FleetWorld, transport
from tests.build_vehicle import TestVehicle
from tests.fleet_hand import head, publish, written
from wire.vda5050.messages import AgvPosition, Request, State

SPOKEN = {"version": "2.0.0"}
SHORT = FleetConfig(base_nodes_max=2)


@pytest.fixture(
    autouse=True, params=["2.0.0", pytest.param("2.1.0", marks=pytest.mark.soak), "3.0.0"]
)
def version(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the version of VDA 5050 that the vehicles of a test speak."""
    SPOKEN["version"] = request.param
    yield request.param
    SPOKEN["version"] = "2.0.0"


def world(**options: Any) -> FleetWorld:
    made = FleetWorld(**{"robots": {"r1": "N0-0"}, **SPOKEN, **options})
    made.start_vehicles()
    made.runtime.run_for(0.2)
    return made


def sent_at_s(floor: FleetWorld, serial: str, name: str = "order") -> list[float]:
    """Return when messages to a vehicle were sent, from the first one on."""
    topic = f"/acme/{serial}/{name}"
    at_ns = [m.received_at_ns for m in floor.sent if m.topic.endswith(topic)]
    return [round((at - at_ns[0]) / NS_PER_S) for at in at_ns]


def said_kinds(vehicle: TestVehicle) -> list[str]:
    return [a.action_type for a in vehicle.heard_instants if a.action_type != "stateRequest"]


def until(floor: FleetWorld, what: Callable[[], bool], timeout_s: float = 600.0) -> None:
    assert floor.runtime.run_until(what, timeout_s)


def owned(floor: FleetWorld, serial: str) -> set[str]:
    """Return the nodes that nobody else may be released to."""
    view = floor.view(serial)
    number = next(v.number for v in floor.fleet._vehicles if v.robot_id == view.robot_id)
    return {floor.fleet._graph.ids[node] for node in floor.fleet._traffic.owned(number)}


# --- acknowledged, repeated, given up -----------------------------------------------------------


def test_an_update_is_acknowledged_only_by_its_own_number() -> None:
    floor = world(fleet_config=SHORT)
    floor.submit(transport("T1", "N5-4"))
    until(floor, lambda: len(floor.orders("r1")) == 1)
    floor.runtime.run_for(0.3)
    floor.vehicles["r1"].deaf = True  # it goes on saying orderId, with the update of before
    floor.runtime.run_for(11)
    assert {(o.order_id, o.order_update_id) for o in floor.orders("r1")} == {
        ("T1.r1.0", 0),
        ("T1.r1.0", 1),
    }
    assert floor.vehicles["r1"].order_id == "T1.r1.0"
    floor.vehicles["r1"].deaf = False
    assert floor.run_until_ended(1)


def test_the_same_bytes_are_sent_less_and_less_often_then_the_robot_is_free() -> None:
    floor = world(robots={"r1": "N3-0"})
    floor.vehicles["r1"].deaf = True
    floor.submit(transport("T1", "N0-0", "N0-4"))
    until(floor, lambda: "fleet_orders_broken" in floor.counters())
    floor.runtime.run_for(0.2)
    assert sent_at_s(floor, "r1") == [0, 3, 6, 12, 18, 30]
    assert len(set(floor.payloads("r1"))) == 1
    assert "has not acknowledged order T1.r1.0 update 0, sent 6 times" in floor.view("r1").detail
    assert floor.counters()["fleet_unanswered"] == 1


class KilledError(Exception):
    """Central's process ends here."""


@pytest.mark.parametrize("published", [False, True])
def test_ids_are_written_down_before_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, published: bool
) -> None:
    floor = world(url=f"sqlite:///{tmp_path}/central.db")
    publish_at = floor.fleet._voice.publish

    def publish_and_die(*message: Any) -> None:
        if published:
            publish_at(*message)
        floor.bus.stop()
        raise KilledError

    monkeypatch.setattr(floor.fleet._voice, "publish", publish_and_die)
    floor.submit(transport("T1", "N3-0", "N3-3"))
    with pytest.raises(KilledError):
        floor.runtime.run_for(5)
    floor.fleet._end()
    floor.runtime.run_for(1)
    before = floor.payloads("r1")
    assert len(before) == int(published)
    floor.start_central()
    floor.submit(transport("T1", "N3-0", "N3-3"))
    assert floor.run_until_ended(1)
    assert set(before) <= set(floor.payloads("r1"))
    assert [o.header_id for o in floor.orders("r1")][:1] == [0]
    assert floor.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}
    assert floor.vehicles["r1"].orders_begun == len(
        {o.order_id for o in floor.orders("r1") if o.order_id.startswith("T1")}
    )


# --- cancel -------------------------------------------------------------------------------------


def give_up_an_order(floor: FleetWorld) -> TestVehicle:
    """Let the master give an order up that the vehicle gets afterwards all the same."""
    vehicle = floor.vehicles["r1"]
    vehicle.deaf = True
    floor.submit(transport("T1", "N0-0"))
    until(floor, lambda: "fleet_orders_broken" in floor.counters())
    vehicle.deaf = False
    publish(floor, "acme/r1/order", floor.payloads("r1")[0])
    return vehicle


def test_after_a_cancel_an_order_gets_no_update() -> None:
    floor = world(robots={"r1": "N5-0"}, fleet_config=SHORT)
    vehicle = give_up_an_order(floor)
    until(floor, lambda: "cancelOrder" in said_kinds(vehicle))
    cancelled_at = len(floor.payloads("r1"))
    assert floor.run_until_ended(1)
    later = floor.orders("r1")[cancelled_at:]
    assert later
    assert all(order.order_id != "T1.r1.0" for order in later)


def test_a_cancel_that_nobody_answers_is_repeated_and_then_seen() -> None:
    floor = world(robots={"r1": "N5-0"}, fleet_config=SHORT)
    floor.vehicles["r1"].answers = False
    floor.vehicles["r1"].edge_s = 200.0
    vehicle = give_up_an_order(floor)
    until(floor, lambda: floor.counters().get("fleet_instants_unanswered", 0) == 1)
    cancels = [p for p in floor.said_to("r1", "instantActions") if b"cancelOrder" in p]
    assert len(cancels) == 6
    assert len(set(cancels)) == 1
    vehicle.edge_s = 1.0
    assert floor.run_until_ended(1)  # it comes to its node some time, and is free


def test_a_cancel_where_there_is_nothing_to_cancel_holds_nobody_up() -> None:
    floor = world()
    floor.fleet._voice.order(floor.fleet._vehicles[0], "cancelOrder")
    floor.fleet._look_at_all()
    floor.runtime.run_for(1)
    vehicle = floor.vehicles["r1"]
    assert [a.action_status for a in vehicle.instants.values()][-1] == "FAILED"
    assert floor.counters()["fleet_instants_ended{FAILED}"] == 1
    floor.submit(transport("T1", "N2-0"))
    assert floor.run_until_ended(1)


def test_a_robot_that_stands_in_an_order_nobody_knows_has_it_cancelled() -> None:
    floor = world(robots={"r1": "N3-0"})
    vehicle = floor.vehicles["r1"]
    vehicle.edge_s = 1e6
    floor.submit(transport("T1", "N0-0"))
    floor.runtime.run_for(1)
    foreign = msgspec.structs.replace(floor.orders("r1")[0], order_id="of-somebody-else")
    vehicle.order_id = foreign.order_id
    vehicle.driving, vehicle.actions = False, []
    vehicle.say()
    until(floor, lambda: "cancelOrder" in said_kinds(vehicle), 120)
    vehicle.edge_s = 1.0
    assert floor.run_until_ended(1)


@pytest.mark.parametrize(("off_m", "allowed_m"), [(0.05, 0.0), (1.1, 1.2), (50.0, 0.0)])
def test_a_robot_that_stands_beside_its_node_is_allowed_to(off_m: float, allowed_m: float) -> None:
    floor = world()
    vehicle = floor.vehicles["r1"]
    vehicle.x_y_m, vehicle.names_node = (off_m, 0.0), True
    vehicle.say()
    floor.submit(transport("T1", "N2-0"))
    assert floor.run_until_ended(1)
    first, *others = floor.orders("r1")[0].nodes
    assert first.node_position
    said: Any = first.node_position.allowed_deviation_xy or 0.0
    assert (said if isinstance(said, float) else said.a) == allowed_m
    assert all(not node.node_position.allowed_deviation_xy for node in others if node.node_position)


# --- silence and late states ----------------------------------------------------------------------


def test_nodes_stay_reserved_while_a_silent_robot_drives_to_the_end_of_its_base() -> None:
    floor = world(robots={"r1": "N0-0", "r2": "N5-4"}, fleet_config=FleetConfig(silent_after_s=10))
    floor.submit(transport("T1", "N4-0"))
    floor.runtime.run_for(1.0)
    base = owned(floor, "r1")
    assert len(base) > 3
    vehicle = floor.vehicles["r1"]
    vehicle.dumb = True
    until(floor, lambda: not vehicle.ahead)
    floor.submit(transport("T2", "N3-0"), transport("T3", "N1-0"))
    floor.runtime.run_for(30)
    assert owned(floor, "r1") >= base - {"N0-0"}
    assert "silent for" in floor.view("r1").detail
    vehicle.dumb = False
    assert floor.run_until_ended(3)
    assert not floor.floor.conflicts


@pytest.mark.parametrize(
    ("number", "later_s", "taken"),
    [(-5, -60, False), (-5, 60, True), (5, -60, True), (0, 0, False), (5, 60, True)],
)
def test_a_state_is_dropped_only_where_number_and_time_are_old(
    number: int, later_s: int, *, taken: bool
) -> None:
    floor = world()
    floor.runtime.run_for(11)
    vehicle = floor.fleet._vehicles[0]
    newest = vehicle.state
    assert newest
    now_ns = floor.runtime.clock.now_ns()
    before_ns = vehicle.state_at_ns
    if (number, later_s) == (0, 0):  # the same message again
        said = newest
    else:
        at_ns = now_ns + later_s * NS_PER_S
        fields = head(floor, "r1", max(0, newest.header_id + number), at_ns)
        said = State(**fields, last_node_id="N0-0")
    publish(floor, "acme/r1/state", written(floor, said))
    floor.runtime.run_for(0.1)
    assert (vehicle.state_at_ns > before_ns) is taken
    assert floor.counters().get("fleet_late_states", 0) == int(not taken)


def test_freshness_is_told_by_arrival_not_by_the_robots_clock() -> None:
    floor = world(fleet_config=FleetConfig(silent_after_s=10))
    vehicle = floor.vehicles["r1"]
    vehicle.clock_off_s = -10 * 365 * 86_400  # its clock was never set
    vehicle.reboot()
    floor.runtime.run_for(30)
    assert floor.view("r1").available
    floor.submit(transport("T1", "N2-0"))
    assert floor.run_until_ended(1)


def test_a_robot_that_never_empties_its_nodes_is_told_idle_otherwise_and_that_is_shown() -> None:
    floor = world(robots={"r1": "N0-0", "r2": "N5-0"})
    floor.vehicles["r1"].names_passed = True
    floor.submit(transport("T1", "N0-2"), transport("T2", "N5-2"))
    assert floor.run_until_ended(2)
    floor.runtime.run_for(6)
    assert floor.view("r1").remarks == ("goes on naming nodes that it has passed",)
    assert floor.view("r2").remarks == ()
    assert floor.counters()["fleet_nodes_not_emptied"] == 1


# --- hands, stops, reboots ------------------------------------------------------------------------


def test_an_emergency_stop_holds_the_order_and_it_goes_on_afterwards() -> None:
    floor = world(fleet_config=SHORT)
    floor.submit(transport("T1", "N5-0", "N5-4"))
    floor.runtime.run_for(2)
    floor.vehicles["r1"].stop("MANUAL")
    floor.runtime.run_for(1)
    before = len(floor.orders("r1"))
    floor.runtime.run_for(60)
    assert len(floor.orders("r1")) == before
    assert floor.view("r1").detail == "emergency stop MANUAL"
    floor.vehicles["r1"].stop("NONE")
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "done"
    assert {o.order_id.partition(".")[0] for o in floor.orders("r1")} == {"T1"}
    assert "fleet_orders_broken" not in floor.counters()


def test_manual_mode_hands_the_job_on_and_the_old_order_is_cancelled_afterwards() -> None:
    floor = world(robots={"r1": "N0-0", "r2": "N5-4"}, fleet_config=SHORT)
    vehicle = floor.vehicles["r1"]
    floor.submit(transport("T1", "N3-0", "N3-3"))
    until(floor, lambda: floor.events("T1") == ["assigned"])
    floor.runtime.run_for(0.5)
    assert floor.told[0].robot_id == "acme/r1"
    vehicle.mode = "MANUAL"
    vehicle.edge_s = 1e6  # a person drives it: it does not come to its node by itself
    vehicle.say()
    assert floor.run_until_ended(1)
    assert floor.told[-1].robot_id == "acme/r2"
    assert floor.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}
    assert "cancelOrder" not in said_kinds(vehicle)  # nothing is said to who is driven by hand
    assert not floor.floor.conflicts


def test_a_robot_in_startup_or_with_an_intervention_keeps_its_order() -> None:
    floor = world(fleet_config=SHORT)
    vehicle = floor.vehicles["r1"]
    floor.submit(transport("T1", "N5-0"))
    floor.runtime.run_for(2)
    vehicle.mode = "INTERVENED" if floor.version == "3.0.0" else "SEMIAUTOMATIC"
    floor.runtime.run_for(20)
    vehicle.mode = "AUTOMATIC"
    assert floor.run_until_ended(1)
    assert "fleet_orders_broken" not in floor.counters()


@pytest.mark.parametrize("place", ["same", "other", "none"])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_reboot_in_an_order_ends_well_wherever_the_robot_wakes_up(
    place: str, *, loaded: bool
) -> None:
    floor = world(robots={"r1": "N0-0", "r2": "N5-4"}, fleet_config=FleetConfig(base_nodes_max=4))
    vehicle = floor.vehicles["r1"]
    floor.submit(transport("T1", "N1-0", "N1-4"))
    if loaded:
        until(floor, lambda: "stop_done" in floor.events("T1"))
    floor.runtime.run_for(1.6)
    known = {o.order_id for o in floor.orders("r1")}
    sent = len(floor.payloads("r1"))
    place_before = vehicle.node
    vehicle.reboot(
        at={"same": place_before, "other": "N4-0", "none": ""}[place], known=place != "none"
    )
    floor.runtime.run_for(1)
    if place == "none":
        floor.runtime.run_for(20)
        assert not floor.view("r1").available
        vehicle.find(place_before)
    assert floor.run_until_ended(1)
    assert {o.order_id for o in floor.orders("r1")[sent:]} & known == set()
    done = floor.actions_done()
    assert max(done.values(), default=0) <= 1
    assert floor.events("T1")[-1] == "done" or floor.detail("T1", "failed")
    assert not floor.floor.conflicts


def test_a_retriable_action_is_tried_once_more_and_then_fails(version: str) -> None:
    if version != "3.0.0":
        pytest.skip("RETRIABLE came with 3.0.0")
    floor = world()
    vehicle = floor.vehicles["r1"]
    vehicle.retriable = {"pick0/T1"}
    floor.submit(transport("T1", "N1-0", "N2-0"))
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "done"
    assert said_kinds(vehicle) == ["retry"]
    vehicle.retriable = {"pick0/T2"}
    vehicle.always_retriable = True
    floor.submit(transport("T2", "N1-0", "N2-0"))
    assert floor.run_until_ended(2)
    assert floor.events("T2")[-1] == "failed"
    assert said_kinds(vehicle) == ["retry", "retry", "skipRetry"]


def test_requests_for_zones_are_answered(version: str) -> None:
    if version != "3.0.0":
        pytest.skip("zones came with 3.0.0")
    floor = world()
    vehicle = floor.vehicles["r1"]
    vehicle.zone_requests = (
        Request(
            request_id="q1", request_type="ACCESS", request_status="REQUESTED", zone_id="z",
            zone_set_id="s",
        ),
    )  # fmt: skip
    vehicle.say()
    floor.runtime.run_for(30)
    assert len(vehicle.answered) >= 2  # as long as it asks, it is told again
    assert [m.header_id for m in vehicle.answered] == list(range(len(vehicle.answered)))
    [said] = vehicle.answered[0].responses
    assert (said.request_id, said.grant_type) == ("q1", "REJECTED")


# --- two under one serial -------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["numbers", "places", "names"])
def test_two_vehicles_under_one_serial_are_believed_to_neither(sign: str) -> None:
    floor = world()
    vehicle = floor.vehicles["r1"]
    vehicle.x_y_m = (0.0, 0.0)
    vehicle.names_node = True
    for n in range(6):
        vehicle.say()
        floor.runtime.run_for(0.5)
        fields = head(floor, "r1", 10**6 + n if sign == "numbers" else vehicle.headers["state"] + 1)
        if sign == "names":
            fields["serial_number"] = "r9"
        if sign != "numbers":
            vehicle.headers["state"] += 1
        at = AgvPosition(x=90.0, y=90.0, map_id="FC1") if sign == "places" else msgspec.UNSET
        other = State(**fields, last_node_id="N5-4", agv_position=at)
        publish(floor, "acme/r1/state", written(floor, other))
        floor.runtime.run_for(0.5)
    assert floor.view("r1").detail == "two vehicles speak as acme/r1"
    assert floor.counters()["fleet_two_sources"] > 0
    floor.submit(transport("T1", "N2-0"))
    floor.runtime.run_for(20)
    assert floor.events("T1") == []
    floor.runtime.run_for(60)  # the other one is gone
    assert floor.run_until_ended(1)


def test_an_order_in_which_a_second_vehicle_appears_is_not_the_end() -> None:
    floor = world(robots={"r1": "N0-0"})
    vehicle = floor.vehicles["r1"]
    vehicle.x_y_m, vehicle.names_node = (0.0, 0.0), True
    floor.submit(transport("T1", "N5-0", "N5-4"))
    floor.runtime.run_for(1)
    for n in range(8):
        vehicle.say()
        floor.runtime.run_for(0.4)
        other = State(
            **head(floor, "r1", 10**6 + n),
            last_node_id="N5-4",
            agv_position=AgvPosition(x=90.0, y=90.0, map_id="FC1"),
        )
        publish(floor, "acme/r1/state", written(floor, other))
        floor.runtime.run_for(0.4)
    assert floor.view("r1").detail == "two vehicles speak as acme/r1"
    assert floor.run_until_ended(1)
    assert floor.events("T1")[-1] == "done" or floor.detail("T1", "failed")
    floor.submit(transport("T2", "N1-0", "N1-4"))
    assert floor.run_until_ended(2)
    assert floor.events("T2")[-1] == "done"
    assert max(floor.actions_done().values()) == 1


# --- pauses ----------------------------------------------------------------------------------


def unconfirmed(floor: FleetWorld) -> tuple[str, ...]:
    paused = floor.fleet.paused()
    assert paused
    return paused.unconfirmed


def moving(floor: FleetWorld) -> list[str]:
    return [v.serial for v in floor.vehicles.values() if v.driving and not v.is_held]


def test_pausing_all_reaches_every_robot_at_once_and_they_go_on_afterwards() -> None:
    robots = {f"r{n}": f"N{n}-{m}" for n in range(6) for m in (0, 4)} | {"x": "N2-2"}
    floor = world(robots=robots)
    floor.submit(*(transport(f"T{n}", f"N{n % 6}-1", f"N{5 - n % 6}-3") for n in range(12)))
    floor.runtime.run_for(4)
    assert moving(floor)
    floor.fleet.pause("fire drill")
    floor.runtime.run_for(0.2)
    assert moving(floor) == []
    assert all(v.paused for v in floor.vehicles.values())
    assert unconfirmed(floor) == ()
    assert all("fire drill" in v.detail or "paused" in v.detail for v in floor.fleet.robots())
    orders = len(floor.sent)
    floor.runtime.run_for(600)
    assert not [m for m in floor.sent[orders:] if m.topic.endswith("/order")]
    assert floor.ended() == 0  # no job fails because people took their time
    floor.fleet.resume()
    assert floor.run_until_ended(12)
    assert {e.event for e in floor.told if e.event in ("done", "failed")} == {"done"}
    assert not floor.floor.conflicts


@pytest.mark.parametrize("odd", ["loses", "says nothing of it", "never answers"])
def test_who_does_not_confirm_a_pause_is_named(odd: str) -> None:
    floor = world(robots={"r1": "N0-0", "r2": "N5-4"})
    vehicle = floor.vehicles["r1"]
    match odd:
        case "loses":
            vehicle.deaf_instants = 2
        case "says nothing of it":
            vehicle.says_paused = False
        case _:
            vehicle.answers = False
    floor.fleet.pause("")
    floor.runtime.run_for(0.2)
    named = () if odd == "says nothing of it" else ("acme/r1",)
    assert unconfirmed(floor) == named
    floor.runtime.run_for(10)
    named = ("acme/r1",) if odd == "never answers" else ()
    assert unconfirmed(floor) == named
    vehicle.answers = True
    floor.runtime.run_for(60)
    assert unconfirmed(floor) == ()
    floor.fleet.resume()
    floor.submit(transport("T1", "N1-0"), transport("T2", "N5-3"))
    assert floor.run_until_ended(2)


def test_a_pause_outlives_central(tmp_path: Path) -> None:
    floor = world(url=f"sqlite:///{tmp_path}/c.db", robots={"r1": "N0-0", "r2": "N5-4"})
    floor.submit(transport("T1", "N5-0"))
    floor.runtime.run_for(2)
    floor.fleet.pause("people")
    floor.runtime.run_for(1)
    engine = create_engine(floor.url)  # as central's keeper, who tells the fleet, finds it there
    with engine.begin() as conn:
        assert pause_robots(conn, Pause(why="people", since_ns=1, person_id="ann"))
    engine.dispose()
    floor.kill_central()
    floor.vehicles["r2"].paused = False  # it restarted meanwhile, say
    floor.runtime.run_for(2)
    floor.start_central()
    floor.runtime.run_for(10)
    assert floor.vehicles["r2"].paused
    paused = floor.fleet.paused()
    assert paused
    assert paused.why == "people"
    floor.fleet.resume()
    assert floor.run_until_ended(1)
