"""The state machine that flies one mission after another. Pure: messages and times in, deeds out.

    READY -> UPLOAD -> ARM -> START -> FLY -> landed: ended well
    READY, UPLOAD, ARM: what fails ends the mission; a drone found armed is told to return first
    START, FLY: what fails -> RETURN -> landed: ended, not well

Whatever is lost on the radio is said again, a limited number of times; what fails before arming
ends the mission, what fails after it calls the drone home first.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final, Protocol

from firmware_bridge.drones.plan import MAV_CMD_NAV_RETURN_TO_LAUNCH, Origin, Plan

NS_PER_S: Final = 1_000_000_000
HEARTBEAT_LOST_NS: Final = 5 * NS_PER_S
HEARTBEAT_LOST_FLYING_NS: Final = 30 * NS_PER_S
READY_NS_MAX: Final = 30 * NS_PER_S
RETURN_NS_MAX: Final = 120 * NS_PER_S
RESEND_NS: Final = 1_500_000_000
TRIES_MAX: Final = 10
ITEMS_SENT_PER_ITEM_MAX: Final = 10
BATTERY_TO_START_PCT: Final = 30
BATTERY_TO_FLY_PCT: Final = 15
ARRIVED_M: Final = 0.35

MAV_CMD_MISSION_START: Final = 300
MAV_CMD_COMPONENT_ARM_DISARM: Final = 400
MAV_CMD_SET_MESSAGE_INTERVAL: Final = 511
MSG_SYS_STATUS: Final = 1
MSG_GLOBAL_POSITION_INT: Final = 33
STREAMS_US: Final = {MSG_SYS_STATUS: 1_000_000, MSG_GLOBAL_POSITION_INT: 200_000}
MAV_AUTOPILOT_ARDUPILOTMEGA: Final = 3
_ACCEPTED: Final = 0
_TEMPORARILY_REJECTED: Final = 1
_IN_PROGRESS: Final = 5
_RESULTS: Final = {
    1: "temporarily rejected", 2: "denied", 3: "unsupported", 4: "failed", 6: "cancelled",
}  # fmt: skip
UPLOADS_MAX: Final = 5
ANSWER_TRIES_MAX: Final = 3
_UPLOAD_LOST: Final = (1, 13, 15)
"""Error, invalid sequence, cancelled: the conversation broke, not the mission; it is begun anew.

ArduPilot answers `error` to an item said again after it took the mission and its answer was lost.
"""
_UPLOAD_RESULTS: Final = {
    1: "error", 2: "unsupported frame", 3: "unsupported command", 4: "no space", 5: "invalid",
    13: "invalid sequence", 14: "denied", 15: "cancelled",
}  # fmt: skip


# --- what is heard -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The autopilot lives; `armed`: its motors may turn."""

    armed: bool
    autopilot: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where the drone says it is; height above where it started."""

    lat_e7: int
    lon_e7: int
    alt_m: float


@dataclass(frozen=True, slots=True)
class Battery:
    """What is left in the battery; None where the drone does not measure it."""

    remaining_pct: int | None


@dataclass(frozen=True, slots=True)
class ItemWanted:
    """The autopilot asks for one item of the mission."""

    seq: int


@dataclass(frozen=True, slots=True)
class UploadAnswered:
    """The autopilot took the mission (0) or refused it."""

    result: int


@dataclass(frozen=True, slots=True)
class CommandAnswered:
    """The autopilot's answer to a command."""

    command: int
    result: int


@dataclass(frozen=True, slots=True)
class ItemReached:
    """The drone reached an item of the mission."""

    seq: int


@dataclass(frozen=True, slots=True)
class ItemCurrent:
    """The drone is on its way to this item."""

    seq: int


Heard = (
    Heartbeat
    | Position
    | Battery
    | ItemWanted
    | UploadAnswered
    | CommandAnswered
    | ItemReached
    | ItemCurrent
)


# --- what is to be done --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendCount:
    """Announce a mission of so many items."""

    count: int


@dataclass(frozen=True, slots=True)
class SendItem:
    """Send one item of the plan."""

    seq: int


@dataclass(frozen=True, slots=True)
class SendCommand:
    """Send a COMMAND_LONG; `confirmation` counts how often it was said before."""

    command: int
    params: tuple[float, ...]
    confirmation: int = 0


