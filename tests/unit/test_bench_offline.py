"""The bench of a day without central, on minutes instead of hours: real sessions, a real file."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from bench import offline
from edge.counting.verify import verify_counts
from runtime.clock import SystemClock
from runtime.store import open_database
from stockhelm.bench import Bench
from stockhelm.benches import BENCHES


def test_every_scan_of_the_bench_is_answered_and_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "HOUR_S", 30)
    bench = Bench(console=Console(quiet=True), clock=SystemClock(), directory=tmp_path, full=False)
    rows = {row.what: row for row in offline.run(bench)}
    assert rows["scans in 3 hours without central"].ours == 3 * 30 * offline.SCANS_PER_S
    assert rows["events lost of these"].met
    assert rows["file of the edge"].ours > 0
    db = open_database(tmp_path / "edge.db")
    assert verify_counts(db) == []
    (events,) = db.execute("SELECT count(*) FROM journal").fetchone()
    assert events == pytest.approx(1_800 * offline.AT_A_BIN / (offline.AT_A_BIN + 1), abs=30)
    db.conn.close()
    assert "offline" in BENCHES
