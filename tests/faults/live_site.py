"""One edge and central as real processes, with a real broker and scanners over MQTT."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final, Self

from central.store import open_engine
from runtime.bus import BusOptions
from runtime.config import to_toml
from runtime.live import LiveRuntime
from runtime.store import open_database
from stockhelm.broker import BrokerConfig, BrokerProcess, free_port
from tests.edge_world import SITE
from tests.faults.books import Accepted, central_books, differences, edge_books
from tests.faults.forks import Forks
from tests.faults.scanner import Scanner
from tests.faults.site import PERSON, TASKS, central_config, edge_config
from wire.codec import encode
from wire.topics import PERSON_TASKS

SETTLE_S_MAX: Final = 60.0
LOOK_S: Final = 0.02


class LiveSite:
    """A site that works from `with` to its end. `ports`: where each process finds the broker."""

    def __init__(self, folder: Path, forks: Forks, *, seed: int, scanners: int = 3) -> None:
        self.folder = folder
        self.forks = forks
        self.chance = Random(seed)
        folder.mkdir(parents=True, exist_ok=True)
        self.broker = BrokerProcess(
            BrokerConfig(directory=str(folder / "broker"), port=free_port(), kind="mosquitto")
        )
        self.ports = {"edge": self.broker.port, "central": self.broker.port}
        self.pids: dict[str, int] = {}
        self._seed = seed
        self._names = tuple(f"scanner-{n}" for n in range(1, scanners + 1))

    def __enter__(self) -> Self:
        """Start broker, processes and scanners."""
        self.edge_config = edge_config(self.folder, self._names, self.ports["edge"])
        self.central_config = central_config(self.folder, self.ports["central"])
        for name, config in (("edge", self.edge_config), ("central", self.central_config)):
            self._file(name).write_text(to_toml(config), encoding="utf-8")
        self.broker.start()
        self.runtime = LiveRuntime(self._seed)
        self._others = self.runtime.bus(BusOptions(client_id="others", port=self.broker.port))
        self._others.on_connect(self.runtime.lane("others"), self._tell_tasks)
        self._others.start()
        for name in self.ports:
            self.start(name)
        self.scanners = [
            Scanner(
                self.runtime, name, Random(f"{self._seed}/{name}"), port=self.broker.port,
                repeat_s=0.15, think_s_max=0.01,
            )
            for name in self._names
        ]  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self.runtime.close()
        for name in list(self.pids):
            self.kill(name)
        self.broker.stop()

    @property
    def accepted(self) -> Accepted:
        """Return what was answered `booked`, by all scanners."""
        return {key: units for one in self.scanners for key, units in one.accepted.copy().items()}

    def start(self, name: str) -> None:
        """Start a process."""
        self.pids[name] = self.forks.start(name, self._file(name))

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a process by a signal."""
        code = self.forks.kill(self.pids.pop(name), number)
        wanted = {-number, 0} if number == signal.SIGTERM else {-number}
        assert code in wanted, f"{name} ended with {code}: {self.log()}"

    def log(self) -> str:
        """Return the end of what the processes said."""
        return self.forks.log.read_text(errors="replace")[-2_000:]

    def wait_for_scans(self, count: int, seconds: float = SETTLE_S_MAX) -> None:
        """Wait until so many more scans are booked."""
        wanted = len(self.accepted) + count
        assert wait(lambda: len(self.accepted) >= wanted, seconds), f"no scans: {self.log()}"

    def settle(self) -> list[str]:
        """Let everybody rest, end both processes; return everything in which the books differ."""
        for scanner in self.scanners:
            scanner.rests = True
        rested = wait(self._is_at_rest, SETTLE_S_MAX)
        for name in list(self.pids):
            self.kill(name, signal.SIGTERM)
        found = [] if rested else [f"no rest: a scan or a row still waits: {self.log()}"]
        found += [text for scanner in self.scanners for text in scanner.wrong]
        db = open_database(Path(self.edge_config.data_dir) / "edge.db")
        with closing(db.conn):
            edge = edge_books(db)
        engine = open_engine(self.central_config.url())
        central = central_books(engine)
        engine.dispose()
        return found + differences(self.accepted, edge, central)

    def rows(self) -> tuple[int, int]:
        """Return how many movements the edge's journal and central's ledger have."""
        return (
            _count(Path(self.edge_config.data_dir) / "edge.db", "journal"),
            _count(Path(self.central_config.data_dir) / "central.db", "movement"),
        )

    def _is_at_rest(self) -> bool:
        if any(scanner.is_waiting for scanner in self.scanners):
            return False
        journal, ledger = self.rows()
        return journal == ledger > 0

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.toml"

    def _tell_tasks(self) -> None:
        topic = PERSON_TASKS.of(site=SITE, person=PERSON)
        self._others.publish(topic, encode(TASKS), retain=True)


def wait(reached: Callable[[], bool], seconds: float) -> bool:
    """Wait until `reached`; return whether it was."""
    end = time.monotonic() + seconds
    while not reached() and time.monotonic() < end:
        time.sleep(LOOK_S)
    return reached()


def _count(file: Path, table: str) -> int:
    if not file.exists():
        return -1
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        try:
            return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        except sqlite3.OperationalError:
            return -1  # not made yet
