"""The whole loop in virtual time: edges, central and the simulated floor in one thread.

Nothing here stands in for anything: the same agents, drivers, databases and device firmware as
live; only clock, broker and lines are in memory.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from central.agent import build_central
from central.config import CentralConfig
from edge.agent import build_edge
from edge.config import EdgeConfig
from runtime.bus import BusOptions, Incoming
from runtime.config import load_config
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimConfig
from sim_hardware.floor import SimulatedFloor, Truth, build_floor
from stockhelm.demo_site import DemoSite, Ports, write_demo
from wire.ids import bin_of

pytestmark = pytest.mark.long
SECONDS = 70
PORTS = Ports(broker=1883, desk=8000, pictures=8001)


@dataclass
class Loop:
    """A demo site with all its processes on one loop."""

    runtime: VirtualRuntime
    demo: DemoSite
    floor: SimulatedFloor
    said: list[tuple[str, bytes]]

    def central(self, query: str) -> list[tuple[str, str, int]]:
        """Return what a query finds in central's database."""
        with closing(sqlite3.connect(self.demo.data("central") / "central.db")) as db:
            return db.execute(query).fetchall()


def make_loop(directory: Path, seed: int) -> Loop:
    """Start edges, central and floor of a demo site."""
    demo = write_demo(directory, seed=seed, speed=4.0, ports=PORTS, sales=None)
    runtime = VirtualRuntime(seed)
    said: list[tuple[str, bytes]] = []

    def hear(batch: list[Incoming]) -> None:
        said.extend((message.topic, message.payload) for message in batch)

    bus = runtime.bus(BusOptions(client_id="test"))
    bus.subscribe("#", runtime.lane("test"), hear)
    bus.start()
    for edge in demo.edges:
        config = load_config(demo.config(f"edge-{edge}"), EdgeConfig)
        build_edge(VirtualRuntime(seed, shared=runtime), Metrics(), config).start()
    central = load_config(demo.config("central"), CentralConfig)
    build_central(VirtualRuntime(seed, shared=runtime), Metrics(), central).start()
    sim = load_config(demo.config("sim"), SimConfig)
    floor = build_floor(VirtualRuntime(seed, shared=runtime), sim, Metrics())
    floor.start()
    return Loop(runtime, demo, floor, said)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """Return a loop that has worked for some time and come to rest."""
    loop = make_loop(tmp_path_factory.mktemp("loop"), 7)
    loop.runtime.run_for(SECONDS)
    loop.floor.freeze()
    loop.runtime.run_for(10)
    return loop


def by_bin(rows: list[tuple[str, str, int]], truth: Truth) -> dict[tuple[str, str], int]:
    """Return units by bin and article, without the bins where a hand is at work."""
    return {
        (place, gtin): units
        for place, gtin, units in rows
        if units and bin_of(place) and bin_of(place) not in truth.in_flight_bins
    }


def test_the_books_are_what_is_physically_there(loop: Loop) -> None:
    truth = loop.floor.truth()
    books = by_bin(loop.central("SELECT place, gtin, units FROM balance"), truth)
    assert books == by_bin(truth.stock, truth)
    assert truth.units_missing == {}
    assert truth.strays_accepted == 0


def test_people_robots_and_the_drone_all_got_work_done(loop: Loop) -> None:
    truth = loop.floor.truth()
    done = {
        kind: count
        for kind, _, count in loop.central(
            "SELECT kind, status, count(*) FROM task WHERE status = 'done' GROUP BY kind"
        )
    }
    assert sum(done.values()) >= 30
    assert {"pick", "refill", "deliver", "receive", "count"} <= set(done)
    assert len(truth.robots_used) == 6
    assert all(use.actions for use in truth.robots_used.values())
    assert truth.robot_conflicts == 0
    assert truth.drone_missions_flown >= 1
    people: Counter[str] = Counter()
    for kinds in truth.tasks_done.values():
        people.update(kinds)
    assert people["pick"] >= done["pick"]


def test_orders_are_filled(loop: Loop) -> None:
    counts = {s: n for s, _, n in loop.central(
        "SELECT status, '', count(*) FROM customer_order GROUP BY status")}  # fmt: skip
    assert counts.get("filled", 0) >= 3
    assert sum(counts.values()) == loop.floor.truth().orders_created


@pytest.mark.soak
def test_a_seed_gives_the_same_run_to_the_byte(tmp_path: Path) -> None:
    logs = []
    for name in ("one", "two"):
        again = make_loop(tmp_path / name, 11)
        again.runtime.run_for(12)
        again.floor.stop()
        logs.append(again.said)
    assert len(logs[0]) > 300
    assert logs[0] == logs[1]
