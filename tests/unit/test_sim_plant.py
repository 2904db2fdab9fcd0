"""A process killed in virtual time is as dead as one that was sent SIGKILL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import BuiltinMethodType
from typing import cast

import pytest

from runtime.bus import BusOptions, Incoming
from runtime.virtual import VirtualRuntime
from sim_hardware.plant import PlantError
from stockhelm.demo_site import DemoSite, Shape, write_demo
from stockhelm.sim_plant_virtual import VirtualPlant
from stockhelm.sim_site import PORTS
from wire.codec import decode
from wire.messages import DeviceStatus
from wire.topics import EDGE_STATUS

SHAPE = Shape(skus=5, robots=1, cameras=0, drones=0, orders_per_day=0)


class Hall:
    """A plant that has run for some seconds, and everything that was said."""

    def __init__(self, directory: Path, *, has_desk: bool = False) -> None:
        self.base = VirtualRuntime(7)
        self.demo: DemoSite = write_demo(
            directory, seed=7, speed=1.0, ports=PORTS, sales=None, shape=SHAPE
        )
        self.plant = VirtualPlant(self.base, self.demo, 7, "mem", has_desk=has_desk)
        self.said: list[Incoming] = []
        bus = self.base.bus(BusOptions(client_id="ear"))
        bus.subscribe("#", self.base.lane("ear"), self.said.extend)
        bus.start()
        self.plant.start_all()
        self.base.run_for(10)

    def topics(self, part: str) -> list[str]:
        return [message.topic for message in self.said if part in message.topic]

    def movements(self) -> int:
        with closing(sqlite3.connect(self.demo.data("central") / "central.db")) as db:
            return int(db.execute("SELECT count(*) FROM movement").fetchone()[0])


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    hall = Hall(tmp_path)
    yield hall
    hall.plant.stop()


def test_nothing_of_a_killed_process_happens_any_more(hall: Hall) -> None:
    assert hall.topics("central/changed")
    hall.plant.kill("central")
    assert not hall.plant.is_up("central")
    hall.base.run_for(0.1)
    hall.said.clear()
    hall.base.run_for(20)
    assert hall.topics("central/changed") == []
    hall.plant.start("central")
    hall.base.run_for(5)
    assert hall.topics("central/changed")


def test_the_broker_says_the_last_will_of_a_killed_edge(hall: Hall) -> None:
    hall.said.clear()
    hall.plant.kill("edge A")
    hall.base.run_for(0.1)
    topic = EDGE_STATUS.of(site="FC1", edge="A")
    told = [decode(m.payload, DeviceStatus) for m in hall.said if m.topic == topic]
    assert [status.online for status in told] == [False]


def test_files_stay_as_they_were_and_the_next_start_recovers_from_them(hall: Hall) -> None:
    before = hall.movements()
    assert before > 0
    log = hall.demo.data("central") / "central.db-wal"
    size = log.stat().st_size
    assert size > 0
    hall.plant.kill("central")
    assert log.stat().st_size == size, "closing a database well would have emptied its log"
    assert hall.movements() == before
    hall.plant.start("central")
    hall.base.run_for(5)
    assert hall.movements() == before


def test_what_was_not_committed_is_gone(hall: Hall) -> None:
    path = hall.demo.data("edge-A") / "edge.db"
    close = cast(BuiltinMethodType, hall.plant._running["edge A"].close_files)
    connection = cast(sqlite3.Connection, close.__self__)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM journal")
    hall.plant.kill("edge A")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM journal").fetchone()[0] > 0


def test_a_parted_process_hears_and_says_nothing_until_it_is_joined(hall: Hall) -> None:
    hall.plant.cut("central")
    hall.base.run_for(0.1)
    hall.said.clear()
    hall.base.run_for(10)
    assert hall.topics("central/changed") == []
    hall.plant.heal("central")
    hall.base.run_for(5)
    assert hall.topics("central/changed")


def test_a_wrong_clock_stays_wrong_over_a_restart(hall: Hall) -> None:
    topic = EDGE_STATUS.of(site="FC1", edge="A")
    hall.plant.shift_clock("edge A", -86_400)
    for _ in range(2):
        hall.plant.kill("edge A")
        hall.said.clear()
        hall.plant.start("edge A")
        hall.base.run_for(1)
        told = [decode(m.payload, DeviceStatus) for m in hall.said if m.topic == topic]
        behind_s = (hall.base.clock.now_ns() - told[-1].changed_at_ns) / 1e9
        assert 86_399 < behind_s < 86_402


def test_a_process_that_there_is_not_is_refused_by_name(hall: Hall) -> None:
    with pytest.raises(PlantError, match="'edge C': expected one of broker, central, edge A"):
        hall.plant.kill("edge C")


def test_who_dies_while_parted_comes_back_parted(hall: Hall) -> None:
    hall.plant.cut("central")
    hall.plant.kill("central")
    hall.plant.start("central")
    hall.base.run_for(30)
    before = len(hall.topics("central/changed"))
    hall.base.run_for(10)
    assert len(hall.topics("central/changed")) == before
    hall.plant.heal("central")
    hall.base.run_for(60)
    assert len(hall.topics("central/changed")) > before


def test_a_partition_may_begin_while_the_process_is_dead(hall: Hall) -> None:
    hall.plant.kill("central")
    hall.base.run_for(1)
    before = len(hall.topics("central/changed"))
    hall.plant.cut("central")
    hall.plant.start("central")
    hall.base.run_for(20)
    assert len(hall.topics("central/changed")) == before
    hall.plant.heal("central")
    hall.base.run_for(60)
    assert len(hall.topics("central/changed")) > before


def test_the_broker_is_not_parted_from_itself(hall: Hall) -> None:
    with pytest.raises(PlantError, match="name a process beside it"):
        hall.plant.cut("broker")


def test_a_desk_runs_where_it_is_asked_for_and_dies_and_comes_back(tmp_path: Path) -> None:
    hall = Hall(tmp_path, has_desk=True)

    def reads() -> int:
        return len(
            hall.plant.metrics["desk"].snapshot(with_samples=True).samples_ms["desk_read_ms"]
        )

    assert (hall.plant.is_up("desk"), reads() >= 4) == (True, True)
    hall.plant.kill("desk")
    hall.plant.kill("central")
    assert not hall.plant.is_up("desk")
    before = reads()
    hall.base.run_for(10)
    assert reads() == before
    hall.plant.start("central")
    hall.plant.start("desk")
    hall.base.run_for(10)
    assert (hall.plant.is_up("desk"), reads() >= before + 4) == (True, True)
    hall.plant.stop()


def test_without_a_desk_nothing_can_be_done_to_one(hall: Hall) -> None:
    with pytest.raises(PlantError, match="'desk'"):
        hall.plant.kill("desk")
