"""The stock at any past time is the plain sum of the movements, in whatever order they came."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select, update

from central.ledger import asof
from central.ledger.asof import rebuild_marks, stock_as_of, wrong_marks
from central.ledger.core import PlaceGtin, balance_changes
from central.ledger.journal import apply_batches
from central.ledger.verify import rebuild_balances, verify_ledger
from central.store import open_engine
from central.tables import ODD, ODD_NS, stock_at, stock_mark
from tests.build import movement as a_move
from wire import messages as m

PLACES = ("bin:A-01", "bin:A-02", "robot:r1", "customer:O1")
GTINS = ("04006381333931", "04012345678901")
STEP_NS = ODD_NS // 2
"""Between two times of these tests: some movements are known soon, some late, some too early."""
STEPS = 10


@dataclass(frozen=True)
class Fact:
    """A movement, and when it was committed."""

    move: m.Movement
    known_at_ns: int


facts = st.lists(
    st.tuples(
        st.sampled_from(PLACES),
        st.sampled_from(PLACES),
        st.sampled_from(GTINS),
        st.integers(1, 50),
        st.integers(0, STEPS),  # observed
    ),
    min_size=1,
    max_size=30,
)


@contextmanager
def small_marks(spacing: int, rows_max: int) -> Iterator[None]:
    """Make marks after few movements, and give up correcting them soon."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(asof, "SPACING_MIN", spacing))
        stack.enter_context(patch.object(asof, "CORRECTED_ROWS_MAX", rows_max))
        stack.enter_context(patch.object(asof, "_spacing", lambda _movements, _rows: spacing))
        yield


def arrive(
    conn: Connection, drawn: list[tuple[str, str, str, int, int]], sizes: list[int]
) -> list[Fact]:
    """Let the movements come in commits of these sizes, one step of central's clock apart."""
    rows = [
        a_move(
            event_id=f"e/{n}", from_place=a, to_place=b, gtin=gtin, units=units,
            observed_at_ns=step * STEP_NS,
        )
        for n, (a, b, gtin, units, step) in enumerate(drawn)
    ]  # fmt: skip
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
    times = [step * STEP_NS for step in range(STEPS + 1)]
    for at_ns in times:
        assert stock_as_of(conn, at_ns) == naive(found, at_ns, None)
    for at_ns, known_at_ns in itertools.product(times[::3], times[::3]):
        assert stock_as_of(conn, at_ns, known_at_ns) == naive(found, at_ns, known_at_ns)
    at_ns = STEPS // 2 * STEP_NS
    whole = naive(found, at_ns, None)
    for place, gtin in itertools.product(PLACES[::3], GTINS):
        here = {key: units for key, units in whole.items() if key == (place, gtin)}
        assert stock_as_of(conn, at_ns, place=place, gtin=gtin) == here
    bins = {key: units for key, units in whole.items() if key[0].startswith("bin:")}
    assert stock_as_of(conn, at_ns, bins_only=True) == bins


def marks(conn: Connection) -> int:
    return conn.execute(select(func.count()).select_from(stock_mark)).scalar_one()


@settings(max_examples=settings().max_examples // 4)  # each asks some 60 questions
@given(
    drawn=facts,
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    spacing=st.integers(1, 8),
    rows_max=st.sampled_from([0, 3, 1_000]),
)
def test_any_order_of_arrival_gives_the_stock_at_any_time(
    drawn: list[tuple[str, str, str, int, int]], sizes: list[int], spacing: int, rows_max: int
) -> None:
    engine = open_engine("sqlite://", synchronous="OFF")
    with small_marks(spacing, rows_max), engine.begin() as conn:
        found = arrive(conn, drawn, sizes)
        check_all(conn, found)
        assert wrong_marks(conn, 10) == []
        rebuild_balances(conn)
        assert rebuild_marks(conn) == marks(conn) <= len(drawn)
        assert wrong_marks(conn, 10) == []
        assert stock_as_of(conn, STEP_NS) == naive(found, STEP_NS, None)
    engine.dispose()


def test_a_kept_stock_that_is_wrong_is_named_and_made_again() -> None:
    drawn = [("supplier:S1", "bin:A-01", GTINS[0], n, n) for n in range(1, 8)]
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
    drawn = [("supplier:S1", "bin:A-01", GTINS[0], 1, step) for step in (9, 0, 0, 1, 9, 2)]
    engine = open_engine("sqlite://", synchronous="OFF")
    with small_marks(3, 1_000), engine.begin() as conn:
        found = arrive(conn, drawn, [3])
        assert conn.execute(select(stock_mark.c.at_ns)).scalars().all() == [0, STEP_NS]
        check_all(conn, found)
    engine.dispose()


def test_a_large_ledger_is_asked_about_without_reading_all_of_it() -> None:
    """What is added up for one answer is at most one spacing, however long the ledger is."""
    drawn = [("supplier:S1", PLACES[n % 2], GTINS[0], 1, n % 7) for n in range(400)]
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
