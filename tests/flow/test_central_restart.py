"""Central ends without a word at any moment and begins again: nothing is lost or done twice."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest
from sqlalchemy import select

from central import tables as t
from central.config import PolicyConfig
from central.ledger.verify import verify_ledger
from central.replenish.types import Plan, Proposal
from tests.central_world import CUP, PEN, CentralWorld


def refill(units: int) -> Plan:
    item = Proposal(
        kind="refill", gtin=PEN, units=units, from_place="bin:A-01", to_place="bin:B-12",
        reason="runs low", numbers={},
    )  # fmt: skip
    return Plan(proposals=(item,), forecasts=())


def buy(units: int) -> Plan:
    item = Proposal(
        kind="buy", gtin=CUP, units=units, from_place="supplier:S1", to_place="bin:A-DOCK",
        reason="runs low", numbers={},
    )  # fmt: skip
    return Plan(proposals=(item,), forecasts=())


@pytest.mark.parametrize("seed", range(4))
def test_killed_right_after_any_commit_the_work_is_done_exactly_once(
    tmp_path: Path, seed: int
) -> None:
    """What a commit would have sent is lost each time: messages, answers, jobs."""
    rng = Random(seed)
    world = CentralWorld(tmp_path, policy=PolicyConfig(auto_units_max=50))
    world.open_stock()
    for number in range(4):
        world.order(f"O{number}", (PEN, 4), (CUP, 1))
    world.rt.run_for(0.1)
    world.keeper.take_plan(refill(12))
    world.rt.run_for(0.1)
    for _ in range(25):
        world.kill_after_commits(rng.randint(1, 12))
        world.rt.run_for(rng.uniform(0.1, 4.0))
        world.kill()
        world.rt.run_for(rng.uniform(0.0, 0.5))
        world.begin()
    for number in range(4):
        world.order(f"O{number}", (PEN, 4), (CUP, 1))
    filled = world.rt.run_until(
        lambda: all(world.status(f"O{n}") == "filled" for n in range(4)), 120.0
    )
    assert filled
    world.rt.run_for(5.0)
    assert [r.status for r in world.tasks("refill")] == ["done"]
    assert sum(world.balance(f"customer:O{n}") for n in range(4)) == 16
    assert sum(world.balance(f"customer:O{n}", CUP) for n in range(4)) == 4
    assert world.balance("bin:B-11") + world.balance("bin:B-12") == 24 + 12 - 16
    assert len(world.tasks("deliver")) == 4
    assert world.rows(select(t.reservation)) == []
    rows = sum(len(edge.rows) for edge in world.edges.values())
    assert len(world.rows(select(t.movement))) == rows
    assert verify_ledger(world.engine).balanced


def test_open_robot_tasks_go_to_the_fleet_again_as_the_same_jobs(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    world.open_stock()
    world.robots.idle = True
    world.keeper.take_plan(refill(12))
    world.rt.run_for(1.0)
    (before,) = world.robots.jobs.values()
    world.kill()
    world.robots.jobs.clear()
    world.begin()
    world.rt.run_for(1.0)
    assert list(world.robots.jobs.values()) == [before]


def test_lists_and_purchases_are_sent_again(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    world.open_stock()
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 1))
    world.keeper.take_plan(buy(6))
    world.rt.run_for(1.0)
    world.kill()
    bob, bought = world.people["bob"].lists, len(world.purchases)
    world.rt.run_for(30.0)
    assert (world.people["bob"].lists, len(world.purchases)) == (bob, bought)
    world.begin()
    world.rt.run_for(1.0)
    assert world.people["bob"].lists == bob + 1
    assert len(world.purchases) == bought + 1
    assert [x.order_id for x in world.people["bob"].screen] == ["O1"]


def test_ids_of_a_new_database_are_not_those_of_the_old(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        world = CentralWorld(tmp_path / name)
        if name == "two":
            world.kill()
            (tmp_path / "two" / "central.db").unlink()
            world.rt.run_for(2.0)
            world.begin()
        world.open_stock()
        world.order("O1", (PEN, 1))
        world.rt.run_for(1.0)
        ids.append(world.tasks("pick")[0].task_id)
    assert ids[0] != ids[1]
    assert ids[0].rpartition("-")[2] == ids[1].rpartition("-")[2]


def test_history_is_imported_once_and_wrong_lines_are_left_out(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    world.kill()
    text = (
        "day,gtin,units\n"
        f"-1,{PEN[1:]},7\n-2,{PEN},5\n-2,{PEN},1\n"
        f"0,{PEN},1\n-1,{PEN},many\n-1,123,1\n-1,05000000000005,1\n-3,{CUP},-4\n"
    )
    (tmp_path / "central.db").unlink()
    for _ in range(2):
        world.begin(text)
        world.rt.run_for(0.5)
        world.kill()
    world.begin()
    today = world.shared.now_ns() // 60_000_000_000
    rows = world.rows(select(t.demand_day).order_by(t.demand_day.c.day))
    assert [(r.gtin, r.day - today, r.units) for r in rows] == [(PEN, -2, 6), (PEN, -1, 7)]
    assert world.metrics.snapshot().counters["history_refused"] == 5


def test_history_of_a_spreadsheet_is_read_and_what_cannot_be_costs_its_line(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    world.kill()
    text = f"\ufeffday,gtin,units\r-{10**30},{PEN},1\r-1,{'x' * 140_000},1\r-1,{PEN},7\r"
    (tmp_path / "central.db").unlink()
    world.begin(text)
    world.rt.run_for(0.5)
    assert [row.units for row in world.rows(select(t.demand_day))] == [7]
    assert world.metrics.snapshot().counters["history_refused"] == 2


def test_a_robot_task_whose_bin_is_gone_from_the_site_fails_at_the_start(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    world.open_stock()
    world.robots.idle = True
    world.keeper.take_plan(refill(12))
    world.rt.run_for(1.0)
    world.kill()
    bins = {k: v for k, v in world.shared.site.bins.items() if k != "B-12"}
    world.shared.site = msgspec.structs.replace(world.shared.site, bins=bins)
    world.begin()
    world.rt.run_for(1.0)
    (row,) = world.tasks("refill")
    assert (row.status, row.detail) == ("failed", "bin:B-12 is no longer in bins.csv")
    assert world.rows(select(t.reservation)) == []
    assert [r.status for r in world.proposals("refill")] == ["failed"]
