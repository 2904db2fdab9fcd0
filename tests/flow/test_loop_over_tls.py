"""Edge, central, desk and a scanner as enrolled, over TLS: nothing they need is denied."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from central.agent import build_central
from central.config import DeskConfig
from central.desk.service import build_desk
from edge.agent import build_edge
from runtime.broker_link import BrokerConfig, bus_options
from runtime.bus import Incoming, Will
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from stockhelm.broker import free_port
from tests.edge_world import MUG, SITE, article_label, bin_label, command_label
from tests.enrolled import Guarded, guarded
from tests.faults.site import central_config, edge_config
from wire.codec import decode, encode
from wire.messages import DeviceScan, DeviceStatus, ScanFeedback
from wire.rights import Kind
from wire.topics import DEVICE_FEEDBACK, DEVICE_SCAN, DEVICE_STATUS

WAIT_S = 15.0
LABELS = (command_label("COUNT"), bin_label("A-01"), article_label(MUG, 20))


@dataclass
class Site:
    """A guarded broker, and everybody on it in a runtime of their own."""

    broker: Guarded
    folder: Path
    stack: ExitStack

    def runtime(self) -> LiveRuntime:
        made = LiveRuntime()
        self.stack.callback(made.close)
        return made

    def link(self, name: str) -> BrokerConfig:
        """Return how `name` reaches the broker: by certificate, or by password where it has one."""
        password = self.broker.ring.issued_file(name, "password")
        config = self.broker.process.config
        if password.exists():
            return BrokerConfig(
                host="localhost", port=config.password_port, username=name,
                password_file=str(password), tls=self.broker.tls(),
            )  # fmt: skip
        return BrokerConfig(host="localhost", port=config.port, tls=self.broker.tls(name))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with guarded(tmp_path) as broker, ExitStack() as stack:
        broker.enrol("scanner-1", Kind.SCANNER)
        broker.enrol("A", Kind.EDGE, by="password")
        broker.enrol("central", Kind.CENTRAL)
        broker.enrol("desk", Kind.DESK)
        broker.process.follow_keys()
        yield Site(broker, tmp_path, stack)


def test_a_scan_goes_all_the_way_over_tls(site: Site) -> None:
    with capture_logs() as logs:
        central_metrics, edge_metrics = Metrics(), Metrics()
        central = build_central(
            site.runtime(), central_metrics,
            replace(central_config(site.folder), broker=site.link("central")),
        )  # fmt: skip
        site.stack.callback(central.engine.dispose)
        central.start()
        site.stack.callback(central.stop)
        edge = build_edge(
            site.runtime(), edge_metrics,
            replace(edge_config(site.folder, ("scanner-1",)), broker=site.link("A")),
        )  # fmt: skip
        edge.start()
        site.stack.callback(edge.stop)
        desk = build_desk(
            site.runtime(), Metrics(),
            DeskConfig(
                site_id=SITE, site_dir=str(site.folder / "site"), data_dir=str(site.folder),
                database_url=central_config(site.folder).url(), port=free_port(),
                broker=site.link("desk"),
            ),
        )  # fmt: skip
        desk.start()
        site.stack.callback(desk.stop)

        answers = scan(site, LABELS)
        assert [answer.code for answer in answers] == ["next", "next", "counted"]
        assert until(lambda: central_metrics.snapshot().counters.get("events_applied", 0) >= 2)
        assert until(lambda: edge_metrics.snapshot().counters.get("events_acknowledged", 0) >= 2)
    assert [row for row in logs if "refused" in str(row.get("event"))] == []


def scan(site: Site, labels: tuple[str, ...]) -> list[ScanFeedback]:
    """Scan one label after the other, each until it is answered; return the answers."""
    runtime = site.runtime()
    lane, answered = runtime.lane("scanner"), threading.Event()
    answers: list[ScanFeedback] = []
    parts = {"site": SITE, "device": "scanner-1"}

    def hear(messages: list[Incoming]) -> None:
        answers.extend(decode(message.payload, ScanFeedback) for message in messages)
        answered.set()

    status = DeviceStatus(
        device_id="scanner-1", kind="scanner", online=False, boot_epoch=1, changed_at_ns=1
    )
    will = Will(topic=DEVICE_STATUS.of(**parts), payload=encode(status))
    bus = runtime.bus(bus_options(site.link("scanner-1"), "whatever-it-says", will=will))
    bus.subscribe(DEVICE_FEEDBACK.of(**parts), lane, hear)
    bus.start()
    site.stack.callback(bus.stop)
    for seq, text in enumerate(labels, start=1):
        message = DeviceScan(
            device_id="scanner-1", boot_epoch=1, seq=seq, text=text,
            scanned_at_ns=runtime.clock.now_ns(),
        )  # fmt: skip
        for _ in range(round(WAIT_S)):
            bus.publish(DEVICE_SCAN.of(**parts), encode(message))
            if answered.wait(1.0):
                break
        answered.clear()
    return answers


def until(holds: Callable[[], bool]) -> bool:
    ticks = threading.Event()
    return any(holds() or ticks.wait(0.05) for _ in range(round(WAIT_S / 0.05)))
