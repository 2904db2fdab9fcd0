"""A generated site with the whole product beside it, in memory, as the speed benches run it.

The same parts as `stockhelm sim run`, without a scenario's player and without a trace.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from rich.console import Console

from central.config import CentralConfig, PlanningConfig, PolicyConfig, TaskingConfig
from edge.config import EdgeConfig, SmartCameraConfig
from runtime.clock import NS_PER_S, SystemClock
from runtime.config import load_config, to_toml
from runtime.log import send_logs_to
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimCamera, SimConfig
from sim_hardware.floor import SimulatedFloor, build_floor
from sim_hardware.world.warehouse.spec import Wish
from stockhelm.demo_site import DemoSite, Ports, Shape, write_demo
from stockhelm.sim_books import SiteBooks
from stockhelm.sim_generate import sim_generate
from stockhelm.sim_plant_virtual import VirtualPlant
from stockhelm.sim_settle import settle
from wire.messages import BINS_PER_LOOK_MAX
from wire.site import FILES, BinRow

SEED: Final = 7
PORTS: Final = Ports(broker=1883, desk=8000, pictures=8001)
"""In virtual time nobody listens on them."""
HISTORY_FILE: Final = "history.csv"
BINS_PER_CAMERA: Final = min(8, BINS_PER_LOOK_MAX)
AUTO_UNITS_MAX: Final = 1_000_000
"""No planner sits at the desk in a bench: every move is small enough to need none."""
AUTO_CENTS_MAX: Final = 10**9
SETTLE_S_MAX: Final = 600.0
SETTLE_LOOK_S: Final = 5.0
SETTLED_LOOKS: Final = 3
Config = TypeVar("Config", CentralConfig, EdgeConfig, SimConfig)
Looks = dict[str, list[BinRow]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is simulated."""

    wish: Wish
    day_s: float = 86_400.0
    speed: float = 1.0
    """World seconds per second of the product's clock."""
    lines_weights: tuple[float, ...] = ()
    """Weights of orders with 1, 2, 3 ... lines; none: the simulator's own."""
    cameras: int = 0
    """Cameras that decode by themselves."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one stretch of a run."""

    world_s: float
    real_s: float
    cpu_s: float
    """Of the processor: on a machine that others use too, less than the real seconds."""
    scans: int
    orders: int
    robot_actions: int


class BenchSite:
    """One site in memory: world, devices, broker, edges and central on one loop."""

    def __init__(self, directory: Path, load: Load) -> None:
        self.demo = _write(directory, load)
        self.base = VirtualRuntime(SEED)
        send_logs_to(_drop, self.base.clock)
        self.plant = VirtualPlant(self.base, self.demo, SEED, "mem")
        config = load_config(self.demo.config("sim"), SimConfig)
        self.floor: SimulatedFloor = build_floor(
            VirtualRuntime(SEED, shared=self.base), config, Metrics()
        )
        self._clock = SystemClock()

    def start(self) -> None:
        """Switch everything on."""
        self.plant.start_all()
        self.floor.start()

    def run(self, world_s: float, on_progress: Callable[[float], None] = lambda _s: None) -> Done:
        """Let so many world seconds pass; return what happened in them."""
        time = self.floor.world.time
        begun_ns, begun_s, before = self._clock.monotonic_ns(), time.now_s, self._counts()
        begun_cpu_s = _cpu_s()
        end_s = begun_s + world_s
        while time.now_s < end_s:
            self.base.run_until(lambda: time.now_s >= end_s, 1.0)
            on_progress(time.now_s - begun_s)
        scans, orders, actions = (
            now - then for now, then in zip(self._counts(), before, strict=True)
        )
        return Done(
            world_s=time.now_s - begun_s,
            real_s=(self._clock.monotonic_ns() - begun_ns) / NS_PER_S,
            cpu_s=_cpu_s() - begun_cpu_s,
            scans=scans, orders=orders, robot_actions=actions,
        )  # fmt: skip

    def bins_off(self) -> int:
        """Freeze the world and let the books settle; return in how many bins they are not true."""
        books = SiteBooks(self.demo)
        self.floor.freeze()
        settle(
            books, self.floor, lambda: self.base.run_for(SETTLE_LOOK_S),
            looks_max=round(SETTLE_S_MAX / SETTLE_LOOK_S), quiet_looks=SETTLED_LOOKS,
        )  # fmt: skip
        truth = self.floor.truth()
        return len(books.bins(truth.stock, truth.in_flight_bins)[1])

    def stop(self) -> None:
        """Switch everything off."""
        self.floor.stop()
        self.plant.stop()
        self.base.close()

    def _counts(self) -> tuple[int, int, int]:
        floor = self.floor
        return (
            sum(scanner.scans for scanner in floor.scanners.values()),
            floor.customers.orders_created,
            sum(robot.actions_finished for robot in floor.robots.values()),
        )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _drop(_line: str) -> None:
    """Forget a line of the logs."""


