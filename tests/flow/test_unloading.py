"""Goods that are left on a robot are asked for: none waits there for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from central.config import PolicyConfig
from central.ledger.verify import verify_ledger
from tests.central_world import PEN, CentralWorld
from tests.flow.test_tasking_proposals import plan, proposed
from wire import messages as m


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    found = CentralWorld(tmp_path, policy=PolicyConfig(auto_units_max=20))
    found.open_stock()
    return found


def left_on_robot(world: CentralWorld) -> str:
    """Let a robot pick 12 units and fail to drop them; return the failed task."""
    world.robots.idle = True
    plan(world, proposed(units=12))
    world.rt.run_for(0.5)
    (job,) = world.robots.jobs.values()
    world.robots.stop(job, 0)
    world.rt.run_for(1.0)
    world.robots.report(job.job_id, "failed", 1, detail="drop failed: the bin is full")
    world.rt.run_for(1.0)
    assert world.balance("robot:r1") == 12
    return job.job_id


def test_a_failed_drop_is_taken_off_the_robot_by_a_person_and_put_away(
    world: CentralWorld,
) -> None:
    left_on_robot(world)
    assert world.rt.run_until(lambda: world.balance("robot:r1") == 0, 180.0)
    (task,) = [row for row in world.tasks("receive") if row.from_place == "robot:r1"]
    assert (task.worker_kind, task.units, task.worker_id) == ("person", 12, "ann")
    assert world.rt.run_until(lambda: bool(world.tasks("putaway", "done")), 180.0)
    assert verify_ledger(world.engine).balanced
    world.rt.run_for(300)
    assert len([row for row in world.tasks("receive") if row.from_place == "robot:r1"]) == 1


def test_what_a_robot_is_still_to_bring_is_left_to_it(world: CentralWorld) -> None:
    world.robots.idle = True
    plan(world, proposed(units=12))
    world.rt.run_for(0.5)
    (job,) = world.robots.jobs.values()
    world.robots.happen(job.job_id, "assigned")
    world.robots.stop(job, 0)
    world.rt.run_for(150)
    assert world.tasks("receive") == []


def test_a_robot_that_is_found_empty_has_it_booked_as_lost(world: CentralWorld) -> None:
    left_on_robot(world)
    for person in world.people.values():
        person.idle = True
    assert world.rt.run_until(lambda: bool(world.people["ann"].screen), 180.0)
    (task,) = world.people["ann"].screen
    assert (task.kind, task.from_place) == ("receive", "robot:r1")
    now_ns = world.shared.now_ns()
    world.edges["A"].write(
        m.TaskClosed(
            event_id="short/1", task_id=task.task_id, short_units=12, device_id="scanner-A",
            observed_at_ns=now_ns, received_at_ns=now_ns, person_id="ann",
        )
    )  # fmt: skip
    assert world.rt.run_until(lambda: world.balance("robot:r1") == 0, 60.0)
    (command,) = [
        c.movement
        for c in world.edges["A"].commands
        if isinstance(c, m.RecordMove) and c.movement.reason == "robot-empty"
    ]
    assert (command.from_place, command.to_place, command.units) == ("robot:r1", "loss:", 12)
    world.rt.run_for(600)
    assert len(world.tasks("receive")) == 1
    assert verify_ledger(world.engine).balanced


def test_what_the_robot_drops_after_all_is_asked_for_no_more(world: CentralWorld) -> None:
    task_id = left_on_robot(world)
    for person in world.people.values():
        person.idle = True
    assert world.rt.run_until(lambda: bool(world.tasks("receive")), 180.0)
    drop = f"drop/{task_id}/B-12/{PEN}/12"
    world.edges["B"].move(PEN, 12, "robot:r1", "bin:B-12", event_id=drop, task_id=task_id)
    assert world.rt.run_until(lambda: bool(world.tasks("receive", "cancelled")), 60.0)
    world.rt.run_for(300)
    assert len(world.tasks("receive")) == 1
    assert world.balance("robot:r1") == 0


@pytest.mark.soak
def test_nobody_who_comes_is_asked_again_after_a_while(world: CentralWorld) -> None:
    left_on_robot(world)
    for person in world.people.values():
        person.idle = True
    world.rt.run_for(3_600)
    tasks = world.tasks("receive")
    assert len(tasks) >= 2
    assert {row.status for row in tasks[:-1]} == {"failed"}
