"""The simulated floor: a physical world, everybody and everything in it, on one lane."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from runtime.bus import Bus, Incoming
from runtime.clock import NS_PER_S, Clock
from runtime.config import ConfigError
from runtime.lanes import Lane, Timer
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from sim_hardware.config import SimConfig
from sim_hardware.devices.camera import FixedCamera
from sim_hardware.devices.drone import Drone
from sim_hardware.devices.lens import optics_of
from sim_hardware.devices.robot import Robot
from sim_hardware.devices.scanner import Scanner, make_scanner
from sim_hardware.devices.smart_camera import SmartCamera
from sim_hardware.site_folder import read_demand, read_site
from sim_hardware.world.accuracy import Accuracy, Row, accuracy_of
from sim_hardware.world.appetite import Appetite
from sim_hardware.world.catalogue import Demand
from sim_hardware.world.customers import Customers
from sim_hardware.world.encounters import Encounters
from sim_hardware.world.errands import Worker
from sim_hardware.world.errors import rates_of
from sim_hardware.world.incidents import Incident
from sim_hardware.world.planner import Planner, Waiting
from sim_hardware.world.suppliers import Suppliers
from sim_hardware.world.weather import Weather, WeatherFeed
from sim_hardware.world.world import STEP_S, World
from wire import topics
from wire.codec import WireError, decode
from wire.messages import PersonTasks
from wire.site import Site

TICK_REAL_S_MIN: Final = 0.005
STEPS_PER_TICK_MAX: Final = 100
"""A floor that could not run for longer than this loses the rest: the world is late then."""
log = structlog.get_logger()


class RobotUse(msgspec.Struct, frozen=True, kw_only=True):
    """What one robot has done."""

    distance_m: float
    orders: int
    actions: int


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What is really the case, as written to the truth file."""

    world_s: float
    frozen: bool
    stock: list[tuple[str, str, int]]
    """(place, GTIN-14, units), sorted."""
    lots: list[tuple[str, str, str, int]]
    """(place, GTIN-14, lot, units) of what is of a lot, sorted."""
    serials: list[tuple[str, str, str]]
    """(place, GTIN-14, serial number) of units that have one, sorted."""
    in_flight_bins: list[str]
    """Bins whose units moved and whose good beep or FINISHED is not out yet."""
    units_missing: dict[str, int]
    """Units that came in and are neither here nor went out: always empty."""
    robot_conflicts: int
    robots_used: dict[str, RobotUse]
    orders_created: int
    units_ordered: int
    deliveries: int
    scans_sent: int
    strays_scanned: int
    strays_accepted: int
    scan_refusals: dict[str, int]
    tasks_done: dict[str, dict[str, int]]
    """By person and kind."""
    drone_missions_flown: int
    incidents: list[Incident] = []
    """What people did wrong, in order: by its effects the books differ from the truth."""
    incidents_by_kind: dict[str, int] = {}
    accuracy: Accuracy | None = None
    """How the books fit, where they were given; bins in flight are left out."""


