"""Central's clock ran ahead and is put right: what was planned by it does not wait for its time."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from central import tables as t
from central.config import PolicyConfig
from central.replenish.types import Plan, Proposal
from tests.central_world import PEN, CentralWorld

AHEAD_S = 86_400.0
PLAN = Plan(
    proposals=(
        Proposal(
            kind="refill", gtin=PEN, units=12, from_place="bin:A-01", to_place="bin:B-12",
            reason="runs low", numbers={"position_units": 4}, causes=("O1",),
        ),
    ),
    forecasts=(),
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    found = CentralWorld(tmp_path, policy=PolicyConfig(auto_units_max=20))
    found.open_stock()
    return found


def put_back(world: CentralWorld, *, while_down: bool) -> None:
    if while_down:
        world.kill()
    world.rt.shift_clock(-AHEAD_S)
    if while_down:
        world.begin()


@pytest.mark.parametrize("while_down", [False, True])
def test_a_booking_is_asked_for_again_at_once(world: CentralWorld, *, while_down: bool) -> None:
    world.edges["B"].deaf = True
    world.robots.books = False
    world.rt.shift_clock(AHEAD_S)
    world.keeper.take_plan(PLAN)
    world.rt.run_for(15.0)
    put_back(world, while_down=while_down)
    world.edges["B"].deaf = False
    assert world.rt.run_until(lambda: bool(world.tasks("refill", "done")), 90.0)
    assert world.balance("bin:B-12") == 16


@pytest.mark.parametrize("while_down", [False, True])
def test_a_task_is_due_when_it_would_have_been(world: CentralWorld, *, while_down: bool) -> None:
    world.robots.idle = True
    world.rt.shift_clock(AHEAD_S)
    world.keeper.take_plan(PLAN)
    world.rt.run_for(1.0)
    put_back(world, while_down=while_down)
    assert world.rt.run_until(lambda: bool(world.tasks("refill", "failed")), 250.0)
    assert world.rows(select(t.reservation)) == []


def test_an_article_is_proposed_again_as_soon_as_after_any_failure(world: CentralWorld) -> None:
    world.robots.fail = "only 3 units there"
    world.rt.shift_clock(AHEAD_S)
    world.keeper.take_plan(PLAN)
    assert world.rt.run_until(lambda: bool(world.tasks("refill", "failed")), 30.0)
    put_back(world, while_down=False)
    world.robots.fail = ""
    world.rt.run_for(90.0)
    world.keeper.take_plan(PLAN)
    assert world.rt.run_until(lambda: bool(world.tasks("refill", "done")), 30.0)
