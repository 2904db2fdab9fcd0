"""A drone before a rack, the missions of an edge, and what they tell: in virtual time or live."""

from __future__ import annotations

from typing import Any

from edge.config import DroneConfig, EdgeConfig
from edge.missions import MissionService
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimDrone
from sim_hardware.devices.drone import Drone
from tests.rack import GLN, Rack, gtin, rack_site
from wire.messages import BinSighted, FlyMission, MissionEnded, StockEvent

BINS = ("A-01-01-1", "A-01-03-2", "A-01-02-2")
TICK_S = 0.05
LAT_DEG, LON_DEG = 52.5, 13.4


class DroneWorld:
    """One edge with one drone; `speed` is how much faster than real the world moves."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        path: str = "/dev/drone-1",
        url: str = "http://drone/1",
        speed: float = 4.0,
        switched_on: bool = True,
        timeout_s: float = 600,
        drone: type[Drone] = Drone,
    ) -> None:
        site = rack_site()
        self.rack = Rack(site, {BINS[0]: {gtin(1): 30}, BINS[1]: {gtin(2): 5, gtin(3): 12}})
        self.runtime = runtime
        self.metrics = Metrics()
        self.told: list[StockEvent] = []
        self.floor = runtime.lane("floor")
        config = SimDrone(
            drone_id="drone-1", path=path, camera_url=url,
            origin_lat_deg=LAT_DEG, origin_lon_deg=LON_DEG,
        )  # fmt: skip
        self.drone = drone(runtime, self.floor, self.rack, config, GLN)
        if switched_on:
            self.drone.start()
        self.floor.call_every(TICK_S, lambda: self.drone.tick(TICK_S * speed))
        own = DroneConfig(
            drone_id="drone-1", path=path, camera_url=url, mission_timeout_s=timeout_s,
            origin_lat_deg=LAT_DEG, origin_lon_deg=LON_DEG,
        )  # fmt: skip
        edge = EdgeConfig(
            site_id="FC1", edge_id="A", site_dir="", data_dir="", gln=GLN, drones=(own,)
        )
        self.lane = runtime.lane("missions")
        self.missions = MissionService(
            runtime, self.metrics, edge, site, self.lane, self.told.extend
        )
        self.lane.post(self.missions.start)

    def command(self, mission_id: str = "M1", **fields: Any) -> FlyMission:
        values: dict[str, Any] = {
            "command_id": f"C-{mission_id}",
            "expires_at_ns": self.runtime.clock.now_ns() + 600 * 10**9,
            "mission_id": mission_id,
            "drone_id": "drone-1",
            "bins": BINS,
        }
        return FlyMission(**(values | fields))

    def fly(self, mission_id: str = "M1", **fields: Any) -> None:
        command = self.command(mission_id, **fields)
        self.lane.post(lambda: self.missions.fly(command))

    @property
    def ended(self) -> list[MissionEnded]:
        return [event for event in self.told if isinstance(event, MissionEnded)]

    @property
    def seen(self) -> dict[str, tuple[str, ...]]:
        return {
            event.bin_id: tuple(article.gtin for article in event.articles)
            for event in self.told
            if isinstance(event, BinSighted)
        }


def virtual_world(*, seed: int = 7, **options: Any) -> tuple[VirtualRuntime, DroneWorld]:
    """Return a drone's world in virtual time."""
    runtime = VirtualRuntime(seed)
    return runtime, DroneWorld(runtime, **options)
