"""The same seed gives the same world, to the byte, whatever the hash seed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from sim_hardware.config import SimOrders
from tests.sim_floor import Bench, Master, Reader, make_bench, stock_action
from wire.messages import PersonTask

ROOT = Path(__file__).resolve().parents[2]


def worked(tmp_path: Path, seed: int) -> Bench:
    """Return a floor after half a minute of orders, scans and driving."""
    bench = make_bench(
        tmp_path, seed=seed, stray_scan_share=0.2, orders=SimOrders(day_s=10.0, orders_per_day=30)
    )
    Reader(bench)
    faces = [row for row in bench.site.opening if bench.site.bins[row.bin_id].kind == "pick"]
    for number, row in enumerate(faces[:12]):
        task = PersonTask(
            task_id=f"T{number}", kind="pick", gtin=row.gtin, units=1,
            from_place=f"bin:{row.bin_id}", to_place=f"tote:O{number}",
        )  # fmt: skip
        bench.give_tasks(f"p{3 + number % 4}", task)
    for number in (1, 2, 3):
        master = Master(bench, f"agv-{number}")
        row = bench.site.opening[number]
        way = master.way(bench.site.bins[row.bin_id].node_id)
        pick = f"pick/T{number}/{row.bin_id}/{row.gtin}/1"
        master.send("o1", way, actions={len(way) - 1: (stock_action(pick),)})
    bench.runtime.run_for(30)
    bench.floor.stop()
    bench.runtime.run_for(1)
    return bench


def digest(tmp_path: Path, seed: int) -> str:
    """Return a digest of everything that was said on the bus, and of the truth."""
    bench = worked(tmp_path, seed)
    log = repr(bench.said).encode() + (tmp_path / "truth.json").read_bytes()
    return f"{len(bench.said)} {hashlib.sha256(log).hexdigest()}"


def test_the_same_seed_says_the_same_and_another_does_not(tmp_path: Path) -> None:
    first = digest(tmp_path / "1", 7)
    assert first == digest(tmp_path / "2", 7)
    assert first != digest(tmp_path / "3", 8)
    assert int(first.split()[0]) > 200


@pytest.mark.parametrize("hash_seed", ["0", "1234"])
def test_the_hash_seed_changes_nothing(tmp_path: Path, hash_seed: str) -> None:
    script = (
        "import pathlib, sys; from tests.replay.test_sim_determinism import digest;"
        "print('digest', digest(pathlib.Path(sys.argv[1]), 7))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "other")],
        capture_output=True, text=True, check=True, cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert f"digest {digest(tmp_path / 'here', 7)}" in done.stdout
