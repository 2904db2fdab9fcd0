"""`stockhelm bench ingest`: events over mosquitto into central's ledger, and scans to answers."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.ingest_load import Ingest, Kind, TwoDoors, syncs_beside
from bench.ingest_scans import Scanners, edge_running
from bench.loop import percentiles
from stockhelm.bench import Bench, Row, at_least, at_most, beside, figure
from stockhelm.broker import BrokerConfig, free_port

RUNS: Final = 3
PER_S: Final = 1_000.0
SCANS: Final = 5_000
SYNCS_MAX: Final = 2.0
EVENTS_PER_S: Final = 40_000.0
PLAIN: Final = Kind()
PACED: Final = replace(PLAIN, rows_each=1, events=5_000)
KINDS: Final = {
    "batches": PLAIN,
    "one event per message": replace(PLAIN, rows_each=1, events=10_000),
    "without a database": replace(PLAIN, with_database=False),
    "500 devices": replace(PLAIN, devices=500),
    "TLS": replace(PLAIN, with_tls=True),
}
SINGLE: Final = "the same, one event per message"
BARE: Final = "the same without a database"
FIFTY: Final = "the same with 50 devices"
OPEN: Final = "the same without TLS"
SYNC: Final = "fdatasync of 4 KiB beside it, in a process of its own"


def run(bench: Bench) -> list[Row]:
    """Return the figures, medians of three; the kinds take turns."""
    config = BrokerConfig(directory=str(bench.directory / "broker"), port=free_port())
    with (
        TwoDoors(config, free_port(), bench.clock) as broker,
        Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
            console=bench.console,
        ) as progress,
    ):  # fmt: skip
        ingest = Ingest(bench, broker)
        bar = progress.add_task("journals", total=RUNS * len(KINDS))
        found: dict[str, list[float]] = {name: [] for name in KINDS}
        for _ in range(RUNS):
            for name, kind in KINDS.items():
                progress.update(bar, description=f"journals: {name}")
                found[name].append(ingest.events_per_s(kind))
                progress.advance(bar)
        speed = {name: median(speeds) for name, speeds in found.items()}
        progress.update(bar, description="journals")
        bar = progress.add_task(f"scans at {PER_S:g}/s", total=RUNS)
        paced = []
        for number in range(RUNS):
            paced.append(_paced(bench, ingest, bench.directory / f"edge-{number}"))
            progress.advance(bar)
        bar = progress.add_task(f"events at {PER_S:g}/s", total=1)
        with syncs_beside(bench.directory) as syncs:
            at_central = ingest.latencies_ms(PACED, per_s=PER_S)
        progress.advance(bar)
    return [*_speeds(speed), *_latencies(paced), *_at_central(at_central, syncs)]


def _speeds(speed: dict[str, float]) -> list[Row]:
    ours = speed["batches"]
    unit = "events/s"
    return [
        at_least("50 devices, batches of 100, FULL", unit, ours, goal=EVENTS_PER_S),
        beside("beside one event per message", unit, ours,
               peer=speed["one event per message"], peer_name=SINGLE, share_min=1.5),
        beside("beside no database", unit, ours,
               peer=speed["without a database"], peer_name=BARE, share_min=0.7),
        beside("500 devices", unit, speed["500 devices"], peer=ours, peer_name=FIFTY,
               share_min=0.7),
        figure("50 devices over TLS", unit, speed["TLS"], peer=ours, peer_name=OPEN),
    ]  # fmt: skip


Paced = tuple[list[float], list[float]]
"""(milliseconds from scan to answer, milliseconds of an fdatasync at the same time)."""


def _paced(bench: Bench, ingest: Ingest, directory: Path) -> Paced:
    scanners = Scanners(ingest.demo, ingest.broker.port, bench.clock)
    with closing(scanners.links), edge_running(ingest.demo, directory):
        scanners.open()
        with syncs_beside(bench.directory) as syncs:
            scanners.count(SCANS, per_s=PER_S)
    return scanners.late_ms, syncs


def _latencies(paced: list[Paced]) -> list[Row]:
    """Return the rows of the run whose p99 is the middle one."""
    ours, syncs = sorted(paced, key=lambda one: percentiles(one[0])[1])[RUNS // 2]
    (p50, p99), (sync_p50, sync_p99) = percentiles(ours), percentiles(syncs)
    what = f"scan to acknowledged (the edge's answer) at {PER_S:g}/s"
    return [
        figure(f"{what}, p50", "ms", p50, peer=sync_p50, peer_name=SYNC),
        at_most(f"{what}, p99", "ms", p99, goal=SYNCS_MAX * sync_p99, peer=sync_p99,
                peer_name=SYNC),
    ]  # fmt: skip


def _at_central(late_ms: list[float], syncs: list[float]) -> list[Row]:
    """Return the rows of the other acknowledgement: central's, that it has an event for good."""
    ours, beside_it = percentiles(late_ms), percentiles(syncs)
    what = f"event to central's acknowledgement at {PER_S:g}/s"
    return [
        figure(f"{what}, {name}", "ms", late, peer=sync, peer_name=SYNC)
        for name, late, sync in zip(("p50", "p99"), ours, beside_it, strict=True)
    ]
