"""Files, texts and lines with mistakes: what a parser gives is a value or its own error."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import pytest
from sqlalchemy import delete, select

import central.desk.site
import edge.site
import sim_hardware.site_folder
from central.agent import read_site_texts
from central.config import CentralConfig, DeskConfig
from central.tables import demand_day, setting
from edge.config import EdgeConfig
from edge.scanning.gs1 import explain_gs1, read_bracketed, read_elements, read_label
from firmware_bridge.drones.mavlink import MavlinkCodec
from runtime.config import ConfigError, load_config, parse_config
from runtime.metrics import LABELS_MAX, Metrics
from runtime.recording import FRAME_HEAD, MAGIC, Header, Recording, RecordingError, RecordingFile
from runtime.recording import Messages as MessagesRecord
from sim_hardware.config import SimConfig
from sim_hardware.scenarios.model import ScenarioError
from sim_hardware.scenarios.names import apply_settings, wrong_names
from sim_hardware.scenarios.text import parse_scenario
from sim_hardware.site_folder import read_demand
from sim_hardware.world.order_file import DAYS_MAX, OrderFileError, read_order_file
from stockhelm.broker import BrokerConfig
from stockhelm.demo_site import DemoSite, Ports, write_demo
from stockhelm.ledger import _config as config_of_ledger
from stockhelm.sim_library import LIBRARY
from tests.bad_input import bend_bytes, bend_text
from tests.central_world import CentralWorld
from wire.ids import IdError
from wire.site import SiteError
from wire.vda5050.action_ids import parse_action_id
from wire.vda5050.messages import parse_time
from wire.vda5050.topics import vehicle_of

PORTS: Final = Ports(broker=1883, desk=8000, pictures=8001)
CONFIGS: Final[dict[str, type[msgspec.Struct]]] = {
    "edge-A": EdgeConfig, "central": CentralConfig, "desk": DeskConfig, "sim": SimConfig,
    "broker": BrokerConfig,
}  # fmt: skip
GTINS: Final = {"SKU-0": "1", "SKU-1": "2", "SKU-2": "3"}
ORDERS: Final = "date,sku,quantity\n" + "".join(
    f"2024-01-{i:02d},SKU-{i % 3},{i}\n" for i in range(1, 29)
)
LABELS: Final = (
    "]C10104006381333931", "]C1010400638133393130 12", "]C14144049111000000254A-01",
    "]C191SH-PICK", "]d20104006381333931\x1d10LOT\x1d17250101", "(01)04006381333931(30)5",
    "]E04006381333931", "]Q1x", "https://id.gs1.org/01/04006381333931", "]C137 12\x1d8003",
    "]C100106141412345678908", "]C1310200012317991231",
)  # fmt: skip
IDS: Final = (
    "2026-01-31T08:05:09.120Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "2026-W05-6", "pick/T-1/A-01/04006381333931/5", "uagv/v2/acme/agv-1/state",
)  # fmt: skip
ROUNDS = 40


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Random:
    return Random(request.node.name)


@pytest.fixture
def demo(tmp_path: Path) -> DemoSite:
    return write_demo(tmp_path / "demo", seed=3, speed=4.0, ports=PORTS, sales=None)


def attempt(
    error: type[Exception] | tuple[()], read: Callable[..., Any], *args: Any, given: object = None
) -> None:
    """Read; anything that is raised but `error` fails with what was given."""
    try:
        read(*args)
    except error:
        pass
    except Exception as other:
        shown = args if given is None else given
        raise AssertionError(f"{type(other).__name__}: {other}; given {shown!r}") from other


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_with_mistakes_is_read_or_refused(
    demo: DemoSite, tmp_path: Path, chance: Random, name: str
) -> None:
    text = demo.config(name).read_text(encoding="utf-8")
    file = tmp_path / "bad.toml"
    for _ in range(ROUNDS):
        data = bend_text(text, chance)
        file.write_bytes(data)
        attempt(ConfigError, load_config, file, CONFIGS[name], given=data)
        attempt(ConfigError, config_of_ledger, file, given=data)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 5_000, "nested too deeply"),
        ("a = {" * 5_000, "nested too deeply"),
        ("[a." + "b." * 5_000 + "c]", "unknown key"),
        ("site_id = 1" + "0" * 5_000, "is not TOML"),
        ("site_id = 0x" + "f" * 5_000, "site_id = a int that is too large to show"),
        ("#" * 1_000_001, "over 1000000 characters"),
    ],
    ids=["lists", "tables", "dots", "digits", "hex", "length"],
)
def test_a_configuration_beyond_all_bounds_is_refused_in_short_words(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        parse_config(text, EdgeConfig, name="edge.toml")
    assert len(str(refused.value)) < 1_000


def test_site_files_with_mistakes_are_read_or_refused(demo: DemoSite, chance: Random) -> None:
    folder = Path(load_config(demo.config("edge-A"), EdgeConfig).site_dir)
    site = edge.site.read_site(folder)
    for file in sorted(folder.iterdir()):
        text = file.read_text(encoding="utf-8")
        for _ in range(ROUNDS // 4):
            data = bend_text(text, chance)
            file.write_bytes(data)
            for read in (
                edge.site.read_site, central.desk.site.read_site, read_site_texts,
                sim_hardware.site_folder.read_site,
            ):  # fmt: skip
                attempt(SiteError, read, folder, given=data)
            attempt(SiteError, read_demand, folder, site, given=data)
        file.write_text(text, encoding="utf-8")


def test_a_sales_history_with_mistakes_stops_no_start(tmp_path: Path, chance: Random) -> None:
    rows = "".join(f"-{day},04006381333931,{day}\n" for day in range(1, 20))
    world = CentralWorld(tmp_path)
    world.rt.run_for(0.1)
    days = 0
    for _ in range(10):
        with world.engine.begin() as conn:
            conn.execute(delete(setting).where(setting.c.name == "history"))
        world.kill()
        text = bend_text("day,gtin,units\n" + rows, chance).decode("utf-8", "replace")
        world.begin(text)
        world.rt.run_for(0.1)
        with world.engine.begin() as conn:
            found = list(conn.execute(select(demand_day)))
        assert all(row.units >= 0 for row in found)
        days = max(days, len(found))
    assert days > 0


def test_a_file_of_orders_with_mistakes_is_read_or_refused(tmp_path: Path, chance: Random) -> None:
    file = tmp_path / "orders.csv"
    for _ in range(ROUNDS * 3):
        data = bend_text(ORDERS, chance)
        file.write_bytes(data)
        attempt(OrderFileError, read_order_file, file, GTINS, given=data)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"2024-02-01,SKU-0,{'9' * 5_000}", "expected a whole number from 1 to 1000000"),
        ("0202-02-01,SKU-0,1", f"expected at most {DAYS_MAX} days"),
    ],
)
def test_a_file_of_orders_beyond_all_bounds_is_refused(tmp_path: Path, row: str, said: str) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(f"{ORDERS}{row}\n", encoding="utf-8")
    with pytest.raises(OrderFileError, match=said):
        read_order_file(file, GTINS)


def test_a_scenario_with_mistakes_is_read_or_refused(demo: DemoSite, chance: Random) -> None:
    library = [path.read_text(encoding="utf-8") for path in sorted(LIBRARY.glob("*.scn"))]
    config = load_config(demo.config("sim"), SimConfig)

    def read(text: str) -> None:
        scenario = parse_scenario(text, "bad.scn")
        settings, _ = apply_settings(scenario, config)
        list(wrong_names(scenario, demo.site, settings, ["scanner-guest"]))

    for _ in range(ROUNDS * 5):
        text = bend_text(chance.choice(library), chance).decode("utf-8", "replace")
        attempt(ScenarioError, read, text)


def test_a_number_of_any_length_in_a_scenario_is_refused_in_words() -> None:
    for line in (
        f"EXPECT orders lost = 1{'0' * 400}",
        f"RUN 1{'0' * 320} s",
        f"RUN {'9' * 400}:00",
        f"SITE demo orders=1{'0' * 400}",
        f"SPEED 1{'0' * 400}",
    ):
        with pytest.raises(ScenarioError, match=r":2: .*expected"):
            parse_scenario(f"SCENARIO x\n{line}\n", "bad.scn")


def test_what_a_scanner_reads_gives_a_label_or_a_reason(chance: Random) -> None:
    for _ in range(ROUNDS * 20):
        text = bend_text(chance.choice(LABELS), chance).decode("utf-8", "replace")[:600]
        for read in (read_label, read_elements, read_bracketed, explain_gs1):
            attempt((), read, text)


def test_ids_and_times_of_robots_are_read_or_known_as_none(chance: Random) -> None:
    for _ in range(ROUNDS * 20):
        text = bend_bytes(chance.choice(IDS).encode(), chance).decode("utf-8", "replace")
        attempt((), parse_action_id, text)
        attempt((), parse_time, text)
        attempt(IdError, vehicle_of, text)


def read_recording(file: Path) -> None:
    for _ in Recording(file).records():
        pass


def test_a_damaged_recording_is_read_as_far_as_it_goes(tmp_path: Path, chance: Random) -> None:
    good = tmp_path / "good.rec"
    header = Header(
        kind="edge", name="A", life=1, stockhelm="0", config="", files={}, database="", seed=1,
        utc_ns=1, monotonic_ns=1,
    )  # fmt: skip
    file = RecordingFile(good, header)
    for n in range(20):
        items = [("topic", b"payload", False, n)]
        file.add(MessagesRecord(at_ns=n, utc_ns=n, queued=n, order=n, number=1, items=items))
    file.close()
    whole, bad = good.read_bytes(), tmp_path / "bad.rec"
    for _ in range(ROUNDS * 3):
        data = bend_bytes(whole, chance)
        bad.write_bytes(data)
        attempt(RecordingError, read_recording, bad, given=data)


def test_a_recording_with_a_text_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.rec"
    for payload in (b"\x8a\xa4kind\xa4\xffdge", b"\x8a\xa4\xffind", b"\x91" * 5_000):
        file.write_bytes(MAGIC + FRAME_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        with pytest.raises(RecordingError, match="expected a record of this version"):
            Recording(file)


def test_any_bytes_of_a_drone_are_counted_and_nothing_is_kept(chance: Random) -> None:
    codec = MavlinkCodec(1)
    for _ in range(ROUNDS * 10):
        data = bend_bytes(codec.heartbeat() * chance.randint(1, 3), chance)
        attempt((), codec.decode, data)
    assert codec.counters.bad_data > 0
    codec.decode(bytes(600))  # the rest of a torn message ends here
    before = codec.counters.other_systems
    codec.decode(codec.heartbeat() * 2)
    assert codec.counters.other_systems == before + 2
    assert len(codec._mav.buf) < 600


def test_labels_of_counters_are_bounded_whatever_names_them() -> None:
    metrics = Metrics()
    for n in range(LABELS_MAX + 500):
        metrics.count("wire_refused", f"stranger-{n}")
        metrics.count("wire_refused", "stranger-0")
    counters = metrics.snapshot().counters
    assert len(counters) == LABELS_MAX + 1
    assert counters["wire_refused{others}"] == 500
    assert counters["wire_refused{stranger-0}"] == LABELS_MAX + 501
