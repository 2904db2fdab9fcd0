"""Cameras that decode by themselves: from what stands in a bin to what the edge tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.config import EdgeConfig, SmartCameraConfig
from edge.vision.looks import WATCH_S, Looks
from edge.vision.service import CameraStatus
from runtime.bus import Incoming
from runtime.config import ConfigError
from runtime.metrics import Metrics
from sim_hardware.config import SimCamera
from tests.sim_floor import GLN, SITE, Bench, make_bench
from wire import topics
from wire.codec import decode, encode
from wire.messages import BinLook, BinSighted, CameraLook, SeenArticle

CAMERA = "cam-1"


def looking(tmp_path: Path, **camera: Any) -> tuple[Bench, list[str]]:
    """Return a floor with a smart camera over three bins."""
    site = make_bench(tmp_path / "first").site
    bins = [row.bin_id for row in site.opening if site.bins[row.bin_id].edge_id == "A"][:3]
    values: dict[str, Any] = {
        "camera_id": CAMERA,
        "bins": tuple(bins),
        "level": "sighting",
        "period_s": 1.0,
    }
    bench = make_bench(tmp_path, cameras=(SimCamera(**(values | camera)),))
    return bench, bins


def looks(bench: Bench) -> list[CameraLook]:
    wanted = topics.CAMERA_LOOK.of(site=SITE, device=CAMERA)
    return [decode(payload, CameraLook) for payload in bench.payloads(wanted)]


def listening(bench: Bench) -> list[BinSighted]:
    """Let an edge's stage listen to the camera; return where its events go."""
    told: list[BinSighted] = []
    config = EdgeConfig(
        site_id=SITE, edge_id="A", site_dir=".", data_dir=".", gln=GLN,
        smart_cameras=(SmartCameraConfig(camera_id=CAMERA),),
    )  # fmt: skip
    stage = Looks(Metrics(), config, bench.site, bench.runtime.clock, told.extend)
    wanted = topics.CAMERA_LOOK.any(site=SITE)
    bench.bus.subscribe(wanted, bench.runtime.lane("vision"), stage.handle)
    return told


def test_it_tells_what_stands_there_and_what_changes(tmp_path: Path) -> None:
    bench, bins = looking(tmp_path)
    told = listening(bench)
    bench.runtime.run_for(5)
    assert sorted(event.bin_id for event in told) == sorted(bins)
    for event in told:
        there = bench.floor.world.stock_at(f"bin:{event.bin_id}")
        assert {seen.gtin for seen in event.articles} == set(there)
    [(gtin, units)] = bench.floor.world.stock_at(f"bin:{bins[0]}").items()
    bench.floor.world.stock.move(
        gtin, units, from_place=f"bin:{bins[0]}", to_place=f"bin:{bins[1]}"
    )
    told.clear()
    bench.runtime.run_for(5)
    assert {event.bin_id: event.articles for event in told}[bins[0]] == ()
    assert gtin in {seen.gtin for e in told if e.bin_id == bins[1] for seen in e.articles}


def test_it_misses_some_labels_and_shows_the_label_that_hangs_there(tmp_path: Path) -> None:
    bench, bins = looking(tmp_path, miss_share=0.5)
    bench.runtime.run_for(40)
    seen = [len(look.bins) for look in looks(bench)]
    assert 0.3 < sum(seen) / (3 * len(seen)) < 0.7
    bench.floor.smart_cameras[CAMERA].miss_share = 0.0
    bench.floor.world.swap_labels(bins[0], bins[1])
    bench.runtime.run_for(2)
    assert [look.bin_id for look in looks(bench)[-1].bins] == [bins[1], bins[0], bins[2]]


