"""The disk is full or fails at the n-th write: scans are refused, nothing is half, work goes on."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

import runtime.store
from runtime.store import StoreError
from tests.faults.books import losses
from tests.faults.disk import Operation, failing
from tests.faults.pair import Pair
from tests.faults.summary import survived
from wire.answers import Code

FAULTS: tuple[tuple[str, Operation, int], ...] = (
    ("disk full", "write", apsw.SQLITE_FULL),
    ("write error (EIO)", "write", apsw.SQLITE_IOERR_WRITE),
    ("sync error (EIO)", "sync", apsw.SQLITE_IOERR_FSYNC),
    ("read error (EIO)", "read", apsw.SQLITE_IOERR_READ),
)


@pytest.fixture(autouse=True)
def checkpoints_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.store, "WAL_PAGES_PER_CHECKPOINT", 25)


@pytest.mark.parametrize(
    "nth_max", [12, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(300)])]
)
@pytest.mark.parametrize(("fault", "operation", "code"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_scan_is_refused_while_the_disk_fails_and_booked_once_after(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    operation: Operation,
    code: int,
    nth_max: int,
) -> None:
    """For every n: it fails from the n-th operation on for a while, then the power goes as well."""
    pair = Pair(tmp_path, monkeypatch, seed=5)
    pair.edge_disk.lies_about_failed_syncs = True
    pair.start()
    pair.run(0.5)
    lost: list[str] = []
    refused = 0
    for nth in range(1, nth_max + 1):
        with failing(pair.edge_disk, operation, code, nth=nth) as failed:
            pair.runtime.run_until(lambda failed=failed: bool(failed), 10.0 * (operation != "read"))  # type: ignore[misc]
            pair.run(0.2)
        refused += _refusals(pair)
        pair.run(0.2)
        lost += losses(pair.accepted, pair.edge_books())
        if operation != "read":
            assert failed, f"expected more than {nth} of {operation} in 10 s"
        if nth % 4 == 0:
            pair.end_edge()
            pair.run(0.001)
            pair.edge_disk.power_up(pair.chance)
            pair.start_edge()
            lost += losses(pair.accepted, pair.edge_books())
    lost += pair.settle()
    if operation != "read":
        assert refused >= nth_max
        assert pair.metrics.snapshot().counters["commits_failed"] >= nth_max
    survived(fault, rounds=nth_max, scans=len(pair.accepted), losses=lost)


@pytest.mark.parametrize("nth", range(1, 16, 2))
def test_a_first_start_on_a_full_disk_says_so_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    pair = Pair(tmp_path, monkeypatch, seed=5)
    with (
        failing(pair.edge_disk, "write", apsw.SQLITE_FULL, nth=nth),
        pytest.raises(StoreError, match=r"edge\.db: .*FullError"),
    ):
        pair.start_edge()
    pair.disks.abandon(pair.edge_disk)
    pair.start()
    pair.run(0.2)
    assert pair.settle() == []


def _refusals(pair: Pair) -> int:
    """Return how many scans were refused since the last call; nothing else may be said to one."""
    count = 0
    for scanner in pair.scanners:
        known = {Code.BOOKED, Code.NEXT, Code.STORE_FAILED, Code.NO_TASK}
        assert scanner.codes.keys() <= known, scanner.codes
        count += scanner.codes[Code.STORE_FAILED]
        scanner.codes.clear()
    return count