class SimulatedFloor:
    """Everything physical of one site, and the devices' firmware."""

    def __init__(
        self,
        runtime: Runtime,
        config: SimConfig,
        metrics: Metrics,
        *,
        site: Site,
        demands: list[Demand],
    ) -> None:
        self.world = World(site, config.speed)
        self._runtime = runtime
        self._config = config
        self._metrics = metrics
        self._lane = runtime.lane("floor")
        self._bus = self._make_bus()
        self._scanners = [
            make_scanner(runtime, self._lane, config, own, metrics) for own in config.scanners
        ]
        self._people = self._make_people()
        self.world.look_for_people = self._look_for_people
        self.world.chargers.at_once = config.robot_body.chargers_at_once
        self._robots = [
            Robot(runtime, self._lane, self.world, config, row, metrics) for row in site.robots
        ]
        self._encounters = Encounters([robot.serial for robot in self._robots], self.world.bodies)
        self._ways_seen = (0, 0)
        self.weather = Weather(
            config.weather, self.world.time, day_s=config.orders.day_s,
            rng=runtime.random("weather"),
        )  # fmt: skip
        self.weather_feed = WeatherFeed(self.weather, self.world.time)
        self._customers = self._make_customers(demands)
        self._suppliers = Suppliers(
            self.world, self._bus, self._lane, site_id=config.site_id,
            day_s=config.orders.day_s, habits=config.suppliers, rng=runtime.random("suppliers"),
            habits_rng=runtime.random("habits of suppliers"), clock=runtime.clock, metrics=metrics,
        )  # fmt: skip
        self._cameras = [
            FixedCamera(
                runtime, self._lane, self.world, own, config.gln,
                optics_of(config.optics, own.camera_id),
            )
            for own in config.cameras if own.level == "picture"
        ]  # fmt: skip
        self._smart_cameras = [
            SmartCamera(runtime, self._lane, self.world, config, own)
            for own in config.cameras if own.level == "sighting"
        ]  # fmt: skip
        self._drones = [
            Drone(
                runtime, self._lane, self.world, own, config.gln,
                optics_of(config.optics, own.drone_id),
            )
            for own in config.drones
        ]  # fmt: skip
        self.planner: Planner | None = None
        """Who decides proposals, once somebody was hired."""
        self._tick_timer: Timer | None = None
        self._ticked_ns = 0
        self._left_s = 0.0
        self._seen_at_s = -1.0
        self._seen_people: list[tuple[float, float]] = []
        self._ended = False

    # --- what is on it, by name; to be touched on its lane only -----------------------------------

    @property
    def lane(self) -> Lane:
        """Return the lane on which the world and everything in it lives."""
        return self._lane

    @property
    def bus(self) -> Bus:
        """Return the connection over which people, shop and suppliers hear and speak."""
        return self._bus

    @property
    def clock(self) -> Clock:
        """Return the clock that the devices and processes go by."""
        return self._runtime.clock

    @property
    def config(self) -> SimConfig:
        """Return what this floor was made from."""
        return self._config

    @property
    def scanners(self) -> dict[str, Scanner]:
        """Return the scanners by device id."""
        own = (row.device_id for row in self._config.scanners)
        return dict(zip(own, self._scanners, strict=True))

    @property
    def people(self) -> dict[str, Worker]:
        """Return everybody who has a scanner, by person id."""
        return dict(self._people)

    @property
    def robots(self) -> dict[str, Robot]:
        """Return the robots by serial number."""
        return {robot.serial: robot for robot in self._robots}

    @property
    def cameras(self) -> dict[str, FixedCamera]:
        """Return the fixed cameras that give pictures, by name."""
        own = (row.camera_id for row in self._config.cameras if row.level == "picture")
        return dict(zip(own, self._cameras, strict=True))

    @property
    def smart_cameras(self) -> dict[str, SmartCamera]:
        """Return the cameras that decode by themselves, by name."""
        own = (row.camera_id for row in self._config.cameras if row.level == "sighting")
        return dict(zip(own, self._smart_cameras, strict=True))

    @property
    def drones(self) -> dict[str, Drone]:
        """Return the drones by name."""
        own = (row.drone_id for row in self._config.drones)
        return dict(zip(own, self._drones, strict=True))

    @property
    def customers(self) -> Customers:
        """Return everybody who buys here."""
        return self._customers

    @property
    def suppliers(self) -> Suppliers:
        """Return everybody who delivers here."""
        return self._suppliers

    # --- how it lives, as others see it -----------------------------------------------------------

    def hire_planner(self, waiting: Waiting) -> Planner:
        """Let somebody sit at the desk from now on; call on the floor's lane.

        `waiting` returns the ids of the proposals that wait. Raises ConfigError for a second one.
        """
        if self.planner is not None:
            raise ConfigError("planner: there is one at the desk already")
        self.planner = Planner(
            self.world.time, self._bus, self._lane, site_id=self._config.site_id,
            config=self._config.planner, waiting=waiting, rng=self._runtime.random("planner"),
            clock=self._runtime.clock, metrics=self._metrics,
        )  # fmt: skip
        self.planner.start()
        return self.planner

    def recall(self, gtin: str, lot: str) -> None:
        """Send somebody of each zone through its bins to put all of a lot into quarantine."""
        bins = sorted(self.world.bins.values(), key=lambda row: row.bin_id)
        zones: set[str] = set()
        for person_id, person in sorted(self._people.items()):
            known = self.world.site.people[person_id]
            if known.roles and known.edge_id not in zones:  # visitors are not asked
                zones.add(known.edge_id)
                person.recall(gtin, lot, [row for row in bins if row.edge_id == known.edge_id])

    def start(self) -> None:
        """Switch everything on; the world begins to move."""
        self._lane.post(self._begin)

    def stop(self) -> None:
        """Let the world stand still, write the truth, switch everything off."""
        self._runtime.run_on(self._lane, self._end)

    def freeze(self) -> None:
        """Let the world stand still for good and write the truth; devices go on answering.

        May be called from any thread.
        """
        self._lane.post(self._freeze)

    @property
    def unanswered_orders(self) -> int:
        """How many customer orders wait for an answer of the product. Any thread may ask."""
        return self._customers.unanswered

    def truth(self, books: Iterable[Row] | None = None) -> Truth:
        """Return what is really the case. Call on the floor's lane, or when it stands still.

        `books` are the product's (place, GTIN-14, units), to be compared with what is there.
        """
        touched = [person.touched_bins for person in self._people.values()]
        touched += [robot.hands.touched_bins for robot in self._robots]
        refusals: dict[str, int] = {}
        for person in self._people.values():
            for code, count in person.refusals.items():
                refusals[code] = refusals.get(code, 0) + count
        people = self._people.values()
        stock = self.world.stock.rows()
        in_flight = sorted(set().union(*touched))
        incidents = self.world.incidents
        return Truth(
            world_s=round(self.world.time.now_s, 3),
            frozen=self.world.time.frozen,
            stock=stock,
            lots=self.world.stock.lots(),
            serials=self.world.stock.serials(),
            in_flight_bins=in_flight,
            units_missing=self.world.stock.missing(),
            robot_conflicts=self._encounters.count,
            robots_used={
                robot.serial: RobotUse(
                    distance_m=round(robot.vehicle.distance_m, 2),
                    orders=robot.orders_taken,
                    actions=robot.actions_finished,
                )
                for robot in self._robots
                if robot.orders_taken
            },
            orders_created=self._customers.orders_created,
            units_ordered=self._customers.units_ordered,
            deliveries=self._suppliers.deliveries,
            scans_sent=sum(scanner.scans for scanner in self._scanners),
            strays_scanned=sum(person.strays for person in people),
            strays_accepted=sum(person.strays_accepted for person in people),
            scan_refusals=dict(sorted(refusals.items())),
            tasks_done={p.person_id: dict(sorted(p.tasks_done.items())) for p in people},
            drone_missions_flown=sum(drone.missions_flown for drone in self._drones),
            incidents=list(incidents.rows),
            incidents_by_kind=dict(sorted(incidents.kinds.items())),
            accuracy=None
            if books is None
            else accuracy_of(books, stock, self.world.bins, leave_out=in_flight),
        )

    # --- how it lives ---------------------------------------------------------------------------

    def _make_bus(self) -> Bus:
        config = self._config
        bus = self._runtime.bus(config.broker.options("floor", f"{config.site_id}-floor"))
        wanted = topics.PERSON_TASKS.any(site=config.site_id)
        bus.subscribe(wanted, self._lane, self._handle_tasks)
        return bus

    def _make_people(self) -> dict[str, Worker]:
        """Return everybody who has a scanner; each stands where their zone's work begins."""
        config, site = self._config, self.world.site
        people: dict[str, Worker] = {}
        for own, scanner in zip(config.scanners, self._scanners, strict=True):
            row = site.people.get(own.person_id)
            if row is None:
                raise ConfigError(
                    f"scanners: {own.device_id} belongs to person {own.person_id!r}, who is not in"
                    " people.csv"
                )
            if row.person_id in people:
                raise ConfigError(f"scanners: {own.person_id} has two scanners, expected one")
            first = next(
                (b for b in site.bins.values() if b.edge_id == row.edge_id),
                next(iter(site.bins.values())),
            )
            people[row.person_id] = Worker(
                row,
                scanner=scanner,
                world=self.world,
                start_node=first.node_id,
                gln=config.gln,
                rng=self._runtime.random(f"person {row.person_id}"),
                stray_share=config.stray_scan_share,
                rates=rates_of(config.errors, row.person_id),
                error_rng=self._runtime.random(f"slips of {row.person_id}"),
            )
        return people

    def _look_for_people(self) -> list[tuple[float, float]]:
        """Return where everybody is now; looked for once in a step."""
        now_s = self.world.time.now_s
        if self._seen_at_s != now_s:
            self._seen_at_s = now_s
            self._seen_people = [person.position() for person in self._people.values()]
        return self._seen_people

    def _make_customers(self, demands: list[Demand]) -> Customers:
        """Return the customers, with the promotions that are known beforehand."""
        config, runtime, world = self._config, self._runtime, self.world
        try:
            appetite = Appetite(config.orders, world.time, self.weather, world.articles)
            for promotion in config.promotions:
                appetite.promote(promotion)
        except ValueError as error:
            raise ConfigError(f"promotions and orders: {error}") from error
        return Customers(
            world, self._bus, self._lane, site_id=config.site_id, config=config.orders,
            demands=demands, appetite=appetite, rng=runtime.random("customers"),
            clock=runtime.clock, metrics=self._metrics,
        )  # fmt: skip

    def _begin(self) -> None:
        devices: list[Scanner | Robot | FixedCamera | SmartCamera | Drone] = [
            *self._scanners, *self._robots, *self._cameras, *self._smart_cameras, *self._drones
        ]  # fmt: skip
        for device in devices:
            device.start()
        self._bus.start()
        self.weather.start()
        self._customers.start()
        self._ticked_ns = self._runtime.clock.monotonic_ns()
        period_s = max(STEP_S / self._config.speed, TICK_REAL_S_MIN)
        self._tick_timer = self._lane.call_every(period_s, self._tick)
        log.info("the floor is open", speed=self._config.speed, robots=len(self._robots))

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._freeze()
        devices: list[Scanner | Robot | FixedCamera | SmartCamera | Drone] = [
            *self._scanners, *self._robots, *self._cameras, *self._smart_cameras, *self._drones
        ]  # fmt: skip
        for device in devices:
            device.stop()
        self._bus.stop()

    def _freeze(self) -> None:
        """Let the world stand still and write the truth, once."""
        if self.world.time.frozen:
            return
        self.world.time.freeze()
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        path = Path(self._config.truth_file)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".part")
        draft.write_bytes(msgspec.json.encode(self.truth()))
        draft.replace(path)
        log.info("the world stands still; the truth is written", file=str(path))

    def _tick(self) -> None:
        """Let as much world time pass as is due, in steps of the same length."""
        now_ns = self._runtime.clock.monotonic_ns()
        passed_s = (now_ns - self._ticked_ns) / NS_PER_S * self._config.speed
        self._ticked_ns = now_ns
        self._left_s = min(self._left_s + passed_s, STEP_S * STEPS_PER_TICK_MAX)
        # Half a step early is nearer than half a step late; and no rounding ever skips a step.
        while self._left_s >= STEP_S / 2:
            self._left_s -= STEP_S
            self._step()

    def _step(self) -> None:
        time = self.world.time
        time.advance(STEP_S)
        if time.frozen:
            return
        ways = (self.world.floor.changes, self.world.chargers.changes)
        if ways != self._ways_seen:
            self._ways_seen = ways
            for robot in self._robots:
                robot.take_body()
        robots, bodies = self._robots, self.world.bodies
        moved = False
        for number in bodies.step():
            moved |= robots[number].tick(STEP_S)
        if moved or bodies.rolled:
            for one, other in self._encounters.look():
                log.error("two robots touch", one=one, other=other, world_s=round(time.now_s, 2))
        for drone in self._drones:
            drone.tick(STEP_S)

    def _handle_tasks(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            try:
                message = decode(incoming.payload, PersonTasks)
            except WireError as error:
                self._metrics.count("wire_refused", "PersonTasks")
                log.warning("a task list was refused", topic=incoming.topic, error=str(error))
                continue
            person = self._people.get(message.person_id)
            if person is not None:
                person.show(message)


def build_floor(runtime: Runtime, config: SimConfig, metrics: Metrics) -> SimulatedFloor:
    """Return the floor of `config`. Raises SiteError or ConfigError: what is wrong, where."""
    directory = Path(config.site_dir)
    site = read_site(directory)
    known = frozenset(site.bins)
    for camera in config.cameras:
        if bool(camera.url) != (camera.level == "picture"):
            raise ConfigError(
                f"cameras: {camera.camera_id} is at level {camera.level!r} with the url"
                f" {camera.url!r}: expected one at level picture, none at level sighting"
            )
        unknown = [bin_id for bin_id in camera.bins if bin_id not in known]
        if unknown:
            raise ConfigError(
                f"cameras: {camera.camera_id} sees bin {unknown[0]!r}, not in bins.csv"
            )
    return SimulatedFloor(runtime, config, metrics, site=site, demands=read_demand(directory, site))
