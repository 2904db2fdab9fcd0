"""The stock at any past time is the plain sum of the movements, in whatever order they came."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, func, insert, select, update

from central.ledger import asof, segments
from central.ledger.asof import rebuild_marks, stock_as_of, wrong_marks
from central.ledger.core import PlaceGtin, balance_changes
from central.ledger.details import lot_changes
from central.ledger.journal import apply_batches
from central.ledger.verify import rebuild_balances, verify_ledger
from central.store import open_engine
from central.tables import MARK_READY, ODD, ODD_NS, balance, lot_balance, stock_at, stock_mark
from tests.build import movement as a_move
from wire import messages as m

PLACES = ("bin:A-01", "bin:A-02", "robot:r1", "customer:O1", "loss:", "found:", "tote:O1")
GTINS = ("04006381333931", "04012345678901")
STEP_NS = ODD_NS // 2
"""Between two times of these tests: some movements are known soon, some late, some too early."""
STEPS = 10


@dataclass(frozen=True)
class Fact:
    """A movement, and when it was committed."""

    move: m.Movement
    known_at_ns: int


Drawn = tuple[str, str, str, int, int, str]
"""(from, to, article, units, step at which it was observed, lot)."""
UNDO = "undo"

times = st.integers(0, STEPS)
lots = st.sampled_from(("", "", "L1", "L2"))
gtins = st.sampled_from(GTINS)
some = st.integers(1, 50)
bins = st.sampled_from(PLACES[:2])
facts = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES), gtins, some, times, lots),
        # Adjustments: what was found missing or too much.
        st.tuples(bins, st.just("loss:"), gtins, some, times, lots),
        st.tuples(st.just("found:"), bins, gtins, some, times, lots),
        # Some fact before this one is undone, observed at any time: soon, late, even before it.
        st.tuples(st.just(UNDO), st.just(""), gtins, st.integers(0, 100), times, st.just("")),
    ),
    min_size=1,
    max_size=30,
)


@contextmanager
def small_marks(spacing: int, rows_max: int, step_rows: int = 1_000) -> Iterator[None]:
    """Make marks after few movements, in small steps, and give up correcting them soon."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(asof, "SPACING_MIN", spacing))
        stack.enter_context(patch.object(asof, "CORRECTED_ROWS_MAX", rows_max))
        stack.enter_context(patch.object(asof, "_spacing", lambda _movements, _rows: spacing))
        stack.enter_context(patch.object(asof, "_step_rows", lambda _moves: step_rows))
        stack.enter_context(patch.object(asof, "STEP_ROWS_MIN", step_rows))
        yield


def moves_of(drawn: Sequence[Drawn]) -> list[m.Movement]:
    """Return the movements; an undone one goes back the way it came."""
    rows: list[m.Movement] = []
    for n, (a, b, gtin, units, step, lot) in enumerate(drawn):
        named = {"event_id": f"e/{n}", "observed_at_ns": step * STEP_NS}
        if a != UNDO:
            fact = {"from_place": a, "to_place": b, "gtin": gtin, "units": units, "lot": lot}
            rows.append(a_move(**named, **fact))
        elif rows:
            was = rows[units % len(rows)]
            back = {"from_place": was.to_place, "to_place": was.from_place}
            rows.append(msgspec.structs.replace(was, **named, **back))
    return rows


def arrive(conn: Connection, drawn: Sequence[Drawn], sizes: list[int]) -> list[Fact]:
    """Let the movements come in commits of these sizes, one step of central's clock apart."""
    rows = moves_of(drawn)
    found: list[Fact] = []
    turns = itertools.cycle(sizes)
    now_ns = 0
    while len(found) < len(rows):
        part = rows[len(found) : len(found) + next(turns)]
        batch = m.JournalBatch(edge_id="A", epoch=1, first_seq=len(found) + 1, events=tuple(part))
        apply_batches(conn, [batch], now_ns)
        found += [Fact(move, now_ns) for move in part]
        now_ns += STEP_NS
    return found


def naive(found: list[Fact], at_ns: int, known_at_ns: int | None) -> dict[PlaceGtin, int]:
    return balance_changes(
        fact.move
        for fact in found
        if fact.move.observed_at_ns <= at_ns
        and (known_at_ns is None or fact.known_at_ns <= known_at_ns)
    )


