"""MAVLink 2 bytes written by hand from the specification, so that both ends cannot be wrong alike.

A frame: FD, payload length, incompatible flags, compatible flags, sequence, system, component,
message number (3 bytes), payload (fields by falling size, zeros at its end cut off), CRC-16/MCRF4XX
over all but FD plus one byte that stands for the message's fields (50 HEARTBEAT, 38
MISSION_ITEM_INT, 11 MISSION_ITEM_REACHED).
"""

from __future__ import annotations

import pytest

from firmware_bridge.drones.core import Heartbeat, ItemReached
from firmware_bridge.drones.mavlink import MavlinkCodec
from firmware_bridge.drones.plan import Item

OUR_HEARTBEAT = bytes.fromhex(
    "fd 09 00 00 00 ff be 00 00 00"  # length 9, sequence 0, system 255, component 190, message 0
    "00 00 00 00"  # custom mode 0
    "06 08 00 04 03"  # ground station, no autopilot, mode 0, active, version 3
    "3d 48"
)
OUR_ITEM = bytes.fromhex(
    "fd 25 00 00 01 ff be 49 00 00"  # length 37, sequence 1, message 73
    "00 00 80 40 cd cc 4c 3e 00 00 00 00 00 00 00 00"  # hold 4 s, radius 0.2 m, 0, yaw 0
    "9a dd 4a 1f 13 ae fc 07"  # 52.5000090 north, 13.4000147 east
    "00 00 e0 3f"  # 1.75 m
    "02 00 10 00"  # item 2, command 16 (waypoint)
    "01 01 06 00 01"  # to system 1, component 1, relative height, not current, go on
    "7d 82"
)
DRONE_HEARTBEAT = bytes.fromhex(
    "fd 09 00 00 07 01 01 00 00 00"  # sequence 7, system 1, component 1
    "03 00 00 00"  # custom mode 3
    "02 03 d1 04 03"  # quadrotor, ArduPilot, armed with custom mode, active, version 3
    "a3 f5"
)
DRONE_REACHED_5 = bytes.fromhex("fd 01 00 00 09 01 01 2e 00 00 05 05 53")


def test_our_heartbeat_and_our_item_are_these_bytes() -> None:
    codec = MavlinkCodec(system_id=1)
    assert codec.heartbeat() == OUR_HEARTBEAT
    item = Item(
        seq=2, frame=6, command=16, params=(4.0, 0.2, 0.0, 0.0),
        lat_e7=525_000_090, lon_e7=134_000_147, alt_m=1.75,
    )  # fmt: skip
    assert codec.item(item) == OUR_ITEM


@pytest.mark.parametrize("chunk_bytes", [1, 3, 100])
def test_a_drones_bytes_are_heard_however_they_are_cut(chunk_bytes: int) -> None:
    data = DRONE_HEARTBEAT + DRONE_REACHED_5
    codec = MavlinkCodec(system_id=1)
    heard = []
    for at in range(0, len(data), chunk_bytes):
        heard += codec.decode(data[at : at + chunk_bytes])
    assert heard == [Heartbeat(armed=True, autopilot=3), ItemReached(5)]
