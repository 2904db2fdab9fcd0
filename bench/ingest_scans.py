"""Fifty scanners over mosquitto at a steady pace into a real edge agent: scan to its answer.

Each scan counts an article, so each is an event. An answer comes only after the commit with
synchronous=FULL that holds the event, the session and the answer itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from bench.ingest_load import TURN_S, running
from bench.machine import NS_PER_MS, seconds_since
from bench.mqtt_links import Link, Links
from edge.config import EdgeConfig, ScannerConfig
from runtime.clock import NS_PER_S, Clock
from runtime.config import load_config, to_toml
from stockhelm.bench import BenchError
from stockhelm.demo_site import GLN, SITE_ID, DemoSite
from wire.codec import decode, encode
from wire.messages import DeviceScan, ScanFeedback
from wire.topics import DEVICE_FEEDBACK, DEVICE_SCAN

SCANNERS: Final = 50
READY_S_MAX: Final = 30.0
ASK_AGAIN_S: Final = 0.5
ANSWERS_S_MAX: Final = 30.0


class Scanners:
    """The scanners of one edge; their scans are numbered, and timed from when each was due."""

    def __init__(self, demo: DemoSite, port: int, clock: Clock) -> None:
        edge = demo.edges[-1]
        stock = next(row for row in demo.site.opening if demo.site.bins[row.bin_id].edge_id == edge)
        self._article = f"]C101{stock.gtin}30{stock.units}"
        self._opening = ("]C191SH-COUNT", f"]C1414{GLN}254{stock.bin_id}")
        self._clock = clock
        self._epoch = clock.now_ns() // 1_000
        self._due_ns: dict[tuple[str, int], int] = {}
        self.late_ms: list[float] = []
        self.refused: list[ScanFeedback] = []
        self._seq = 0
        self.links = Links(
            [
                Link(
                    name, port=port, tls=None,
                    sends_on=DEVICE_SCAN.of(site=SITE_ID, device=name),
                    hears=DEVICE_FEEDBACK.of(site=SITE_ID, device=name),
                )
                for name in names()
            ]
        )  # fmt: skip

    def open(self) -> None:
        """Let everybody scan command and bin; the first of them asks until the edge is there."""
        begun_ns = self._clock.monotonic_ns()
        first = self.links.links[0]
        while not self.late_ms:
            if seconds_since(self._clock, begun_ns) > READY_S_MAX:
                raise BenchError(f"the edge did not answer within {READY_S_MAX:g} s")
            self._scan(first, self._opening[0])
            self.links.turn(self._hear, ASK_AGAIN_S)
        self._due_ns.clear()  # what was asked before the edge was there is never answered
        for text in self._opening:
            for link in self.links.links:
                self._scan(link, text)
            self._settle()
        if self.refused:
            raise BenchError(f"the first scans: {self.refused[0].text}")
        self.late_ms.clear()

    def count(self, scans: int, *, per_s: float) -> None:
        """Let everybody count in turn, at a steady pace; return when all is answered."""
        begun_ns = self._clock.monotonic_ns()
        for number in range(scans):
            due_ns = begun_ns + round(number * NS_PER_S / per_s)
            while (left_ns := due_ns - self._clock.monotonic_ns()) > 0:
                self.links.turn(self._hear, left_ns / NS_PER_S)
            self._scan(self.links.links[number % SCANNERS], self._article, due_ns)
        self._settle()

    def _scan(self, link: Link, text: str, due_ns: int = 0) -> None:
        self._seq += 1
        message = DeviceScan(
            device_id=link.name, boot_epoch=self._epoch, seq=self._seq, text=text,
            scanned_at_ns=self._clock.now_ns(),
        )  # fmt: skip
        self._due_ns[link.name, self._seq] = due_ns or self._clock.monotonic_ns()
        link.publish(encode(message))

    def _hear(self, link: Link, payload: bytes) -> None:
        told = decode(payload, ScanFeedback)
        due_ns = self._due_ns.pop((link.name, told.seq), None)
        if due_ns is None:
            return
        self.late_ms.append((self._clock.monotonic_ns() - due_ns) / NS_PER_MS)
        if not told.ok:
            self.refused.append(told)

    def _settle(self) -> None:
        """Wait until all is answered."""
        begun_ns = self._clock.monotonic_ns()
        while self._due_ns and seconds_since(self._clock, begun_ns) < ANSWERS_S_MAX:
            self.links.turn(self._hear, TURN_S)
        if self._due_ns:
            raise BenchError(f"{len(self._due_ns)} scans were not answered")


def names() -> list[str]:
    """Return the scanners' names."""
    return [f"bench-scan-{number}" for number in range(SCANNERS)]


@contextmanager
def edge_running(demo: DemoSite, directory: Path) -> Iterator[None]:
    """Run the agent of the demo's last edge, with these scanners alone, on a new database."""
    file = demo.config(f"edge-{demo.edges[-1]}")
    rows = tuple(ScannerConfig(device_id=name, person_id=name) for name in names())
    config = msgspec.structs.replace(
        load_config(file, EdgeConfig), scanners=rows, cameras=(), drones=(), smart_cameras=(),
        data_dir=str(directory),
    )  # fmt: skip
    own = directory / "edge.toml"
    directory.mkdir(parents=True, exist_ok=True)
    own.write_text(to_toml(config))
    with running("stockhelm", "edge", "run", "--config", str(own)) as process:
        stop = partial(process.terminate)
        try:
            yield
        finally:
            stop()
