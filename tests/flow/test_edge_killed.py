"""kill -9 of the real edge process at random moments: every good beep is in the journal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.config import ScannerConfig
from edge.counting.store import decode_event, open_store
from edge.counting.verify import verify_counts
from runtime.broker_link import BrokerConfig
from runtime.config import to_toml
from runtime.live import LiveRuntime
from tests.conftest import Address
from tests.edge_world import (
    MUG,
    Central,
    SerialDevice,
    article_label,
    bin_label,
    command_label,
    edge_config,
    task,
)
from wire.messages import Movement

KILLS = 4
"""tests/faults/test_kill.py has 210 more with `make soak`."""
SEED = 11
WAIT_S = 20.0
ROOT = Path(__file__).resolve().parents[2]


def wait(reached: Callable[[], bool], timeout_s: float = WAIT_S) -> bool:
    deadline = time.monotonic() + timeout_s
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.001)
    return reached()


@pytest.fixture
def live() -> Iterator[LiveRuntime]:
    runtime = LiveRuntime(SEED)
    yield runtime
    runtime.close()


class Shift:
    """A person with quick hands: bursts of scans, each with a count of its own."""

    def __init__(self, device: SerialDevice, chance: random.Random) -> None:
        self.device = device
        self.units = 0
        self.beeped: list[int] = []
        self._chance = chance

    def begin(self) -> bool:
        """Say mode and bin until the edge is there to hear it and has its tasks."""
        return all(
            wait(lambda text=text: self._good_beeps(text) == 1)  # type: ignore[misc]
            for text in (command_label("RECEIVE"), bin_label("DOCK-1"))
        )

    def work_until(self, end: float) -> None:
        while time.monotonic() < end:
            burst = range(self.units + 1, self.units + 1 + self._chance.randint(1, 8))
            self.units = burst[-1]
            good = self._good_beeps(*[article_label(MUG, units) for units in burst])
            self.beeped += burst[:good]

    def _good_beeps(self, *texts: str) -> int:
        """Scan and return how many good beeps came; answers come in the order of the scans."""
        self.device.heard = b""
        self.device.scan(*texts)
        wait(lambda: len(self.device.heard) >= len(texts), 0.5)
        return len(self.device.heard) - len(self.device.heard.lstrip(b"\x06"))


@pytest.mark.long
def test_every_good_beep_survives_kill_9(
    tmp_path: Path, live: LiveRuntime, broker: Address
) -> None:
    serial = tmp_path / "tty"
    scanner = ScannerConfig(device_id="serial-1", person_id="P1", path=str(serial))
    config = edge_config(tmp_path, scanner, broker=BrokerConfig(host=broker.host, port=broker.port))
    config_file = tmp_path / "edge.toml"
    config_file.write_text(to_toml(config), encoding="utf-8")
    chance = random.Random(SEED)
    shift = Shift(SerialDevice(live, str(serial)), chance)
    central = Central(live, host_port=broker.port)
    assert wait(lambda: central.bus.connected)
    central.tell_tasks(task("receive", 1_000_000, from_place="supplier:S1", to_place="bin:DOCK-1"))
    command = [sys.executable, "-m", "stockhelm", "edge", "run", "--config", str(config_file)]
    for _ in range(KILLS):
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            assert shift.begin(), "the edge answers"
            killer = threading.Timer(
                chance.uniform(0.01, 0.3), os.kill, [process.pid, signal.SIGKILL]
            )
            killer.start()
            shift.work_until(time.monotonic() + killer.interval)
            killer.join()
        finally:
            process.kill()
            process.wait(WAIT_S)

    store = open_store(tmp_path / "data" / "edge.db", edge_id="A", new_epoch=1)
    rows = store.db.execute("SELECT seq, payload FROM journal ORDER BY seq").fetchall()
    assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1))
    received = [
        event.units
        for event in (decode_event(payload) for _, payload in rows)
        if isinstance(event, Movement) and event.reason == "receive"
    ]
    assert len(shift.beeped) > KILLS
    assert set(shift.beeped) <= set(received), "a good beep means durable"
    assert len(received) == len(set(received)), "nothing is counted twice"
    query = "SELECT units FROM counts WHERE place = 'bin:DOCK-1' AND gtin = ?"
    assert store.db.execute(query, [MUG]).fetchone()[0] == sum(received)
    assert verify_counts(store.db) == []
    told = {event.event_id for event in central.events}
    assert len(told) == len(central.events)
    assert told <= {decode_event(payload).event_id for _, payload in rows}
    store.close()
