"""A serial link and the scanner driver on it keep one contract, in memory and on real ptys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_bridge.errors import BridgeError, LinkOpenError
from firmware_bridge.link import RETRY_S_MAX, WRITE_BYTES_MAX, Direction, SerialLink
from firmware_bridge.scanners.aim_line import (
    UNANSWERED_MAX,
    AimLineScanner,
    ArrivedScan,
    LineStatus,
)
from runtime.metrics import Metrics
from tests.contract.worlds import KINDS, LiveWorld, VirtualWorld, make_world
from tests.edge_world import SerialDevice
from wire.messages import ScanFeedback

World = LiveWorld | VirtualWorld


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = make_world(request.param)
    yield world
    world.close()


class Host:
    """Our end of a line: what the link told."""

    def __init__(self, world: World, path: str) -> None:
        self.got = b""
        self.ups: list[int] = []
        self.downs: list[str] = []
        self.tapped: list[tuple[Direction, bytes]] = []
        self.lane = world.runtime.lane("io")
        self.link = SerialLink(
            "scanner-1", path, 115_200, ports=world.runtime.ports, clock=world.runtime.clock,
            lane=self.lane, on_bytes=self._receive, on_up=self.ups.append,
            on_down=self.downs.append, tap=lambda way, data, _: self.tapped.append((way, data)),
        )  # fmt: skip
        self.refused: list[BridgeError] = []
        self.link.start()

    def _receive(self, chunks: list[tuple[bytes, int]]) -> None:
        self.got += b"".join(data for data, _ in chunks)

    def write(self, data: bytes) -> None:
        def on_lane() -> None:
            try:
                self.link.write(data)
            except BridgeError as error:
                self.refused.append(error)

        self.lane.post(on_lane)


def test_bytes_pass_both_ways_and_the_tap_sees_all_of_them(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "tty")
    device = SerialDevice(world.runtime, path)
    host = Host(world, path)
    assert world.until(lambda: host.link.up)
    device.send(b"hello")
    assert world.until(lambda: host.got == b"hello")
    host.write(b"\x06")
    assert world.until(lambda: device.heard == b"\x06")
    assert host.link.counters.bytes_in == 5
    assert host.link.counters.bytes_out == 1
    seen = b"".join(data for way, data in host.tapped if way is Direction.FROM_DEVICE)
    assert seen == b"hello"
    assert host.tapped[-1] == (Direction.TO_DEVICE, b"\x06")


def test_a_device_that_is_not_there_yet_is_reached_when_it_comes(
    world: World, tmp_path: Path
) -> None:
    path = str(tmp_path / "tty")
    host = Host(world, path)
    assert world.until(lambda: host.link.counters.open_failures >= 2)
    assert not host.link.up
    assert path in host.link.reason
    host.write(b"\x06")
    assert world.until(lambda: len(host.refused) == 1)
    assert isinstance(host.refused[0], LinkOpenError)
    SerialDevice(world.runtime, path)
    assert world.until(lambda: host.link.up)
    assert host.link.reason == ""


def test_a_pulled_cable_is_noticed_and_each_opening_has_an_epoch_of_its_own(
    world: World, tmp_path: Path
) -> None:
    path = str(tmp_path / "tty")
    host = Host(world, path)
    for round_number in range(1, 4):
        device = SerialDevice(world.runtime, path)
        assert world.until(lambda n=round_number: len(host.ups) == n)  # type: ignore[misc]
        device.send(b"x")
        assert world.until(lambda n=round_number: host.got == b"x" * n)  # type: ignore[misc]
        device.port.close()
        assert world.until(lambda n=round_number: len(host.downs) == n)  # type: ignore[misc]
    assert host.link.counters.lost == 3
    assert host.ups == sorted(set(host.ups))
    assert all(0 < epoch < 2**53 for epoch in host.ups)


def test_the_pause_between_tries_grows_to_a_limit() -> None:
    world = VirtualWorld()
    host = Host(world, "/nowhere")
    world.settle(3_600)
    tries = host.link.counters.open_failures
    assert 3_600 / RETRY_S_MAX <= tries <= 3_600 / RETRY_S_MAX + 10


def test_a_stopped_link_opens_nothing_any_more(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "tty")
    SerialDevice(world.runtime, path)
    host = Host(world, path)
    assert world.until(lambda: host.link.up)
    host.lane.post(host.link.stop)
    assert world.until(lambda: not host.link.up)
    assert host.downs == ["stopped"]
    failures = host.link.counters.open_failures
    world.settle(0.5)
    assert (host.link.up, host.link.counters.open_failures) == (False, failures)


def test_two_hosts_never_share_a_line(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "tty")
    SerialDevice(world.runtime, path)
    first = Host(world, path)
    assert world.until(lambda: first.link.up)
    second = Host(world, path)
    assert world.until(lambda: second.link.counters.open_failures > 0)
    assert not second.link.up


def test_a_write_over_the_limit_is_an_error_of_the_caller() -> None:
    host = Host(VirtualWorld(), "/nowhere")
    with pytest.raises(LinkOpenError):
        host.link.write(b"x")
    world = VirtualWorld()
    SerialDevice(world.runtime, "/dev/s")
    up = Host(world, "/dev/s")
    world.settle(1)
    with pytest.raises(ValueError, match=str(WRITE_BYTES_MAX)):
        up.link.write(b"x" * (WRITE_BYTES_MAX + 1))


class Driver:
    """The scanner driver with an edge's ear."""

    def __init__(self, world: World, path: str) -> None:
        self.arrived: list[ArrivedScan] = []
        self.status: list[LineStatus] = []
        self.metrics = Metrics()
        self.lane = world.runtime.lane("io")
        self.driver = AimLineScanner(
            "scanner-1", path, 115_200, ports=world.runtime.ports, clock=world.runtime.clock,
            lane=self.lane, metrics=self.metrics, on_scan=self.arrived.append,
            on_status=self.status.append,
        )  # fmt: skip
        self.driver.start()

    def answer(self, number: int, *, ok: bool = True) -> None:
        scan = self.arrived[number].scan
        feedback = ScanFeedback(
            device_id="scanner-1", boot_epoch=scan.boot_epoch, seq=scan.seq, ok=ok,
            code="booked" if ok else "no_task", text=f"scan {scan.seq}", sound="good",
        )  # fmt: skip
        self.lane.post(lambda: self.driver.answer(feedback))


