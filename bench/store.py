"""`stockhelm bench store`: rows into the edge's journal and central's ledger, beside peers."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import store_sizes
from bench.store_apply import apply_per_s, central_per_s, edge_per_s
from central.store import open_engine
from runtime.garbage import collect_seldom
from stockhelm.bench import Bench, Row, at_most, beside

RUNS: Final = 3
BATCH: Final = 1_000
BATCHES: Final = 40
LARGE_BATCH: Final = 5_000
LARGE_BATCHES: Final = 6
BARE_SHARE: Final = 0.8
POSTGRES_SHARE: Final = 0.4
GROWTH_MAX: Final = 1.5
SMALL_ITEMS: Final = 10_000
ITEMS: Final = 1_000_000
FULL_ITEMS: Final = 10_000_000
BARE: Final = "sqlite3 of the standard library, the same finished rows, tables and settings"
SQLITE: Final = "the same by SQLite in the same run"
SMALL: Final = f"the same at {SMALL_ITEMS:,} items".replace(",", " ")
Pair = tuple[float, float]


def run(bench: Bench) -> list[Row]:
    """Return the figures, medians of three; each run on new files."""
    collect_seldom()  # as the processes do
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=bench.console
    ) as progress:
        return [
            *_applied(bench, progress),
            *_by_postgres(bench, progress),
            *_grown(bench, progress),
        ]


def _applied(bench: Bench, progress: Progress) -> list[Row]:
    rows = []
    for name, measure in (
        ("central's apply", central_per_s), ("the edge's journal", edge_per_s),
    ):  # fmt: skip

        def once(folder: Path, measure: Callable[..., Pair] = measure) -> Pair:
            return measure(folder, bench.clock, batch=BATCH, batches=BATCHES)

        ours, peer = _medians(bench, progress, name, once)
        what = f"{name}, commits of {BATCH}"
        rows.append(beside(what, "events/s", ours, peer=peer, peer_name=BARE, share_min=BARE_SHARE))
    return rows


def _by_postgres(bench: Bench, progress: Progress) -> list[Row]:
    if importlib.util.find_spec("pgserver") is None:
        bench.console.print("PostgreSQL left out: the package pgserver is not installed")
        return []
    with _postgres() as make_database:

        def once(folder: Path) -> Pair:
            found = []
            for url in (make_database(), f"sqlite:///{folder}/large.db"):
                engine = open_engine(url)
                found.append(
                    apply_per_s(engine, bench.clock, batch=LARGE_BATCH, batches=LARGE_BATCHES)
                )
                engine.dispose()
            return found[0], found[1]

        ours, peer = _medians(bench, progress, "PostgreSQL", once)
    what = f"central's apply on PostgreSQL, commits of {LARGE_BATCH}"
    return [beside(what, "events/s", ours, peer=peer, peer_name=SQLITE, share_min=POSTGRES_SHARE)]


def _grown(bench: Bench, progress: Progress) -> list[Row]:
    items = FULL_ITEMS if bench.full else ITEMS
    bar = progress.add_task(f"a ledger of {items} movements", total=RUNS)
    inserts: list[Pair] = []
    looks: list[Pair] = []
    with tempfile.TemporaryDirectory(dir=bench.directory) as folder:
        large, small = (store_sizes.filled(Path(folder), count) for count in (items, SMALL_ITEMS))
        for _ in range(RUNS):
            insert, look = store_sizes.microseconds(large, small, bench.clock)
            inserts.append(insert)
            looks.append(look)
            progress.advance(bar)
    rows = []
    for name, pairs in (("insert", inserts), ("look-up by event id", looks)):
        ours, peer = sorted(pairs, key=lambda pair: pair[0] / pair[1])[RUNS // 2]
        what = f"{name} in a ledger of {items:,} movements".replace(",", " ")
        rows.append(at_most(what, "us", ours, goal=GROWTH_MAX * peer, peer=peer, peer_name=SMALL))
    return rows


def _medians(bench: Bench, progress: Progress, name: str, once: Callable[[Path], Pair]) -> Pair:
    """Return ours and the peer's of the run whose ratio is the middle one of three."""
    bar = progress.add_task(name, total=RUNS)
    found = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(dir=bench.directory) as folder:
            found.append(once(Path(folder)))
        progress.advance(bar)
    return sorted(found, key=lambda pair: pair[0] / pair[1])[RUNS // 2]


@contextmanager
def _postgres() -> Iterator[Callable[[], str]]:
    """Yield what makes a new database of a server that is ours and goes with the block."""
    pgserver: Any = importlib.import_module("pgserver")
    psycopg: Any = importlib.import_module("psycopg")
    # Not below the bench's folder: the server runs as another user where we are root.
    folder = Path(tempfile.mkdtemp(prefix="stockhelm-bench-pg-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells where its own lock file lies
        server = pgserver.get_server(folder, cleanup_mode="delete")
    made = 0

    def make_database() -> str:
        nonlocal made
        made += 1
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE bench_{made}")
        url = str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)
        return url.replace("/postgres?", f"/bench_{made}?", 1)

    try:
        yield make_database
    finally:
        server.cleanup()
