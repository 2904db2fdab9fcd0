"""Drone missions: one at a time per drone, each flown once, its result told when asked again."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import structlog

from edge.config import DroneConfig, EdgeConfig
from edge.vision.core import Sighting
from edge.vision.decode import WAREHOUSE_FORMATS, Decoder, PictureError, open_picture
from edge.vision.reading import Reader
from edge.vision.service import sighted
from firmware_bridge.drones.core import Ended
from firmware_bridge.drones.driver import DroneDriver
from firmware_bridge.drones.plan import Origin, Stop, hover_before
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from wire.messages import FlyMission, MissionEnded, StockEvent
from wire.site import BinRow, Site

MISSIONS_WAITING_MAX: Final = 4
RESULTS_KEPT_MAX: Final = 1_000
LOOKS_MAX: Final = 3
LOOK_AGAIN_S: Final = 0.1
HOLD_S: Final = 4.0
STANDOFF_M: Final = 0.6
DETAIL_MAX: Final = 400
_NS_PER_US: Final = 1_000
log = structlog.get_logger()


class MissionService:
    """All drones of one edge agent. Everything happens on `lane`, `on_events` too.

    Only pictures have a lane of their own, so that no heartbeat is late because of one.
    """

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: EdgeConfig,
        site: Site,
        lane: Lane,
        on_events: Callable[[list[StockEvent]], None],
    ) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._config = config
        self._site = site
        self._lane = lane
        self._on_events = on_events
        self._boot_epoch = runtime.clock.now_ns() // _NS_PER_US
        self._seqs: dict[str, int] = {}
        self._results: OrderedDict[str, MissionEnded] = OrderedDict()
        self._stopped = False
        self._drones: dict[str, _Drone] = {}
        if config.drones:
            eyes = runtime.lane("drone-eyes")
            decoder = Decoder(formats=WAREHOUSE_FORMATS)
            log.info("drones' pictures are read", by=decoder.note)
            reader = Reader(
                gln=config.gln, bins=site.edge_bins(config.edge_id), articles=site.articles
            )
            for drone in config.drones:
                camera = _Camera(runtime, metrics, drone, eyes, decoder, reader)
                self._drones[drone.drone_id] = _Drone(self, drone, camera)

    def start(self) -> None:
        """Open the radios."""
        for drone in self._drones.values():
            drone.start()

    def stop(self) -> None:
        """Call flying drones home and close the radios; missions under way end without a result."""
        self._stopped = True
        for drone in self._drones.values():
            drone.stop()

    def fly(self, command: FlyMission) -> None:
        """Fly a mission, unless it was asked for before; one that is over is only told again."""
        known = self._results.get(command.mission_id)
        if known is not None:
            self._tell([known])
            return
        drone = self._drones.get(command.drone_id)
        if drone is None:
            self._refuse(command, f"{command.drone_id} is no drone of this edge")
            return
        if drone.has(command.mission_id):
            return
        strange = [bin_id for bin_id in command.bins if bin_id not in self._bins()]
        if strange:
            self._refuse(command, f"no bins of this edge: {', '.join(strange[:5])}")
        elif self.is_late(command):
            self._refuse(command, "expired before it began")
        elif not drone.add(command):
            self._refuse(command, f"{MISSIONS_WAITING_MAX} missions wait for this drone already")

    def _bins(self) -> Collection[str]:
        return self._site.edge_bins(self._config.edge_id)

    def _refuse(self, command: FlyMission, why: str) -> None:
        log.warning("mission refused", mission=command.mission_id, reason=why)
        self.end(command, ok=False, detail=why, bins_seen=())

    # --- what a drone needs ----------------------------------------------------------------------

    def is_late(self, command: FlyMission) -> bool:
        """Return whether the time to begin this mission is over."""
        return self._runtime.clock.now_ns() >= command.expires_at_ns

    def stop_before(self, bin_id: str) -> Stop:
        """Return where to hover to see a bin: before it, on the side of its node."""
        row: BinRow = self._site.bins[bin_id]
        node = self._site.nodes.get(row.node_id)
        from_x_m, from_y_m = (node.x_m, node.y_m) if node else (row.x_m, row.y_m - 1.0)
        return hover_before(
            row.x_m, row.y_m, row.z_m, from_x_m=from_x_m, from_y_m=from_y_m, away_m=STANDOFF_M
        )

    def sighting(self, command: FlyMission, sighting: Sighting, at_ns: int) -> None:
        """Tell of a bin that a drone saw."""
        self._metrics.count("sightings", command.drone_id)
        event = sighted(
            sighting,
            event_id=self._event_id(command.drone_id),
            device_id=command.drone_id,
            observed_at_ns=at_ns,
            received_at_ns=self._runtime.clock.now_ns(),
            task_id=command.mission_id,
        )
        self._tell([event])

    def end(
        self, command: FlyMission, *, ok: bool, detail: str, bins_seen: tuple[str, ...]
    ) -> None:
        """Tell that a mission is over, and keep it for whoever asks again."""
        if self._stopped:
            return
        now_ns = self._runtime.clock.now_ns()
        ended = MissionEnded(
            event_id=self._event_id(command.drone_id),
            mission_id=command.mission_id,
            drone_id=command.drone_id,
            ok=ok,
            detail=detail[:DETAIL_MAX],
            bins_seen=bins_seen,
            observed_at_ns=now_ns,
            received_at_ns=now_ns,
        )
        self._results[command.mission_id] = ended
        while len(self._results) > RESULTS_KEPT_MAX:
            self._results.popitem(last=False)
        self._metrics.count("missions_ended", "ok" if ok else "failed")
        self._tell([ended])

    def driver(
        self,
        config: DroneConfig,
        on_arrived: Callable[[int], None],
        on_ended: Callable[[Ended], None],
    ) -> DroneDriver:
        """Return the driver of one drone."""
        return DroneDriver(
            config.drone_id, config.path, config.baud,
            system_id=config.system_id,
            origin=Origin(lat_deg=config.origin_lat_deg, lon_deg=config.origin_lon_deg),
            hold_s=HOLD_S, timeout_s=config.mission_timeout_s,
            ports=self._runtime.ports, clock=self._runtime.clock, lane=self._lane,
            on_arrived=on_arrived, on_ended=on_ended,
        )  # fmt: skip

    def on_lane(self, call: Callable[[], None]) -> None:
        """Run `call` on the missions' lane."""
        self._lane.post(call)

    def _event_id(self, drone_id: str) -> str:
        self._seqs[drone_id] = self._seqs.get(drone_id, 0) + 1
        return f"{drone_id}/{self._boot_epoch}/{self._seqs[drone_id]}"

    def _tell(self, events: list[StockEvent]) -> None:
        if not self._stopped:
            self._on_events(events)


