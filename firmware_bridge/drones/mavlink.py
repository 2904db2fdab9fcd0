"""MAVLink 2 bytes to what the pilot hears, and the pilot's deeds to bytes. No port, no clock.

Made of pymavlink's parser for the common dialect. It hands over messages of unknown number before
looking at their checksum or signature (`UNKNOWN_*`), and bytes that are no message as `BAD_DATA`:
both are counted and dropped, as are messages of other systems.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pymavlink.dialects.v20 import common

from firmware_bridge.drones.core import (
    Battery,
    CommandAnswered,
    Heard,
    Heartbeat,
    ItemCurrent,
    ItemReached,
    ItemWanted,
    Position,
    SendCommand,
    SendCount,
    UploadAnswered,
)
from firmware_bridge.drones.plan import Item

GCS_SYSTEM: Final = 255
GCS_COMPONENT: Final = common.MAV_COMP_ID_MISSIONPLANNER
AUTOPILOT_COMPONENT: Final = common.MAV_COMP_ID_AUTOPILOT1
_MISSION: Final = common.MAV_MISSION_TYPE_MISSION
_COMMAND_PARAMS: Final = 7
_MM_PER_M: Final = 1_000
_BATTERY_UNKNOWN: Final = -1


@dataclass(slots=True)
class MavlinkCounters:
    """What came in on a link since the start."""

    messages: int = 0
    unknown: int = 0
    bad_data: int = 0
    other_systems: int = 0


class MavlinkCodec:
    """One end of a conversation with the autopilot of system `system_id`."""

    def __init__(self, system_id: int) -> None:
        self.counters = MavlinkCounters()
        self._system_id = system_id
        self._mav: Any = self._new_parser()

    def reset(self) -> None:
        """Forget a half message: the link was opened anew."""
        sequence = self._mav.seq
        self._mav = self._new_parser()
        self._mav.seq = sequence

    def decode(self, data: bytes) -> list[Heard]:
        """Return what the autopilot says in the bytes so far, in order."""
        heard = []
        for message in self._mav.parse_buffer(data) or ():
            kind = message.get_type()
            if kind == "BAD_DATA":
                self.counters.bad_data += 1
            elif kind.startswith("UNKNOWN_"):
                self.counters.unknown += 1
            elif (message.get_srcSystem(), message.get_srcComponent()) != (
                self._system_id,
                AUTOPILOT_COMPONENT,
            ):
                self.counters.other_systems += 1
            else:
                self.counters.messages += 1
                known = _heard(kind, message)
                if known is not None:
                    heard.append(known)
        return heard

    def heartbeat(self) -> bytes:
        """Return our own heartbeat: a ground station that is there."""
        return self._pack(
            common.MAVLink_heartbeat_message(
                type=common.MAV_TYPE_GCS,
                autopilot=common.MAV_AUTOPILOT_INVALID,
                base_mode=0,
                custom_mode=0,
                system_status=common.MAV_STATE_ACTIVE,
                mavlink_version=3,
            )
        )

    def count(self, deed: SendCount) -> bytes:
        """Return MISSION_COUNT."""
        return self._pack(
            common.MAVLink_mission_count_message(
                self._system_id, AUTOPILOT_COMPONENT, deed.count, mission_type=_MISSION
            )
        )

    def item(self, item: Item) -> bytes:
        """Return MISSION_ITEM_INT."""
        return self._pack(
            common.MAVLink_mission_item_int_message(
                target_system=self._system_id,
                target_component=AUTOPILOT_COMPONENT,
                seq=item.seq,
                frame=item.frame,
                command=item.command,
                current=int(item.seq == 0),
                autocontinue=1,
                param1=item.params[0],
                param2=item.params[1],
                param3=item.params[2],
                param4=item.params[3],
                x=item.lat_e7,
                y=item.lon_e7,
                z=item.alt_m,
                mission_type=_MISSION,
            )
        )

    def command(self, deed: SendCommand) -> bytes:
        """Return COMMAND_LONG; parameters that are not given are 0."""
        params = deed.params + (0.0,) * (_COMMAND_PARAMS - len(deed.params))
        return self._pack(
            common.MAVLink_command_long_message(
                self._system_id, AUTOPILOT_COMPONENT, deed.command, deed.confirmation, *params
            )
        )

    def _pack(self, message: Any) -> bytes:
        data: bytes = message.pack(self._mav)
        self._mav.seq = (self._mav.seq + 1) % 256
        return bytes(data)

    def _new_parser(self) -> Any:
        mav = common.MAVLink(None, srcSystem=GCS_SYSTEM, srcComponent=GCS_COMPONENT)
        mav.robust_parsing = True
        return mav


def _heard(kind: str, message: Any) -> Heard | None:
    """Return what a message means to the pilot, or None where it means nothing to it."""
    match kind:
        case "HEARTBEAT":
            armed = bool(message.base_mode & common.MAV_MODE_FLAG_SAFETY_ARMED)
            return Heartbeat(armed, message.autopilot)
        case "GLOBAL_POSITION_INT":
            alt_m = message.relative_alt / _MM_PER_M
            return Position(message.lat, message.lon, alt_m)
        case "SYS_STATUS":
            left_pct = message.battery_remaining
            return Battery(None if left_pct == _BATTERY_UNKNOWN else left_pct)
        case "MISSION_REQUEST_INT" | "MISSION_REQUEST" if _ours(message):
            # MISSION_REQUEST is the older form, to be answered with the integer item too.
            return ItemWanted(message.seq)
        case "MISSION_ACK" if _ours(message):
            return UploadAnswered(message.type)
        case "COMMAND_ACK":
            return CommandAnswered(message.command, message.result)
        case "MISSION_ITEM_REACHED":
            return ItemReached(message.seq)
        case "MISSION_CURRENT":
            return ItemCurrent(message.seq)
    return None


def _ours(message: Any) -> bool:
    """Return whether a message is about flights (not fences) and meant for us."""
    addressed = message.target_system in (0, GCS_SYSTEM)
    return addressed and message.mission_type == _MISSION