def test_dark_it_says_nothing_and_then_counts_anew(tmp_path: Path) -> None:
    bench, _ = looking(tmp_path)
    told = listening(bench)
    bench.runtime.run_for(3)
    camera, before = bench.floor.smart_cameras[CAMERA], len(looks(bench))
    camera.power_off()
    bench.runtime.run_for(10)
    assert len(looks(bench)) == before
    camera.power_on()
    told.clear()
    bench.runtime.run_for(40)
    assert looks(bench)[before].seq == 1
    assert looks(bench)[before].boot_epoch > looks(bench)[0].boot_epoch
    assert told


def test_a_camera_that_is_silent_for_too_long_counts_as_gone(tmp_path: Path) -> None:
    bench, _ = looking(tmp_path)
    told: list[CameraStatus] = []
    config = EdgeConfig(
        site_id=SITE, edge_id="A", site_dir=".", data_dir=".", gln=GLN,
        smart_cameras=(
            SmartCameraConfig(camera_id=CAMERA, silent_after_s=5),
            SmartCameraConfig(camera_id="never-there", silent_after_s=8),
        ),
    )  # fmt: skip
    lane = bench.runtime.lane("vision")
    stage = Looks(
        Metrics(), config, bench.site, bench.runtime.clock, lambda _told: None, told.append
    )
    bench.bus.subscribe(topics.CAMERA_LOOK.any(site=SITE), lane, stage.handle)
    lane.call_every(WATCH_S, stage.watch)
    bench.runtime.run_for(4)
    assert [(s.camera_id, s.online, s.reason) for s in told] == [(CAMERA, True, "")]
    assert told[0].boot_epoch == looks(bench)[0].boot_epoch
    bench.floor.smart_cameras[CAMERA].power_off()
    bench.runtime.run_for(20)
    assert [(s.camera_id, s.online, s.reason) for s in told[1:]] == [
        ("never-there", False, "no look for 8 s"),
        (CAMERA, False, "no look for 5 s"),
    ]
    bench.floor.smart_cameras[CAMERA].power_on()
    bench.runtime.run_for(20)
    assert [(s.camera_id, s.online) for s in told[3:]] == [(CAMERA, True)]
    stage.stop()
    assert [(s.camera_id, s.online) for s in told[4:]] == [(CAMERA, False)]


def test_a_repeated_or_older_look_changes_nothing(tmp_path: Path) -> None:
    bench, bins = looking(tmp_path)
    bench.floor.smart_cameras[CAMERA].power_off()
    told = listening(bench)
    gtin = next(iter(bench.site.articles))
    topic = topics.CAMERA_LOOK.of(site=SITE, device=CAMERA)

    def say(seq: int, *found: BinLook, device: str = CAMERA) -> None:
        look = CameraLook(device_id=device, boot_epoch=9, seq=seq, bins=found, taken_at_ns=1)
        bench.bus.publish(topic, encode(look))
        bench.runtime.run_for(0.1)

    full = BinLook(bin_id=bins[0], articles=(SeenArticle(gtin=gtin, labels=2),))
    say(1, full)
    say(1, full)
    say(1, full, device="cam-9")
    assert told == []
    say(2, full, BinLook(bin_id="B-99", articles=()))
    assert [(e.bin_id, e.event_id) for e in told] == [(bins[0], f"{CAMERA}/9/2/{bins[0]}")]
    say(1, BinLook(bin_id=bins[0], articles=()))
    say(1, BinLook(bin_id=bins[0], articles=()))
    assert len(told) == 1
    stage = Looks(
        Metrics(),
        EdgeConfig(site_id=SITE, edge_id="A", site_dir=".", data_dir=".", gln=GLN),
        bench.site, bench.runtime.clock, told.extend,
    )  # fmt: skip
    stage.handle([Incoming(topic, b"{", retained=False, received_at_ns=1)])
    assert len(told) == 1


def test_a_level_without_its_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cam-1 is at level 'picture' with the url ''"):
        looking(tmp_path, level="picture")
    with pytest.raises(ConfigError, match="expected one at level picture, none at level sighting"):
        looking(tmp_path / "2", url="http://127.0.0.1:1/")
