"""The floor as the bus tells it: robots, edge agents, devices; sent to pages ten times a second."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog

from central.desk import core
from central.desk import rows as r
from central.desk.core import RobotFlag, RobotMark
from central.desk.hub import Channel, Hub, Page
from central.desk.site import Names, floor_plan
from runtime.bus import Bus, Incoming
from runtime.clock import Clock
from runtime.lanes import Lane, WhenFull
from runtime.metrics import Metrics
from runtime.reading import readable, refuse
from wire import topics
from wire.codec import WireError, decode_part
from wire.ids import NAME_PATTERN
from wire.messages import Changed, DeviceStatus
from wire.vda5050 import topics as vda
from wire.vda5050.action_ids import parse_action_id

ROBOTS_MAX: Final = 10_000
DEVICES_MAX: Final = 10_000
SEND_S: Final = 0.1
BEAT_S: Final = 1.0
SILENT_NS: Final = 40_000_000_000
"""VDA 5050 2.0.0, 6.10: a robot reports its state at least every 30 s."""
CENTRAL_SILENT_NS: Final = 7_000_000_000
"""Central speaks every 2 s at least (central.keeper.BEAT_S): three of its words are missing."""
NS_PER_MS: Final = 1_000_000
ERRORS_SHOWN_MAX: Final = 5
log = structlog.get_logger()


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a robot's message: only what the page shows, so that any version will do."""


class Position(Part, frozen=True, kw_only=True):
    """Where a robot says it is."""

    x: float
    y: float
    theta: float = 0.0


class Load(Part, frozen=True, kw_only=True):
    """What a robot says it carries."""

    load_id: str | None = None
    load_type: str | None = None


class ActionState(Part, frozen=True, kw_only=True):
    """How far an action is."""

    action_id: str = ""
    action_status: str = ""


class Battery(Part, frozen=True, kw_only=True):
    """How much charge is left."""

    battery_charge: float | None = None
    state_of_charge: float | None = None
    """The same in 3.0.0."""
    charging: bool = False

    @property
    def percent(self) -> float:
        """Return the charge, not a number where the robot does not say."""
        said = self.state_of_charge if self.battery_charge is None else self.battery_charge
        return math.nan if said is None else said


class RobotError(Part, frozen=True, kw_only=True):
    """What a robot complains about."""

    error_type: str = ""
    error_level: str = ""
    error_description: str | None = None


class RobotState(Part, frozen=True, kw_only=True):
    """VDA 5050 `state`, and `visualization`, which is a part of it."""

    order_id: str | None = None
    last_node_id: str | None = None
    driving: bool | None = None
    paused: bool | None = None
    operating_mode: str | None = None
    agv_position: Position | None = None
    mobile_robot_position: Position | None = None
    battery_state: Battery | None = None
    power_supply: Battery | None = None
    """This and `mobile_robot_position`: what 3.0.0 calls the two fields above them."""
    loads: list[Load] | None = None
    node_states: list[Any] | None = None
    action_states: list[ActionState] | None = None
    errors: list[RobotError] | None = None


class RobotConnection(Part, frozen=True, kw_only=True):
    """VDA 5050 `connection`."""

    connection_state: str


@dataclass(slots=True)
class RobotView:
    """One robot as the page shows it."""

    index: int
    manufacturer: str
    serial: str
    connection: str = ""
    heard_at_ns: int = 0
    changed: bool = True
    state: RobotState = field(default_factory=RobotState)
    position: Position | None = None

    def online(self, now_ns: int) -> bool:
        """Return whether the robot is connected and not silent."""
        reachable = self.connection in ("", "ONLINE")
        return reachable and self.heard_at_ns > 0 and now_ns - self.heard_at_ns < SILENT_NS

    def mark(self, now_ns: int) -> RobotMark:
        """Return what the map draws."""
        state, position = self.state, self.position
        flags = RobotFlag(0)
        for is_so, flag in (
            (self.online(now_ns), RobotFlag.ONLINE),
            (bool(state.driving), RobotFlag.DRIVING),
            (bool(state.loads), RobotFlag.LOADED),
            (bool(state.errors), RobotFlag.FAULTY),
            (bool(state.paused), RobotFlag.PAUSED),
            (position is not None, RobotFlag.POSITIONED),
        ):
            if is_so:
                flags |= flag
        battery = state.battery_state or state.power_supply
        return RobotMark(
            index=self.index,
            x_m=position.x if position else 0.0,
            y_m=position.y if position else 0.0,
            heading_rad=position.theta if position else 0.0,
            battery_percent=battery.percent if battery else math.nan,
            flags=int(flags),
            age_ms=(now_ns - self.heard_at_ns) // NS_PER_MS if self.heard_at_ns else core.INT32_MAX,
        )


