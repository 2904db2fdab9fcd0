"""Replay recordings: each process again, handed what it was handed; then its counts compared."""

from __future__ import annotations

import contextlib
import sqlite3
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec
from sqlalchemy import Engine

from central.agent import build_central
from central.config import CentralConfig
from edge.agent import build_edge
from edge.config import EdgeConfig
from edge.counting.core import deltas
from edge.counting.store import FILE_NAME, decode_event
from runtime.clock import NS_PER_S, SystemClock
from runtime.config import ConfigError, parse_config
from runtime.errors import StartError
from runtime.metrics import Metrics
from runtime.recording import SUFFIX, Header, Recording, RecordingError, Stopping
from runtime.service import Service
from sim_hardware.plant import Mode
from stockhelm.broker import BrokerError
from stockhelm.sim_record import BUSY_S, read_counts
from stockhelm.sim_replay_stage import CrashError, Stage, make_stage
from stockhelm.sim_replay_world import Contents, bursts, read_contents
from stockhelm.work_folder import work_folder
from wire.site import SiteError

IN_FLIGHT_MAX: Final = 5_000
"""So many movements may have been handed to a killed process and not be in its books."""
DIFFERENCES_SHOWN_MAX: Final = 1_000
CENTRAL_FILE: Final = "central.db"
TELL_EVERY_S: Final = 0.2
FRAMES_SHOWN: Final = 3
NO_END: Final = "its recording has no end"
"""The process was killed, or runs still, or could not write on: a recording cannot tell."""
Units = dict[tuple[str, str], int]
Outcome = Literal["equal", "differs", "not compared", "crashed", "not replayed"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One count that is not as it was."""

    place: str
    gtin: str
    recorded_units: int
    replayed_units: int


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What the replay of one recording found."""

    file: str
    outcome: Outcome
    reason: str = ""
    """Why it was not compared, not replayed or what it crashed of."""
    name: str = ""
    life: int = 0
    has_end: bool = False
    """Whether the process ended well and wrote its counts; else it has none of its own."""
    torn: str = ""
    """What was cut off at the end, and where; empty: nothing."""
    compared_with: str = ""
    counts: int = 0
    differences: list[Difference] = []
    in_flight: int = 0
    """Movements of the replay that a process without an end was handed and had not written."""
    messages: int = 0
    line_bytes: int = 0
    pictures: int = 0
    notes: list[str] = []
    recorded_s: float = 0.0
    real_s: float = 0.0


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found."""

    directory: str
    mode: str
    ok: bool
    """Whether every process came to the same counts."""
    processes: list[Replayed]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayProgress:
    """How far a replay is, for people who wait."""

    name: str
    at_s: float
    of_s: float


OnProgress = Callable[[ReplayProgress], None]
OnDone = Callable[[Replayed], None]


class Subject(Protocol):
    """A replayed process and its books."""

    service: Service

    def counts(self) -> Units:
        """Return its counts; zeros are left out."""

    def last_movements(self) -> Iterator[list[tuple[str, str, int]]]:
        """Yield what each movement added to which count, the newest first."""

    def close(self) -> None:
        """Close its files."""


def replay(
    directory: Path,
    *,
    mode: Mode = "mem",
    speed: float = 1.0,
    on_progress: OnProgress = lambda _progress: None,
    on_done: OnDone = lambda _replayed: None,
) -> ReplayReport:
    """Replay all recordings of a folder, one after the other, also where one of them cannot be.

    Raises RecordingError where there is none, BrokerError where live there is no broker.
    """
    found: list[Replayed] = []
    for path in find_recordings(directory):
        found.append(_try_one(path, mode, speed, on_progress))
        on_done(found[-1])
    ok = all(one.outcome == "equal" for one in found)
    return ReplayReport(directory=str(directory), mode=mode, ok=ok, processes=found)


def recorded_s(directory: Path) -> float:
    """Return how long the recordings of a folder are together. Raises RecordingError."""
    total_ns = 0
    for path in find_recordings(directory):
        # What cannot be read takes no time, and has its line in the replay.
        with contextlib.suppress(RecordingError):
            total_ns += read_contents(Recording(path)).length_ns
    return total_ns / NS_PER_S


def find_recordings(directory: Path) -> list[Path]:
    """Return the recordings in a folder, or the one of a file. Raises RecordingError."""
    if directory.is_file():
        return [directory]
    if not directory.is_dir():
        raise RecordingError(f"{directory}: expected a folder with recordings, or one of them")
    paths = sorted(directory.glob(f"*{SUFFIX}"))
    if not paths:
        raise RecordingError(
            f"{directory}: expected recordings (*{SUFFIX}) as `--record {directory}` makes them"
        )
    return paths


def _try_one(path: Path, mode: Mode, speed: float, on_progress: OnProgress) -> Replayed:
    """Replay one recording; return what was found, also where it cannot be replayed."""
    header = None
    try:
        recording = Recording(path)
        header = recording.header
        return replay_one(recording, mode=mode, speed=speed, on_progress=on_progress)
    except BrokerError:  # that is this machine's affair, and the next one's too
        raise
    except (ConfigError, SiteError, StartError) as error:
        outcome: Outcome = "not replayed"
        reason = str(error).removeprefix(f"{path}: ")
    except Exception as error:  # noqa: BLE001 - the top of a replayed process: it may crash
        outcome = "crashed"
        reason = str(error) if isinstance(error, CrashError) else _crash(error)
    name, life = (header.name, header.life) if header else ("", 0)
    return Replayed(file=path.name, outcome=outcome, reason=reason, name=name, life=life)


def _crash(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_SHOWN:]
    where = ", ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
    return f"{type(error).__name__}: {error} (in {where})"


def replay_one(
    recording: Recording, *, mode: Mode, speed: float, on_progress: OnProgress
) -> Replayed:
    """Replay one recording; return what was found.

    Raises RecordingError, CrashError, and in virtual time whatever the process ends by.
    """
    real = SystemClock()
    begun_ns = real.monotonic_ns()
    header, contents = recording.header, read_contents(recording)
    with work_folder("replay") as folder:
        stage = make_stage(mode, header, contents, folder / "lines", speed)
        try:
            subject = _make_subject(recording, stage, folder)
            try:
                _play(recording, contents, stage, subject, on_progress)
                stage.end()
                recorded, source = _recorded_counts(recording, contents)
                judged = _judge(subject, recorded, has_end=contents.ended)
            finally:
                stage.end()
                subject.close()
        finally:
            stage.close()
        notes = _notes(stage, contents)
    return Replayed(
        file=recording.path.name, name=header.name, life=header.life, outcome=_outcome(judged),
        reason="" if recorded is not None else source, has_end=contents.ended, torn=contents.torn,
        compared_with=source if recorded is not None else "", counts=judged.counts,
        differences=judged.differences[:DIFFERENCES_SHOWN_MAX],
        in_flight=judged.in_flight, messages=contents.messages, line_bytes=contents.line_bytes,
        pictures=contents.pictures, notes=notes, recorded_s=contents.length_ns / NS_PER_S,
        real_s=(real.monotonic_ns() - begun_ns) / NS_PER_S,
    )  # fmt: skip


def _outcome(judged: _Judged) -> Outcome:
    if not judged.is_compared:
        return "not compared"
    return "differs" if judged.differences else "equal"


def _play(
    recording: Recording,
    contents: Contents,
    stage: Stage,
    subject: Subject,
    on_progress: OnProgress,
) -> None:
    """Hand the process everything, each thing when it was handed on."""
    real = SystemClock()
    tell_at_ns = 0
    subject.service.start()
    stage.ready()
    for burst in bursts(recording.records()):
        stage.advance(burst[0].at_ns)
        stage.set_utc(burst[0].utc_ns)
        for record in burst:
            if isinstance(record, Stopping):
                stage.stopping()
                subject.service.stop()
            stage.world.play(record)
        stage.settle()
        if stage.crash():
            raise CrashError(stage.crash())
        if real.monotonic_ns() >= tell_at_ns:
            tell_at_ns = real.monotonic_ns() + round(TELL_EVERY_S * NS_PER_S)
            at_s, of_s = burst[0].at_ns / NS_PER_S, contents.length_ns / NS_PER_S
            on_progress(ReplayProgress(name=recording.path.name, at_s=at_s, of_s=of_s))
    stage.finish(ended=contents.ended)


# --- the process that is replayed -----------------------------------------------------------------


class _Edge:
    def __init__(self, header: Header, stage: Stage, folder: Path) -> None:
        config = parse_config(header.config, EdgeConfig, name=f"{header.name}'s configuration")
        config = msgspec.structs.replace(
            config, site_dir=str(folder / "site"), data_dir=str(folder / "data"),
            broker=msgspec.structs.replace(config.broker, host="127.0.0.1", port=stage.broker_port),
        )  # fmt: skip
        self._agent = build_edge(stage.world, Metrics(), config)
        self.service: Service = self._agent
        self._database = folder / "data" / FILE_NAME

    def counts(self) -> Units:
        return _units(read_counts("edge", self._database))

    def last_movements(self) -> Iterator[list[tuple[str, str, int]]]:
        query = "SELECT payload FROM journal ORDER BY seq DESC"
        for (payload,) in self._agent.store.db.execute(query):
            changes = list(deltas(decode_event(payload)))
            if changes:
                yield changes

    def close(self) -> None:
        self._agent.store.close()


class _Central:
    def __init__(self, header: Header, stage: Stage, folder: Path) -> None:
        config = parse_config(header.config, CentralConfig, name="central's configuration")
        config = msgspec.structs.replace(
            config, site_dir=str(folder / "site"), data_dir=str(folder / "data"),
            database_url=f"sqlite:///{folder / 'data' / CENTRAL_FILE}",
            broker=msgspec.structs.replace(config.broker, host="127.0.0.1", port=stage.broker_port),
        )  # fmt: skip
        agent = build_central(stage.world, Metrics(), config)
        self.service: Service = agent
        self._engine: Engine = agent.engine
        self._database = folder / "data" / CENTRAL_FILE

    def counts(self) -> Units:
        return _units(read_counts("central", self._database))

    def last_movements(self) -> Iterator[list[tuple[str, str, int]]]:
        query = "SELECT from_place, to_place, gtin, units FROM movement ORDER BY id DESC"
        with contextlib.closing(sqlite3.connect(self._database, timeout=BUSY_S)) as db:
            for from_place, to_place, gtin, units in db.execute(query):
                yield [(from_place, gtin, -units), (to_place, gtin, units)]

    def close(self) -> None:
        self._engine.dispose()


def _make_subject(recording: Recording, stage: Stage, folder: Path) -> Subject:
    """Write the site and the database that it began with; return the process, not started yet."""
    header = recording.header
    site, data = folder / "site", folder / "data"
    site.mkdir()
    data.mkdir()
    for name, text in header.files.items():
        (site / Path(name).name).write_text(text, encoding="utf-8")
    if header.kind not in {"edge", "central"}:
        raise RecordingError(
            f"{recording.path}: expected the recording of an edge or of central, found one of"
            f" {header.kind!r}"
        )
    if header.database:
        copy = recording.path.with_name(Path(header.database).name)
        if not copy.is_file():
            raise RecordingError(
                f"{recording.path}: expected beside it {copy.name}, the database that"
                f" {header.name} began with"
            )
        (data / (FILE_NAME if header.kind == "edge" else CENTRAL_FILE)).write_bytes(
            copy.read_bytes()
        )
    return (_Edge if header.kind == "edge" else _Central)(header, stage, folder)


# --- comparing ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    is_compared: bool
    counts: int
    differences: list[Difference]
    in_flight: int


def _recorded_counts(recording: Recording, contents: Contents) -> tuple[Units | None, str]:
    """Return the counts that the recorded process came to and where they stand; None: why not."""
    header = recording.header
    if contents.ended:
        return {key: n for key, n in contents.counts.items() if n}, "the end of the recording"
    after = recording.path.with_name(f"{header.name}-{header.life + 1:03}{SUFFIX}")
    if after.is_file():
        later = Recording(after).header
        copy = after.with_name(Path(later.database or "none").name)
        # Another configuration is another process: two runs were recorded into one folder.
        if later.config == header.config and copy.is_file():
            counts = _units(read_counts(header.kind, copy))
            return counts, f"{copy.name}, with which its next life began"
        return None, f"{NO_END}, and {after.name} did not begin with its database"
    kept = _kept_database(header)
    if kept.is_file():
        return _units(read_counts(header.kind, kept)), f"the recorded process's own {kept}"
    return None, f"{NO_END}, and its database is not here"


def _kept_database(header: Header) -> Path:
    """Return where the recorded process had its database."""
    if header.kind == "edge":
        config = parse_config(header.config, EdgeConfig, name="configuration")
        return Path(config.data_dir) / FILE_NAME
    url = parse_config(header.config, CentralConfig, name="configuration").url()
    return Path(url.removeprefix("sqlite:///"))


def _judge(subject: Subject, recorded: Units | None, *, has_end: bool) -> _Judged:
    """Compare; what a process without an end had not written yet is taken back before."""
    replayed = subject.counts()
    if recorded is None:
        return _Judged(is_compared=False, counts=len(replayed), differences=[], in_flight=0)
    left = _minus(replayed, recorded)
    taken_back = dict(left)
    in_flight = 0
    if left and not has_end:
        for number, changes in enumerate(subject.last_movements(), start=1):
            if number > IN_FLIGHT_MAX:
                break
            for place, gtin, units in changes:
                taken_back = _plus(taken_back, place, gtin, -units)
            if not taken_back:
                left, in_flight = {}, number
                break
    differences = [
        Difference(
            place=place, gtin=gtin, recorded_units=recorded.get((place, gtin), 0),
            replayed_units=replayed.get((place, gtin), 0),
        )
        for place, gtin in sorted(left)
    ]  # fmt: skip
    return _Judged(
        is_compared=True, counts=len(recorded), differences=differences, in_flight=in_flight
    )


def _minus(these: Mapping[tuple[str, str], int], those: Mapping[tuple[str, str], int]) -> Units:
    found = {key: these.get(key, 0) - those.get(key, 0) for key in these.keys() | those.keys()}
    return {key: units for key, units in found.items() if units}


def _plus(counts: Units, place: str, gtin: str, units: int) -> Units:
    counts[place, gtin] = counts.get((place, gtin), 0) + units
    if not counts[place, gtin]:
        del counts[place, gtin]
    return counts


def _units(rows: list[tuple[str, str, int]]) -> Units:
    return {(place, gtin): units for place, gtin, units in rows if units}


def _notes(stage: Stage, contents: Contents) -> list[str]:
    world = stage.world
    said = (
        (contents.left_out, "pictures were left out of the recording, which had too many"),
        (world.router.never_asked_for, "messages were of subscriptions that nobody made now"),
        (world.cameras.never_asked_for, "pictures were not fetched"),
        (world.lines.unheard_bytes, "bytes came on lines that were closed now"),
    )
    return [f"{count} {text}" for count, text in said if count]
