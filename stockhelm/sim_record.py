"""Record a process: everything it is handed, with what a replay needs to stand alone."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from central.agent import read_site_texts
from central.config import CentralConfig
from central.database_url import parse_database_url
from edge.config import EdgeConfig
from edge.counting.store import FILE_NAME
from runtime.clock import Clock, SystemClock
from runtime.config import to_toml
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from runtime.recorder import Recorder, RecordingRuntime
from runtime.recording import SUFFIX, Header, RecordingError, RecordingFile
from runtime.runtime import Runtime
from runtime.service import Service

LIVES_MAX: Final = 999
DATABASE_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
"""A larger database is not copied: begin the recording on an empty one."""
BUSY_S: Final = 5.0
COUNTS_QUERY: Final = {
    "edge": "SELECT place, gtin, units FROM counts WHERE units <> 0 ORDER BY place, gtin",
    "central": "SELECT place, gtin, units FROM balance WHERE units <> 0 ORDER BY place, gtin",
}
Config = TypeVar("Config", EdgeConfig, CentralConfig)
Counts = list[tuple[str, str, int]]
Build = Callable[[Runtime, Metrics, Config], Service]
LiveBuild = Callable[[LiveRuntime, Metrics], Service]


class ProcessRecording:
    """The recording of one life of one process."""

    def __init__(
        self, directory: Path, config: EdgeConfig | CentralConfig, clock: Clock, *, seed: int = 0
    ) -> None:
        self._kind = "edge" if isinstance(config, EdgeConfig) else "central"
        self._database = database_of(config)
        name = f"edge-{config.edge_id}" if isinstance(config, EdgeConfig) else "central"
        _make_folder(directory)
        life = _next_life(directory, name)
        begun_ns = clock.monotonic_ns()
        header = Header(
            kind=self._kind, name=name, life=life, stockhelm=metadata.version("stockhelm"),
            config=to_toml(_without_secrets(config)),
            files=read_site_texts(Path(config.site_dir)),
            database=_copy_database(self._database, directory / f"{name}-{life:03}.db"),
            seed=seed, utc_ns=clock.now_ns(), monotonic_ns=begun_ns,
        )  # fmt: skip
        file = RecordingFile(directory / f"{name}-{life:03}{SUFFIX}", header)
        self._recorder = Recorder(file, clock, begun_ns)
        self._is_open = True

    def runtime(self, runtime: Runtime) -> Runtime:
        """Return `runtime` with everything that it hands on written down."""
        return RecordingRuntime(runtime, self._recorder)

    def stopping(self) -> None:
        """Write that the process begins to stop."""
        self._recorder.stopping()

    def finish(self) -> None:
        """Write the final counts; to be called when the process has ended well."""
        if self._is_open:
            self._is_open = False
            self._recorder.end(read_counts(self._kind, self._database))

    def abandon(self) -> None:
        """Leave the recording as it is: the process did not end well. Finished: do nothing."""
        if self._is_open:
            self._is_open = False
            self._recorder.close()


class _RecordedService:
    """A service that tells its recording when it begins to stop."""

    def __init__(self, service: Service, recording: ProcessRecording) -> None:
        self._service = service
        self._recording = recording
        self.stopped = False

    def start(self) -> None:
        """Open everything; return when work has begun."""
        self._service.start()

    def stop(self) -> None:
        """Finish what is begun and close."""
        self._recording.stopping()
        self._service.stop()
        self.stopped = True


@contextlib.contextmanager
def recorded(directory: Path, config: Config) -> Iterator[Callable[[Build[Config]], LiveBuild]]:
    """Yield what makes a recorded process of what builds one.

    Raises RecordingError where the folder cannot be written.
    """
    recording = ProcessRecording(directory, config, SystemClock())
    services: list[_RecordedService] = []

    def make(build: Build[Config]) -> LiveBuild:
        def built(runtime: LiveRuntime, metrics: Metrics) -> Service:
            service = build(recording.runtime(runtime), metrics, config)
            services.append(_RecordedService(service, recording))
            return services[-1]

        return built

    try:
        yield make
        if services and services[0].stopped:
            recording.finish()
    finally:
        recording.abandon()


def database_of(config: EdgeConfig | CentralConfig) -> Path:
    """Return the SQLite file that a process keeps. Raises RecordingError where it has none."""
    if isinstance(config, EdgeConfig):
        return Path(config.data_dir).resolve() / FILE_NAME
    url = parse_database_url(config.url())
    if url.get_backend_name() != "sqlite" or not url.database or "uri" in url.query:
        raise RecordingError(
            f"database_url: a recording needs the database that it began with, and can copy only"
            f" sqlite:///FILE, found {url.get_backend_name()}"
        )
    return Path(url.database).resolve()


def read_counts(kind: str, database: Path) -> Counts:
    """Return (place, GTIN-14, units) of all that is not zero; reads only."""
    try:
        uri = f"file:{database}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S)) as db:
            return [(place, gtin, units) for place, gtin, units in db.execute(COUNTS_QUERY[kind])]
    except sqlite3.Error as error:
        raise RecordingError(f"{database}: the counts cannot be read: {error}") from error


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(
            f"--record {directory}: expected a folder that can be made: {error.strerror}"
        ) from error


def _next_life(directory: Path, name: str) -> int:
    pattern = re.compile(re.escape(name) + r"-(\d{3})" + re.escape(SUFFIX))
    found = (pattern.fullmatch(path.name) for path in directory.iterdir())
    life = max((int(match[1]) for match in found if match), default=0) + 1
    if life > LIVES_MAX:
        raise RecordingError(
            f"--record {directory}: expected room for another recording of {name}, there are"
            f" {LIVES_MAX}: take another folder"
        )
    return life


def _without_secrets(config: EdgeConfig | CentralConfig) -> EdgeConfig | CentralConfig:
    """Return the configuration without its password, with folders that say where they were."""
    changed = {
        "broker": msgspec.structs.replace(config.broker, password=""),
        "data_dir": str(Path(config.data_dir).resolve()),
        "site_dir": str(Path(config.site_dir).resolve()),
    }
    return msgspec.structs.replace(config, **changed)


def _copy_database(database: Path, copy: Path) -> str:
    """Copy the database that the process begins with; return the copy's name, empty: none there."""
    if not database.exists():
        return ""
    if database.stat().st_size > DATABASE_BYTES_MAX:
        raise RecordingError(
            f"{database}: expected at most {DATABASE_BYTES_MAX} bytes, which are copied beside the"
            " recording: begin it on an empty data_dir"
        )
    try:
        copy.touch(mode=0o640)  # as the recording itself: only its owner and group read it
        with (
            closing(sqlite3.connect(database, timeout=BUSY_S)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            # One file without a log beside it, so that it can be read where nothing may be written.
            target.execute("PRAGMA journal_mode=DELETE")
    except (OSError, sqlite3.Error) as error:
        raise RecordingError(f"{database}: cannot be copied to {copy}: {error}") from error
    return copy.name