@dataclass(slots=True)
class _Flight:
    """The mission that a drone flies now."""

    command: FlyMission
    seen: list[str] = field(default_factory=list)
    told: set[str] = field(default_factory=set)


class _Drone:
    """One drone's missions."""

    def __init__(self, service: MissionService, config: DroneConfig, camera: _Camera) -> None:
        self._service = service
        self._camera = camera
        self._driver = service.driver(config, self._on_arrived, self._on_ended)
        self._waiting: deque[FlyMission] = deque()
        self._flight: _Flight | None = None

    def start(self) -> None:
        """Open the radio."""
        self._driver.start()

    def stop(self) -> None:
        """Call the drone home and close the radio."""
        self._waiting.clear()
        self._driver.stop()
        self._camera.close()

    def has(self, mission_id: str) -> bool:
        """Return whether this mission flies or waits."""
        flying = self._flight is not None and self._flight.command.mission_id == mission_id
        return flying or any(waiting.mission_id == mission_id for waiting in self._waiting)

    def add(self, command: FlyMission) -> bool:
        """Fly this mission now or when its turn comes; False where too many wait."""
        if self._flight is not None and len(self._waiting) >= MISSIONS_WAITING_MAX:
            return False
        self._waiting.append(command)
        self._next()
        return True

    def _next(self) -> None:
        while self._flight is None and self._waiting:
            command = self._waiting.popleft()
            if self._service.is_late(command):
                self._service.end(command, ok=False, detail="expired before it began", bins_seen=())
                continue
            self._flight = _Flight(command)
            self._driver.fly([self._service.stop_before(bin_id) for bin_id in command.bins])

    def _on_arrived(self, stop: int) -> None:
        flight = self._flight
        assert flight is not None, "a drone arrives during a mission"
        bin_id = flight.command.bins[stop]

        def seen(sightings: tuple[Sighting, ...], at_ns: int) -> None:
            self._service.on_lane(lambda: self._on_seen(flight, bin_id, sightings, at_ns))

        self._camera.look(bin_id, seen)

    def _on_seen(
        self, flight: _Flight, bin_id: str, sightings: tuple[Sighting, ...], at_ns: int
    ) -> None:
        """Tell of the bin looked at, and of bins in the picture that nobody asked for.

        A bin that is asked for at another stop waits for the better look from there.
        """
        if flight is not self._flight:
            return  # landed before the picture came
        asked = set(flight.command.bins)
        for sighting in sightings:
            if sighting.bin_id in flight.told:
                continue
            if sighting.bin_id == bin_id:
                flight.seen.append(bin_id)
            elif sighting.bin_id in asked:
                continue
            flight.told.add(sighting.bin_id)
            self._service.sighting(flight.command, sighting, at_ns)

    def _on_ended(self, ended: Ended) -> None:
        flight, self._flight = self._flight, None
        assert flight is not None, "a mission ends that was begun"
        wanted = len(set(flight.command.bins))
        self._service.end(
            flight.command,
            ok=ended.ok and bool(flight.seen),
            detail=f"{ended.detail}; {len(flight.seen)} of {wanted} bins read",
            bins_seen=tuple(flight.seen),
        )
        self._next()