class Floor:
    """Hears the bus on one lane and tells the pages what changed."""

    def __init__(
        self, lane: Lane, clock: Clock, metrics: Metrics, hub: Hub, names: Names, site_id: str
    ) -> None:
        self._lane = lane
        self._clock = clock
        self._metrics = metrics
        self._hub = hub
        self._names = names
        self._site_id = site_id
        self._robots: dict[str, RobotView] = {}
        self._robot_rows = core.Rows("robots")
        self._devices: dict[tuple[str, str], DeviceStatus] = {}
        self._plan = core.json_frame(core.Frame.SITE, floor_plan(site_id, names.site))
        self._status_sent = b""
        self._beat_due_ns = 0
        self._changed_at_ns = 0
        self._central_heard_ns = clock.monotonic_ns()
        self._bus: Bus | None = None
        self._on_changed: Callable[[], None] = lambda: None
        self.books_text = ""
        """Empty where the books can be read, else why not; set by the lane that reads them."""
        hub.greet_with(self._greet)

    def listen(self, bus: Bus, interface_name: str, on_changed: Callable[[], None]) -> None:
        """Subscribe to everything the page shows; `on_changed` is called when central committed.

        Central counts as there until it is silent for too long: its first word takes a moment.
        """
        self._bus = bus
        self._on_changed = on_changed
        for kind in (vda.STATE, vda.VISUALIZATION):
            for wanted in vda.every_vehicle(interface_name, kind):
                bus.subscribe(
                    wanted,
                    self._lane,
                    self._robots_spoke,
                    qos=0,
                    size_max=2_000,
                    when_full=WhenFull.DROP_OLDEST,
                )
        for wanted in vda.every_vehicle(interface_name, vda.CONNECTION):
            bus.subscribe(wanted, self._lane, self._robots_connected)
        for topic in (topics.EDGE_STATUS, topics.DEVICE_STATUS):
            bus.subscribe(topic.any(site=self._site_id), self._lane, self._status_came)
        bus.subscribe(topics.CHANGED.any(site=self._site_id), self._lane, self._central_changed)
        for robot in self._names.site.robots:
            self._robot(robot.manufacturer, robot.serial)
        self._lane.call_every(SEND_S, self._send)

    @property
    def broker_connected(self) -> bool:
        """Return whether the broker is reached."""
        return self._bus is not None and self._bus.connected

    def central_heard(self) -> bool:
        """Return whether central spoke lately; without a broker nobody can say that it did not."""
        now_ns = self._clock.monotonic_ns()
        if not self.broker_connected:
            self._central_heard_ns = now_ns
        return now_ns - self._central_heard_ns < CENTRAL_SILENT_NS

    def now_ns(self) -> int:
        """Return the time of the desk, UTC."""
        return self._clock.now_ns()

    def robots(self) -> list[r.Robot]:
        """Return every robot, as rows."""
        now_ns = self._clock.now_ns()
        return [self._row(robot, now_ns) for robot in list(self._robots.values())]

    def edges(self) -> dict[str, bool]:
        """Return which edge agents are known, and whether they are there."""
        known = list(self._devices.items())
        return {id_: said.online for (kind, id_), said in known if kind == "edge"}

    # --- what comes in --------------------------------------------------------------------------

    def _robots_spoke(self, batch: list[Incoming]) -> None:
        for message in batch:
            robot = self._robot_of(message)
            said = self._part(message, RobotState, "robot") if robot else None
            if robot is None or said is None:
                continue
            robot.heard_at_ns = message.received_at_ns
            robot.changed = True
            position = said.agv_position or said.mobile_robot_position
            if position is not None:
                robot.position = position
            if message.topic.endswith("/state"):
                robot.state = said

    def _robots_connected(self, batch: list[Incoming]) -> None:
        for message in batch:
            robot = self._robot_of(message)
            said = self._part(message, RobotConnection, "robot") if robot else None
            if robot is not None and said is not None:
                robot.connection = said.connection_state
                robot.changed = True

    def _status_came(self, batch: list[Incoming]) -> None:
        there = [message for message in batch if message.payload]  # else it was taken back
        for message, said in readable(there, DeviceStatus, self._metrics, "status"):
            edge = topics.EDGE_STATUS.parts(message.topic)
            kind = "edge" if edge else "device"
            whose = (edge or topics.DEVICE_STATUS.parts(message.topic) or {}).get(kind)
            if whose != said.device_id:
                self._refuse(message, "status", f"a status of {said.device_id} on {whose}'s topic")
                continue
            if len(self._devices) < DEVICES_MAX or (kind, said.device_id) in self._devices:
                self._devices[kind, said.device_id] = said

    def _central_changed(self, batch: list[Incoming]) -> None:
        changed = False
        for _, said in readable(batch, Changed, self._metrics, "changed"):
            self._central_heard_ns = self._clock.monotonic_ns()
            if said.tables:  # none: central only says that it is there
                changed = True
                self._changed_at_ns = said.at_ns
        if changed:
            self._on_changed()

    def _robot_of(self, message: Incoming) -> RobotView | None:
        _, _, manufacturer, serial, _ = message.topic.split("/")
        if not (NAME_PATTERN.fullmatch(manufacturer) and NAME_PATTERN.fullmatch(serial)):
            self._refuse(message, "robot", "the topic names no robot")
            return None
        return self._robot(manufacturer, serial)

    def _robot(self, manufacturer: str, serial: str) -> RobotView | None:
        key = f"{manufacturer}/{serial}"
        if key not in self._robots:
            if len(self._robots) >= ROBOTS_MAX:
                self._metrics.count("desk_robots_over_max")
                return None
            self._robots[key] = RobotView(len(self._robots), manufacturer, serial)
        return self._robots[key]

    def _part(self, message: Incoming, kind: type[Any], label: str) -> Any:
        try:
            return decode_part(message.payload, kind)
        except WireError as error:
            self._refuse(message, label, str(error))
            return None

    def _refuse(self, message: Incoming, label: str, reason: str) -> None:
        refuse(message.topic, reason, self._metrics, label)

    # --- what goes out --------------------------------------------------------------------------

    def _greet(self, page: Page) -> None:
        self._lane.post(lambda: self._hub.welcome(page, Channel.FLOOR, self._everything()))

    def _everything(self) -> list[bytes]:
        now_ns = self._clock.now_ns()
        rows = self._take_rows(now_ns)
        if rows is not None:
            self._hub.broadcast(Channel.FLOOR, rows)  # for the pages that are here already
        marks = [robot.mark(now_ns) for robot in self._robots.values()]
        return [
            self._plan,
            self._status(),
            self._robot_rows.full(),
            core.robots_frame(marks, now_ns // NS_PER_MS),
        ]

    def _send(self) -> None:
        """Send what changed; a frame per `BEAT_S` at least, so that a page knows it is live."""
        if not self._hub.watched:
            return
        now_ns = self._clock.now_ns()
        beat = self._clock.monotonic_ns() >= self._beat_due_ns
        changed = [robot for robot in self._robots.values() if robot.changed or beat]
        if beat:
            self._beat_due_ns = self._clock.monotonic_ns() + round(BEAT_S * 1e9)
            status = self._status()
            if status != self._status_sent:
                self._status_sent = status
                self._hub.broadcast(Channel.FLOOR, status)
        if not (changed or beat):
            return
        rows = self._take_rows(now_ns)
        if rows is not None:
            self._hub.broadcast(Channel.FLOOR, rows)
        marks = [robot.mark(now_ns) for robot in changed]
        for robot in changed:
            robot.changed = False
        self._hub.broadcast(Channel.FLOOR, core.robots_frame(marks, now_ns // NS_PER_MS))

    def _take_rows(self, now_ns: int) -> bytes | None:
        return self._robot_rows.change(
            {key: self._row(robot, now_ns) for key, robot in self._robots.items()}
        )

    def _row(self, robot: RobotView, now_ns: int) -> r.Robot:
        state = robot.state
        return r.Robot(
            robot_id=f"{robot.manufacturer}/{robot.serial}",
            index=robot.index,
            manufacturer=robot.manufacturer,
            serial=robot.serial,
            online=robot.online(now_ns),
            mode=state.operating_mode or "",
            node_id=state.last_node_id or "",
            task_id=_task_of(state, robot.serial),
            carries=self._carries(state),
            errors=[_complaint(error) for error in (state.errors or [])[:ERRORS_SHOWN_MAX]],
        )

    def _carries(self, state: RobotState) -> str:
        """Return what is on the robot: finished picks less drops, else its loads' names."""
        units: dict[str, int] = {}
        for said in state.action_states or []:
            action = parse_action_id(said.action_id)
            if action is not None and said.action_status == "FINISHED":
                sign = 1 if action.verb == "pick" else -1
                units[action.gtin] = units.get(action.gtin, 0) + sign * action.units
        known = [
            f"{count} x {self._names.article(gtin).name}"
            for gtin, count in units.items()
            if count > 0
        ]
        loads = [self._load(load) for load in state.loads or []]
        return ", ".join(known if state.loads and known else loads)[:200]

    def _load(self, load: Load) -> str:
        """Return a load as people call it: an article by its name, a place without its kind."""
        name = load.load_id or load.load_type or "a load"
        return self._names.known_article(name) or core.place_text(name)

    def _status(self) -> bytes:
        return core.json_frame(
            core.Frame.STATUS,
            {
                "broker": self.broker_connected,
                "books": self.books_text,
                "central": self.central_heard(),
                "central_changed_ms": self._changed_at_ns // NS_PER_MS,
                "edges": [
                    {"id": id_, "online": online} for id_, online in sorted(self.edges().items())
                ],
                "devices": [
                    {"id": id_, "kind": said.kind, "online": said.online, "detail": said.detail}
                    for (kind, id_), said in sorted(self._devices.items())
                    if kind == "device"
                ],
            },
        )


def _complaint(error: RobotError) -> str:
    return ": ".join(text for text in (error.error_type, error.error_description) if text)[:200]


def _task_of(state: RobotState, serial: str) -> str:
    """Return the task of the order that a robot is on, "" where it has none or is through with it.

    Actions name their task in their ids; an order's id may be the task's with more behind it.
    """
    actions = state.action_states or []
    waiting = [said for said in actions if said.action_status not in ("FINISHED", "FAILED")]
    if not (waiting or state.node_states):
        return ""
    for said in (*waiting, *actions):
        _, found, rest = said.action_id.partition("/")
        if found:
            return rest.partition("/")[0]
    return (state.order_id or "").partition(f".{serial}.")[0]
