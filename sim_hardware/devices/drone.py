"""A drone: an autopilot behind a telemetry radio (MAVLink 2), a battery, and a camera."""

from __future__ import annotations

import math
from typing import Any, Final

from pymavlink.dialects.v20 import common

from runtime.clock import NS_PER_S
from runtime.lanes import Lane, Timer
from runtime.ports import PortLostError
from runtime.runtime import Runtime
from sim_hardware.config import SimDrone
from sim_hardware.devices.autopilot import (
    COMMANDS,
    ITEMS_MAX,
    Autopilot,
    MissionItem,
    Mode,
    Wind,
)
from sim_hardware.devices.lens import Lens, Optics
from sim_hardware.devices.line import Line
from sim_hardware.devices.picture import bin_front
from sim_hardware.devices.view import WorldView

M_PER_DEG: Final = 6_378_137.0 * math.pi / 180
SIGHT_M: Final = 1.0
"""The camera shows the bin that is nearest, if it is nearer than this."""
HEARTBEAT_S: Final = 1.0
PERCENT: Final = 100.0
TELEMETRY_S: Final = 0.2
REQUEST_AGAIN_S: Final = 1.0
REQUESTS_MAX: Final = 5
_MISSION: Final = common.MAV_MISSION_TYPE_MISSION
_E7: Final = 1e7
_FRAMES_RELATIVE: Final = (
    common.MAV_FRAME_GLOBAL_RELATIVE_ALT,
    common.MAV_FRAME_GLOBAL_RELATIVE_ALT_INT,
)
_FRAMES: Final = (*_FRAMES_RELATIVE, common.MAV_FRAME_GLOBAL, common.MAV_FRAME_MISSION)