def _write(directory: Path, load: Load) -> DemoSite:
    """Generate the site, and write it with everybody's configuration."""
    generated = directory / "generated"
    sim_generate(generated, load.wish, Console(quiet=True))
    texts = {
        name: (generated / name).read_text()
        for name in (*FILES, HISTORY_FILE)
        if (generated / name).is_file()
    }
    shape = Shape(
        cameras=0, drones=0, day_s=load.day_s / load.speed, stray_share=0.03, texts=texts,
        orders_per_day=load.wish.orders_per_day or 0.0, auto_units_max=AUTO_UNITS_MAX,
    )  # fmt: skip
    demo = write_demo(directory, seed=SEED, speed=load.speed, ports=PORTS, sales=None, shape=shape)
    _change(demo, "central", CentralConfig, lambda config: _central(config, load))
    looks = _looks(demo, load.cameras)
    for edge in demo.edges:
        own = [camera for camera, bins in looks.items() if bins[0].edge_id == edge]
        _change(demo, f"edge-{edge}", EdgeConfig, partial(_edge, cameras=own))
    _change(demo, "sim", SimConfig, lambda config: _sim(config, load, looks))
    return demo


def _change(
    demo: DemoSite, name: str, kind: type[Config], change: Callable[[Config], Config]
) -> None:
    path = demo.config(name)
    path.write_text(to_toml(change(load_config(path, kind))), encoding="utf-8")


def _central(config: CentralConfig, load: Load) -> CentralConfig:
    """Return the defaults of a real site, as they are in the product's time of this run."""
    usual = PlanningConfig()
    planning = msgspec.structs.replace(
        usual, day_s=config.planning.day_s, review_s=usual.review_s / load.speed,
        count_every_s=usual.count_every_s / load.speed,
    )  # fmt: skip
    policy = PolicyConfig(auto_units_max=AUTO_UNITS_MAX, auto_buy_cents_max=AUTO_CENTS_MAX)
    tasking = TaskingConfig()
    return msgspec.structs.replace(config, planning=planning, policy=policy, tasking=tasking)


def _edge(config: EdgeConfig, *, cameras: Sequence[str]) -> EdgeConfig:
    rows = tuple(SmartCameraConfig(camera_id=name) for name in cameras)
    return msgspec.structs.replace(config, smart_cameras=rows)


def _sim(config: SimConfig, load: Load, looks: Looks) -> SimConfig:
    cameras = tuple(
        SimCamera(camera_id=name, bins=tuple(row.bin_id for row in bins), level="sighting")
        for name, bins in looks.items()
    )
    orders = msgspec.structs.replace(config.orders, lines_weights=load.lines_weights)
    return msgspec.structs.replace(config, cameras=cameras, orders=orders)


def _looks(demo: DemoSite, cameras: int) -> Looks:
    """Return what each camera sees: some pick faces of one zone, side by side; zones in turn."""
    rows = demo.site.bins.values()
    faces = {e: [r for r in rows if r.kind == "pick" and r.edge_id == e] for e in demo.edges}
    found: Looks = {}
    for number in range(cameras):
        own = faces[demo.edges[number % len(demo.edges)]]
        first = number // len(demo.edges) * BINS_PER_CAMERA
        found[f"camera-{number + 1}"] = own[first : first + BINS_PER_CAMERA]
    return found
