"""Journals of many edges over mosquitto into central's keeper, as fast as they are acknowledged.

Each device keeps a window of batches on its way, as the outbox does, and sends the next one when
central has acknowledged: after its commit, synchronous=FULL.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from bench.events import Places, batches_of, movements
from bench.machine import seconds_since
from bench.mqtt_links import Link, Links
from central.config import CentralConfig
from edge.outbox import BATCHES_IN_FLIGHT_MAX
from runtime.bus import TlsFiles
from runtime.clock import NS_PER_S, Clock
from runtime.config import load_config, to_toml
from runtime.mqtt import tls_context
from stockhelm.bench import Bench, BenchError
from stockhelm.broker import BrokerConfig, BrokerProcess, free_port
from stockhelm.certificates import Authority, make_authority
from stockhelm.demo_site import SITE_ID, DemoSite, Ports, write_demo
from stockhelm.dies_with_parent import with_parent
from wire.codec import decode, encode
from wire.messages import EVENTS_PER_BATCH_MAX, JournalAck
from wire.topics import JOURNAL, JOURNAL_ACK

SEED: Final = 7
SINGLES_IN_FLIGHT_MAX: Final = 64
"""A window of single events is wider: eight would leave everybody waiting."""
TURN_S: Final = 0.05
DEVICES_MAX: Final = 500
BINS_EACH: Final = 8
DONE_S_MAX: Final = 300.0
READY: Final = b"ready"


@dataclass(slots=True)
class Journal:
    """What one device has to send, and how far it is."""

    link: Link
    payloads: Sequence[bytes]
    rows_each: int
    window: int
    sent: int = 0
    acknowledged: int = 0
    sent_ns: list[int] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Return whether all is acknowledged."""
        return self.acknowledged >= len(self.payloads)

    def send(self) -> None:
        """Send as much as the window takes."""
        while self.sent < min(len(self.payloads), self.acknowledged + self.window):
            self.link.publish(self.payloads[self.sent])
            self.sent += 1

    def hear(self, payload: bytes) -> None:
        """Take an acknowledgement."""
        rows = decode(payload, JournalAck).watermark_seq
        self.acknowledged = max(self.acknowledged, rows // self.rows_each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of run."""

    devices: int = 50
    rows_each: int = EVENTS_PER_BATCH_MAX
    events: int = 50_000
    with_database: bool = True
    with_tls: bool = False


class TwoDoors(BrokerProcess):
    """The broker with a second listener that speaks TLS, to whoever comes from this machine."""

    def __init__(self, config: BrokerConfig, tls_port: int, clock: Clock) -> None:
        super().__init__(config)
        self.tls_port = tls_port
        self.ca = Path(config.directory) / "ca.crt"
        self._now_ns = clock.now_ns()

    def _command(self, directory: Path) -> list[str]:
        command = super()._command(directory)
        made = make_authority(self._now_ns, days=2)
        server = Authority(made.certificate, made.key).issue(
            "broker", unit="broker", hosts=("localhost",), now_ns=self._now_ns, days=1
        )
        for name, data in (
            ("ca.crt", made.certificate), ("server.crt", server.certificate),
            ("server.key", server.key),
        ):  # fmt: skip
            (directory / name).write_bytes(data)
        with (directory / "mosquitto.conf").open("a") as settings:
            settings.write(
                f"listener {self.tls_port} 127.0.0.1\ncertfile {directory}/server.crt\n"
                f"keyfile {directory}/server.key\n"
            )
        return command


class Ingest:
    """The broker, the site, and runs against fresh databases."""

    def __init__(self, bench: Bench, broker: TwoDoors) -> None:
        self.broker = broker
        self._bench = bench
        self._clock = bench.clock
        ports = Ports(broker=broker.port, desk=free_port(), pictures=free_port())
        self.demo: DemoSite = write_demo(
            bench.directory / "demo", seed=SEED, speed=1.0, ports=ports, sales=None
        )
        # The site's own people are sent home: the scanners are somebody else's.
        (self.demo.directory / "site" / "people.csv").unlink()
        self._gtins = list(self.demo.site.articles)
        _give_bins(self.demo.directory / "site" / "bins.csv")
        self._made: dict[tuple[int, int, int], list[list[bytes]]] = {}

    def events_per_s(self, kind: Kind) -> float:
        """Return how many events a second were acknowledged."""
        payloads = self._payloads(kind)
        with self._central(kind), self._links(kind) as links:
            window = BATCHES_IN_FLIGHT_MAX if kind.rows_each > 1 else SINGLES_IN_FLIGHT_MAX
            journals = {
                link: Journal(link, own, kind.rows_each, window)
                for link, own in zip(links.links, payloads, strict=True)
            }
            begun_ns = self._clock.monotonic_ns()
            for journal in journals.values():
                journal.send()
            left = set(journals)

            def hear(link: Link, payload: bytes) -> None:
                journal = journals[link]
                journal.hear(payload)
                journal.send()
                if journal.is_done:
                    left.discard(link)

            while left:
                links.turn(hear, TURN_S)
                if seconds_since(self._clock, begun_ns) > DONE_S_MAX:
                    raise BenchError(f"{len(left)} of {kind} were not done in {DONE_S_MAX:g} s")
            seconds = seconds_since(self._clock, begun_ns)
        return sum(map(len, payloads)) * kind.rows_each / seconds

    def latencies_ms(self, kind: Kind, *, per_s: float) -> list[float]:
        """Return how long each event took from its sending to its acknowledgement."""
        payloads = self._payloads(kind)
        found: list[float] = []
        with self._central(kind), self._links(kind) as links:
            journals = {
                link: Journal(link, own, 1, len(own))
                for link, own in zip(links.links, payloads, strict=True)
            }

            def hear(link: Link, payload: bytes) -> None:
                journal = journals[link]
                before, now_ns = journal.acknowledged, self._clock.monotonic_ns()
                journal.hear(payload)
                found.extend(
                    (now_ns - sent_ns) / 1e6
                    for sent_ns in journal.sent_ns[before : journal.acknowledged]
                )

            plan = [journal for turn in zip(*([j] * len(j.payloads) for j in journals.values()),
                                            strict=True) for journal in turn]  # fmt: skip
            begun_ns = self._clock.monotonic_ns()
            for number, journal in enumerate(plan):
                due_ns = begun_ns + round(number * NS_PER_S / per_s)
                while (left_ns := due_ns - self._clock.monotonic_ns()) > 0:
                    links.turn(hear, left_ns / NS_PER_S)
                journal.sent_ns.append(due_ns)  # from when it should have gone: no coy waiting
                journal.link.publish(journal.payloads[journal.sent])
                journal.sent += 1
            while len(found) < len(plan):
                links.turn(hear, TURN_S)
                if seconds_since(self._clock, begun_ns) > DONE_S_MAX:
                    raise BenchError(f"{len(plan) - len(found)} events were never acknowledged")
        return found

    def _payloads(self, kind: Kind) -> list[list[bytes]]:
        """Return the batches of each device, made once."""
        key = (kind.devices, kind.rows_each, kind.events)
        if key not in self._made:
            self._made.clear()
            rows = kind.events // kind.devices
            self._made[key] = [
                [
                    encode(batch)
                    for batch in batches_of(
                        movements(
                            rows, seed=SEED + device, device_id=f"scanner-{device}",
                            places=Places(own_bins(device), self._gtins),
                        ),
                        kind.rows_each, edge_id=f"E{device}",
                    )
                ]
                for device in range(kind.devices)
            ]  # fmt: skip
        return self._made[key]

    @contextmanager
    def _links(self, kind: Kind) -> Iterator[Links]:
        context: ssl.SSLContext | None = None
        port = self.broker.port
        if kind.with_tls:
            context, port = tls_context(TlsFiles(ca=str(self.broker.ca))), self.broker.tls_port
        links = Links(
            [
                Link(
                    f"bench-{device}", port=port, tls=context,
                    sends_on=JOURNAL.of(site=SITE_ID, edge=f"E{device}"),
                    hears=JOURNAL_ACK.of(site=SITE_ID, edge=f"E{device}"),
                )
                for device in range(kind.devices)
            ]
        )  # fmt: skip
        try:
            yield links
        finally:
            links.close()

    @contextmanager
    def _central(self, kind: Kind) -> Iterator[None]:
        """Run central's keeper on a new database until the end of the block."""
        with tempfile.TemporaryDirectory(dir=self._bench.directory) as folder:
            config = load_config(self.demo.config("central"), CentralConfig)
            port = self.broker.tls_port if kind.with_tls else self.broker.port
            link = msgspec.structs.replace(config.broker, port=port)
            file = Path(folder) / "central.toml"
            given = msgspec.structs.replace(config, data_dir=folder, database_url="", broker=link,
                                            drones=())  # fmt: skip
            file.write_text(to_toml(given))
            arguments = [] if kind.with_database else ["--without-database"]
            if kind.with_tls:
                arguments += ["--ca", str(self.broker.ca)]
            with running("bench.ingest_process", str(file), *arguments) as process:
                assert process.stdout is not None, "it is a pipe"
                if READY not in process.stdout.readline():
                    raise BenchError(f"central did not start: see {self._bench.directory}")
                yield


def own_bins(device: int) -> list[str]:
    """Return the bins of a device's edge: of others' it may tell nothing."""
    return [f"E{device:03}-{number}" for number in range(BINS_EACH)]


def _give_bins(file: Path) -> None:
    """Add the bins of the edges that send, at the place of the site's first."""
    first = file.read_text("utf-8").splitlines()[1].split(",")
    rows = [
        ",".join((bin_id, f"E{device}", *first[2:]))
        for device in range(DEVICES_MAX)
        for bin_id in own_bins(device)
    ]
    with file.open("a", encoding="utf-8") as bins:
        bins.writelines(f"{row}\n" for row in rows)


@contextmanager
def running(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module of the benches until the end of the block."""
    root = str(Path(__file__).resolve().parents[1])
    process = subprocess.Popen(
        with_parent([sys.executable, "-m", module, *arguments]), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None, "it is a pipe"
        process.stdin.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def syncs_beside(directory: Path) -> Iterator[list[float]]:
    """Yield a list that holds, after the block, how long an fdatasync took in it, milliseconds."""
    found: list[float] = []
    with running("bench.sync_process", str(directory)) as process:
        assert process.stdin is not None, "it is a pipe"
        assert process.stdout is not None, "it is a pipe"
        if READY not in process.stdout.readline():
            raise BenchError("nothing measures the disk: bench.sync_process did not start")
        yield found
        process.stdin.close()
        found += msgspec.json.decode(process.stdout.read(), type=list[float])
