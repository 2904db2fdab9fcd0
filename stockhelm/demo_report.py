"""What a demo did, in figures: the books compared with each other and with the physical truth."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from central.ledger.verify import verify_ledger
from central.store import open_engine
from edge.counting.verify import verify_counts
from runtime.metrics import MetricsSnapshot
from runtime.store import open_database
from stockhelm.broker import tail
from stockhelm.demo_site import DemoSite
from wire.ids import bin_of

ROBOT_KINDS: Final = ("refill", "transfer", "deliver")


class ReportError(Exception):
    """The figures are not complete; the text says what is missing."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Median and tail, milliseconds."""

    p50: float
    p99: float


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulated floor wrote: where every unit physically is."""

    stock: list[tuple[str, str, int]]
    in_flight_bins: list[str]
    robot_conflicts: int


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one run."""

    seconds: float
    seed: int
    broker: str
    events_accepted: int
    events_acknowledged: int
    scans_accepted: int
    scans_refused: dict[str, int]
    scan_to_durable_ms: Latency
    scan_to_central_ms: Latency
    tasks_created: dict[str, int]
    tasks_done: dict[str, int]
    orders_created: int
    orders_filled: int
    robots: dict[str, int]
    """Tasks done by each robot."""
    robot_conflicts: int
    sightings: int
    drone_missions_done: int
    proposals: dict[str, int]
    """By status; `waiting` ones want a person."""
    bins: int
    bins_in_flight: int
    bins_book_differs_from_truth: int
    differences: list[str]
    ledger_balanced: bool
    counts_rebuild_equal: bool
    settled: bool
    """Whether the books had come to rest when they were compared."""


def make_report(
    demo: DemoSite, *, seconds: float, broker: str, seed: int, settled: bool
) -> DemoReport:
    """Return the figures of a run whose processes have ended."""
    truth = msgspec.json.decode(demo.truth_file.read_bytes(), type=Truth)
    edges = [_metrics(demo, f"edge-{edge}") for edge in demo.edges]
    central = _metrics(demo, "central")
    in_flight = set(truth.in_flight_bins)
    differences = _differences(demo, truth, in_flight)
    with closing(_read(demo.data("central") / "central.db")) as db:
        done = dict(_rows(db, "SELECT kind, count(*) FROM task WHERE status='done' GROUP BY kind"))
        robots = dict(
            _rows(
                db,
                "SELECT worker_id, count(*) FROM task WHERE status='done' AND worker_kind='robot'"
                " GROUP BY worker_id",
            )
        )
        return DemoReport(
            seconds=round(seconds, 1),
            seed=seed,
            broker=broker,
            events_accepted=sum(_journal_rows(demo, edge) for edge in demo.edges),
            events_acknowledged=sum(_acknowledged(demo, edge) for edge in demo.edges),
            scans_accepted=sum(m.counters.get("scans_accepted", 0) for m in edges),
            scans_refused=_labels(edges, "scans_refused"),
            scan_to_durable_ms=_latency(edges, "scan_to_durable_ms"),
            scan_to_central_ms=_latency([central], "scan_to_central_ms"),
            tasks_created=dict(_rows(db, "SELECT kind, count(*) FROM task GROUP BY kind")),
            tasks_done=done,
            orders_created=_one(db, "SELECT count(*) FROM customer_order"),
            orders_filled=_one(db, "SELECT count(*) FROM customer_order WHERE status='filled'"),
            robots={
                robot.serial: _of_robot(robots, robot.manufacturer, robot.serial)
                for robot in demo.site.robots
            },
            robot_conflicts=truth.robot_conflicts,
            sightings=_one(
                db, "SELECT count(DISTINCT event_id) FROM observation WHERE kind='sighted'"
            ),
            drone_missions_done=_one(
                db,
                "SELECT count(*) FROM task WHERE status='done' AND worker_kind='drone'",
            ),
            proposals=dict(_rows(db, "SELECT status, count(*) FROM proposal GROUP BY status")),
            bins=len(demo.site.bins),
            bins_in_flight=len(in_flight),
            bins_book_differs_from_truth=len({line.partition(" ")[0] for line in differences}),
            differences=differences[:50],
            ledger_balanced=verify_ledger(open_engine(demo.database_url)).balanced,
            counts_rebuild_equal=all(
                not verify_counts(open_database(_edge_file(demo, edge))) for edge in demo.edges
            ),
            settled=settled,
        )


def holds(report: DemoReport) -> bool:
    """Return whether what is promised was kept: exact books, nothing lost, nobody hit."""
    return (
        report.settled
        and report.events_acknowledged == report.events_accepted
        and report.bins_book_differs_from_truth == 0
        and report.robot_conflicts == 0
        and report.ledger_balanced
        and report.counts_rebuild_equal
    )


def in_short(report: DemoReport) -> str:
    """Return the result for people, in a few lines."""
    if not report.settled:
        return "the books had not come to rest in time: differences may be moves still on their way"
    done, created = sum(report.tasks_done.values()), sum(report.tasks_created.values())
    work = (
        f"{report.events_acknowledged} of {report.events_accepted} events in central's books,"
        f" {done} of {created} tasks done, {report.orders_filled} of {report.orders_created} orders"
        f" filled, {report.robot_conflicts} robot conflicts"
    )
    books = (
        f"{report.bins_book_differs_from_truth} of {report.bins} bins differ from the physical"
        f" truth ({report.bins_in_flight} in flight set aside); ledger"
        f" {'balanced' if report.ledger_balanced else 'NOT balanced'}; counts rebuilt from the"
        f" journals {'equal' if report.counts_rebuild_equal else 'DIFFER'}"
    )
    return "\n".join((work, books, *report.differences[:10]))