def check_all(conn: Connection, found: list[Fact]) -> None:
    moments = [step * STEP_NS for step in range(STEPS + 1)]
    for at_ns in moments:
        assert stock_as_of(conn, at_ns) == naive(found, at_ns, None)
    for at_ns, known_at_ns in itertools.product(moments[::3], moments[::3]):
        assert stock_as_of(conn, at_ns, known_at_ns) == naive(found, at_ns, known_at_ns)
    at_ns = STEPS // 2 * STEP_NS
    whole = naive(found, at_ns, None)
    for place, gtin in itertools.product(PLACES[::3], GTINS):
        here = {key: units for key, units in whole.items() if key == (place, gtin)}
        assert stock_as_of(conn, at_ns, place=place, gtin=gtin) == here
    in_bins = {key: units for key, units in whole.items() if key[0].startswith("bin:")}
    assert stock_as_of(conn, at_ns, bins_only=True) == in_bins
    kept = {(r.gtin, r.lot, r.place): r.units for r in conn.execute(select(lot_balance)) if r.units}
    assert kept == lot_changes(fact.move for fact in found)


def marks(conn: Connection) -> int:
    ready = select(func.count()).select_from(stock_mark).where(stock_mark.c.state == MARK_READY)
    return conn.execute(ready).scalar_one()


