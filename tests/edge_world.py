"""One edge agent in virtual time, with its devices, its broker and somebody in central's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.agent import EdgeAgent, build_edge
from edge.config import EdgeConfig, ScannerConfig
from runtime.bus import Bus, BusOptions, Incoming
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.ports import Port
from runtime.runtime import Runtime
from runtime.virtual import VirtualRuntime
from wire.codec import decode, encode
from wire.messages import (
    DeviceScan,
    JournalAck,
    JournalBatch,
    Message,
    Movement,
    PersonTask,
    PersonTasks,
    ScanFeedback,
    StockEvent,
)
from wire.site import ArticleRow, BinRow, NodeRow, OpeningRow, PersonRow, RobotRow, write_rows
from wire.topics import (
    DEVICE_FEEDBACK,
    DEVICE_SCAN,
    EDGE_COMMAND,
    JOURNAL,
    JOURNAL_ACK,
    PERSON_TASKS,
)

SITE = "FC1"
GLN = "4049111000000"
MUG = "04006381333931"
PEN = "04012345678901"
BINS = ("DOCK-1", "A-01", "A-02", "A-03")
FOREIGN_BIN = "B-01"


def bin_label(bin_id: str, gln: str = GLN) -> str:
    return f"]C1414{gln}254{bin_id}"


def article_label(gtin: str = MUG, units: int = 1) -> str:
    return f"]C101{gtin}30{units}"


def command_label(name: str) -> str:
    return f"]C191SH-{name}"


def task(kind: str = "pick", units: int = 5, **fields: Any) -> PersonTask:
    """Return a task: five mugs from A-01 into tote O1, where nothing else is said."""
    values: dict[str, Any] = {
        "task_id": "T1",
        "kind": kind,
        "gtin": MUG,
        "units": units,
        "from_place": "bin:A-01",
        "to_place": "tote:O1",
    }
    return PersonTask(**(values | fields))


def write_site(directory: Path) -> Path:
    """Write a site of two edges: four bins of A with 20 mugs and 10 pens, one bin of B."""
    bins = [
        BinRow(bin_id=b, edge_id="A", kind="dock" if "DOCK" in b else "reserve",
               x_m=0, y_m=0, z_m=0, node_id="N1")
        for b in BINS
    ]  # fmt: skip
    bins.append(
        BinRow(bin_id=FOREIGN_BIN, edge_id="B", kind="pick", x_m=0, y_m=0, z_m=0, node_id="N1")
    )
    articles = [
        ArticleRow(gtin=g, sku=n, name=n, case_units=1, price_cents=1, supplier_id="S1")
        for g, n in ((MUG, "mug"), (PEN, "pen"))
    ]
    opening = [
        OpeningRow(bin_id="A-01", gtin=MUG, units=20),
        OpeningRow(bin_id="A-02", gtin=PEN, units=10),
        OpeningRow(bin_id=FOREIGN_BIN, gtin=MUG, units=7),
    ]
    people = [
        PersonRow(person_id="P1", name="Ann", edge_id="A", roles="pick"),
        PersonRow(person_id="P2", name="Ben", edge_id="A", roles="pick"),
    ]
    robots = [RobotRow(manufacturer="acme", serial="agv-1", node_id="N1")]
    directory.mkdir(parents=True, exist_ok=True)
    nodes = [NodeRow(node_id="N1", x_m=0, y_m=0)]
    texts = {
        "bins.csv": write_rows(bins, BinRow),
        "articles.csv": write_rows(articles, ArticleRow),
        "nodes.csv": write_rows(nodes, NodeRow),
        "opening.csv": write_rows(opening, OpeningRow),
        "people.csv": write_rows(people, PersonRow),
        "robots.csv": write_rows(robots, RobotRow),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def edge_config(directory: Path, *scanners: ScannerConfig, **fields: Any) -> EdgeConfig:
    """Return the configuration of edge A over files in `directory`."""
    values: dict[str, Any] = {
        "site_id": SITE,
        "edge_id": "A",
        "site_dir": str(write_site(directory / "site")),
        "data_dir": str(directory / "data"),
        "gln": GLN,
        "scanners": scanners or (ScannerConfig(device_id="mqtt-1", person_id="P1"),),
    }
    return EdgeConfig(**(values | fields))


class Central:
    """Whoever stands in central's place: keeps what the edge sends, acknowledges when told to."""

    def __init__(self, runtime: Runtime, *, acknowledges: bool = True, host_port: int = 0) -> None:
        self.acknowledges = acknowledges
        self.rows: dict[tuple[int, int], StockEvent] = {}
        self.watermark: dict[int, int] = {}
        self.batches: list[JournalBatch] = []
        options = BusOptions(client_id="central", port=host_port or 1883)
        self.bus: Bus = runtime.bus(options)
        self.lane: Lane = runtime.lane("central")
        self.bus.subscribe(JOURNAL.any(site=SITE), self.lane, self._handle)
        self.bus.start()

    @property
    def events(self) -> list[StockEvent]:
        """Return what the edge told, each row once, in order."""
        return [self.rows[key] for key in sorted(self.rows)]

    def _handle(self, messages: list[Incoming]) -> None:
        for message in messages:
            batch = decode(message.payload, JournalBatch)
            self.batches.append(batch)
            mark = self.watermark.get(batch.epoch, 0)
            if batch.first_seq <= mark + 1:
                for n, event in enumerate(batch.events, start=batch.first_seq):
                    self.rows.setdefault((batch.epoch, n), event)
                mark = max(mark, batch.first_seq + len(batch.events) - 1)
            self.watermark[batch.epoch] = mark
            if self.acknowledges:
                self.acknowledge(batch.epoch)

    def acknowledge(self, epoch: int) -> None:
        ack = JournalAck(edge_id="A", epoch=epoch, watermark_seq=self.watermark[epoch])
        self.bus.publish(JOURNAL_ACK.of(site=SITE, edge="A"), encode(ack))

    def tell_tasks(self, *tasks: PersonTask, person_id: str = "P1") -> None:
        told = PersonTasks(person_id=person_id, tasks=tasks)
        topic = PERSON_TASKS.of(site=SITE, person=person_id)
        self.bus.publish(topic, encode(told), retain=True)

    def command(self, message: Message) -> None:
        self.bus.publish(EDGE_COMMAND.of(site=SITE, edge="A"), encode(message))


