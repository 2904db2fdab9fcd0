"""Who gets which job on a floor of real orders: taken over, pinned, charged for, out of the way."""

from __future__ import annotations

import msgspec

from tests.build_fleet import FleetWorld, grid_site, transport

TWO = {"near": "N2-0", "far": "N11-0"}


def world(
    robots: dict[str, str], kinds: dict[str, str] | None = None, width: int = 12, height: int = 3
) -> FleetWorld:
    """Return a floor of 1.5 m cells; `kinds`: nodes that are chargers or stations."""
    site = grid_site(width, height, robots)
    nodes = {
        name: msgspec.structs.replace(row, kind=(kinds or {}).get(name, row.kind))
        for name, row in site.nodes.items()
    }
    made = FleetWorld(robots=robots, site=msgspec.structs.replace(site, nodes=nodes))
    for vehicle in made.vehicles.values():
        vehicle.charge = 90.0
    return made


def started(made: FleetWorld) -> FleetWorld:
    made.start_vehicles()
    made.runtime.run_for(2)
    return made


def test_the_words_of_a_choice_name_each_part_and_the_others() -> None:
    made = started(world(TWO))
    made.submit(transport("T1", "N0-0"))
    made.runtime.run_for(2)
    words = made.detail("T1", "assigned")
    assert words == made.view("near").detail
    assert words.startswith("acme/near costs 4.0 m (way 3.0 + charge 1.0), least; others: acme/far")
    assert "(way 16.5 + crowd 0.5 + charge 1.0)" in words


def test_a_robot_that_gets_free_near_a_job_takes_it_over_once() -> None:
    made = started(world(TWO, width=40))
    made.submit(transport("T0", "N2-0"))
    made.submit(transport("T1", "N39-0", "N0-0"))
    made.runtime.run_for(1)
    made.submit(transport("T2", "N1-0"))
    assert made.run_until_ended(3)
    assert all(made.events(job)[-1] == "done" for job in ("T0", "T1", "T2"))
    assert all(count == 1 for count in made.actions_done().values())


def test_a_job_goes_to_a_better_robot_and_the_old_one_drives_only_what_was_released() -> None:
    made = world({"far": "N30-0", "near": "N3-0"}, width=40)
    made.vehicles["far"].start()
    made.runtime.run_for(2)
    made.submit(transport("T1", "N0-0", "N5-2"))
    made.runtime.run_for(3)
    assert made.view("far").job_id == "T1"
    made.vehicles["near"].start()  # it says only now that it is there
    made.runtime.run_for(5)
    assert made.view("near").job_id == "T1"
    assert made.view("far").job_id == ""
    assert made.run_until_ended(1)
    assert [(e.event, e.robot_id) for e in made.told if e.event == "assigned"] == [
        ("assigned", "acme/far"), ("assigned", "acme/near"),
    ]  # fmt: skip
    assert made.counters()["fleet_jobs_reassigned"] == 1
    assert made.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}


def test_a_job_does_not_change_hands_for_a_little_way() -> None:
    made = world({"first": "N8-0", "second": "N3-0"})
    made.vehicles["first"].start()
    made.runtime.run_for(2)
    made.submit(transport("T1", "N0-0", "N5-2"))
    made.runtime.run_for(1)
    made.vehicles["second"].start()
    assert made.run_until_ended(1)
    assert [e.robot_id for e in made.told if e.event == "assigned"] == ["acme/first"]


def test_a_pinned_job_goes_to_its_robot_also_where_others_are_nearer() -> None:
    made = started(world(TWO))
    job = msgspec.structs.replace(transport("T1", "N0-0"), pinned_to="acme/far", pinned_by="Ada")
    made.submit(job)
    assert made.run_until_ended(1)
    assert [e.robot_id for e in made.told if e.event == "assigned"] == ["acme/far"]
    assert made.detail("T1", "assigned").endswith("pinned to it by Ada")


def test_a_pin_takes_a_job_over_that_is_not_picked_up_yet() -> None:
    made = started(world({"near": "N8-0", "far": "N11-2"}))
    made.submit(transport("T1", "N0-0"))
    made.runtime.run_for(1)
    assert made.view("near").job_id == "T1"
    made.fleet.pin("T1", "acme/far", "Ada")
    assert made.run_until_ended(1)
    assert [e.robot_id for e in made.told if e.event == "assigned"] == ["acme/near", "acme/far"]