class Drone:
    """Flies missions over its radio; `tick` moves it in world time. Lives on `lane`."""

    def __init__(
        self,
        runtime: Runtime,
        lane: Lane,
        view: WorldView,
        config: SimDrone,
        gln: str,
        optics: Optics | None = None,
    ) -> None:
        self.autopilot = Autopilot(
            (config.home_x_m, config.home_y_m, 0.0),
            wind=Wind(mps=config.wind_mps, from_deg=config.wind_from_deg,
                      gust_share=config.gust_share),
            battery_s=config.battery_s, reserve_pct=PERCENT * config.reserve_share,
        )  # fmt: skip
        self.lens = Lens(runtime.random(f"drone {config.drone_id}"), optics)
        self.missions_flown = 0
        self.pictures = 0
        self.line = Line(runtime, lane, config.path, self._receive)
        self._on = False
        self._runtime = runtime
        self._lane = lane
        self._view = view
        self._config = config
        self._gln = gln
        self._mav: Any = common.MAVLink(
            None, srcSystem=config.system_id, srcComponent=common.MAV_COMP_ID_AUTOPILOT1
        )
        self._mav.robust_parsing = True
        self._timers: list[Timer] = []
        self._upload: list[MissionItem] | None = None
        self._upload_count = 0
        self._upload_from = (0, 0)
        self._requests = 0
        self._request_timer: Timer | None = None
        self._booted_ns = runtime.clock.monotonic_ns()
        self._heard_ns = self._booted_ns

    def start(self) -> None:
        """Switch on: the radio appears, heartbeats begin, the camera serves pictures."""
        self._runtime.frames.serve(self._config.camera_url, self._lane, self.picture)
        self.power_on()

    def stop(self) -> None:
        """Switch its radio off; what flies, flies on."""
        self._on = False
        for timer in self._timers:
            timer.cancel()
        if self._request_timer is not None:
            self._request_timer.cancel()
        self.line.close()

    def power_on(self) -> None:
        """Boot: the radio is there, heartbeats begin."""
        if self._on:
            return
        self._on = True
        self._booted_ns = self._runtime.clock.monotonic_ns()
        self.line.open()
        self._timers = [
            self._lane.call_every(HEARTBEAT_S, self._beat),
            self._lane.call_every(TELEMETRY_S, self._tell_position),
        ]

    def power_off(self) -> None:
        """Go dark and forget the mission. In the air, what keeps it flying brings it home."""
        self.stop()
        self._upload = None
        self.autopilot.forget_mission()

    def tick(self, world_dt_s: float) -> None:
        """Let `world_dt_s` seconds of the world pass. Call on the drone's lane."""
        before, was_armed = self.autopilot.current, self.autopilot.armed
        for seq in self.autopilot.advance(world_dt_s):
            self._tell_position()
            self._send(common.MAVLink_mission_item_reached_message(seq))
        if self.autopilot.current != before:
            self._tell_current()
        if was_armed and not self.autopilot.armed:
            self.missions_flown += 1
            self._beat()

    def picture(self) -> bytes:
        """Return a JPEG of the bin in front of the drone, of a bare wall where there is none."""
        if not self._on:
            return b""
        self.pictures += 1
        bin_id = self.bin_in_front()
        fronts = () if bin_id is None else (bin_front(self._view, bin_id, self._gln),)
        return self.lens.photograph(fronts)

    def bin_in_front(self) -> str | None:
        """Return the nearest bin within sight of where the drone truly is."""
        here = self.autopilot.place
        away = [
            (math.dist(here, (row.x_m, row.y_m, row.z_m)), bin_id)
            for bin_id, row in self._view.bins.items()
        ]
        nearest = min(away, default=(math.inf, ""))
        return nearest[1] if nearest[0] <= SIGHT_M else None

    # --- what it says ----------------------------------------------------------------------------

    def _beat(self) -> None:
        autopilot = self.autopilot
        self._check_link()
        mode = common.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED
        if autopilot.armed:
            mode |= common.MAV_MODE_FLAG_SAFETY_ARMED
        if autopilot.mode is Mode.MISSION:
            mode |= common.MAV_MODE_FLAG_AUTO_ENABLED
        self._send(
            common.MAVLink_heartbeat_message(
                type=common.MAV_TYPE_QUADROTOR,
                autopilot=common.MAV_AUTOPILOT_ARDUPILOTMEGA,
                base_mode=mode,
                custom_mode=0,
                system_status=common.MAV_STATE_ACTIVE if autopilot.armed
                else common.MAV_STATE_STANDBY,
                mavlink_version=3,
            )
        )  # fmt: skip
        self._send(
            common.MAVLink_sys_status_message(
                0, 0, 0, load=100, voltage_battery=15_200, current_battery=-1,
                battery_remaining=int(autopilot.battery_pct), drop_rate_comm=0, errors_comm=0,
                errors_count1=0, errors_count2=0, errors_count3=0, errors_count4=0,
            )
        )  # fmt: skip
        self._send(
            common.MAVLink_attitude_message(
                self._boot_ms(), 0.0, 0.0, math.radians(autopilot.yaw_deg), 0.0, 0.0, 0.0
            )
        )
        self._tell_current()

    def _check_link(self) -> None:
        """Fly home where the ground station has not been heard for too long."""
        limit_s = self._config.link_lost_s
        silent_ns = self._runtime.clock.monotonic_ns() - self._heard_ns
        flies = self.autopilot.mode in {Mode.HOVER, Mode.MISSION}
        if limit_s and flies and silent_ns > limit_s * NS_PER_S:
            self.autopilot.return_home()
            self._send(
                common.MAVLink_statustext_message(
                    common.MAV_SEVERITY_CRITICAL, b"GCS failsafe: returning"
                )
            )

    def _tell_position(self) -> None:
        x_m, y_m, z_m = self.autopilot.place
        lat_e7, lon_e7 = self._to_geo(x_m, y_m)
        height_mm = round(z_m * 1_000)
        self._send(
            common.MAVLink_global_position_int_message(
                self._boot_ms(), lat_e7, lon_e7, height_mm, height_mm, 0, 0, 0,
                round(self.autopilot.yaw_deg * 100) % 36_000,
            )
        )  # fmt: skip

    def _tell_current(self) -> None:
        self._send(common.MAVLink_mission_current_message(self.autopilot.current))

    def _send(self, message: Any) -> None:
        data = bytes(message.pack(self._mav))
        self._mav.seq = (self._mav.seq + 1) % 256
        try:
            self.line.write(data)
        except PortLostError:
            return  # a radio speaks whether or not anybody listens

    # --- what it hears ---------------------------------------------------------------------------

    def _receive(self, chunks: list[tuple[bytes, int]]) -> None:
        for data, _ in chunks:
            for message in self._mav.parse_buffer(data) or ():
                self._on_message(message)

    def _on_message(self, message: Any) -> None:
        kind = message.get_type()
        if kind == "BAD_DATA" or kind.startswith("UNKNOWN_"):
            return
        if getattr(message, "target_system", self._config.system_id) != self._config.system_id:
            return
        sender = (message.get_srcSystem(), message.get_srcComponent())
        self._heard_ns = self._runtime.clock.monotonic_ns()
        if kind == "MISSION_COUNT":
            self._on_count(message, sender)
        elif kind == "MISSION_ITEM_INT":
            self._on_item(message)
        elif kind == "COMMAND_LONG":
            self._on_command(message, sender)

    def _on_count(self, message: Any, sender: tuple[int, int]) -> None:
        self._upload_from = sender
        if message.mission_type != _MISSION:
            self._answer_upload(common.MAV_MISSION_UNSUPPORTED)
        elif message.count > ITEMS_MAX:
            self._answer_upload(common.MAV_MISSION_NO_SPACE)
        elif self.autopilot.armed:
            self._answer_upload(common.MAV_MISSION_DENIED)
        else:
            self._upload, self._upload_count = [], message.count
            self._requests = 0
            self._ask_item()

    def _ask_item(self) -> None:
        """Ask for the next item, again and again for a limited time."""
        if self._request_timer is not None:
            self._request_timer.cancel()
        if self._upload is None:
            return
        self._requests += 1
        if self._requests > REQUESTS_MAX:
            self._upload = None
            self._answer_upload(common.MAV_MISSION_OPERATION_CANCELLED)
            return
        system, component = self._upload_from
        self._send(
            common.MAVLink_mission_request_int_message(
                system, component, len(self._upload), mission_type=_MISSION
            )
        )
        self._request_timer = self._lane.call_later(REQUEST_AGAIN_S, self._ask_item)

    def _on_item(self, message: Any) -> None:
        if self._upload is None:
            self._answer_upload(common.MAV_MISSION_ERROR)
            return
        if message.seq != len(self._upload):
            return
        if message.frame not in _FRAMES:
            self._upload = None
            self._answer_upload(common.MAV_MISSION_UNSUPPORTED_FRAME)
            return
        if message.command not in COMMANDS:
            self._upload = None
            self._answer_upload(common.MAV_MISSION_UNSUPPORTED)
            return
        x_m, y_m = self._to_site(message.x, message.y)
        self._upload.append(
            MissionItem(command=message.command, hold_s=message.param1, place=(x_m, y_m, message.z))
        )
        if len(self._upload) < self._upload_count:
            self._requests = 0
            self._ask_item()
            return
        if self._request_timer is not None:
            self._request_timer.cancel()
        self.autopilot.items = tuple(self._upload)
        self._upload = None
        self._answer_upload(common.MAV_MISSION_ACCEPTED)

    def _answer_upload(self, result: int) -> None:
        system, component = self._upload_from
        self._send(
            common.MAVLink_mission_ack_message(system, component, result, mission_type=_MISSION)
        )

    def _on_command(self, message: Any, sender: tuple[int, int]) -> None:
        result = self._obey(message.command, message.param1)
        system, component = sender
        self._send(
            common.MAVLink_command_ack_message(
                message.command, result, target_system=system, target_component=component
            )
        )
        self._beat()

    def _obey(self, command: int, param1: float) -> int:
        """Carry out a command; return its MAV_RESULT."""
        accepted, denied = common.MAV_RESULT_ACCEPTED, common.MAV_RESULT_DENIED
        autopilot = self.autopilot
        match command:
            case common.MAV_CMD_COMPONENT_ARM_DISARM if param1 == 1:
                reason = autopilot.refuse_arming()
                if reason:
                    self._send(
                        common.MAVLink_statustext_message(
                            common.MAV_SEVERITY_CRITICAL, reason.encode()[:50]
                        )
                    )
                    return int(denied)
                autopilot.arm()
            case common.MAV_CMD_MISSION_START:
                # Item 0 is home, as ArduPilot keeps it: the mission begins after it.
                if autopilot.mode is Mode.MISSION:
                    return int(accepted)
                return int(accepted if autopilot.start_mission(first=1) else denied)
            case common.MAV_CMD_NAV_RETURN_TO_LAUNCH:
                autopilot.return_home()
            case common.MAV_CMD_SET_MESSAGE_INTERVAL:
                pass  # its rates are what a small drone's radio carries
            case _:
                return int(common.MAV_RESULT_UNSUPPORTED)
        return int(accepted)

    def _to_geo(self, x_m: float, y_m: float) -> tuple[int, int]:
        origin = self._config
        lat_deg = origin.origin_lat_deg + y_m / M_PER_DEG
        lon_deg = origin.origin_lon_deg + x_m / self._m_per_lon_deg()
        return round(lat_deg * _E7), round(lon_deg * _E7)

    def _to_site(self, lat_e7: int, lon_e7: int) -> tuple[float, float]:
        origin = self._config
        x_m = (lon_e7 / _E7 - origin.origin_lon_deg) * self._m_per_lon_deg()
        return x_m, (lat_e7 / _E7 - origin.origin_lat_deg) * M_PER_DEG

    def _m_per_lon_deg(self) -> float:
        return M_PER_DEG * math.cos(math.radians(self._config.origin_lat_deg))

    def _boot_ms(self) -> int:
        return (self._runtime.clock.monotonic_ns() - self._booted_ns) // 1_000_000 % 2**32
