"""What is fuzzed: each parser, the only error that it may raise, and good input to begin with."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config import CameraConfig, EdgeConfig, ScannerConfig
from edge.scanning.gs1 import explain_gs1, read_bracketed, read_elements, read_label
from firmware_bridge.drones.mavlink import MavlinkCodec
from runtime.config import ConfigError, parse_config, to_toml
from runtime.recording import FRAME_HEAD, MAGIC, Header, Recording, RecordingError
from sim_hardware.scenarios.model import ScenarioError
from sim_hardware.scenarios.text import parse_scenario
from sim_hardware.world.order_file import OrderFileError, read_order_file
from stockhelm.sim_library import LIBRARY
from tests import central_world
from tests.build import movement, scan
from wire import codec
from wire.codec import WireError
from wire.frames import LINE_BYTES_MAX, LineUnframer
from wire.ids import IdError
from wire.messages import JournalBatch, Message
from wire.site import SiteError, parse_site
from wire.topics import TOPICS
from wire.vda5050 import codec as vda_codec
from wire.vda5050 import messages as v
from wire.vda5050.action_ids import parse_action_id
from wire.vda5050.messages import parse_time
from wire.vda5050.topics import vehicle_of

OURS: Final[tuple[type[Message], ...]] = tuple(
    sorted({kind for topic in TOPICS for kind in topic.messages}, key=lambda kind: kind.__name__)
)
VDA: Final = (v.Order, v.State, v.ActionsOfState, v.Visualization, v.Connection, v.Factsheet)
GTINS: Final = {"SKU-0": "1", "SKU-1": "2"}


@dataclass(frozen=True, slots=True)
class Target:
    """One way in."""

    read: Callable[[bytes], object]
    error: type[Exception] | tuple[()]
    """What it says to bad input; none: it never raises."""
    seeds: Sequence[bytes]
    """Good input."""


def _message(data: bytes) -> None:
    """Read the rest as the message that the first byte chooses; what is taken goes out again."""
    kind = OURS[data[0] % len(OURS)] if data else OURS[0]
    message = codec.decode(data[1:], kind)
    try:
        again = codec.encode(message)
    except WireError:
        return  # numbers and texts are longer as we write them: over the limit
    assert codec.decode(again, kind) == message


def _vda(data: bytes) -> None:
    kind: type[v.Header] = VDA[data[0] % len(VDA)] if data else v.State
    with contextlib.suppress(WireError):
        vda_codec.decode_instant_actions(data[1:])
    vda_codec.decode(data[1:], kind)


def _line(data: bytes) -> None:
    unframer = LineUnframer()
    for at in range(0, len(data), 7):
        unframer.feed(data[at : at + 7])
        assert len(unframer._buffer) <= LINE_BYTES_MAX
    unframer.give_up()
    assert not unframer.pending


def _label(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for read in (read_label, read_elements, read_bracketed, explain_gs1):
        read(text)


def _ids(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    parse_action_id(text)
    parse_time(text)
    with contextlib.suppress(IdError):
        vehicle_of(text)


def _mavlink(data: bytes) -> None:
    codec = MavlinkCodec(1)
    for at in range(0, len(data), 50):
        codec.decode(data[at : at + 50])
    assert len(codec._mav.buf) <= 600


def _toml(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    parse_config(text, EdgeConfig, name="edge.toml")


def _site(data: bytes) -> None:
    """Read the rest as the file that the first byte chooses, beside good ones."""
    names = sorted(central_world.TEXTS)
    name = names[data[0] % len(names)] if data else names[0]
    parse_site(central_world.TEXTS | {name: data[1:].decode("utf-8", "replace")})


def _scenario(data: bytes) -> None:
    parse_scenario(data.decode("utf-8", "replace"), "x.scn")


def _in_file(folder: Path, name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def written(data: bytes) -> object:
        file = folder / name
        file.write_bytes(data)
        return read(file)

    return written


def _recording(file: Path) -> None:
    """Read it as it is, and as the payload of a frame whose check sum is right."""
    data = file.read_bytes()
    with contextlib.suppress(RecordingError):
        _read(file)
    file.write_bytes(MAGIC + frame(data))
    _read(file)


def _read(file: Path) -> None:
    for _ in Recording(file).records():
        pass


def frame(payload: bytes) -> bytes:
    """Return a whole frame of a recording."""
    return FRAME_HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def _plain(message: msgspec.Struct) -> bytes:
    return msgspec.json.encode(message)


def make_targets(folder: Path) -> dict[str, Target]:
    """Return every target by name; those that read files write them into `folder`."""
    batch = JournalBatch(edge_id="A", epoch=1, first_seq=1, events=(movement(), movement()))
    messages: list[Any] = [scan("]C10104006381333931"), movement(), batch]
    ours = [bytes([OURS.index(type(m))]) + _plain(m) for m in messages if type(m) in OURS]
    state = v.State(order_id="O1", action_states=(v.ActionState(action_id="pick/T/A-01/1/2"),))
    orders = "date,sku,quantity\n2024-01-01,SKU-0,3\n2024-01-02,SKU-1,4\n"
    header = msgspec.msgpack.encode(
        Header(
            kind="edge", name="A", life=1, stockhelm="0", config="", files={}, database="", seed=1,
            utc_ns=1, monotonic_ns=1,
        )
    )  # fmt: skip
    sites = [bytes([i]) + central_world.TEXTS[n].encode() for i, n in enumerate(_site_names())]
    beats = MavlinkCodec(1).heartbeat() * 2
    labels = ("]C10104006381333931", "]C14144049111000000254A-01", "(01)04006381333931(30)5",
              "]d20104006381333931\x1d10LOT\x1d17250101", "]C191SH-PICK")  # fmt: skip
    ids = ("2026-01-31T08:05:09.120Z", "pick/T-1/A-01/04006381333931/5", "uagv/v2/a/b/state")
    scenarios = [path.read_bytes()[:2_000] for path in sorted(LIBRARY.glob("*.scn"))[:6]]
    config = EdgeConfig(
        site_id="FC1", edge_id="A", site_dir="s", data_dir="d", gln="4049111000000",
        scanners=(ScannerConfig(device_id="scanner-1", person_id="P1", path="/dev/ttyS0"),),
        cameras=(CameraConfig(camera_id="camera-1", url="http://127.0.0.1:8001/x.jpg"),),
    )  # fmt: skip
    return {
        "message": Target(_message, WireError, ours),
        "vda5050": Target(_vda, WireError, [b"\x01" + _plain(state)]),
        "line": Target(_line, (), [b"]C10104006381333931\r\n", b"\x00\r\n\r"]),
        "label": Target(_label, (), [text.encode() for text in labels]),
        "ids": Target(_ids, (), [text.encode() for text in ids]),
        "mavlink": Target(_mavlink, (), [beats]),
        "toml": Target(_toml, ConfigError, [to_toml(config).encode()]),
        "site": Target(_site, SiteError, sites),
        "scenario": Target(_scenario, ScenarioError, scenarios),
        "recording": Target(_in_file(folder, "x.rec", _recording), RecordingError, [header]),
        "orders": Target(
            _in_file(folder, "o.csv", lambda file: read_order_file(file, GTINS)),
            OrderFileError, [orders.encode()],
        ),
    }  # fmt: skip


def _site_names() -> list[str]:
    return sorted(central_world.TEXTS)