def test_who_loses_its_robot_to_a_pinned_job_says_so_and_comes_later() -> None:
    made = started(world({"r1": "N11-0"}))
    made.submit(transport("T1", "N0-0"))
    made.runtime.run_for(1)
    assert made.view("r1").job_id == "T1"
    made.submit(transport("T2", "N0-2"))
    made.fleet.pin("T2", "acme/r1", "Ada")
    made.runtime.run_for(5)
    assert made.view("r1").job_id == "T2"
    assert [(e.event, e.robot_id) for e in made.told if e.job_id == "T1"] == [
        ("assigned", "acme/r1"), ("waits", "acme/r1"),
    ]  # fmt: skip
    assert made.detail("T1", "waits") == "acme/r1 got another job before it"
    assert made.run_until_ended(2)
    assert made.events("T1")[-1] == "done"


def test_a_pinned_job_waits_for_its_robot_and_says_so() -> None:
    made = world(TWO)
    made.vehicles["near"].start()
    made.runtime.run_for(2)
    made.submit(transport("T1", "N0-0"))
    made.fleet.pin("T1", "acme/far", "Ada")
    made.runtime.run_for(5)
    assert made.events("T1") == ["waits"]
    assert made.detail("T1", "waits") == "waits for the robot that Ada pinned it to"
    made.vehicles["far"].start()
    assert made.run_until_ended(1)


def test_no_job_is_given_that_the_charge_cannot_finish() -> None:
    made = world({"r1": "N0-0"}, {"N11-2": "charger"})
    vehicle = made.vehicles["r1"]
    vehicle.charge, vehicle.reach_m = 50.0, 20.0
    started(made)
    made.submit(transport("T1", "N0-2", "N11-0"))  # 3 m, 19.5 m, then 3 m to the charger
    made.runtime.run_for(5)
    assert made.events("T1") == ["waits"]
    assert (
        made.detail("T1", "waits") == "no robot is free that can do it: the charge of acme/r1 lacks"
    )
    vehicle.reach_m = 100.0
    assert made.run_until_ended(1)


def test_a_robot_that_says_it_reaches_nowhere_is_judged_by_its_charge() -> None:
    made = world({"r1": "N0-0"}, {"N11-2": "charger"})
    made.vehicles["r1"].reach_m = 0.0
    started(made)
    made.submit(transport("T1", "N0-2", "N11-0"))
    assert made.run_until_ended(1)


def test_robots_wait_for_a_charger_one_after_the_other() -> None:
    robots = {"r1": "N3-0", "r2": "N6-0", "r3": "N9-0"}
    made = world(robots, {"N0-2": "charger"})
    for vehicle in made.vehicles.values():
        vehicle.charge = 15.0
    started(made)
    order: list[str] = []
    for _ in robots:
        assert made.runtime.run_until(
            lambda: any(v.node == "N0-2" and v.charge < 50 for v in made.vehicles.values()), 120
        )
        [there] = [name for name, v in made.vehicles.items() if v.node == "N0-2"]
        waiting = [made.view(name).detail for name in robots if name not in {there, *order}]
        assert all("waits for a charger behind" in words for words in waiting)
        order.append(there)
        made.vehicles[there].charge = 70.0
    assert order == ["r1", "r2", "r3"]


def test_an_idle_robot_charges_meanwhile_and_makes_room_for_who_must() -> None:
    made = world({"r1": "N3-0", "r2": "N6-0"}, {"N0-2": "charger"})
    made.vehicles["r1"].charge = 70.0
    started(made)
    made.runtime.run_for(40)
    assert made.vehicles["r1"].node == "N0-2"
    assert "it has nothing else to do" in made.view("r1").detail
    made.vehicles["r2"].charge = 10.0
    made.runtime.run_for(60)
    assert made.vehicles["r2"].node == "N0-2"
    made.submit(transport("T1", "N11-0"))
    assert made.run_until_ended(1)
    assert made.told[-1].robot_id == "acme/r1"


def test_a_robot_with_nothing_to_do_leaves_the_station() -> None:
    made = started(world({"r1": "N3-0"}, {"N8-1": "station"}))
    made.submit(transport("T1", "N5-0", "N8-1"))
    assert made.run_until_ended(1)
    assert made.vehicles["r1"].node == "N8-1"
    made.runtime.run_for(40)
    assert made.vehicles["r1"].node == "N3-0"
