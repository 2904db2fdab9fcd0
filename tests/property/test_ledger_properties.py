"""Whatever comes twice, late, out of order or with holes: the ledger ends as if all came once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from central.ledger.core import balance_changes
from central.ledger.journal import apply_batches
from central.ledger.verify import verify_ledger
from central.store import open_engine, reading
from central.tables import balance, movement, watermark
from tests.build import movement as a_move
from wire import messages as m

PLACES = ("bin:A-01", "bin:A-02", "robot:r1", "tote:O1", "supplier:S1")

journals = st.lists(
    st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES), st.integers(1, 50)),
    min_size=1,
    max_size=25,
)


def rows_of(edge: str, journal: list[tuple[str, str, int]]) -> list[m.Movement]:
    return [
        a_move(event_id=f"{edge}/{i}", from_place=a, to_place=b, units=units)
        for i, (a, b, units) in enumerate(journal, start=1)
    ]


@given(data=st.data(), first=journals, second=journals)
def test_any_disturbed_delivery_ends_in_the_same_ledger(
    data: st.DataObject, first: list[tuple[str, str, int]], second: list[tuple[str, str, int]]
) -> None:
    truth = {"A": rows_of("A", first), "B": rows_of("B", second)}
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'c.db'}", synchronous="OFF")
        _disturb(data, engine, truth)
        _deliver_the_rest(engine, truth)
        _check(engine, [*truth["A"], *truth["B"]])
        engine.dispose()


def _batch(edge: str, rows: list[m.Movement], start: int, end: int) -> m.JournalBatch:
    return m.JournalBatch(edge_id=edge, epoch=1, first_seq=start + 1, events=tuple(rows[start:end]))


def _disturb(data: st.DataObject, engine: Engine, truth: dict[str, list[m.Movement]]) -> None:
    """Send arbitrary pieces, some twice, some beyond what is known, several in one commit."""
    acked = {"A": 0, "B": 0}
    for _ in range(data.draw(st.integers(0, 8))):
        batches = []
        for _ in range(data.draw(st.integers(1, 3))):
            edge = data.draw(st.sampled_from(["A", "B"]))
            start = data.draw(st.integers(0, len(truth[edge]) - 1))
            end = data.draw(st.integers(start + 1, len(truth[edge])))
            batches.append(_batch(edge, truth[edge], start, end))
        with engine.begin() as conn:
            applied = apply_batches(conn, batches, now_ns=1)
        for ack in applied.acks:
            assert ack.watermark_seq >= acked[ack.edge_id]
            acked[ack.edge_id] = ack.watermark_seq
        _check(engine, [row for edge, rows in truth.items() for row in rows[: acked[edge]]])


def _deliver_the_rest(engine: Engine, truth: dict[str, list[m.Movement]]) -> None:
    for edge, rows in truth.items():
        with engine.begin() as conn:
            applied = apply_batches(conn, [_batch(edge, rows, 0, len(rows))], now_ns=2)
        assert applied.acks[0].watermark_seq == len(rows)


def _check(engine: Engine, rows: list[m.Movement]) -> None:
    """The ledger holds exactly `rows`, and the balances are their sums."""
    with reading(engine) as conn:
        known = conn.execute(select(movement.c.event_id)).scalars().all()
        kept = {(r.place, r.gtin): r.units for r in conn.execute(select(balance)) if r.units}
        marks = conn.execute(select(watermark.c.seq)).scalars().all()
    assert sorted(known) == sorted(row.event_id for row in rows)
    assert kept == balance_changes(rows)
    assert sum(marks) == len(rows)
    assert verify_ledger(engine).balanced