def peek(demo: DemoSite) -> str:
    """Return one line on what has happened so far, for people who watch the terminal."""
    try:
        with closing(_read(demo.data("central") / "central.db")) as db:
            done = Counter(
                dict(_rows(db, "SELECT kind, count(*) FROM task WHERE status='done' GROUP BY kind"))
            )
            waiting = _one(db, "SELECT count(*) FROM proposal WHERE status='waiting'")
            orders = _one(db, "SELECT count(*) FROM customer_order")
            filled = _one(db, "SELECT count(*) FROM customer_order WHERE status='filled'")
            movements = _one(db, "SELECT count(*) FROM movement")
    except sqlite3.Error as error:
        return f"central's database is not readable yet: {error}"
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(done.items())) or "none yet"
    return (
        f"orders {filled}/{orders} filled; movements {movements}; tasks done: {kinds};"
        f" proposals waiting for a person: {waiting}"
    )


def is_settled(demo: DemoSite) -> tuple[bool, str]:
    """Return whether nothing is on its way to central, and a mark that changes with the books."""
    if not demo.truth_file.exists():
        return False, ""
    waiting = 0
    marks = []
    for edge in demo.edges:
        with closing(_read(_edge_file(demo, edge))) as db:
            waiting += _one(db, "SELECT count(*) FROM outbox")
            marks.append(str(_one(db, "SELECT count(*) FROM journal")))
    with closing(_read(demo.data("central") / "central.db")) as db:
        marks.append(str(_one(db, "SELECT count(*) FROM movement")))
    return waiting == 0, "/".join(marks)


def _differences(demo: DemoSite, truth: Truth, in_flight: set[str]) -> list[str]:
    """Return one line per bin and article where edge, central and the physical truth disagree."""
    physical = _by_bin((place, gtin, units) for place, gtin, units in truth.stock)
    at_edges: dict[tuple[str, str], int] = {}
    for edge in demo.edges:
        with closing(_read(_edge_file(demo, edge))) as db:
            at_edges |= _by_bin(_rows(db, "SELECT place, gtin, units FROM counts"))
    with closing(_read(demo.data("central") / "central.db")) as db:
        at_central = _by_bin(_rows(db, "SELECT place, gtin, units FROM balance"))
    lines = []
    for key in sorted(physical.keys() | at_edges.keys() | at_central.keys()):
        bin_id, gtin = key
        found = (physical.get(key, 0), at_edges.get(key, 0), at_central.get(key, 0))
        if bin_id not in in_flight and len(set(found)) > 1:
            lines.append(
                f"{bin_id} {gtin}: physically {found[0]}, edge {found[1]}, central {found[2]}"
            )
    return lines


def _by_bin(rows: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for place, gtin, units in rows:
        bin_id = bin_of(place)
        if bin_id is not None and units:
            found[bin_id, gtin] = units
    return found


def _edge_file(demo: DemoSite, edge: str) -> Path:
    return demo.data(f"edge-{edge}") / "edge.db"


def _journal_rows(demo: DemoSite, edge: str) -> int:
    with closing(_read(_edge_file(demo, edge))) as db:
        return _one(db, "SELECT count(*) FROM journal")


def _acknowledged(demo: DemoSite, edge: str) -> int:
    """Return how many of its events the edge knows to be in central's books."""
    with closing(_read(_edge_file(demo, edge))) as db:
        return _one(db, "SELECT (SELECT count(*) FROM journal) - (SELECT count(*) FROM outbox)")


def _metrics(demo: DemoSite, name: str) -> MetricsSnapshot:
    path = demo.data(name) / "metrics.json"
    if not path.exists():
        raise ReportError(
            f"{name} left no figures at its end ({path} is missing): it had to be killed."
            f" The end of its log: {tail(demo.directory / 'logs' / (name + '.log'))}"
        )
    return msgspec.json.decode(path.read_bytes(), type=MetricsSnapshot)


def _labels(snapshots: list[MetricsSnapshot], name: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for snapshot in snapshots:
        for key, count in snapshot.counters.items():
            if key.startswith(name + "{"):
                found[key[len(name) + 1 : -1]] += count
    return dict(sorted(found.items()))


def _latency(snapshots: list[MetricsSnapshot], name: str) -> Latency:
    samples = [x for snapshot in snapshots for x in snapshot.samples_ms.get(name, [])]
    if not samples:
        return Latency(p50=float("nan"), p99=float("nan"))
    p50, p99 = np.percentile(samples, [50, 99])
    return Latency(p50=round(float(p50), 3), p99=round(float(p99), 3))


def _of_robot(done: dict[str, int], manufacturer: str, serial: str) -> int:
    return done.get(f"{manufacturer}/{serial}", done.get(serial, 0))


def _read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)


def _rows(db: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    return db.execute(query).fetchall()


def _one(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
