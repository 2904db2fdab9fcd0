"""Fixed cameras: what changes is told, what does not is told seldom, and nothing ever stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.config import CameraConfig, EdgeConfig
from edge.vision.service import CameraStatus, VisionService
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimCamera
from sim_hardware.devices.camera import FixedCamera
from tests.rack import GLN, Rack, gtin, rack_site
from wire.messages import BinSighted

URL = "http://camera/1"
BINS = ("A-01-01-1", "A-01-02-1")


class Watch:
    """A camera in front of a rack, the service that reads it, and what was told."""

    def __init__(self, edge_id: str = "A", *, camera: bool = True) -> None:
        site = rack_site()
        self.rack = Rack(site, {BINS[0]: {gtin(0): 5}})
        self.runtime = VirtualRuntime(1)
        self.metrics = Metrics()
        self.told: list[BinSighted] = []
        self.statuses: list[CameraStatus] = []
        config = SimCamera(camera_id="camera-1", url=URL, bins=BINS)
        self.camera = FixedCamera(self.runtime, self.runtime.lane("sim"), self.rack, config, GLN)
        if camera:
            self.camera.start()
        edge = EdgeConfig(
            site_id="FC1", edge_id=edge_id, site_dir="", data_dir="", gln=GLN,
            cameras=(CameraConfig(camera_id="camera-1", url=URL, period_s=2, repeat_s=30),),
        )  # fmt: skip
        self.service = VisionService(
            self.runtime, self.metrics, edge, site, self.runtime.lane("vision"), self.told.extend,
            self.statuses.append,
        )  # fmt: skip
        self.service.start()

    def serve(self, render: Callable[[], bytes]) -> None:
        self.runtime.frames.serve(URL, self.runtime.lane("sim"), render)

    def bins(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(e.bin_id, tuple(a.gtin for a in e.articles)) for e in self.told]

    def counted(self, name: str) -> int:
        return self.metrics.snapshot().counters.get(name, 0)


def test_what_stands_there_is_told_once_and_again_after_the_interval() -> None:
    watch = Watch()
    watch.runtime.run_for(10)
    first = [(BINS[0], (gtin(0),)), (BINS[1], ())]
    assert watch.bins() == first
    watch.runtime.run_for(25)
    assert watch.bins() == first * 2
    assert watch.counted("sightings{camera-1}") == 4
    assert watch.counted("vision_pictures{camera-1}") == 18


def test_a_change_is_told_after_two_pictures_that_agree() -> None:
    watch = Watch()
    watch.runtime.run_for(5)
    watch.told.clear()
    watch.rack.stock = {BINS[1]: {gtin(0): 5}}
    watch.runtime.run_for(1.5)
    assert watch.bins() == []
    watch.runtime.run_for(2)
    assert watch.bins() == [(BINS[0], ()), (BINS[1], (gtin(0),))]


def test_events_carry_unique_ids_of_the_camera_and_its_start() -> None:
    watch = Watch()
    started_ns = watch.runtime.clock.now_ns()
    watch.runtime.run_for(70)
    ids = [event.event_id for event in watch.told]
    assert ids == [f"camera-1/{started_ns // 1_000}/{n + 1}" for n in range(len(ids))]
    assert {event.device_id for event in watch.told} == {"camera-1"}
    assert all(event.observed_at_ns <= event.received_at_ns for event in watch.told)


def test_a_label_missed_in_one_picture_is_no_event() -> None:
    watch = Watch()
    watch.runtime.run_for(5)
    watch.told.clear()
    stock = watch.rack.stock
    shots = 0

    def blink() -> bytes:
        nonlocal shots
        shots += 1
        watch.rack.stock = {} if shots == 3 else stock
        return watch.camera.picture()

    watch.serve(blink)
    watch.runtime.run_for(15)
    assert shots > 5
    assert watch.bins() == []


def test_bins_of_another_edge_are_counted_and_not_told() -> None:
    watch = Watch(edge_id="B")
    watch.runtime.run_for(5)
    assert watch.told == []
    assert watch.counted("vision_ignored{foreign_bin}") == 2 * watch.counted(
        "vision_pictures{camera-1}"
    )


def test_an_absent_camera_is_asked_with_a_growing_delay_and_used_once_it_is_there() -> None:
    watch = Watch(camera=False)
    watch.runtime.run_for(59)
    [status] = watch.service.status()
    assert not status.online
    assert "no such camera" in status.reason
    # At 0, 2, 6, 14 and 30 s; the next after 30 s more, and so on for ever.
    assert status.errors == watch.counted("vision_errors{camera-1}") == 5
    watch.camera.start()
    watch.runtime.run_for(40)
    [status] = watch.service.status()
    assert status.online
    assert status.reason == ""
    assert {bin_id for bin_id, _ in watch.bins()} == set(BINS)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param(b"no picture at all", "not a picture: 17 bytes", id="text"),
        pytest.param(b"\xff\xd8\xff\xe0" + bytes(50), "not a picture: 54 bytes", id="half a jpeg"),
    ],
)
def test_a_camera_that_sends_rubbish_is_an_error_and_recovers(broken: bytes, reason: str) -> None:
    watch = Watch()
    watch.serve(lambda: broken)
    watch.runtime.run_for(3)
    [status] = watch.service.status()
    assert not status.online
    assert reason in status.reason
    watch.camera.start()
    watch.runtime.run_for(10)
    assert watch.service.status()[0].online
    assert len(watch.told) == 2


def test_who_looks_after_cameras_hears_once_of_each_change() -> None:
    watch = Watch(camera=False)
    watch.runtime.run_for(20)
    watch.camera.start()
    watch.runtime.run_for(60)
    watch.camera.power_off()
    watch.runtime.run_for(60)
    watch.camera.power_on()
    watch.runtime.run_for(60)
    watch.service.stop()
    assert [(s.camera_id, s.online) for s in watch.statuses] == [
        ("camera-1", online) for online in (False, True, False, True, False)
    ]
    reasons = [s.reason for s in watch.statuses]
    assert "no such camera" in reasons[0]
    assert reasons[1] == reasons[3] == ""
    assert reasons[2]
    assert reasons[4] == "its edge agent ended"


def test_after_stop_no_picture_is_asked_for() -> None:
    watch = Watch()
    watch.runtime.run_for(5)
    watch.service.stop()
    pictures = watch.camera.pictures
    watch.runtime.run_for(60)
    assert watch.camera.pictures == pictures


def test_an_edge_without_cameras_starts_and_stops() -> None:
    runtime = VirtualRuntime()
    config = EdgeConfig(site_id="FC1", edge_id="A", site_dir="", data_dir="", gln=GLN)
    service = VisionService(
        runtime, Metrics(), config, rack_site(), runtime.lane("vision"), lambda _told: None
    )
    service.start()
    service.stop()
    assert service.status() == []
