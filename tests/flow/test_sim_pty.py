"""The whole loop on real pseudo-terminals under the virtual clock says and books the same.

Scanners and the drone's telemetry are on serial lines: pyserial and the kernel carry their bytes.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from central.agent import build_central
from central.config import CentralConfig
from edge.agent import build_edge
from edge.config import EdgeConfig
from runtime.bus import BusOptions, Incoming
from runtime.config import load_config
from runtime.metrics import Metrics
from runtime.virtual import Lines, VirtualRuntime
from sim_hardware.config import SimConfig
from sim_hardware.floor import build_floor
from stockhelm.demo_site import Ports, Shape, write_demo

pytestmark = pytest.mark.soak
ROOT = Path(__file__).resolve().parents[2]
PORTS = Ports(broker=1883, desk=8000, pictures=8001)
SEED = 11
SECONDS = 20
BUSY = Shape(day_s=30.0, orders_per_day=60)


@dataclass
class Run:
    """What a run of the whole site left behind."""

    said: list[tuple[str, bytes]]
    journal: list[tuple[str, int, str]]
    balances: list[tuple[str, str, int]]
    scan_lines: int
    terminals: int
    """Serial lines that were pseudo-terminals of the kernel."""

    def digest(self) -> str:
        told = repr((self.said, self.journal, self.balances)).encode()
        return f"{len(self.said)} {len(self.journal)} {hashlib.sha256(told).hexdigest()}"


def run_site(directory: Path, lines: Lines, seed: int = SEED) -> Run:
    """Run edges, central and the floor of a demo site for some virtual seconds."""
    demo = write_demo(directory, seed=seed, speed=4.0, ports=PORTS, sales=None, shape=BUSY)
    runtime = VirtualRuntime(seed, lines=lines)
    said: list[tuple[str, bytes]] = []

    def hear(batch: list[Incoming]) -> None:
        said.extend((message.topic, message.payload) for message in batch)

    bus = runtime.bus(BusOptions(client_id="test"))
    bus.subscribe("#", runtime.lane("test"), hear)
    bus.start()
    processes = [VirtualRuntime(seed, shared=runtime) for _ in range(len(demo.edges) + 2)]
    agents = [
        build_edge(process, Metrics(), load_config(demo.config(f"edge-{edge}"), EdgeConfig))
        for edge, process in zip(demo.edges, processes, strict=False)
    ]
    for agent in agents:
        agent.start()
    config = load_config(demo.config("central"), CentralConfig)
    build_central(processes[-2], Metrics(), config).start()
    sim = load_config(demo.config("sim"), SimConfig)
    floor = build_floor(processes[-1], sim, Metrics())
    floor.start()
    runtime.run_for(SECONDS)
    terminals = sum(
        os.path.realpath(path).startswith("/dev/pts/") for path in (directory / "ports").glob("*")
    )
    floor.freeze()
    runtime.run_for(5)
    journal: list[tuple[str, int, str]] = []
    for edge in demo.edges:
        with closing(sqlite3.connect(demo.data(f"edge-{edge}") / "edge.db")) as db:
            rows = db.execute("SELECT seq, payload FROM journal ORDER BY seq").fetchall()
        journal += [(edge, seq, str(payload)) for seq, payload in rows]
    with closing(sqlite3.connect(demo.data("central") / "central.db")) as db:
        balances = db.execute(
            "SELECT place, gtin, units FROM balance ORDER BY place, gtin"
        ).fetchall()
    truth = floor.truth()
    floor.stop()
    for process in (*processes, runtime):
        process.close()
    return Run(said, journal, balances, truth.scans_sent, terminals)


@pytest.fixture(scope="module")
def pty(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_site(tmp_path_factory.mktemp("pty"), "pty")


def test_the_scanners_really_were_on_pseudo_terminals_and_did_work(pty: Run) -> None:
    assert pty.terminals >= 4
    assert pty.scan_lines >= 20
    assert len(pty.said) > 1_000
    assert len(pty.journal) > 100


def test_memory_says_and_books_the_same(pty: Run, tmp_path: Path) -> None:
    memory = run_site(tmp_path, "memory")
    assert memory.terminals == 0
    assert memory.journal == pty.journal
    assert memory.balances == pty.balances
    assert memory.said == pty.said


def test_again_it_is_the_same_to_the_byte_whatever_the_hash_seed(pty: Run, tmp_path: Path) -> None:
    script = (
        "import pathlib, sys; from tests.flow.test_sim_pty import run_site;"
        "print('digest', run_site(pathlib.Path(sys.argv[1]), 'pty').digest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=ROOT,
        env={"PYTHONHASHSEED": "4321", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert f"digest {pty.digest()}" in done.stdout
