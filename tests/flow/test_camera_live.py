"""A fixed camera over real HTTP: pictures fetched, decoded and told, and trouble survived."""

from __future__ import annotations

import socket
import threading

from edge.config import CameraConfig, EdgeConfig
from edge.vision.service import VisionService
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from sim_hardware.config import SimCamera
from sim_hardware.devices.camera import FixedCamera
from stockhelm.broker import free_port
from tests.rack import GLN, Rack, gtin, rack_site
from wire.messages import BinSighted

BINS = ("A-01-01-1", "A-01-02-1")


def test_a_camera_that_appears_late_is_read_over_http() -> None:
    site = rack_site()
    rack = Rack(site, {BINS[0]: {gtin(0): 5, gtin(1): 12}})
    url = f"http://127.0.0.1:{free_port()}/camera-1.jpg"
    runtime = LiveRuntime(1)
    try:
        floor, lane = runtime.lane("floor"), runtime.lane("vision")
        config = SimCamera(camera_id="camera-1", url=url, bins=BINS)
        camera = FixedCamera(runtime, floor, rack, config, GLN)
        edge = EdgeConfig(
            site_id="FC1", edge_id="A", site_dir="", data_dir="", gln=GLN,
            cameras=(CameraConfig(camera_id="camera-1", url=url, period_s=0.05),),
        )  # fmt: skip
        told: list[BinSighted] = []
        service = VisionService(runtime, Metrics(), edge, site, lane, told.extend)
        assert runtime.run_on(lane, service.start)
        for _ in range(100):
            if service.status()[0].errors or runtime.wait(0.05):
                break
        assert "no picture" in service.status()[0].reason
        assert runtime.run_on(floor, camera.start)
        for _ in range(200):
            if len(told) >= len(BINS) or runtime.wait(0.05):
                break
        assert runtime.crash is None
        assert {e.bin_id: {a.gtin for a in e.articles} for e in told} == {
            BINS[0]: {gtin(0), gtin(1)},
            BINS[1]: set(),
        }
        assert runtime.run_on(lane, service.stop)
        assert runtime.run_on(floor, camera.stop)
    finally:
        runtime.close()


def test_a_camera_that_speaks_no_http_is_asked_again() -> None:
    answers = [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\npicture"]
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4_096)
                connection.sendall(answer)

    serving = threading.Thread(target=serve)
    serving.start()
    runtime = LiveRuntime(1)
    said: list[bytes | str] = []
    try:
        lane = runtime.lane("camera")
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/a.jpg"
        source = runtime.frames.open(url, lane)
        for number in (1, 2):
            assert source.request(lambda picture, _at_ns: said.append(picture), said.append)
            for _ in range(200):
                if len(said) == number or runtime.wait(0.05):
                    break
    finally:
        runtime.close()
        serving.join(5)
        listening.close()
    assert said == [f"{url}: no picture: SSH-2.0-OpenSSH_9\r\n", b"picture"]
