"""Statements at the driver: values, lists, defaults, what is told of writes, errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from central.statement import LIST_MAX, ON_WRITE, Statement, Values, _spell, named, parts_of
from central.tasking.news import News, no_news

BIN = Table(
    "bin", MetaData(),
    Column("name", String(20), primary_key=True),
    Column("row", Integer, nullable=False),
    Column("units", Integer, nullable=False, default=7),
)  # fmt: skip
ADD = Statement(insert(BIN))
NAMED = Statement(select(BIN).where(BIN.c.name.in_(bindparam("names"))).order_by(BIN.c.name))
FILL = Statement(update(BIN).where(BIN.c.name == bindparam("of_name")))

Told = list[tuple[str, Sequence[Values]]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def conn(told: Told) -> Iterator[Connection]:
    engine = create_engine("sqlite://").execution_options(
        **{ON_WRITE: lambda table, rows: told.append((table, list(rows)))}
    )
    BIN.metadata.create_all(engine)
    with engine.begin() as found:
        ADD.many(found, [{"name": f"B-{n}", "row": n} for n in range(9)])
        told.clear()
        yield found


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9])
def test_a_list_of_any_length_finds_each_row_once(conn: Connection, count: int) -> None:
    wanted = [f"B-{n}" for n in range(count)]
    assert [row.name for row in NAMED.all(conn, {"names": wanted})] == wanted


def test_a_list_of_pairs_is_looked_up_by_pairs(conn: Connection) -> None:
    pairs = Statement(
        select(BIN.c.name).where(tuple_(BIN.c.name, BIN.c.row).in_(bindparam("pairs")))
    )
    asked = [("B-1", 1), ("B-2", 1), ("B-3", 3)]
    assert sorted(pairs.scalars(conn, {"pairs": asked})) == ["B-1", "B-3"]


@pytest.mark.parametrize("count", [0, LIST_MAX + 1])
def test_a_list_that_no_statement_takes_is_a_mistake(conn: Connection, count: int) -> None:
    with pytest.raises(AssertionError, match=f"got {count}"):
        NAMED.all(conn, {"names": ["x"] * count})


def test_long_lists_are_parted(conn: Connection) -> None:
    parts = list(parts_of(range(LIST_MAX * 2 + 1)))
    assert [len(part) for part in parts] == [LIST_MAX, LIST_MAX, 1]
    assert list(parts_of([])) == []


def test_rows_have_the_columns_names_and_what_was_left_out_its_default(conn: Connection) -> None:
    assert NAMED.first(conn, {"names": ["B-3"]})._asdict() == {"name": "B-3", "row": 3, "units": 7}
    assert NAMED.first(conn, {"names": ["none"]}) is None
    assert Statement(select(func.sum(BIN.c.units))).scalar(conn) == 63


def test_only_what_changed_something_is_told(conn: Connection, told: Told) -> None:
    assert FILL.run(conn, {"of_name": "none", "units": 1}) == 0
    assert told == []
    assert FILL.run(conn, {"of_name": "B-1", "units": 1}) == 1
    assert FILL.run(conn, {"of_name": "B-1", "units": 2, "row": 5}) == 1
    assert [(table, [row["of_name"] for row in rows]) for table, rows in told] == [
        ("bin", ["B-1"]),
        ("bin", ["B-1"]),
    ]
    assert NAMED.first(conn, {"names": ["B-1"]}) == ("B-1", 5, 2)


def test_an_error_of_the_driver_comes_as_sqlalchemys(conn: Connection) -> None:
    with pytest.raises(IntegrityError, match="UNIQUE"):
        ADD.run(conn, {"name": "B-1", "row": 1})
    with pytest.raises(IntegrityError, match="UNIQUE"):
        ADD.many(conn, [{"name": "B-99", "row": 1}, {"name": "B-1", "row": 1}])


@pytest.mark.parametrize("count", [1, 249, 250, 251, 1_000, 1_007])
def test_rows_that_go_together_come_in_once_and_are_told(
    conn: Connection, told: Told, count: int
) -> None:
    new = Statement(sqlite.insert(BIN).on_conflict_do_nothing())
    names = ("name", "row", "units")
    rows = [(f"B-{n}", n, n % 3) for n in range(count)]
    known = min(count, 9)
    assert new.many_of(conn, names, rows) == count - known
    assert conn.execute(select(func.count()).select_from(BIN)).scalar_one() == max(count, 9)
    found = conn.execute(select(BIN).where(BIN.c.row >= 9).order_by(BIN.c.row)).all()
    assert [tuple(row) for row in found] == rows[9:]
    assert [list(rows) for _, rows in told] == (
        [[dict(zip(names, row, strict=True)) for row in rows]] if count > known else []
    )


def test_an_error_in_rows_that_go_together_is_told_as_any_other(conn: Connection) -> None:
    rows = [(f"C-{n}", n, 1) for n in range(300)] + [("B-1", 1, 1)] * 300
    with pytest.raises(IntegrityError, match="UNIQUE"):
        ADD.many_of(conn, ("name", "row", "units"), rows)


def test_where_values_go_by_name_they_are_given_by_name() -> None:
    dialect = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
    spelling = _spell(NAMED._clause, dialect, {"names": ["a", "b", "c"]})
    values = spelling.values({"names": ["x", "y", "z"]})
    assert sorted(values[name] for name in spelling.lists[0][2]) == ["x", "y", "z", "z"]
    assert all(f"%({name})s" in spelling.text for name in spelling.lists[0][2])


def test_news_name_what_was_written_and_doubt_what_names_nothing() -> None:
    news = no_news()
    news.note("movement", [{"task_id": "pick-1"}, {"task_id": ""}])
    news.note("reservation", [{"task_ids": ["pick-2", "pick-3"]}])
    news.note("order_line", [{"of_order": "o-1", "at_line": 2}])
    assert news.tasks() == ["pick-1", "pick-2", "pick-3"]
    assert news.orders() == ["o-1"]
    news.note("purchase_order", [{"of_po": "po-1"}])
    assert news.tasks() is None
    assert News().orders() is None
    rows = named(("event_id", "task_id"), [("e-1", "pick-4"), ("e-2", "")])
    by_position = no_news()
    by_position.note("movement", rows)
    assert by_position.tasks() == ["pick-4"]
    by_position.note("movement", named(("event_id",), [("e-3",)]))
    assert by_position.tasks() is None
    many = no_news()
    many.note("task", [{"task_id": f"pick-{n}"} for n in range(LIST_MAX + 1)])
    assert many.tasks() is None
