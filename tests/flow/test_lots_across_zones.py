"""A robot carries goods from one edge's zone into another's: their lot arrives in every book."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from central import tables as t
from central.ledger.verify import verify_ledger
from central.tasking.lots import LOT_EVENT
from edge.counting.facts import append_facts
from edge.counting.store import EdgeStore, open_store
from edge.counting.verify import verify_counts
from tests.central_world import PEN, CentralWorld
from tests.flow.test_tasking_proposals import plan, proposed
from wire import messages as m

HERE, THERE, ROBOT = "bin:A-01", "bin:B-12", "robot:r1"


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    found = CentralWorld(tmp_path)
    found.open_stock()
    found.robots.idle = True
    return found


def book_of(world: CentralWorld, edge_id: str) -> EdgeStore:
    """Return what a real edge makes of this edge's journal."""
    store = open_store(None, edge_id=edge_id, new_epoch=1)
    with store.transaction() as tx:
        append_facts(tx, world.edges[edge_id].rows)
    assert verify_counts(store.db) == []
    return store


def lots(world: CentralWorld) -> dict[tuple[str, str], int]:
    rows = world.rows(select(t.lot_balance).where(t.lot_balance.c.units != 0))
    return {(row.place, row.lot): int(row.units) for row in rows}


def robot_task(world: CentralWorld) -> str:
    plan(world, proposed(units=12))
    return str(world.tasks("refill")[0].task_id)


def pick(world: CentralWorld, task_id: str, units: int = 12, number: str = "", **said: str) -> None:
    world.edges["A"].move(
        PEN, units, HERE, ROBOT, task_id=task_id, reason="robot-pick",
        event_id=f"pick/{task_id}/A-01/{PEN}/12{number}", **said,
    )  # fmt: skip


def drop(world: CentralWorld, task_id: str) -> str:
    return world.edges["B"].move(
        PEN, 12, ROBOT, THERE, task_id=task_id, reason="robot-drop",
        event_id=f"drop/{task_id}/B-12/{PEN}/12",
    )  # fmt: skip


@pytest.mark.parametrize("drop_first", [False, True], ids=["in order", "the drop is heard first"])
def test_the_lot_arrives_in_every_book(world: CentralWorld, *, drop_first: bool) -> None:
    world.edges["A"].move(PEN, 80, "opening:", HERE, lot="L1", expires_on="2027-02-28")
    task_id = robot_task(world)
    if drop_first:
        drop(world, task_id)
        world.rt.run_for(2.0)
    pick(world, task_id, lot="L1", expires_on="2027-02-28")
    if not drop_first:
        drop(world, task_id)
    world.rt.run_for(3.0)
    assert lots(world) == {("opening:", "L1"): -80, (HERE, "L1"): 68, (THERE, "L1"): 12}
    assert (world.balance(THERE), world.balance(ROBOT)) == (16, 0)
    store = book_of(world, "B")
    with store.transaction() as tx:
        assert tx.lots_at(THERE, PEN) == {"L1": 12}
        assert tx.lot_expires_on(PEN, "L1") == "2027-02-28"
        assert tx.book_units(THERE, PEN) == 16
    assert [row.moved_units for row in world.tasks("refill")] == [12]
    world.rt.run_for(30.0)
    said = [
        e for e in world.edges["B"].rows if isinstance(e, m.Movement) and "lot-said" in e.reason
    ]
    assert [e.units for e in said] == [12, 12], "told once"
    assert verify_ledger(world.engine).balanced


def test_more_lots_and_serial_numbers_arrive_each_by_itself(world: CentralWorld) -> None:
    task_id = robot_task(world)
    pick(world, task_id, 5, lot="L1")
    pick(world, task_id, 6, number="#2", lot="L2")
    pick(world, task_id, 1, number="#3", serial="S1")
    drop(world, task_id)
    world.rt.run_for(3.0)
    assert {key: n for key, n in lots(world).items() if key[0] == THERE} == {
        (THERE, "L1"): 5, (THERE, "L2"): 6,
    }  # fmt: skip
    assert [row.place for row in world.rows(select(t.serial_place))] == [THERE]
    with book_of(world, "B").transaction() as tx:
        assert tx.serial_place(PEN, "S1") == THERE


def test_a_pick_whose_second_part_comes_later_is_named_whole(world: CentralWorld) -> None:
    task_id = robot_task(world)
    drop(world, task_id)
    pick(world, task_id, 5, lot="L1")
    world.rt.run_for(3.0)
    assert (THERE, "L1") not in lots(world), "seven more are to come"
    pick(world, task_id, 7, number="#2", lot="L2")
    world.rt.run_for(3.0)
    assert (lots(world)[THERE, "L1"], lots(world)[THERE, "L2"]) == (5, 7)


def test_goods_of_no_known_lot_are_left_as_they_are(world: CentralWorld) -> None:
    task_id = robot_task(world)
    pick(world, task_id)
    drop(world, task_id)
    world.rt.run_for(3.0)
    assert not any(e.event_id.startswith(LOT_EVENT) for e in world.edges["B"].rows)


def test_a_central_that_was_down_names_them_when_it_is_back(world: CentralWorld) -> None:
    task_id = robot_task(world)
    world.kill()
    pick(world, task_id, lot="L1")
    drop(world, task_id)
    world.rt.run_for(3.0)
    world.begin()
    world.rt.run_for(10.0)
    assert lots(world)[THERE, "L1"] == 12