class MqttScanner:
    """A scanner over MQTT that keeps its answers."""

    def __init__(self, runtime: Runtime, device_id: str = "mqtt-1", port: int = 1883) -> None:
        self.device_id = device_id
        self.answers: list[ScanFeedback] = []
        self.bus = runtime.bus(BusOptions(client_id=device_id, port=port))
        self._lane = runtime.lane(device_id)
        topic = DEVICE_FEEDBACK.of(site=SITE, device=device_id)
        self.bus.subscribe(topic, self._lane, self._hear)
        self.bus.start()
        self.seq = 0

    def _hear(self, messages: list[Incoming]) -> None:
        self.answers += [decode(message.payload, ScanFeedback) for message in messages]

    def publish(self, payload: bytes) -> None:
        self.bus.publish(DEVICE_SCAN.of(site=SITE, device=self.device_id), payload)

    def scan(self, text: str, *, seq: int = 0, epoch: int = 1) -> None:
        self.seq = seq or self.seq + 1
        message = DeviceScan(
            device_id=self.device_id, boot_epoch=epoch, seq=self.seq, text=text, scanned_at_ns=1
        )
        self.publish(encode(message))


class SerialDevice:
    """The device's end of a serial scanner that keeps the bytes that come back."""

    def __init__(self, runtime: Runtime, path: str) -> None:
        self.heard = b""
        lane = runtime.lane(path)
        self.port: Port = runtime.ports.create(path, lane, self._hear)

    def _hear(self, chunks: list[tuple[bytes, int]]) -> None:
        self.heard += b"".join(data for data, _ in chunks)

    def send(self, data: bytes) -> None:
        self.port.write(data)

    def scan(self, *texts: str) -> None:
        self.send("".join(text + "\r\n" for text in texts).encode())


class EdgeWorld:
    """An edge agent A in virtual time, opened on a real SQLite file."""

    def __init__(self, directory: Path, *scanners: ScannerConfig, **fields: Any) -> None:
        self.runtime = VirtualRuntime()
        self.metrics = Metrics()
        self.config = edge_config(directory, *scanners, **fields)
        self.central = Central(self.runtime)
        self.agent: EdgeAgent = build_edge(self.runtime, self.metrics, self.config)
        self.scanner = MqttScanner(self.runtime)

    def start(self) -> EdgeWorld:
        self.agent.start()
        self.run()
        return self

    def run(self, seconds: float = 0.5) -> None:
        self.runtime.run_for(seconds)

    def tell_tasks(self, *tasks: PersonTask) -> None:
        self.central.tell_tasks(*tasks)
        self.run()

    def scan(self, *texts: str) -> ScanFeedback:
        """Scan one after the other; return the last answer."""
        for text in texts:
            self.scanner.scan(text)
            self.run()
        return self.scanner.answers[-1]

    def restart(self) -> None:
        """End the agent without a goodbye, as kill -9 does, and start another on its files."""
        self.agent.store.close()
        self.runtime.broker.fail()
        self.runtime = VirtualRuntime()
        self.metrics = Metrics()
        before, self.central = self.central, Central(self.runtime)
        self.central.rows, self.central.watermark = before.rows, before.watermark
        self.agent = build_edge(self.runtime, self.metrics, self.config)
        self.scanner = MqttScanner(self.runtime)
        self.start()

    def book(self, place: str, gtin: str = MUG) -> int:
        query = "SELECT units FROM counts WHERE place = ? AND gtin = ?"
        row = self.agent.store.db.execute(query, (place, gtin)).fetchone()
        return int(row[0]) if row else 0

    def counter(self, name: str) -> int:
        return self.metrics.snapshot().counters.get(name, 0)

    def movements(self) -> list[Movement]:
        """Return the movements that central has, without the opening stock."""
        return [
            event
            for event in self.central.events
            if isinstance(event, Movement) and event.reason != "opening"
        ]
