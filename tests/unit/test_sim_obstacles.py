"""Doors, obstacles and people on the floor; robots that stop, slip, queue and lose themselves."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from sim_hardware.config import SimRobotBody
from sim_hardware.world.chargers import Chargers
from sim_hardware.world.floor_map import FloorMap
from sim_hardware.world.vehicle import Vehicle
from tests.sim_floor import Bench, Master, Reader, make_bench, stock_action
from wire.messages import PersonTask
from wire.site import parse_site

LINE = """node_id,x_m,y_m,kind
a,0,0,way
b,1,0,way
c,2,0,way
d,1,1,way
"""


@pytest.fixture
def floor() -> FloorMap:
    """Return a line a - b - c, and a detour a - d - c that is longer."""
    pairs = ["a,b", "b,a", "b,c", "a,d", "d,a", "d,c"]
    texts = {
        "bins.csv": "bin_id,edge_id,kind,x_m,y_m,z_m,node_id,gtin,capacity_units\n",
        "articles.csv": "gtin,sku,name,case_units,price_cents,supplier_id\n",
        "nodes.csv": LINE,
        "edges.csv": "\n".join(["from_node,to_node", *pairs]) + "\n",
    }
    return FloorMap(parse_site(texts))


def test_one_walks_around_what_is_blocked_or_closed_and_back_again(floor: FloorMap) -> None:
    detour_m = 2 * math.sqrt(2)
    assert floor.walk_m("a", "c") == 2.0
    floor.block_node("b")
    assert floor.walk_m("a", "c") == pytest.approx(detour_m)
    assert floor.way("a", "c") == ["a", "d", "c"]
    assert floor.walk_m("a", "b") == 1.0  # what stands beside it is reached all the same
    floor.close_edge("d", "c")
    assert floor.walk_m("a", "c") == math.inf
    floor.unblock_node("b")
    assert floor.walk_m("a", "c") == 2.0
    floor.open_edge("d", "c")
    assert not floor.is_closed("d", "c")


@pytest.mark.parametrize("seed", range(5))
def test_ways_to_where_everybody_goes_are_as_long_as_when_sought_from_each_start(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"n{n}" for n in range(40)]
    rows = [f"{name},{rng.uniform(0, 20):.2f},{rng.uniform(0, 20):.2f},way" for name in names]
    pairs = {tuple(rng.sample(names, 2)) for _ in range(110)}  # some lanes lead one way only
    texts = {
        "bins.csv": "bin_id,edge_id,kind,x_m,y_m,z_m,node_id,gtin,capacity_units\n",
        "articles.csv": "gtin,sku,name,case_units,price_cents,supplier_id\n",
        "nodes.csv": "\n".join(["node_id,x_m,y_m,kind", *rows]) + "\n",
        "edges.csv": "\n".join(["from_node,to_node", *(f"{a},{b}" for a, b in sorted(pairs))])
        + "\n",
    }
    site = parse_site(texts)
    often = FloorMap(site)
    for goal in names[:3]:
        for _ in range(2):
            for start in names:
                fresh = FloorMap(site)
                assert often.walk_m(start, goal) == pytest.approx(fresh.walk_m(start, goal))
    door = min(pairs)
    often.close_edge(*door)
    fresh.close_edge(*door)
    for start in names:
        assert often.walk_m(start, goal) == pytest.approx(fresh.walk_m(start, goal))


def test_a_door_closes_both_ways_and_opens_as_often_as_it_was_closed(floor: FloorMap) -> None:
    floor.close_edge("a", "b")
    floor.close_edge("b", "a")
    floor.open_edge("a", "b")
    assert floor.is_closed("a", "b")
    assert floor.is_closed("b", "a")
    floor.open_edge("a", "b")
    assert not floor.is_closed("b", "a")
    with pytest.raises(ValueError, match="the door from a to b is not closed"):
        floor.open_edge("a", "b")
    with pytest.raises(ValueError, match="no lane leads from c to b"):
        floor.close_edge("c", "b")
    with pytest.raises(ValueError, match="node 'x' is not in"):
        floor.block_node("x")


def test_swapped_labels_are_read_where_they_hang(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    world = bench.floor.world
    one, other, third = list(world.bins)[:3]
    world.swap_labels(one, other)
    world.swap_labels(other, third)
    assert [world.label_of(b) for b in (one, other, third)] == [other, third, one]
    world.swap_labels(other, third)
    world.swap_labels(one, other)
    assert [world.label_of(b) for b in (one, other, third)] == [one, other, third]
    with pytest.raises(ValueError, match="bin 'X' is not in"):
        world.swap_labels(one, "X")


def test_somebody_waits_before_a_closed_door_until_it_opens(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    Reader(bench)
    world = bench.floor.world
    row = next(r for r in bench.site.opening if bench.site.bins[r.bin_id].kind == "pick")
    node = bench.site.bins[row.bin_id].node_id
    doors = [(node, other) for other in world.floor.next_to(node)]
    for here, there in doors:
        world.close_edge(here, there)
    person = bench.floor.people["p4"]
    start = person.position()
    task = PersonTask(task_id="T1", kind="pick", gtin=row.gtin, units=1,
                      from_place=f"bin:{row.bin_id}", to_place="tote:O1")  # fmt: skip
    away = world.floor.position(node) != start
    bench.give_tasks("p4", task)
    bench.runtime.run_for(40)
    assert person.tasks_done["pick"] == (0 if away else 1)
    for here, there in doors:
        world.open_edge(here, there)
    bench.runtime.run_for(40)
    assert person.tasks_done["pick"] == 1


# --- robots ---------------------------------------------------------------------------------------


def is_there(master: Master, node: str) -> bool:
    """Run until the robot is at a node; return whether it got there."""
    return master.bench.runtime.run_until(lambda: master.state.last_node_id == node)


def errors(master: Master) -> list[tuple[str, str]]:
    return [(e.error_type, e.error_level) for e in master.state.errors]


@pytest.fixture
def master(tmp_path: Path) -> Master:
    """Return the master of one robot on an empty floor."""
    return Master(make_bench(tmp_path))


@pytest.mark.parametrize("kind", ["node", "door"])
def test_a_robot_stops_before_an_obstacle_says_so_and_goes_on(master: Master, kind: str) -> None:
    bench, world = master.bench, master.bench.floor.world
    way = master.way("N09R00")
    at = 4
    if kind == "node":
        world.block_node(way[at])
    else:
        world.close_edge(way[at - 1], way[at])
    master.send("o1", way)
    bench.runtime.run_for(30)
    assert master.state.last_node_id == way[at - 1]
    assert not master.state.driving
    assert errors(master) == [("pathBlocked", "WARNING")]
    assert way[at] in str(master.state.errors[0])
    if kind == "node":
        world.unblock_node(way[at])
    else:
        world.open_edge(way[at - 1], way[at])
    bench.runtime.run_for(30)
    assert master.state.last_node_id == "N09R00"
    assert errors(master) == []


def test_what_falls_in_front_of_a_robot_makes_it_brake_where_it_is(master: Master) -> None:
    bench = master.bench
    way = master.way("N09R00")
    master.send("o1", way)
    bench.runtime.run_until(lambda: bench.floor.robots["agv-1"].vehicle.since_node_m > 0.4)
    ahead = next(n.node_id for n in master.state.node_states)
    bench.floor.world.block_node(ahead)
    bench.runtime.run_for(10)
    assert not master.state.driving
    assert errors(master) == [("pathBlocked", "WARNING")]
    assert master.state.last_node_id != ahead


def test_an_emergency_stop_holds_everything_until_it_is_released(master: Master) -> None:
    bench, robot = master.bench, master.bench.floor.robots["agv-1"]
    master.send("o1", master.way("N09R00"))
    bench.runtime.run_for(2)
    robot.press_estop()
    bench.runtime.run_for(3)
    place = master.state.agv_position
    assert master.state.safety_state.e_stop == "MANUAL"
    bench.runtime.run_for(20)
    assert master.state.agv_position == place
    robot.release_estop()
    bench.runtime.run_for(30)
    assert (master.state.safety_state.e_stop, master.state.last_node_id) == ("NONE", "N09R00")


def test_a_robot_that_lost_its_position_stands_until_it_is_found(master: Master) -> None:
    bench, robot = master.bench, master.bench.floor.robots["agv-1"]
    master.send("o1", master.way("N09R00"))
    bench.runtime.run_for(2)
    robot.lose_position()
    bench.runtime.run_for(20)
    assert errors(master) == [("localizationLost", "FATAL")]
    assert "position_initialized=False" in str(master.state.agv_position)
    master.at_once("initPosition", "i1")
    bench.runtime.run_for(30)
    assert master.status("i1") == "FINISHED"
    assert (errors(master), master.state.last_node_id) == ([], "N09R00")


def test_a_long_slip_costs_the_position_and_a_short_one_time(tmp_path: Path) -> None:
    arrivals = []
    for metres in (0.0, 0.4, 0.9):
        bench = make_bench(tmp_path / str(metres))
        master = Master(bench)
        master.send("o1", master.way("N09R00"))
        bench.runtime.run_for(2)
        bench.floor.robots["agv-1"].slip(metres)
        bench.runtime.run_for(0.1)
        assert (("localizationLost", "FATAL") in errors(master)) == (metres > 0.5)
        assert is_there(master, "N09R00")
        arrivals.append(bench.floor.world.time.now_s)
    assert arrivals[0] < arrivals[1] < arrivals[2] - 20


def drive(tmp_path: Path, body: SimRobotBody) -> tuple[float, Bench, Master]:
    """Drive one way and lift; return how long it took in the world."""
    bench = make_bench(tmp_path, robot_body=body)
    master = Master(bench)
    row = next(r for r in bench.site.opening if bench.site.bins[r.bin_id].z_m > 1.0)
    way = master.way(bench.site.bins[row.bin_id].node_id)
    pick = f"pick/T1/{row.bin_id}/{row.gtin}/1"
    master.send("o1", way, actions={len(way) - 1: (stock_action(pick),)})
    assert bench.runtime.run_until(lambda: master.status(pick) == "FINISHED")
    return bench.floor.world.time.now_s, bench, master


def test_lifting_takes_time_and_charge(tmp_path: Path) -> None:
    plain_s, bench, _ = drive(tmp_path / "1", SimRobotBody())
    charge = bench.floor.robots["agv-1"].vehicle.battery_share
    lifted_s, bench, _ = drive(tmp_path / "2", SimRobotBody(lift_s=10.0, lift_energy_share=0.05))
    assert lifted_s == pytest.approx(plain_s + 10.0, abs=0.2)
    assert bench.floor.robots["agv-1"].vehicle.battery_share == pytest.approx(
        charge - 0.05, abs=0.001
    )


def test_a_loaded_robot_is_slower_where_its_body_says_so(tmp_path: Path) -> None:
    back_s = []
    for share in (1.0, 0.05):
        began_s, bench, master = drive(tmp_path / str(share), SimRobotBody(load_speed_share=share))
        bench.runtime.run_for(0.5)
        master.send("o2", master.way(master.start_node))
        assert is_there(master, master.start_node)
        back_s.append(bench.floor.world.time.now_s - began_s)
    assert back_s[1] > back_s[0] + 0.3


def test_a_charging_current_falls_towards_full() -> None:
    plain, tapered = (Vehicle(0, 0, max_speed_mps=1, battery_hours=1) for _ in range(2))
    plain.battery_share = tapered.battery_share = 0.7
    for _ in range(180):
        plain.use_battery(plain.takes(1.0, charging=True))
        tapered.use_battery(tapered.takes(1.0, charging=True, taper_from=0.8))
    assert plain.battery_share == 1.0
    assert 0.9 < tapered.battery_share < 0.97


def test_chargers_serve_so_many_at_once_first_come_first_served() -> None:
    chargers = Chargers(["c1", "c2", "c3"], at_once=1)
    chargers.stand("r1", "c1", full=False)
    chargers.stand("r2", "c2", full=False)
    assert [chargers.gives(r) for r in ("r1", "r2")] == [True, False]
    chargers.stand("r1", "c1", full=True)
    assert chargers.gives("r2")
    chargers.break_down("c2")
    assert not chargers.gives("r2")
    chargers.mend("c2")
    chargers.leave("r1")
    assert chargers.gives("r2")
    assert not chargers.gives("r1")
    with pytest.raises(ValueError, match="node 'x' is no charger; there is c1, c2, c3"):
        chargers.break_down("x")


def test_a_robot_passes_slowly_by_a_person(tmp_path: Path) -> None:
    times_s = []
    for yields in (False, True):
        bench = make_bench(tmp_path / str(yields), robot_body=SimRobotBody(yields_to_people=yields))
        master = Master(bench)
        person = bench.floor.people["p1"]
        stands = next(r.node_id for r in bench.site.bins.values() if r.edge_id == "A")
        assert person.position() == bench.floor.world.floor.position(stands)
        master.send("o1", master.way(stands))
        assert is_there(master, stands)
        times_s.append(bench.floor.world.time.now_s)
    assert times_s[1] > times_s[0] + 2.0
