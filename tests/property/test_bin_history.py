"""The history of a bin is every movement that touched it, however the ledger is cut up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, func, select

from central.ledger import segments
from central.ledger.history import bin_history
from central.ledger.journal import apply_batches
from central.ledger.segments import newest_moves, rebuild_segments
from central.store import open_engine
from central.tables import movement, segment
from tests.build import movement as a_move
from wire import messages as m

PLACES = ("bin:A-01", "bin:A-02", "bin:A-03", "robot:r1", "loss:", "customer:O1")
GTINS = ("04006381333931", "04012345678901")
Drawn = tuple[str, str, str, int]
"""(from, to, article, time at which it was observed)."""

drawn_moves = st.lists(
    st.tuples(
        st.sampled_from(PLACES), st.sampled_from(PLACES), st.sampled_from(GTINS), st.integers(0, 9)
    ),
    max_size=40,
)


def arrive(conn: Connection, drawn: Sequence[Drawn], size: int) -> list[m.Movement]:
    """Let the movements come in commits of this size."""
    moves = [
        a_move(event_id=f"e/{n}", from_place=a, to_place=b, gtin=gtin, observed_at_ns=at_ns)
        for n, (a, b, gtin, at_ns) in enumerate(drawn)
    ]
    for first in range(0, len(moves), size):
        part = tuple(moves[first : first + size])
        batch = m.JournalBatch(edge_id="A", epoch=1, first_seq=first + 1, events=part)
        apply_batches(conn, [batch], 99)
    return moves


def naive(moves: Sequence[m.Movement], place: str, wanted: Callable[[Any], bool]) -> list[str]:
    """Return the events that touched the place, the newest first."""
    found = [
        (move.observed_at_ns, n, move.event_id)
        for n, move in enumerate(moves)
        if place in (move.from_place, move.to_place) and wanted(move)
    ]
    return [event_id for *_, event_id in sorted(found, reverse=True)]


def check_history(conn: Connection, moves: Sequence[m.Movement]) -> None:
    for number in ("A-01", "A-02", "A-09"):
        ask = partial(bin_history, conn, number)
        place = f"bin:{number}"
        whole = naive(moves, place, lambda _: True)
        assert [row.event_id for row in ask()] == whole
        assert [row.event_id for row in ask(limit=3)] == whole[:3]
        middle = naive(moves, place, lambda move: 3 <= move.observed_at_ns <= 6)
        assert [row.event_id for row in ask(since_ns=3, until_ns=6, limit=50)] == middle
        of_one = naive(moves, place, lambda move: move.gtin == GTINS[0])
        assert [row.event_id for row in ask(gtin=GTINS[0], limit=2)] == of_one[:2]


@settings(max_examples=settings().max_examples // 2)
@given(drawn=drawn_moves, size=st.integers(1, 7), segment_moves=st.integers(1, 9))
def test_a_bins_history_is_all_that_touched_it(
    drawn: list[Drawn], size: int, segment_moves: int
) -> None:
    engine = open_engine("sqlite://", synchronous="OFF")
    with patch.object(segments, "SEGMENT_MOVES", segment_moves), engine.begin() as conn:
        moves = arrive(conn, drawn, size)
        check_history(conn, moves)
        rebuild_segments(conn)
        check_history(conn, moves)
    engine.dispose()


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Engine]:
    engine = open_engine(postgres_url, synchronous="OFF")
    yield engine
    engine.dispose()


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=drawn_moves, size=st.integers(1, 7), segment_moves=st.integers(1, 9))
def test_on_postgresql_too(
    postgres: Engine, drawn: list[Drawn], size: int, segment_moves: int
) -> None:
    with (
        patch.object(segments, "SEGMENT_MOVES", segment_moves),
        postgres.connect() as conn,
        conn.begin() as doing,
    ):
        check_history(conn, arrive(conn, drawn, size))
        doing.rollback()  # the next draw begins with empty books


def test_a_quiet_bin_is_found_without_reading_the_whole_ledger() -> None:
    """What is read is the segments that speak of it, not all that was ever moved."""
    engine = open_engine("sqlite://", synchronous="OFF")
    busy = [("supplier:S1", f"bin:B-{n % 50:02d}", GTINS[0], n) for n in range(8_000)]
    quiet = ("supplier:S1", "bin:A-01", GTINS[0], 40)
    with patch.object(segments, "SEGMENT_MOVES", 100), engine.begin() as conn:
        arrive(conn, [*busy[:40], quiet, *busy[40:]], 50)
        assert conn.execute(select(func.count()).select_from(segment)).scalar_one() == 80
        raw: Any = conn.connection.driver_connection
        steps = 0

        def tick() -> int:
            nonlocal steps
            steps += 1
            return 0

        raw.set_progress_handler(tick, 100)
        assert [row.event_id for row in newest_moves(conn, "bin:A-01", (), 40)] == ["e/40"]
        with_segments, steps = steps, 0
        conn.execute(select(movement).where(movement.c.to_place == "bin:A-01")).all()
        assert with_segments * 5 < steps
        raw.set_progress_handler(None, 0)
    engine.dispose()