def test_lines_become_numbered_scans_and_answers_go_back_in_their_order(
    world: World, tmp_path: Path
) -> None:
    path = str(tmp_path / "tty")
    device = SerialDevice(world.runtime, path)
    edge = Driver(world, path)
    assert world.until(lambda: len(edge.status) == 1)
    device.scan("]C1aa", "]C1bb", "]C1cc")
    assert world.until(lambda: len(edge.arrived) == 3)
    assert [a.scan.seq for a in edge.arrived] == [1, 2, 3]
    assert [a.scan.text for a in edge.arrived] == ["]C1aa", "]C1bb", "]C1cc"]
    assert edge.arrived[0].scan.boot_epoch == edge.status[0].boot_epoch
    assert edge.arrived[0].received_at_ns <= world.runtime.clock.now_ns()
    edge.answer(1, ok=False)
    edge.answer(2)
    world.settle(0.05)
    assert device.heard == b"", "the first scan has no answer yet"
    edge.answer(0)
    expected = b"\x06" + b"\x07no_task: scan 2\r\n" + b"\x06"
    assert world.until(lambda: device.heard == expected)


def test_garbage_is_answered_with_a_bell_and_a_reason_in_its_turn(
    world: World, tmp_path: Path
) -> None:
    path = str(tmp_path / "tty")
    device = SerialDevice(world.runtime, path)
    edge = Driver(world, path)
    assert world.until(lambda: len(edge.status) == 1)
    device.send(b"]C1aa\r\n\x00\xff\xfe\r\n")
    assert world.until(lambda: len(edge.arrived) == 1)
    edge.answer(0)
    assert world.until(lambda: device.heard.endswith(b"\r\n"))
    assert device.heard.startswith(b"\x06\x07malformed: byte 0x00")
    device.heard = b""
    device.send(b"]C1" + b"9" * 600)
    assert world.until(lambda: device.heard.startswith(b"\x07too_long: "))
    device.heard = b""
    device.send(b"99\r\n]C1bb\r\n")
    assert world.until(lambda: len(edge.arrived) == 2)
    edge.answer(1)
    assert world.until(lambda: device.heard == b"\x06")


def test_a_half_line_is_given_up_after_a_pause(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "tty")
    device = SerialDevice(world.runtime, path)
    edge = Driver(world, path)
    assert world.until(lambda: len(edge.status) == 1)
    device.send(b"]C1 half a li")
    assert world.until(lambda: device.heard.startswith(b"\x07half_line: "))
    device.scan("]C1whole")
    assert world.until(lambda: len(edge.arrived) == 1)
    assert edge.arrived[0].scan.text == "]C1whole"
    assert edge.metrics.snapshot().counters["scans_refused{half_line}"] == 1


def test_too_many_unanswered_scans_are_refused_at_once() -> None:
    world = VirtualWorld()
    device = SerialDevice(world.runtime, "/dev/s")
    edge = Driver(world, "/dev/s")
    world.settle(0.1)
    device.scan(*[f"]C1{n}" for n in range(UNANSWERED_MAX + 3)])
    world.settle(0.1)
    assert len(edge.arrived) == UNANSWERED_MAX
    assert device.heard.count(b"\x07busy: ") == 3


def test_a_scan_repeated_before_its_answer_is_refused_in_its_turn() -> None:
    """A line that held back a scan gives it and its repetition at once: only one may be booked."""
    world = VirtualWorld()
    device = SerialDevice(world.runtime, "/dev/s")
    edge = Driver(world, "/dev/s")
    world.settle(0.1)
    device.scan("]C1a", "]C1b", "]C1a")
    world.settle(0.1)
    assert [arrived.scan.text for arrived in edge.arrived] == ["]C1a", "]C1b"]
    assert device.heard == b""
    edge.answer(0)
    edge.answer(1)
    world.settle(0.1)
    assert device.heard.startswith(b"\x06\x06\x07repeated: ")
    device.scan("]C1a")
    world.settle(0.1)
    assert [arrived.scan.text for arrived in edge.arrived] == ["]C1a", "]C1b", "]C1a"]


def test_an_answer_to_a_lost_line_is_not_given_to_the_next_one() -> None:
    world = VirtualWorld()
    device = SerialDevice(world.runtime, "/dev/s")
    edge = Driver(world, "/dev/s")
    world.settle(0.1)
    device.scan("]C1a")
    world.settle(0.1)
    device.port.close()
    again = SerialDevice(world.runtime, "/dev/s")
    world.settle(10)
    assert [status.online for status in edge.status] == [True, False, True]
    again.scan("]C1b")
    world.settle(0.1)
    edge.answer(0)
    world.settle(0.1)
    assert again.heard == b""
    edge.answer(1)
    world.settle(0.1)
    assert again.heard == b"\x06"
