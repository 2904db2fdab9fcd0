"""Central is killed and starts again: orders are adopted, nothing is done twice or forgotten."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from central.fleet import memory as fleet_memory
from central.fleet.memory import KeptJob, Memory, MemoryBusyError, OrderMemory, SentNode
from tests.build_fleet import FleetWorld, grid_site, transport

SIX = {f"r{i}": f"N{i}-0" for i in range(6)}


def world(tmp_path: Path, robots: dict[str, str] | None = None) -> FleetWorld:
    made = FleetWorld(robots=robots or {"r1": "N0-0"}, url=f"sqlite:///{tmp_path}/central.db")
    made.start_vehicles()
    made.runtime.run_for(0.2)
    return made


def restart(floor: FleetWorld, away_s: float = 2.0) -> None:
    floor.kill_central()
    floor.runtime.run_for(away_s)
    floor.start_central()


@pytest.mark.parametrize("at_s", [0.3, 1, 3, 5, 8, 10, 13, 17, 20])
@pytest.mark.parametrize("away_s", [0.1, 12.0])
def test_a_job_is_done_once_whenever_central_is_killed(
    tmp_path: Path, at_s: float, away_s: float
) -> None:
    floor = world(tmp_path)
    job = transport("T1", "N4-0", "N4-4")
    floor.submit(job)
    floor.runtime.run_for(at_s)
    restart(floor, away_s)
    floor.submit(job)  # whoever asked does not know how far it got, and asks again
    assert floor.runtime.run_until(lambda: "done" in floor.events("T1"), 300)
    assert floor.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}
    assert "failed" not in floor.events("T1")


def test_a_job_is_not_done_again_after_its_robot_has_had_others(tmp_path: Path) -> None:
    floor = world(tmp_path)
    jobs = [transport(f"T{i}", f"N{i}-0", f"N{i}-4") for i in range(1, 4)]
    floor.submit(*jobs)
    assert floor.run_until_ended(3)
    restart(floor)
    floor.told.clear()
    floor.submit(*jobs)  # whoever asked died before the end was told
    floor.runtime.run_for(60)
    assert set(floor.actions_done().values()) == {1}
    assert [floor.events(job.job_id) for job in jobs] == [["stop_done", "stop_done", "done"]] * 3


def test_six_running_orders_are_adopted(tmp_path: Path) -> None:
    floor = world(tmp_path, SIX)
    jobs = [transport(f"T{i}", f"N{i}-3", f"N{5 - i}-4") for i in range(6)]
    floor.submit(*jobs)
    for _ in range(8):
        floor.runtime.run_for(5)
        restart(floor, 0.5)
    assert floor.runtime.run_until(
        lambda: all("done" in floor.events(job.job_id) for job in jobs), 600
    )
    assert set(floor.actions_done().values()) == {1}
    assert not floor.floor.conflicts


@pytest.mark.parametrize("robots", [24, pytest.param(100, marks=pytest.mark.soak)])
def test_many_running_orders_are_adopted_and_each_is_done_once(tmp_path: Path, robots: int) -> None:
    width = 20
    places = {f"r{i}": f"N{i % width}-{2 * (i // width)}" for i in range(robots)}
    floor = FleetWorld(
        robots=places, width=width, height=12, url=f"sqlite:///{tmp_path}/central.db"
    )
    floor.start_vehicles()
    floor.runtime.run_for(0.2)
    jobs = [
        transport(f"T{i}", f"N{i % width}-{i * 7 % 12}", f"N{i * 3 % width}-{i * 5 % 12}")
        for i in range(robots)
    ]
    floor.submit(*jobs)
    floor.runtime.run_for(20)
    running = {j.job_id for j in jobs if floor.events(j.job_id)}
    assert len(running) == robots
    for _ in range(3):
        restart(floor, 0.5)
        floor.submit(*jobs)  # as tasking does: what no robot has yet only it knows
        floor.runtime.run_for(4)
    assert floor.runtime.run_until(
        lambda: all("done" in floor.events(job.job_id) for job in jobs), 1_200
    )
    assert set(floor.actions_done().values()) == {1}
    assert len(floor.actions_done()) == 2 * robots
    assert not floor.floor.conflicts
    assert "fleet_orders_broken" not in floor.counters()


def test_what_was_saved_and_not_sent_is_sent_with_the_saved_ids(tmp_path: Path) -> None:
    floor = world(tmp_path)
    floor.bus.stop()  # what is published now reaches nobody
    floor.submit(transport("T1", "N3-0"))
    floor.runtime.run_for(0.5)
    floor.fleet._end()
    assert floor.orders("r1") == []
    floor.start_central()
    assert floor.run_until_ended(1)
    first = floor.orders("r1")[0]
    assert (first.header_id, first.order_update_id, first.order_id) == (0, 0, "T1.r1.0")
    assert [o.header_id for o in floor.orders("r1")] == sorted(
        {o.header_id for o in floor.orders("r1")}
    )


def test_an_order_that_is_sent_again_after_a_restart_has_the_same_bytes(tmp_path: Path) -> None:
    floor = world(tmp_path)
    floor.vehicles["r1"].deaf = True
    floor.submit(transport("T1", "N3-0"))
    floor.runtime.run_for(1)
    restart(floor)
    floor.runtime.run_for(10)
    assert len(floor.payloads("r1")) > 1
    assert len(set(floor.payloads("r1"))) == 1


def test_nothing_is_sent_before_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor = world(tmp_path)
    busy = True

    def save(memory: OrderMemory, *rows: object) -> None:
        if busy:
            raise MemoryBusyError("robot_order: cannot be written: database is locked")
        real(memory, *rows)  # type: ignore[arg-type]

    real = OrderMemory.save
    monkeypatch.setattr(OrderMemory, "save", save)
    floor.submit(transport("T1", "N3-0"))
    floor.runtime.run_for(5)
    assert floor.orders("r1") == []
    assert floor.told == []
    assert floor.counters()["fleet_memory_busy"] > 0
    busy = False
    assert floor.run_until_ended(1)
    assert floor.actions_done() == {"pick0/T1": 1}


def test_a_vehicle_that_restarted_while_central_was_away_gets_its_way_again(
    tmp_path: Path,
) -> None:
    floor = world(tmp_path)
    floor.submit(transport("T1", "N5-4"))
    floor.runtime.run_for(4)
    floor.kill_central()
    floor.vehicles["r1"].reboot()
    floor.runtime.run_for(2)
    floor.start_central()
    assert floor.run_until_ended(1)
    assert floor.actions_done() == {"pick0/T1": 1}


def test_nodes_that_are_gone_from_the_site_are_forgotten(tmp_path: Path) -> None:
    floor = world(tmp_path)
    floor.submit(transport("T1", "N5-4"))
    floor.runtime.run_for(4)
    floor.kill_central()
    floor.site = grid_site(4, 5, {"r1": "N0-0"})
    floor.start_central()
    floor.submit(transport("T2", "N0-4"))
    floor.runtime.run_for(60)
    assert floor.events("T2") == []
    assert "stands on 'N5-3', which is not in nodes.csv" in floor.view("r1").detail


def test_memory_comes_back_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/m.db"
    memory = Memory(
        robot_id="acme/r1",
        order_id="T1.r1.4",
        order_update_id=2,
        order_header_id=4,
        actions_header_id=1,
        kept=KeptJob(job=transport("T1", "A", "B", units=3, weight_kg=0.5), detail="x"),
        stops_done=1,
        nodes=(
            SentNode(node_id="A", sequence_id=4, update_id=1),
            SentNode(node_id="B", sequence_id=6, update_id=2, stop_index=1),
        ),
        sent_at_ns=2**62,
    )
    store = OrderMemory(url)
    store.save([Memory(robot_id="acme/r1"), Memory(robot_id="acme/r2")])
    store.save([memory])
    store.close()
    store = OrderMemory(url)
    assert store.load() == {"acme/r1": memory, "acme/r2": Memory(robot_id="acme/r2")}
    store.close()


def test_a_locked_database_is_busy_and_takes_the_rows_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_memory, "BUSY_TIMEOUT_MS", 10)
    store = OrderMemory(f"sqlite:///{tmp_path}/m.db")
    rows = [Memory(robot_id="acme/r1", ghosts=("A",)), Memory(robot_id="acme/r2")]
    other = sqlite3.connect(tmp_path / "m.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(MemoryBusyError, match="cannot be written: database is locked"):
        store.save(rows)
    other.execute("ROLLBACK")
    other.close()
    assert store.load() == {}
    store.save(rows)
    assert store.load() == {row.robot_id: row for row in rows}
    store.close()
