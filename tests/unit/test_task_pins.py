"""A planner's pin: from the desk into the books, to the fleet, over a restart of central."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from central import tables as t
from tests.central_world import PEN, SITE, CentralWorld
from wire import messages as m
from wire import topics
from wire.codec import decode, encode


def pin(world: CentralWorld, command_id: str, **fields: Any) -> None:
    command = m.PinTask(command_id=command_id, person_id="ann", **fields)
    world.bus.publish(topics.DESK_PIN.of(site=SITE), encode(command))
    world.rt.run_for(0.5)


def test_a_pin_is_taken_once_told_to_the_fleet_and_outlives_central(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    world.open_stock()
    heard: list[m.PinResult] = []
    world.bus.subscribe(
        topics.DESK_PINNED.any(site=SITE), world.lane,
        lambda batch: heard.extend(decode(message.payload, m.PinResult) for message in batch),
    )  # fmt: skip
    world.robots.idle = True
    world.order("O1", (PEN, 2))
    assert world.rt.run_until(lambda: bool(world.tasks("deliver")), 60.0)
    world.rt.run_for(1.0)
    task_id = world.tasks("deliver")[0].task_id
    row = world.shared.site.robots[0]
    robot_id = f"{row.manufacturer}/{row.serial}"
    world.robots.report(task_id, "waits", detail="the charge of acme/r1 lacks")
    world.rt.run_for(1.0)
    assert world.tasks("deliver")[0].detail == "the charge of acme/r1 lacks"
    world.robots.report(task_id, "assigned", detail="acme/r1 costs 3.0 m (way 3.0)")
    world.rt.run_for(1.0)
    assert world.tasks("deliver")[0].detail == "acme/r1 costs 3.0 m (way 3.0)"
    world.robots.report(task_id, "waits", detail="acme/r1 got another job before it")
    world.rt.run_for(1.0)
    waits = world.tasks("deliver")[0]
    assert (waits.status, waits.worker_id) == ("open", "")
    assert waits.detail == "acme/r1 got another job before it"
    world.robots.report(task_id, "assigned", detail="acme/r1 costs 3.0 m (way 3.0)")
    world.rt.run_for(1.0)
    for _ in range(2):  # a repetition is answered the same
        pin(world, "c1", task_id=task_id, robot_id=robot_id)
    assert [answer.ok for answer in heard] == [True, True]
    assert heard[0].text.endswith("; it gets it as soon as it can")
    assert world.robots.pins == [(task_id, robot_id, "ann")]
    pin(world, "c5", task_id=task_id, robot_id="acme/r2")
    assert heard.pop().text.endswith(", unless acme/r1 was sent its pickup before")
    pin(world, "c6", task_id=task_id, robot_id=robot_id)
    heard.pop()
    del world.robots.pins[1:]
    pin(world, "c2", task_id="T-none", robot_id=robot_id)
    pin(world, "c3", task_id=task_id, robot_id="nobody/r0")
    assert [answer.ok for answer in heard[2:]] == [False, False]
    assert "is not in robots.csv: expected" in heard[3].text
    world.kill()
    world.robots.jobs.clear()
    world.begin()
    world.rt.run_for(2.0)
    job = world.robots.jobs[task_id]
    assert (job.pinned_to, job.pinned_by) == (robot_id, "ann")
    pin(world, "c4", task_id=task_id)
    assert heard[-1].ok
    assert world.robots.pins[-1] == (task_id, "", "ann")
    assert world.rows(select(t.task_pin)) == []
    world.kill()
