"""Devices that no edge knows are refused aloud, by one edge, and never another edge's device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.agent import EdgeAgent, build_edge
from edge.config import ScannerConfig
from edge.scanning.strangers import WAIT_S, WAITING_MAX
from runtime.bus import BusOptions
from runtime.metrics import Metrics
from tests.edge_world import SITE, EdgeWorld, MqttScanner, command_label, edge_config
from wire.codec import encode
from wire.messages import EdgeDevices
from wire.topics import EDGE_DEVICES

STRANGER = "my-scanner"


class TwoEdges(EdgeWorld):
    """Edge A with the scanner mqtt-1 and, once begun, edge B with the scanner mqtt-2."""

    def __init__(self, directory: Path, **fields: Any) -> None:
        super().__init__(directory, **fields)
        self.directory = directory
        self.stranger = MqttScanner(self.runtime, STRANGER)
        self.b_scanner = MqttScanner(self.runtime, "mqtt-2")
        self.b_metrics = Metrics()

    def begin_b(self, *device_ids: str, data: str = "data-b") -> EdgeAgent:
        rows = tuple(ScannerConfig(device_id=d, person_id="P2") for d in device_ids)
        config = edge_config(
            self.directory, *rows, edge_id="B", data_dir=str(self.directory / data)
        )
        agent = build_edge(self.runtime, self.b_metrics, config)
        agent.start()
        self.run()
        return agent

    def wait(self) -> None:
        self.run(WAIT_S + 0.5)


@pytest.fixture
def world(tmp_path: Path) -> TwoEdges:
    world = TwoEdges(tmp_path)
    world.start()
    return world


def codes(scanner: MqttScanner) -> list[tuple[int, str]]:
    return [(answer.seq, answer.code) for answer in scanner.answers]


def test_a_device_that_no_edge_knows_is_told_so(world: TwoEdges) -> None:
    world.begin_b("mqtt-2")
    world.stranger.scan(command_label("PICK"), seq=7, epoch=3)
    world.wait()
    (answer,) = world.stranger.answers
    assert (answer.ok, answer.code, answer.boot_epoch, answer.seq) == (
        False, "unknown_device", 3, 7,
    )  # fmt: skip
    assert answer.text == (
        "no edge of site FC1 takes scans of my-scanner over MQTT: add it to [[scanners]], without a"
        " path, in the configuration of the edge where it works"
    )
    assert world.counter("scans_refused{unknown_device}") == 1
    assert world.b_metrics.snapshot().counters.get("scans_refused{unknown_device}") is None


def test_what_a_stranger_sends_need_not_be_a_scan(world: TwoEdges) -> None:
    world.begin_b("mqtt-2")
    world.stranger.publish(b"hello")
    world.wait()
    assert codes(world.stranger) == [(0, "unknown_device")]


def test_another_edges_device_hears_that_edge_alone(world: TwoEdges) -> None:
    world.begin_b("mqtt-2")
    world.b_scanner.scan(command_label("COUNT"))
    world.scanner.scan(command_label("COUNT"))
    world.wait()
    assert codes(world.b_scanner) == [(1, "next")]
    assert codes(world.scanner) == [(1, "next")]
    assert world.counter("scans_refused{unknown_device}") == 0


def test_nobody_is_refused_before_every_edge_has_told_its_devices(world: TwoEdges) -> None:
    world.stranger.scan(command_label("PICK"))
    world.wait()
    assert world.stranger.answers == []
    assert world.counter("scans_unanswered{unknown_device}") == 1
    world.begin_b("mqtt-2")
    world.stranger.scan(command_label("PICK"))
    world.wait()
    assert codes(world.stranger) == [(2, "unknown_device")]


def test_an_edge_that_is_away_keeps_its_devices(world: TwoEdges) -> None:
    for agent in (world.begin_b("mqtt-2"), world.agent):
        agent._bus.stop()
    world.run()
    metrics = Metrics()
    config = edge_config(world.directory, data_dir=str(world.directory / "again"))
    build_edge(world.runtime, metrics, config).start()  # this edge A hears what is retained
    world.run()
    world.b_scanner.scan(command_label("COUNT"))
    world.stranger.scan(command_label("COUNT"))
    world.wait()
    assert world.b_scanner.answers == []
    assert metrics.snapshot().counters["scans_refused{unknown_device}"] == 1


def test_a_device_given_to_an_edge_is_not_refused_while_its_list_is_on_its_way(
    world: TwoEdges,
) -> None:
    world.begin_b("mqtt-2")
    world.stranger.scan(command_label("PICK"))
    told = EdgeDevices(edge_id="B", devices=("mqtt-2", STRANGER))
    world.central.bus.publish(EDGE_DEVICES.of(site=SITE, edge="B"), encode(told), retain=True)
    world.wait()
    assert world.stranger.answers == []
    assert world.counter("scans_refused{unknown_device}") == 0


def test_a_list_that_cannot_be_read_refuses_nobody(world: TwoEdges) -> None:
    world.begin_b("mqtt-2")
    world.central.bus.publish(EDGE_DEVICES.of(site=SITE, edge="B"), b"?", retain=True)
    world.run()
    world.stranger.scan(command_label("PICK"))
    world.wait()
    assert world.stranger.answers == []
    assert world.counter("wire_refused{edge-devices}") == 1


def test_many_strangers_are_answered_only_so_fast(world: TwoEdges) -> None:
    world.begin_b("mqtt-2")
    for seq in range(1, WAITING_MAX + 51):
        world.stranger.scan(command_label("PICK"), seq=seq)
    world.wait()
    assert len(world.stranger.answers) == WAITING_MAX
    assert world.counter("scans_unanswered{too_many_strangers}") == 50
    world.stranger.scan(command_label("PICK"))
    world.wait()
    assert len(world.stranger.answers) == WAITING_MAX + 1


def test_a_serial_scanners_name_is_a_stranger_over_mqtt(tmp_path: Path) -> None:
    world = TwoEdges(
        tmp_path,
        scanners=(ScannerConfig(device_id=STRANGER, person_id="P1", path=str(tmp_path / "tty")),),
    )
    world.start()
    world.begin_b("mqtt-2")
    world.stranger.scan(command_label("PICK"))
    world.wait()
    assert codes(world.stranger) == [(1, "unknown_device")]


def test_a_site_of_one_edge_needs_no_other(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path)
    bins = tmp_path / "site" / "bins.csv"
    bins.write_text(bins.read_text().replace(",B,", ",A,"))
    alone = build_edge(world.runtime, world.metrics, world.config)
    alone.start()
    stranger = MqttScanner(world.runtime, STRANGER)
    world.run()
    stranger.scan(command_label("PICK"))
    world.run(WAIT_S + 0.5)
    assert codes(stranger) == [(1, "unknown_device")]


def test_the_list_is_kept_by_the_broker(world: TwoEdges) -> None:
    heard: list[bytes] = []
    bus = world.runtime.bus(BusOptions(client_id="late"))
    bus.subscribe(
        EDGE_DEVICES.any(site=SITE),
        world.runtime.lane("late"),
        lambda messages: heard.extend(m.payload for m in messages),
    )
    bus.start()
    world.run()
    assert heard == [encode(EdgeDevices(edge_id="A", devices=("mqtt-1",)))]
