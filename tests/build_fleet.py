"""Floors, jobs and fleets for tests: a test names only what it is about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from central.config import CentralConfig, FleetConfig
from central.fleet.jobs import JobProgress, Stop, TransportJob
from central.fleet.service import Fleet
from central.fleet.view import RobotView
from runtime.bus import Bus, BusOptions, Incoming
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from tests.build_vehicle import Floor, Network, TestVehicle
from wire.site import EdgeRow, NodeRow, RobotRow, Site
from wire.vda5050.codec import decode_order
from wire.vda5050.dialects import DIALECTS
from wire.vda5050.messages import Order

SITE_ID = "FC1"
GRID_M = 1.5


def node_id(x: int, y: int) -> str:
    return f"N{x}-{y}"


def grid_site(width: int, height: int, robots: dict[str, str], maker: str = "acme") -> Site:
    """Return an open floor of width x height nodes and robots (serial -> node)."""
    cells = [(x, y) for y in range(height) for x in range(width)]
    nodes = [NodeRow(node_id=node_id(x, y), x_m=x * GRID_M, y_m=y * GRID_M) for x, y in cells]
    edges = [
        EdgeRow(from_node=node_id(x, y), to_node=node_id(x + dx, y + dy))
        for x, y in cells
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
        if (x + dx, y + dy) in set(cells)
    ]
    return Site(
        bins={},
        articles={},
        nodes={node.node_id: node for node in nodes},
        edges=tuple(edges),
        robots=tuple(
            RobotRow(manufacturer=maker, serial=serial, node_id=node)
            for serial, node in robots.items()
        ),
        people={},
        opening=(),
        suppliers={},
    )


def config(url: str = "sqlite://", fleet: FleetConfig | None = None) -> CentralConfig:
    """Return a configuration; the database is in memory where no url is given."""
    return CentralConfig(
        site_id=SITE_ID,
        site_dir="",
        data_dir="",
        database_url=url,
        fleet=fleet or FleetConfig(),
    )


def transport(
    job_id: str, *nodes: str, due_at_ns: int = 0, priority: int = 0, **parameters: str | float
) -> TransportJob:
    """Return a job that picks at the first node and drops at the others."""
    stops = tuple(
        Stop(
            node_id=node,
            action_type="drop" if i else "pick",
            action_id=f"{'drop' if i else 'pick'}{i}/{job_id}",
            parameters=dict(parameters),
        )
        for i, node in enumerate(nodes)
    )
    return TransportJob(job_id=job_id, stops=stops, due_at_ns=due_at_ns, priority=priority)


@dataclass
class FleetWorld:
    """A real fleet and vehicles of the tests' own, in virtual time. Everything sent is kept."""

    robots: dict[str, str]
    """Serial -> node."""
    width: int = 6
    height: int = 5
    seed: int = 0
    network: Network = field(default_factory=Network)
    url: str = "sqlite://"
    fleet_config: FleetConfig = field(default_factory=FleetConfig)
    site: Site | None = None
    version: str = "2.0.0"
    """The version of VDA 5050 that the vehicles speak."""
    told: list[JobProgress] = field(default_factory=list)
    sent: list[Incoming] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    floor: Floor = field(default_factory=Floor)
    vehicles: dict[str, TestVehicle] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.runtime = VirtualRuntime(self.seed)
        self.site = self.site or grid_site(self.width, self.height, self.robots)
        watcher = self.runtime.bus(BusOptions(client_id="watcher"))
        watcher.subscribe("uagv/#", self.runtime.lane("watcher"), self.sent.extend)
        watcher.start()
        self.start_central()
        for row in self.site.robots:
            random = Random(f"{self.seed}/{row.serial}")
            vehicle = TestVehicle(
                self.runtime, row.serial, row.node_id, self.floor, random, self.network,
                version=self.version,
            )  # fmt: skip
            self.vehicles[row.serial] = vehicle

    def start_central(self) -> None:
        assert self.site is not None
        lane = self.runtime.lane("fleet")
        self.bus: Bus = self.runtime.bus(BusOptions(client_id="central"))
        settings = config(self.url, self.fleet_config)
        self.fleet = Fleet(
            self.runtime, self.metrics, settings, self.site, lane, self.bus, self.told.append
        )
        self.fleet.start()
        self.bus.start()

    def kill_central(self) -> None:
        """End central as SIGKILL does: nothing is written or said any more."""
        self.bus.stop()
        self.fleet._end()

    def start_vehicles(self) -> None:
        for vehicle in self.vehicles.values():
            vehicle.start()

    def submit(self, *jobs: TransportJob) -> None:
        for job in jobs:
            self.fleet.submit(job)

    def run_until_ended(self, count: int, timeout_s: float = 600.0) -> bool:
        """Run until so many jobs ended; return whether they did in time."""
        return self.runtime.run_until(lambda: self.ended() >= count, timeout_s)

    def ended(self) -> int:
        return sum(e.event in {"done", "failed", "handed_back"} for e in self.told)

    def events(self, job_id: str) -> list[str]:
        return [e.event for e in self.told if e.job_id == job_id]

    def detail(self, job_id: str, event: str) -> str:
        [found] = [e.detail for e in self.told if (e.job_id, e.event) == (job_id, event)]
        return found

    def view(self, serial: str) -> RobotView:
        [found] = [v for v in self.fleet.robots() if v.robot_id.endswith("/" + serial)]
        return found

    def orders(self, serial: str) -> list[Order]:
        """Return what was published for a vehicle, in order."""
        dialect = DIALECTS[self.version]
        return [decode_order(payload, dialect) for payload in self.payloads(serial)]

    def payloads(self, serial: str) -> list[bytes]:
        return self.said_to(serial, "order")

    def said_to(self, serial: str, name: str) -> list[bytes]:
        """Return the payloads of one of a vehicle's topics, in order."""
        topic = f"uagv/{DIALECTS[self.version].major}/acme/{serial}/{name}"
        return [m.payload for m in self.sent if m.topic == topic]

    def counters(self) -> dict[str, int]:
        return self.metrics.snapshot().counters

    def actions_done(self) -> Counter[str]:
        return Counter(a for v in self.vehicles.values() for a in v.done)
