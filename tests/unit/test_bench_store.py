"""The benches of stores and ingest on small sizes: real files, a real broker, real processes."""

from __future__ import annotations

import io
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from bench import ingest, store, store_sizes
from bench.ingest_load import Ingest, Kind, TwoDoors, syncs_beside
from bench.ingest_scans import SCANNERS, Scanners, edge_running
from bench.store_apply import central_per_s, edge_per_s
from central.ledger.segments import close_segment
from central.ledger.verify import verify_ledger
from central.store import open_engine
from runtime.clock import SystemClock
from stockhelm.bench import Bench
from stockhelm.benches import BENCHES
from stockhelm.broker import BrokerConfig, find_mosquitto, free_port

CLOCK = SystemClock()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(console=Console(file=io.StringIO()), clock=CLOCK, directory=tmp_path)


def test_both_benches_are_known() -> None:
    assert {"store", "ingest"} <= BENCHES.keys()
    assert callable(store.run)
    assert callable(ingest.run)


def test_ours_and_plain_sqlite_write_the_same_rows(tmp_path: Path) -> None:
    assert min(central_per_s(tmp_path, CLOCK, batch=200, batches=3)) > 0
    assert min(edge_per_s(tmp_path, CLOCK, batch=200, batches=3)) > 0
    for ours, peer, table, sums in (
        ("central.db", "bare-central.db", "movement", "balance"),
        ("edge.db", "bare-edge.db", "journal", "counts"),
    ):
        assert _rows(tmp_path / ours, table) == _rows(tmp_path / peer, table)
        assert _rows(tmp_path / ours, sums) == _rows(tmp_path / peer, sums)


def test_a_larger_ledger_is_measured_beside_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_sizes, "BATCHES", 2)
    large, small = (store_sizes.filled(tmp_path, items) for items in (12_000, 1_000))
    insert, look_up = store_sizes.microseconds(large, small, CLOCK)
    assert min(*insert, *look_up) > 0
    assert {*tmp_path.iterdir()} == {large.path, small.path}


def test_a_filled_ledger_is_whole_and_has_no_work_waiting(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{store_sizes.filled(tmp_path, 12_000).path}")
    report = verify_ledger(engine)
    with engine.begin() as conn:
        waits = close_segment(conn)
    engine.dispose()
    assert report.balanced, report.text()
    assert report.movements == 12_000
    assert not waits, "an insert would be measured together with a segment of known movements"


@pytest.mark.soak
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_journals_and_scans_are_acknowledged(bench: Bench) -> None:
    config = BrokerConfig(directory=str(bench.directory / "broker"), port=free_port())
    with TwoDoors(config, free_port(), CLOCK) as broker:
        load = Ingest(bench, broker)
        assert load.events_per_s(Kind(devices=3, rows_each=10, events=90, with_tls=True)) > 0
        scanners = Scanners(load.demo, broker.port, CLOCK)
        with closing(scanners.links), edge_running(load.demo, bench.directory / "edge"):
            scanners.open()
            with syncs_beside(bench.directory) as syncs:
                scanners.count(2 * SCANNERS, per_s=500.0)
    assert len(scanners.late_ms) == 2 * SCANNERS
    assert scanners.refused == []
    assert syncs
    shutil.rmtree(bench.directory / "demo")


def _rows(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
