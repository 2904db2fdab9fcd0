"""The real fleet master and simulated robots that depart from the standard, or that break down.

Every job must come to an end: done, or given back with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from central.config import CentralConfig
from central.fleet.jobs import JobProgress, Stop, TransportJob
from central.fleet.service import Fleet
from runtime.bus import BusOptions
from runtime.metrics import Metrics
from sim_hardware.config import Quirk, SimRobot, SimRobotBody
from sim_hardware.devices.robot import Robot
from tests.sim_floor import SITE, Bench, make_bench

QUIRKS: tuple[Quirk, ...] = (
    "silent-after-reconnect", "node-states-never-emptied", "wrong-header-ids", "late-states",
)  # fmt: skip
UNITS = 2


@dataclass
class Work:
    """A floor, a fleet master, and what it told of its jobs."""

    bench: Bench
    fleet: Fleet
    metrics: Metrics
    told: list[JobProgress] = field(default_factory=list)

    def ends(self) -> dict[str, JobProgress]:
        """Return how each job ended."""
        return {e.job_id: e for e in self.told if e.event in {"done", "failed", "handed_back"}}

    def run_until_ended(self, count: int, timeout_s: float = 900.0) -> bool:
        return self.bench.runtime.run_until(lambda: len(self.ends()) >= count, timeout_s)

    def robot(self, serial: str) -> Robot:
        return self.bench.floor.robots[serial]

    def submit(self, count: int) -> list[TransportJob]:
        """Ask for moves from reserve bins to other reserve bins."""
        bins = self.bench.site.bins
        stocked = [row for row in self.bench.site.opening if bins[row.bin_id].kind == "reserve"]
        free = [b for b in bins.values() if b.kind == "reserve" and b.edge_id == "A"]
        jobs = []
        for number in range(count):
            row, goal = stocked[3 * number], free[-1 - 5 * number]
            picked = f"pick/T{number}/{row.bin_id}/{row.gtin}/{UNITS}"
            dropped = f"drop/T{number}/{goal.bin_id}/{row.gtin}/{UNITS}"
            jobs.append(
                TransportJob(
                    job_id=f"J{number}",
                    stops=(
                        Stop(node_id=bins[row.bin_id].node_id, action_type="pick",
                             action_id=picked),
                        Stop(node_id=goal.node_id, action_type="drop", action_id=dropped),
                    ),
                )
            )  # fmt: skip
        for job in jobs:
            self.fleet.submit(job)
        return jobs


def work_with(tmp_path: Path, *robots: SimRobot, body: SimRobotBody | None = None) -> Work:
    """Return a floor with these robots and the real fleet master over it."""
    bench = make_bench(tmp_path, robots=robots, robot_body=body or SimRobotBody(), speed=4.0)
    config = CentralConfig(
        site_id=SITE, site_dir=str(tmp_path / "site"), data_dir=str(tmp_path),
        database_url="sqlite://",
    )  # fmt: skip
    metrics = Metrics()
    bus = bench.runtime.bus(BusOptions(client_id="central"))
    told: list[JobProgress] = []
    fleet = Fleet(
        bench.runtime, metrics, config, bench.site, bench.runtime.lane("fleet"), bus, told.append
    )
    fleet.start()
    bus.start()
    bench.runtime.run_for(2)
    return Work(bench, fleet, metrics, told)


def all_robots(*quirks: Quirk) -> tuple[SimRobot, ...]:
    return tuple(SimRobot(serial=f"agv-{n}", quirks=quirks) for n in range(1, 7))


def moved(work: Work, jobs: list[TransportJob]) -> bool:
    """Return whether every job's units stand in the bin to which they were to be brought."""
    for job in jobs:
        _, _, bin_id, gtin, units = job.stops[1].action_id.split("/")
        if work.bench.units(f"bin:{bin_id}", gtin) < int(units):
            return False
    return True


@pytest.mark.parametrize("quirk", QUIRKS)
def test_jobs_are_done_by_robots_that_depart_from_the_standard(
    tmp_path: Path, quirk: Quirk
) -> None:
    work = work_with(tmp_path, *all_robots(quirk))
    jobs = work.submit(8)
    assert work.run_until_ended(8), sorted(work.ends())
    assert {e.event for e in work.ends().values()} == {"done"}
    assert moved(work, jobs)
    assert work.bench.floor.truth().robot_conflicts == 0


@pytest.mark.parametrize("quirk", QUIRKS)
def test_they_also_take_a_lost_network(tmp_path: Path, quirk: Quirk) -> None:
    work = work_with(tmp_path, *all_robots(quirk))
    work.submit(6)
    for _ in range(4):
        work.bench.runtime.run_for(4)
        for serial in ("agv-1", "agv-2", "agv-3"):
            work.robot(serial).uplink.lose()
        work.bench.runtime.run_for(3)
        for serial in ("agv-1", "agv-2", "agv-3"):
            work.robot(serial).uplink.find()
    assert work.run_until_ended(6), sorted(work.ends())
    assert all(e.event == "done" or e.detail for e in work.ends().values())
    assert work.bench.floor.truth().robot_conflicts == 0
    assert work.bench.floor.truth().units_missing == {}


def busy_robots(work: Work) -> list[Robot]:
    return [robot for robot in work.bench.floor.robots.values() if robot.vehicle.is_moving]


def test_a_blocked_node_only_delays_the_jobs(tmp_path: Path) -> None:
    work = work_with(tmp_path)
    jobs = work.submit(6)
    world = work.bench.floor.world
    work.bench.runtime.run_for(2)
    robots = busy_robots(work)
    assert robots
    blocked = sorted({n for r in robots for n in r.nodes_ahead()[1:3]})[:3]
    for node in blocked:
        world.block_node(node)
    work.bench.runtime.run_for(60)
    for node in blocked:
        world.unblock_node(node)
    assert work.run_until_ended(6), sorted(work.ends())
    assert {e.event for e in work.ends().values()} == {"done"}
    assert moved(work, jobs)
    assert work.bench.floor.truth().robot_conflicts == 0


@pytest.mark.parametrize("how", ["estop", "lost", "drained"])
def test_a_robot_that_fails_for_good_gives_its_job_up_with_a_reason(
    tmp_path: Path, how: str
) -> None:
    work = work_with(tmp_path)
    jobs = work.submit(3)
    work.bench.runtime.run_for(2)
    robot = busy_robots(work)[0]
    match how:
        case "estop":
            robot.press_estop()
        case "lost":
            robot.lose_position()
        case _:
            robot.drain()
    work.run_until_ended(3, 300)
    # What stands behind the robot cannot be reached: tasking withdraws that when it is overdue.
    for job in jobs:
        work.fleet.withdraw(job.job_id)
    assert work.run_until_ended(3, 10), sorted(work.ends())
    assert all(e.event == "done" or e.detail for e in work.ends().values())
    words = {"estop": "emergency stop", "lost": "localizationLost", "drained": "batteryEmpty"}
    assert any(e.event == "failed" and words[how] in e.detail for e in work.ends().values())
    robot.release_estop()
    robot.find_position()
    robot.vehicle.battery_share = 1.0
    work.bench.runtime.run_for(60)
    assert all(view.available for view in work.fleet.robots())
    assert work.bench.floor.truth().robot_conflicts == 0
