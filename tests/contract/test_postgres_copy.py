"""Many rows into PostgreSQL by COPY, and books whose texts an older program had ordered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.exc import DBAPIError

from central.ledger.journal import Applied, apply_batches
from central.ledger.verify import verify_ledger
from central.postgres import COPY_ROWS_MIN
from central.store import insert_returning, open_engine, reading, upsert
from central.tables import counter, mission_end, movement, setting
from tests.build import movement as a_move
from wire.messages import JournalBatch, Movement

MANY = 2 * COPY_ROWS_MIN
OTHERWISE = (
    "SELECT count(*) FROM pg_attribute c JOIN pg_class t ON t.oid = c.attrelid"
    " WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace"
    " AND c.attnum > 0 AND c.attcollation <> 0"
    " AND c.attcollation <> (SELECT oid FROM pg_collation WHERE collname = 'C')"
)
ORDER_INDEX = "SELECT count(*) FROM pg_indexes WHERE indexname = 'balance_order'"


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    found = open_engine(postgres_url)
    yield found
    found.dispose()


def apply(engine: Engine, events: list[Movement], epoch: int) -> Applied:
    batch = JournalBatch(edge_id="A", epoch=epoch, first_seq=1, events=tuple(events))
    with engine.begin() as conn:
        return apply_batches(conn, [batch], now_ns=1)


def moves(*numbers: int) -> list[Movement]:
    return [a_move(event_id=f"e/{number}") for number in numbers]


@pytest.mark.parametrize("known", [[0], [MANY - 1], [3, 40, 77], [*range(MANY)]])
def test_rows_that_are_known_in_part_come_in_as_far_as_they_are_new(
    engine: Engine, known: list[int]
) -> None:
    apply(engine, moves(*known), 1)
    applied = apply(engine, moves(*range(MANY)), 2)
    new = [f"e/{n}" for n in range(MANY) if n not in known]
    assert [event.event_id for event in applied.events] == new
    with reading(engine) as conn:
        ids = conn.execute(select(movement.c.event_id).order_by(movement.c.id)).scalars().all()
    assert ids == [f"e/{n}" for n in known] + new
    assert verify_ledger(engine).balanced


def test_what_a_transaction_wrote_before_stays_where_known_rows_are_refused(engine: Engine) -> None:
    apply(engine, moves(5), 1)
    batch = JournalBatch(edge_id="A", epoch=2, first_seq=1, events=tuple(moves(*range(MANY))))
    with engine.begin() as conn:
        conn.execute(insert(setting), {"name": "before", "value": "x"})
        first = apply_batches(conn, [batch], now_ns=1)
        again = JournalBatch(edge_id="B", epoch=2, first_seq=1, events=batch.events)
        second = apply_batches(conn, [again], now_ns=1)
    assert (len(first.events), len(second.events), second.duplicates) == (MANY - 1, 0, MANY)
    with reading(engine) as conn:
        where = setting.c.name == "before"
        assert conn.execute(select(setting.c.value).where(where)).scalar_one() == "x"
        assert conn.execute(select(func.count()).select_from(movement)).scalar_one() == MANY


def test_many_rows_twice_in_one_transaction_are_each_added_once(engine: Engine) -> None:
    with engine.begin() as conn:
        for first in (0, MANY // 2):
            rows = [{"name": f"n{n}", "value": 1} for n in range(first, first + MANY)]
            upsert(conn, counter, rows, add=("value",))
    with reading(engine) as conn:
        values = {row.name: row.value for row in conn.execute(select(counter))}
    twice = range(MANY // 2, MANY)
    assert values == {f"n{n}": 1 + (n in twice) for n in range(MANY + MANY // 2)}


def test_a_number_too_large_for_its_column_is_refused_not_cut(engine: Engine) -> None:
    rows = [
        {
            "event_id": f"m/{n}", "mission_id": "m", "drone_id": "d", "ok": 2**40, "detail": "",
            "bins_seen": "[]", "observed_at_ns": n,
        }
        for n in range(MANY)
    ]  # fmt: skip
    with pytest.raises(DBAPIError, match="out of range"), engine.begin() as conn:
        insert_returning(conn, mission_end, rows, mission_end.c.event_id)


def test_books_of_an_older_program_are_ordered_by_characters_and_stay_whole(
    postgres_url: str, engine: Engine
) -> None:
    apply(engine, moves(*range(MANY)), 1)
    with engine.begin() as conn:
        for table, column, length in (
            ("balance", "place", 64), ("balance", "gtin", 14), ("movement", "event_id", 120),
            ("task", "task_id", 40),
        ):  # fmt: skip
            conn.exec_driver_sql(
                f"ALTER TABLE {table} ALTER COLUMN {column}"
                f' TYPE varchar({length}) COLLATE "default"'
            )
        conn.exec_driver_sql("CREATE INDEX balance_order ON balance (place, gtin)")
    engine.dispose()
    later = open_engine(postgres_url)
    with reading(later) as conn:
        assert conn.exec_driver_sql(OTHERWISE).scalar_one() == 0
        assert conn.exec_driver_sql(ORDER_INDEX).scalar_one() == 0
    applied = apply(later, moves(*range(MANY + 1)), 2)
    assert [event.event_id for event in applied.events] == [f"e/{MANY}"]
    assert verify_ledger(later).balanced
    later.dispose()