class _Camera:
    """A drone's camera: looks a few times until the label of the wanted bin is in the picture."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: DroneConfig,
        eyes: Lane,
        decoder: Decoder,
        reader: Reader,
    ) -> None:
        self._name = config.drone_id
        self._metrics = metrics
        self._eyes = eyes
        self._decoder = decoder
        self._reader = reader
        self._source = runtime.frames.open(config.camera_url, eyes)

    def close(self) -> None:
        """Take no more pictures."""
        self._source.close()

    def look(self, bin_id: str, seen: Callable[[tuple[Sighting, ...], int], None]) -> None:
        """Call `seen` once, on the pictures' lane, if the bin is found. May be called anywhere."""
        self._eyes.post(lambda: self._look(bin_id, seen, 1))

    def _look(
        self, bin_id: str, seen: Callable[[tuple[Sighting, ...], int], None], attempt: int
    ) -> None:
        def again(reason: str) -> None:
            self._metrics.count("vision_errors", self._name)
            if attempt < LOOKS_MAX:
                self._eyes.call_later(LOOK_AGAIN_S, lambda: self._look(bin_id, seen, attempt + 1))
            else:
                log.warning("bin not seen", drone=self._name, bin=bin_id, reason=reason)

        def on_picture(data: bytes, at_ns: int) -> None:
            try:
                look = self._reader.look(self._decoder.decode(open_picture(data)))
            except PictureError as error:
                again(str(error))
                return
            self._metrics.count("vision_pictures", self._name)
            for reason, count in look.ignored.items():
                self._metrics.count("vision_ignored", reason, count)
            if any(sighting.bin_id == bin_id for sighting in look.sightings):
                seen(look.sightings, at_ns)
            else:
                again("its label is not in the picture")

        if not self._source.request(on_picture, again):
            again("the picture before is still on its way")