@dataclass(frozen=True, slots=True)
class Arrived:
    """The drone is at this stop: look now."""

    stop: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The mission is over and the drone on the ground, as far as one knows."""

    ok: bool
    detail: str


Deed = SendCount | SendItem | SendCommand | Arrived | Ended


class PlanMaker(Protocol):
    """Makes the mission once the drone is known."""

    def __call__(self, start: tuple[int, int], *, home_item: bool) -> Plan:
        """Return the plan for a drone that stands at `start` (1e-7 degrees)."""


class Phase(enum.Enum):
    """Where a mission stands."""

    IDLE = "idle"
    READY = "waiting for the drone"
    UPLOAD = "uploading"
    ARM = "arming"
    START = "starting"
    FLY = "flying"
    RETURN = "returning"


class Pilot:
    """Flies one mission at a time on one drone."""

    def __init__(self, *, origin: Origin, timeout_s: float) -> None:
        self.phase = Phase.IDLE
        self._origin = origin
        self._timeout_ns = round(timeout_s * NS_PER_S)
        self._heartbeat: Heartbeat | None = None
        self._heartbeat_ns = 0
        self._battery: Battery | None = None
        self._position: Position | None = None
        self._make_plan: PlanMaker | None = None
        self._plan: Plan | None = None
        self._began_ns = 0
        self._phase_ns = 0
        self._said: list[Deed] = []
        self._said_ns = 0
        self._tries = 0
        self._items_asked: set[int] = set()
        self._items_sent = 0
        self._uploads = 0
        self._arrived: set[int] = set()
        self._target_seq = 0
        self._failure = ""

    @property
    def plan(self) -> Plan | None:
        """Return the plan being flown; None before the drone is known."""
        return self._plan

    @property
    def stops_arrived(self) -> int:
        """Return at how many stops the drone has been."""
        return len(self._arrived)

    def begin(self, make_plan: PlanMaker, now_ns: int) -> list[Deed]:
        """Begin a mission: the drone is waited for, and then `make_plan` says where to fly."""
        assert self.phase is Phase.IDLE, "one mission at a time"
        self._make_plan, self._plan = make_plan, None
        self._began_ns = now_ns
        self._uploads = 0
        self._arrived, self._target_seq, self._failure = set(), 0, ""
        self._enter(Phase.READY, now_ns)
        return self._when_ready(now_ns)

    def link_lost(self) -> None:
        """Forget what the drone said last: the radio is gone."""
        self._heartbeat = self._battery = self._position = None

    def abort(self, reason: str, now_ns: int) -> list[Deed]:
        """End the mission before its time; in the air the drone is called home first."""
        if self.phase is Phase.IDLE or self.phase is Phase.RETURN:
            return []
        return self._fail(reason, now_ns)

    def heard(self, message: Heard, now_ns: int) -> list[Deed]:
        """Return what to do about a message of the autopilot."""
        match message:
            case Heartbeat():
                return self._on_heartbeat(message, now_ns)
            case Position():
                self._position = message
                return self._on_position(message, now_ns)
            case Battery():
                return self._on_battery(message, now_ns)
            case ItemWanted(seq):
                return self._on_item_wanted(seq, now_ns)
            case UploadAnswered(result):
                return self._on_upload_answered(result, now_ns)
            case CommandAnswered():
                return self._on_command_answered(message, now_ns)
            case ItemReached(seq):
                return self._on_progress(seq, now_ns, reached=True)
            case ItemCurrent(seq):
                return self._on_progress(seq, now_ns, reached=False)

    def tick(self, now_ns: int) -> list[Deed]:
        """Return what is due by time alone. To be called several times a second."""
        if self.phase is Phase.IDLE:
            return []
        if self.phase is Phase.READY:
            return self._when_ready(now_ns)
        if self.phase is Phase.RETURN and now_ns - self._phase_ns > RETURN_NS_MAX:
            return self._end(ok=False, detail=f"{self._failure}; not seen to land")
        if self.phase is not Phase.RETURN and now_ns - self._began_ns > self._timeout_ns:
            limit_s = self._timeout_ns / NS_PER_S
            return self._fail(f"not done in {limit_s:.0f} s, while {self.phase.value}", now_ns)
        if self._silent_for(HEARTBEAT_LOST_FLYING_NS, now_ns):
            silent_s = HEARTBEAT_LOST_FLYING_NS / NS_PER_S
            reason = self._failure or f"no heartbeat for {silent_s:.0f} s, while {self.phase.value}"
            return self._end(ok=False, detail=reason)
        if self._said and now_ns - self._said_ns >= RESEND_NS:
            return self._say_again(now_ns)
        return []

    # --- phases --------------------------------------------------------------------------------

    def _when_ready(self, now_ns: int) -> list[Deed]:
        reason = self._not_ready(now_ns)
        if not reason:
            return self._upload(now_ns)
        waited_ns = now_ns - self._phase_ns
        armed = self._heartbeat is not None and self._heartbeat.armed
        if waited_ns > (RETURN_NS_MAX if armed else READY_NS_MAX):
            return self._end(ok=False, detail=reason)
        if armed and now_ns - self._said_ns >= RESEND_NS:
            # Left in the air by a mission that nobody knows of any more.
            self._said_ns = now_ns
            return [SendCommand(MAV_CMD_NAV_RETURN_TO_LAUNCH, ())]
        return []

    def _not_ready(self, now_ns: int) -> str:
        """Return why no mission can begin; empty where one can."""
        if self._heartbeat is None or self._silent_for(HEARTBEAT_LOST_NS, now_ns):
            return "no heartbeat from the drone"
        if self._heartbeat.armed:
            return "the drone is armed already and does not land"
        if self._battery is None:
            return "the drone does not say how full its battery is"
        left_pct = self._battery.remaining_pct
        if left_pct is not None and left_pct < BATTERY_TO_START_PCT:
            return f"battery at {left_pct} %: {BATTERY_TO_START_PCT} % are needed to start"
        if self._position is None:
            return "the drone does not say where it is"
        return ""

    def _upload(self, now_ns: int) -> list[Deed]:
        assert self._make_plan is not None
        assert self._position is not None
        assert self._heartbeat is not None
        home_item = self._heartbeat.autopilot == MAV_AUTOPILOT_ARDUPILOTMEGA
        self._plan = self._make_plan(
            (self._position.lat_e7, self._position.lon_e7), home_item=home_item
        )
        self._items_asked, self._items_sent = set(), 0
        self._uploads += 1
        self._enter(Phase.UPLOAD, now_ns)
        return self._say([SendCount(len(self._plan.items))], now_ns)

    def _on_item_wanted(self, seq: int, now_ns: int) -> list[Deed]:
        if self.phase is not Phase.UPLOAD or self._plan is None:
            return []
        if not 0 <= seq < len(self._plan.items):
            return []
        self._items_asked.add(seq)
        self._items_sent += 1
        if self._items_sent > ITEMS_SENT_PER_ITEM_MAX * len(self._plan.items):
            return self._fail("upload: the drone asks for the same items for ever", now_ns)
        self._tries = 0
        return self._say([SendItem(seq)], now_ns)

    def _on_upload_answered(self, result: int, now_ns: int) -> list[Deed]:
        if self.phase is not Phase.UPLOAD or self._plan is None:
            return []
        if result in _UPLOAD_LOST and self._uploads < UPLOADS_MAX:
            return self._upload(now_ns)
        if result != _ACCEPTED:
            why = _UPLOAD_RESULTS.get(result, f"result {result}")
            return self._fail(f"upload refused: {why}", now_ns)
        if not self._all_items_sent():
            return []  # a late answer to an earlier upload
        self._enter(Phase.ARM, now_ns)
        return self._say([SendCommand(MAV_CMD_COMPONENT_ARM_DISARM, (1.0,))], now_ns)

    def _on_command_answered(self, answer: CommandAnswered, now_ns: int) -> list[Deed]:
        waits_for = {
            Phase.ARM: MAV_CMD_COMPONENT_ARM_DISARM,
            Phase.START: MAV_CMD_MISSION_START,
            Phase.RETURN: MAV_CMD_NAV_RETURN_TO_LAUNCH,
        }.get(self.phase)
        if answer.command != waits_for:
            return []
        if answer.result in (_IN_PROGRESS, _TEMPORARILY_REJECTED):
            self._said_ns = now_ns
            return []  # said again when due, a limited number of times
        if self.phase is Phase.RETURN:
            if answer.result == _ACCEPTED:
                self._said = []
            return []
        if answer.result != _ACCEPTED:
            what = "arming" if self.phase is Phase.ARM else "start of the mission"
            why = _RESULTS.get(answer.result, f"result {answer.result}")
            return self._fail(f"{what} refused: {why}", now_ns)
        return self._start(now_ns) if self.phase is Phase.ARM else self._fly(now_ns)

    def _start(self, now_ns: int) -> list[Deed]:
        self._enter(Phase.START, now_ns)
        return self._say([SendCommand(MAV_CMD_MISSION_START, (0.0, 0.0))], now_ns)

    def _fly(self, now_ns: int) -> list[Deed]:
        self._enter(Phase.FLY, now_ns)
        return []

    # --- in the air ----------------------------------------------------------------------------

    def _on_heartbeat(self, beat: Heartbeat, now_ns: int) -> list[Deed]:
        first = self._heartbeat is None
        self._heartbeat, self._heartbeat_ns = beat, now_ns
        deeds: list[Deed] = []
        if first:
            deeds += [
                SendCommand(MAV_CMD_SET_MESSAGE_INTERVAL, (float(message), float(every_us)))
                for message, every_us in STREAMS_US.items()
            ]
        if self.phase is Phase.READY:
            return deeds + self._when_ready(now_ns)
        if beat.armed and self.phase is Phase.ARM:
            return deeds + self._start(now_ns)  # its answer was lost
        if not beat.armed and self.phase in (Phase.FLY, Phase.RETURN):
            return deeds + self._landed()
        return deeds

    def _landed(self) -> list[Deed]:
        assert self._plan is not None
        if self.phase is Phase.RETURN:
            return self._end(ok=False, detail=self._failure)
        there, wanted = len(self._arrived), len(self._plan.stops)
        if there < wanted:
            return self._end(ok=False, detail=f"landed by itself after {there} of {wanted} stops")
        return self._end(ok=True, detail=f"flown: {wanted} stops")

    def _on_progress(self, seq: int, now_ns: int, *, reached: bool) -> list[Deed]:
        if self._plan is None:
            return []
        if self.phase is Phase.START and (reached or seq >= self._plan.first_stop_seq):
            self._fly(now_ns)  # its answer was lost
        if self.phase is not Phase.FLY:
            return []
        self._target_seq = seq
        return self._arrive(seq) if reached else []

    def _on_position(self, at: Position, now_ns: int) -> list[Deed]:
        if self.phase is Phase.READY:
            return self._when_ready(now_ns)
        if self.phase is not Phase.FLY or self._plan is None:
            return []
        stop = self._plan.stop_of(self._target_seq)
        seq = self._target_seq
        if stop in self._arrived:
            seq += 1  # that it flies on may have been lost
            stop = self._plan.stop_of(seq)
        if stop is None:
            return []
        target = self._plan.stops[stop]
        x_m, y_m = self._origin.to_site(at.lat_e7, at.lon_e7)
        away_m = math.dist((x_m, y_m, at.alt_m), (target.x_m, target.y_m, target.z_m))
        if away_m > ARRIVED_M:
            return []
        self._target_seq = seq
        return self._arrive(seq)

    def _arrive(self, seq: int) -> list[Deed]:
        """Tell of a stop once, whether its position or MISSION_ITEM_REACHED came first.

        By MAVLink's words an item is reached when the hold begins; ArduPilot says so when the hold
        is over. So the position counts too.
        """
        assert self._plan is not None
        stop = self._plan.stop_of(seq)
        if stop is None or stop in self._arrived:
            return []
        self._arrived.add(stop)
        return [Arrived(stop)]

    def _on_battery(self, battery: Battery, now_ns: int) -> list[Deed]:
        self._battery = battery
        left_pct = battery.remaining_pct
        if self.phase is Phase.READY:
            return self._when_ready(now_ns)
        if self.phase is Phase.FLY and left_pct is not None and left_pct < BATTERY_TO_FLY_PCT:
            return self._fail(f"battery at {left_pct} %", now_ns)
        return []

    # --- ends and repeats ------------------------------------------------------------------------

    def _fail(self, reason: str, now_ns: int) -> list[Deed]:
        """End before arming; after it call the drone home and end when it has landed."""
        armed = self._heartbeat is not None and self._heartbeat.armed
        if not armed and self.phase in (Phase.READY, Phase.UPLOAD, Phase.ARM):
            return self._end(ok=False, detail=reason)
        if self._plan is not None and self.phase in (Phase.FLY, Phase.START):
            reason += f", after {len(self._arrived)} of {len(self._plan.stops)} stops"
        self._failure = reason
        self._enter(Phase.RETURN, now_ns)
        return self._say([SendCommand(MAV_CMD_NAV_RETURN_TO_LAUNCH, ())], now_ns)

    def _end(self, *, ok: bool, detail: str) -> list[Deed]:
        self.phase = Phase.IDLE
        self._said = []
        return [Ended(ok, detail)]

    def _enter(self, phase: Phase, now_ns: int) -> None:
        self.phase = phase
        self._phase_ns = now_ns
        self._said, self._tries = [], 0

    def _say(self, deeds: list[Deed], now_ns: int) -> list[Deed]:
        self._said, self._said_ns = deeds, now_ns
        return deeds

    def _say_again(self, now_ns: int) -> list[Deed]:
        self._tries += 1
        if (
            self._tries >= ANSWER_TRIES_MAX
            and self._all_items_sent()
            and self._uploads < UPLOADS_MAX
        ):
            return self._upload(now_ns)  # it took the mission, and its answer was lost
        if self._tries >= TRIES_MAX and self.phase is not Phase.RETURN:
            return self._fail(
                f"no answer while {self.phase.value}, asked {TRIES_MAX} times", now_ns
            )
        self._said_ns = now_ns
        return [
            SendCommand(deed.command, deed.params, min(self._tries, 255))
            if isinstance(deed, SendCommand)
            else deed
            for deed in self._said
        ]

    def _all_items_sent(self) -> bool:
        plan = self._plan
        uploading = self.phase is Phase.UPLOAD and plan is not None
        return uploading and len(self._items_asked) == len(plan.items if plan else ())

    def _silent_for(self, limit_ns: int, now_ns: int) -> bool:
        return now_ns - self._heartbeat_ns > limit_ns
