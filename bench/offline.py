"""`stockhelm bench offline`: a day of scans at one edge that central cannot hear.

Twelve scanners, twenty scans a second together, through the same session, writer and file as live;
the clock of the product is virtual, so nobody waits between two scans. In the last hour each
second's scans are a commit of their own, as they would be; before that ten seconds' are. In that
hour another edge has its first one, and the two take turns: a busy machine slows both.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from edge.counting.store import FILE_NAME, EdgeStore, open_store
from edge.scanning.core import Arrival, Floor
from edge.scanning.intake import ScanIntake
from edge.writer import Writer
from runtime.clock import Clock
from runtime.garbage import collect_seldom
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from stockhelm.bench import Bench, BenchError, Row, at_most, figure
from wire.ids import gs1_check_digit
from wire.messages import DeviceScan, ScanFeedback

HOUR_S: Final = 3_600
HOURS: Final = 3
HOURS_FULL: Final = 24
SCANS_PER_S: Final = 20
SCANNERS: Final = 12
BINS: Final = 1_000
ARTICLES: Final = 1_000
AT_A_BIN: Final = 9
"""Articles that are scanned at a bin before the next one: each is a movement."""
GROUP_S: Final = 10
GROWTH_MAX: Final = 1.5
ROWS_MAX: Final = 100_000_000
_GLN: Final = "9521234000006"
_NS_PER_MS: Final = 1_000_000
_NS_PER_US: Final = 1_000
_MIB: Final = 1 << 20


@dataclass(slots=True)
class Hour:
    """What an hour of scans took."""

    commits_ns: list[int] = field(default_factory=list)
    scans: int = 0

    def milliseconds(self, percent: int) -> float:
        """Return what so many per cent of the commits with their scans did not exceed."""
        return statistics.quantiles(self.commits_ns, n=100)[percent - 1] / _NS_PER_MS

    @property
    def scan_us(self) -> float:
        """Return what a scan took, its share of the commit with it."""
        return sum(self.commits_ns) / max(self.scans, 1) / _NS_PER_US


class Day:
    """One edge, its people and its file."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.path = folder / FILE_NAME
        self.refused = 0
        self.answered = 0
        self._clock = clock
        self._runtime = VirtualRuntime(seed=1)
        self.store: EdgeStore = open_store(self.path, edge_id="A", new_epoch=1)
        metrics = Metrics()
        writer = Writer(
            self.store, lane=self._runtime.lane("store"), clock=self._runtime.clock,
            metrics=metrics, on_commit=lambda: None,
        )  # fmt: skip
        self._articles = [_gtin(number) for number in range(ARTICLES)]
        floor = Floor(
            gln=_GLN, edge_id="A", bin_owner={_bin(number): "A" for number in range(BINS)},
            article_name=dict.fromkeys(self._articles, "article"),
        )  # fmt: skip
        self._devices = [f"scanner-{number}" for number in range(SCANNERS)]
        self._intake = ScanIntake(
            floor, person_of=dict.fromkeys(self._devices, "P1"), writer=writer, metrics=metrics,
            journal_rows_max=ROWS_MAX,
        )  # fmt: skip
        self._scans = [self._labels(number) for number in range(SCANNERS)]
        self._seqs = [count(1) for _ in range(SCANNERS)]
        self._numbers = count()

    def scan(self, seconds: int, hour: Hour) -> None:
        """Let people scan for so long; all of that is written together."""
        arrivals = [self._next() for _ in range(seconds * SCANS_PER_S)]
        begun_ns = self._clock.monotonic_ns()
        for arrival in arrivals:
            self._intake.take(arrival, self._hear)
        self._runtime.run_for(float(seconds))
        hour.commits_ns.append(self._clock.monotonic_ns() - begun_ns)
        hour.scans += len(arrivals)

    def _hear(self, feedback: ScanFeedback) -> None:
        self.answered += 1
        self.refused += not feedback.ok

    def _next(self) -> Arrival:
        number = next(self._numbers) % SCANNERS
        now_ns = self._runtime.clock.now_ns()
        scan = DeviceScan(
            device_id=self._devices[number], boot_epoch=1, seq=next(self._seqs[number]),
            text=next(self._scans[number]), scanned_at_ns=now_ns,
        )  # fmt: skip
        return Arrival(scan=scan, received_at_ns=now_ns)

    def _labels(self, number: int) -> Iterator[str]:
        yield "]C191SH-RETURN"
        for step in count(number):
            yield f"]C1414{_GLN}254{_bin(step * 7 % BINS)}"
            for turn in range(AT_A_BIN):
                gtin = self._articles[(step * 13 + turn * 101) % ARTICLES]
                yield f"]C101{gtin}30{turn % 5 + 1}"


def run(bench: Bench) -> list[Row]:
    """Return commit times of the first and the last hour, the size of the file, what was lost."""
    collect_seldom()  # as the processes do
    hours = HOURS_FULL if bench.full else HOURS
    day = Day(bench.directory, bench.clock)
    long, first, last = Hour(), Hour(), Hour()
    other = bench.directory / "first hour"
    other.mkdir()
    fresh = Day(other, bench.clock)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=bench.console) as progress:
        bar = progress.add_task(f"{hours} hours at {SCANS_PER_S} scans/s", total=hours)
        for _ in range(hours - 1):
            for _ in range(HOUR_S // GROUP_S):
                day.scan(GROUP_S, long)
            progress.advance(bar)
        for _ in range(HOUR_S):
            fresh.scan(1, first)
            day.scan(1, last)
        progress.advance(bar)
    fresh.store.close()
    return _rows(day, hours, long.scans + last.scans, first, last)


def _rows(day: Day, hours: int, scans: int, first: Hour, last: Hour) -> list[Row]:
    if day.answered != scans or day.refused:
        raise BenchError(f"{scans} scans: {day.answered} answered, {day.refused} of them refused")
    rows = int(day.store.db.execute("SELECT count(*) FROM journal").fetchone()[0])
    moves = sum(int(row[0]) for row in day.store.db.execute("SELECT max(seq) FROM journal"))
    day.store.close()
    size_mib = day.path.stat().st_size / _MIB
    what = f"{SCANS_PER_S} scans and their commit"
    name = "of an edge in its first hour, in turns"
    return [
        figure(f"scans in {hours} hours without central", "scans", scans),
        at_most("events lost of these", "events", moves - rows, goal=0),
        *(
            at_most(
                f"{what}, last hour, p{percent}",
                "ms",
                last.milliseconds(percent),
                goal=GROWTH_MAX * first.milliseconds(percent),
                peer=first.milliseconds(percent),
                peer_name=name,
            )
            for percent in (50, 99)
        ),
        figure("a scan, last hour", "us", last.scan_us, peer=first.scan_us, peer_name=name),
        figure("file of the edge", "MiB", size_mib),
        figure("bytes of the file per event", "B", size_mib * _MIB / rows),
    ]


def _bin(number: int) -> str:
    return f"A-{number // 100:02}-{number % 100:02}-1"


def _gtin(number: int) -> str:
    digits = f"04006{number:08}"
    return digits + str(gs1_check_digit(digits))
