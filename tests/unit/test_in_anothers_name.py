"""What speaks in another's name on its own topic is refused and counted, and changes nothing."""

from __future__ import annotations

from pathlib import Path

from edge.config import EdgeConfig, SmartCameraConfig
from edge.site import read_site
from edge.vision.looks import Looks
from runtime.bus import Incoming
from runtime.clock import VirtualClock
from runtime.metrics import Metrics
from tests.central_world import SITE, CentralWorld
from tests.edge_world import GLN, write_site
from tests.unit.test_desk_floor import Scene
from wire import messages as m
from wire import topics
from wire.codec import encode


def test_a_supplier_cannot_give_notice_for_another(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    notice = m.SupplierNotice(
        po_id="PO-1", supplier_id="S1", status="arrived", lines=(), at_ns=world.shared.now_ns()
    )
    world.bus.publish(topics.SUPPLIER_NOTICE.of(site=SITE, supplier="S2"), encode(notice))
    world.rt.run_for(1.0)
    counters = world.metrics.snapshot().counters
    assert counters["wire_refused{SupplierNotice}"] == 1
    assert "notices_refused{unknown order}" not in counters
    world.bus.publish(topics.SUPPLIER_NOTICE.of(site=SITE, supplier="S1"), encode(notice))
    world.rt.run_for(1.0)
    assert world.metrics.snapshot().counters["notices_refused{unknown order}"] == 1


def test_a_camera_cannot_look_for_another(tmp_path: Path) -> None:
    metrics = Metrics()
    told: list[m.BinSighted] = []

    cameras = (SmartCameraConfig(camera_id="cam-1"), SmartCameraConfig(camera_id="cam-2"))
    looks = Looks(
        metrics,
        EdgeConfig(
            site_id=SITE, edge_id="A", site_dir=".", data_dir=".", gln=GLN, smart_cameras=cameras
        ),
        read_site(write_site(tmp_path)), VirtualClock(), told.extend,
    )  # fmt: skip
    for seq in (1, 2, 3):
        seen = m.BinLook(bin_id="A-01", articles=())
        look = m.CameraLook(device_id="cam-1", boot_epoch=1, seq=seq, bins=(seen,), taken_at_ns=1)
        topic = topics.CAMERA_LOOK.of(site=SITE, device="cam-2")
        looks.handle([Incoming(topic, encode(look), retained=False, received_at_ns=1)])
    assert told == []
    assert metrics.snapshot().counters == {"vision_ignored{foreign_camera}": 3}


def test_a_device_cannot_say_that_another_is_gone(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    def status(device_id: str, *, online: bool) -> bytes:
        return encode(
            m.DeviceStatus(
                device_id=device_id, kind="scanner", online=online, boot_epoch=1, changed_at_ns=1
            )
        )

    own = topics.DEVICE_STATUS.of(site="FC1", device="scanner-1")
    foreign = topics.DEVICE_STATUS.of(site="FC1", device="scanner-2")
    scene.say(own, status("scanner-1", online=True))
    scene.say(foreign, status("scanner-1", online=False))
    scene.say(topics.EDGE_STATUS.of(site="FC1", edge="B"), status("A", online=True))
    assert scene.metrics.snapshot().counters["wire_refused{status}"] == 2
    assert [device.online for device in scene.floor._devices.values()] == [True]
