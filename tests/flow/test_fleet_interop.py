"""Our master brings an order to completion on a vehicle that we did not write."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from central.fleet.jobs import JobProgress
from central.fleet.service import Fleet
from runtime.bus import BusOptions
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from tests.build_fleet import GRID_M, SITE_ID, config, grid_site, transport
from tests.conftest import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Address

INTEROP = Path(__file__).resolve().parent.parent / "interop"
INSTALL_S_MAX = 90
READY_S_MAX = 20
STEP_S_MAX = 45
MAKER, SERIAL = "third-party", "agv-9"


@pytest.fixture(scope="session")
def vehicle_script() -> Path:
    """Return the script of the third party's vehicle, its package installed once per machine."""
    program("node", why="the tests against vehicles that we did not write")
    npm = program("npm", why="the installation of vehicles that we did not write")
    if not (INTEROP / "node_modules").is_dir():
        with tempfile.TemporaryDirectory(dir=INTEROP, prefix=".install-") as folder:
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(INTEROP / name, folder)
            command = [npm, "ci", "--no-audit", "--no-fund"]
            try:
                done = subprocess.run(
                    command, cwd=folder, capture_output=True, timeout=INSTALL_S_MAX, check=False
                )
            except subprocess.TimeoutExpired:
                pytest.skip(f"vda-5050-lib was not installed within {INSTALL_S_MAX} s")
            if done.returncode != 0:
                pytest.skip(f"vda-5050-lib cannot be installed: {done.stderr.decode()[-300:]}")
            if not (INTEROP / "node_modules").is_dir():
                (Path(folder) / "node_modules").rename(INTEROP / "node_modules")
    return INTEROP / "vehicle.js"


@contextmanager
def third_party_vehicle(node: str, script: Path, broker: Address) -> Iterator[None]:
    settings = {
        "manufacturer": MAKER, "serial": SERIAL, "interface": "uagv", "map": SITE_ID,
        "broker": f"mqtt://{broker.host}:{broker.port}", "node": "N1-1", "x": GRID_M, "y": GRID_M,
        "speed": 3,
    }  # fmt: skip
    process = subprocess.Popen(
        [node, str(script), json.dumps(settings)],
        cwd=script.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    killer = threading.Timer(READY_S_MAX, process.kill)
    killer.start()
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        killer.cancel()
        yield
    finally:
        killer.cancel()
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def test_a_vehicle_that_we_did_not_write_picks_drives_and_drops(
    node: str, vehicle_script: Path, broker: Address
) -> None:
    told: queue.Queue[JobProgress] = queue.Queue()
    runtime, metrics = LiveRuntime(), Metrics()
    site = grid_site(6, 4, {SERIAL: "N1-1"}, maker=MAKER)
    bus = runtime.bus(BusOptions(client_id="central", host=broker.host, port=broker.port))
    fleet = Fleet(runtime, metrics, config(), site, runtime.lane("fleet"), bus, told.put)
    fleet.start()
    bus.start()
    try:
        with third_party_vehicle(node, vehicle_script, broker):
            job = transport(
                "T1", "N4-2", "N0-3", stationType="floor", loadType="EPAL", duration=0.3
            )
            fleet.submit(job)
            events: list[JobProgress] = []
            while not events or events[-1].event not in {"done", "failed"}:
                events.append(told.get(timeout=STEP_S_MAX))
    finally:
        fleet.stop()
        runtime.close()
    assert [(e.event, e.stop_index) for e in events] == [
        ("assigned", 0), ("stop_done", 0), ("stop_done", 1), ("done", 2),
    ]  # fmt: skip
    assert runtime.crash is None
    [robot] = fleet.robots()
    assert robot.node_id == "N0-3"
    counters = metrics.snapshot().counters
    assert counters.get("fleet_refused", 0) == 0
    assert counters.get("wire_refused{vda5050}", 0) == 0
