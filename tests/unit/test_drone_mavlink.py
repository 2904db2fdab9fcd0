"""What is no message for us is dropped and counted; what comes after it is heard."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v20 import common

from firmware_bridge.drones.core import (
    Battery,
    CommandAnswered,
    Heard,
    Heartbeat,
    ItemCurrent,
    ItemWanted,
    Position,
    SendCommand,
    SendCount,
    UploadAnswered,
)
from firmware_bridge.drones.mavlink import MavlinkCodec

UNKNOWN_200 = bytes.fromhex("fd 02 00 00 01 01 01 c8 00 00 01 02 4a 81")
BEAT = common.MAVLink_heartbeat_message(2, 3, 0, 0, 3, 3)
ARMED_BEAT = common.MAVLink_heartbeat_message(2, 12, 128, 0, 4, 3)


def said(message: Any, system: int = 1, component: int = 1) -> bytes:
    return bytes(message.pack(common.MAVLink(None, srcSystem=system, srcComponent=component)))


@pytest.mark.parametrize(
    ("message", "heard"),
    [
        (BEAT, Heartbeat(armed=False, autopilot=3)),
        (ARMED_BEAT, Heartbeat(armed=True, autopilot=12)),
        (
            common.MAVLink_global_position_int_message(
                0, 525_000_000, -1, 40_000, 1_750, 0, 0, 0, 0
            ),
            Position(525_000_000, -1, 1.75),
        ),
        (
            common.MAVLink_sys_status_message(0, 0, 0, 0, 15_000, -1, 47, 0, 0, 0, 0, 0, 0),
            Battery(47),
        ),
        (
            common.MAVLink_sys_status_message(0, 0, 0, 0, 15_000, -1, -1, 0, 0, 0, 0, 0, 0),
            Battery(None),
        ),
        (common.MAVLink_mission_request_int_message(255, 190, 3), ItemWanted(3)),
        (common.MAVLink_mission_request_message(255, 190, 4), ItemWanted(4)),
        (common.MAVLink_mission_ack_message(255, 190, 0), UploadAnswered(0)),
        (common.MAVLink_mission_ack_message(0, 0, 4), UploadAnswered(4)),
        (common.MAVLink_command_ack_message(400, 2), CommandAnswered(400, 2)),
        (common.MAVLink_mission_current_message(6), ItemCurrent(6)),
    ],
)  # fmt: skip
def test_what_the_pilot_needs_is_heard(message: Any, heard: Heard) -> None:
    assert MavlinkCodec(system_id=1).decode(said(message)) == [heard]


@pytest.mark.parametrize(
    "message",
    [
        common.MAVLink_mission_request_int_message(254, 190, 3),
        common.MAVLink_mission_request_int_message(255, 190, 3, mission_type=1),
        common.MAVLink_mission_ack_message(255, 190, 0, mission_type=1),
        common.MAVLink_attitude_message(0, 0, 0, 0, 0, 0, 0),
    ],
    ids=["asked of another", "a fence", "a fence's answer", "attitude"],
)
def test_what_means_nothing_to_the_pilot_is_passed_over(message: Any) -> None:
    codec = MavlinkCodec(system_id=1)
    assert codec.decode(said(message)) == []
    assert codec.counters.messages == 1


def test_unknown_messages_are_dropped_whatever_their_checksum() -> None:
    codec = MavlinkCodec(system_id=1)
    heard = codec.decode(UNKNOWN_200 + UNKNOWN_200[:-1] + b"\0" + said(BEAT))
    assert heard == [Heartbeat(armed=False, autopilot=3)]
    assert codec.counters.unknown == 2


def test_other_systems_and_other_parts_of_the_drone_are_not_the_autopilot() -> None:
    codec = MavlinkCodec(system_id=1)
    assert codec.decode(said(BEAT, system=2) + said(BEAT, component=100)) == []
    assert codec.counters.other_systems == 2


@pytest.mark.parametrize("lost", range(1, 21))
def test_after_a_lost_byte_the_next_messages_but_one_are_heard(lost: int) -> None:
    data = said(BEAT)
    codec = MavlinkCodec(system_id=1)
    heard = codec.decode(data[:lost] + data[lost + 1 :] + data * 3)
    assert len(heard) >= 2
    assert codec.counters.bad_data >= 1


def test_a_flipped_bit_is_refused_by_the_checksum() -> None:
    data = bytearray(said(BEAT))
    data[12] ^= 0x10
    codec = MavlinkCodec(system_id=1)
    assert codec.decode(bytes(data) + said(BEAT)) == [Heartbeat(armed=False, autopilot=3)]
    assert codec.counters.bad_data == 1


@given(st.lists(st.binary(max_size=80), max_size=12))
def test_any_bytes_never_raise_and_a_later_heartbeat_is_heard(chunks: list[bytes]) -> None:
    codec = MavlinkCodec(system_id=1)
    for chunk in chunks:
        codec.decode(chunk)
    # The longest frame that rubbish can begin is 280 bytes.
    heard = [message for _ in range(20) for message in codec.decode(said(BEAT))]
    assert Heartbeat(armed=False, autopilot=3) in heard


def test_a_new_link_forgets_half_a_message_and_goes_on_counting() -> None:
    codec = MavlinkCodec(system_id=1)
    codec.decode(said(BEAT)[:10])
    first = codec.heartbeat()
    codec.reset()
    assert codec.decode(said(BEAT)) == [Heartbeat(armed=False, autopilot=3)]
    assert (first[4], codec.heartbeat()[4]) == (0, 1)


def test_commands_and_counts_are_addressed_to_the_drone() -> None:
    peer = common.MAVLink(None)
    codec = MavlinkCodec(system_id=7)
    [count, command] = peer.parse_buffer(
        codec.count(SendCount(12)) + codec.command(SendCommand(400, (1.0,), confirmation=3))
    )
    assert (count.get_type(), count.target_system, count.count) == ("MISSION_COUNT", 7, 12)
    assert (command.get_type(), command.target_system, command.target_component) == (
        "COMMAND_LONG", 7, 1,
    )  # fmt: skip
    assert (command.command, command.confirmation, command.param1, command.param7) == (400, 3, 1, 0)