@settings(max_examples=settings().max_examples // 4)  # each asks some 60 questions
@given(
    drawn=facts,
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    spacing=st.integers(1, 8),
    rows_max=st.sampled_from([0, 3, 1_000]),
    step_rows=st.sampled_from([1, 2, 5, 1_000]),
)
def test_any_order_of_arrival_gives_the_stock_at_any_time(
    drawn: list[Drawn], sizes: list[int], spacing: int, rows_max: int, step_rows: int
) -> None:
    engine = open_engine("sqlite://", synchronous="OFF")
    with small_marks(spacing, rows_max, step_rows), engine.begin() as conn:
        any_order(conn, drawn, sizes)
    engine.dispose()


def any_order(conn: Connection, drawn: list[Drawn], sizes: list[int]) -> None:
    found = arrive(conn, drawn, sizes)
    check_all(conn, found)
    assert wrong_marks(conn, 10) == []
    rebuild_balances(conn)
    assert rebuild_marks(conn) == marks(conn) <= len(drawn)
    assert wrong_marks(conn, 10) == []
    assert stock_as_of(conn, STEP_NS) == naive(found, STEP_NS, None)


@settings(
    max_examples=max(settings().max_examples // 12, 5),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    drawn=facts,
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    spacing=st.integers(1, 8),
    rows_max=st.sampled_from([0, 3, 1_000]),
    step_rows=st.sampled_from([1, 2, 5, 1_000]),
)
def test_on_postgresql_too(
    postgres: Engine,
    drawn: list[Drawn],
    sizes: list[int],
    spacing: int,
    rows_max: int,
    step_rows: int,
) -> None:
    with (
        small_marks(spacing, rows_max, step_rows),
        postgres.connect() as conn,
        conn.begin() as doing,
    ):
        any_order(conn, drawn, sizes)
        doing.rollback()  # the next draw begins with empty books


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Engine]:
    engine = open_engine(postgres_url, synchronous="OFF")
    yield engine
    engine.dispose()


def drawn_of(rows: Iterable[tuple[str, str, str, int, int]]) -> list[Drawn]:
    return [(*row, "") for row in rows]


class Work:
    """Counts what SQLite does (steps of its machine, in hundreds) per commit: scans count too."""

    def __init__(self, conn: Connection) -> None:
        self.steps = 0
        raw: Any = conn.connection.driver_connection
        raw.set_progress_handler(self._tick, 100)

    def _tick(self) -> int:
        self.steps += 1
        return 0

    def of(self, what: Callable[[], object]) -> int:
        before = self.steps
        what()
        return self.steps - before


def marked_work(pairs: int, commits: int) -> tuple[int, int]:
    """Return (most work of one commit, marks made), in a ledger of so many (bin, article) pairs."""
    engine = open_engine("sqlite://", synchronous="OFF")
    with ExitStack() as stack:
        stack.enter_context(patch.object(asof, "SPACING_MIN", pairs))
        stack.enter_context(patch.object(segments, "SEGMENT_MOVES", 1_000))
        conn = stack.enter_context(engine.begin())
        rows = [{"place": f"bin:A-{n}", "gtin": GTINS[0], "units": 0} for n in range(pairs)]
        rows += [{"place": f"customer:O{n}", "gtin": GTINS[0], "units": 0} for n in range(pairs)]
        conn.execute(insert(balance), rows)
        work = Work(conn)
        most = 0
        for n in range(commits):
            moves = tuple(
                a_move(
                    event_id=f"e/{n}/{k}", to_place=f"bin:A-{(n * 50 + k) % pairs}",
                    from_place="supplier:S1", gtin=GTINS[0], units=1,
                    observed_at_ns=(n * 50 + k) * 1_000,
                )
                for k in range(50)
            )  # fmt: skip
            batch = m.JournalBatch(edge_id="A", epoch=1, first_seq=n * 50 + 1, events=moves)
            most = max(most, work.of(partial(apply_batches, conn, [batch], 2**62)))
        made = marks(conn)
        assert wrong_marks(conn, 10) == []
    engine.dispose()
    return most, made


def test_to_keep_the_stock_of_a_large_ledger_costs_no_commit_more_than_of_a_small_one() -> None:
    """Ingest never waits for a million bins to be copied: each commit does a bounded part."""
    small, made_small = marked_work(1_000, 60)
    large, made_large = marked_work(8_000, 480)
    assert (made_small > 0, made_large > 0) == (True, True)
    assert large < 1.5 * small, (small, large)


def test_marks_that_are_let_go_are_deleted_in_parts_and_are_not_used_meanwhile() -> None:
    drawn = drawn_of(("supplier:S1", f"bin:A-{n}", GTINS[0], 1, n // 10) for n in range(80))
    late = drawn_of([("supplier:S1", "bin:A-1", GTINS[0], 1, 0)] * 4)
    engine = open_engine("sqlite://", synchronous="OFF")
    with engine.begin() as conn:
        with small_marks(40, 1_000):
            found = arrive(conn, drawn, [10])
            assert marks(conn) == 2
        rows = conn.execute(select(func.count()).select_from(stock_at)).scalar_one()
        with small_marks(40, 1, step_rows=9):
            before = rows
            for n, drawn_late in enumerate(moves_of(late)):
                move = msgspec.structs.replace(drawn_late, event_id=f"late/{n}")
                batch = m.JournalBatch(edge_id="B", epoch=1, first_seq=n + 1, events=(move,))
                apply_batches(conn, [batch], 9 * STEP_NS)
                found.append(Fact(move, 9 * STEP_NS))
                assert stock_as_of(conn, 3 * STEP_NS) == naive(found, 3 * STEP_NS, None)
                left = conn.execute(select(func.count()).select_from(stock_at)).scalar_one()
                assert before - 9 <= left < before
                before = left
        assert marks(conn) == 0
    engine.dispose()


def test_a_kept_stock_that_is_wrong_is_named_and_made_again() -> None:
    drawn = drawn_of(("supplier:S1", "bin:A-01", GTINS[0], n, n) for n in range(1, 8))
    engine = open_engine("sqlite://", synchronous="OFF")
    with small_marks(2, 1_000):
        with engine.begin() as conn:
            arrive(conn, drawn, [1])
            assert marks(conn) == 3
            at_ns = conn.execute(select(func.max(stock_mark.c.at_ns))).scalar_one()
            at_bin = (stock_at.c.at_ns == at_ns, stock_at.c.place == "bin:A-01")
            conn.execute(update(stock_at).where(*at_bin).values(units=99))
        report = verify_ledger(engine)
        assert not report.balanced
        assert report.wrong_snapshots == ((at_ns, ("bin:A-01", GTINS[0]), 99, 15),)
        assert "kept as 99 at 1970-01-01T02:30:00.000Z, its movements until then sum up to 15" in (
            report.text()
        )
        with engine.begin() as conn:
            assert rebuild_marks(conn) == 3
        assert verify_ledger(engine).balanced
    engine.dispose()


def test_movements_of_a_clock_that_is_ahead_are_not_in_the_stock_of_now() -> None:
    drawn = drawn_of(("supplier:S1", "bin:A-01", GTINS[0], 1, step) for step in (9, 0, 0, 1, 9, 2))
    engine = open_engine("sqlite://", synchronous="OFF")
    with small_marks(3, 1_000), engine.begin() as conn:
        found = arrive(conn, drawn, [3])
        assert conn.execute(select(stock_mark.c.at_ns)).scalars().all() == [0, STEP_NS]
        check_all(conn, found)
    engine.dispose()


def test_a_large_ledger_is_asked_about_without_reading_all_of_it() -> None:
    """What is added up for one answer is at most one spacing, however long the ledger is."""
    drawn = drawn_of(("supplier:S1", PLACES[n % 2], GTINS[0], 1, n % 7) for n in range(400))
    engine = open_engine("sqlite://", synchronous="OFF")
    with small_marks(20, 1_000), engine.begin() as conn:
        arrive(conn, sorted(drawn, key=lambda row: row[4]), [10])
        times = conn.execute(select(stock_mark.c.at_ns).order_by(stock_mark.c.at_ns)).scalars()
        assert times.all() == [step * STEP_NS for step in range(7)]
        for where, index in (
            ("observed_at_ns > 1 AND observed_at_ns <= 2", "movement_observed"),
            (f"{ODD} AND committed_at_ns > 7", "movement_odd"),
        ):
            plan = conn.exec_driver_sql(
                f"EXPLAIN QUERY PLAN SELECT sum(units) FROM movement WHERE {where}"
            ).all()
            assert any(index in str(row) for row in plan)
    engine.dispose()
