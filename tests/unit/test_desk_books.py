from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from central import tables as t
from central.desk.books import Books, BooksError
from central.desk.queries import Queries
from central.desk.site import Names
from runtime.store import StoreError
from tests.desk_world import DeskWorld
from wire.site import parse_site

QUERIES = Queries(Names(parse_site({"bins.csv": "", "articles.csv": ""})))


@pytest.fixture
def world(tmp_path: Path) -> DeskWorld:
    world = DeskWorld(tmp_path)
    world.make_site()
    return world


@pytest.fixture
def books(world: DeskWorld) -> Iterator[Books]:
    books = Books(world.url)
    yield books
    books.close()


def test_books_that_do_not_exist_yet_say_so_and_open_by_themselves(
    world: DeskWorld, books: Books
) -> None:
    with pytest.raises(BooksError, match=r"central is not up yet.*central\.db does not exist"):
        read_events(books)
    assert not (world.directory / "central.db").exists()
    world.engine().connect().close()
    with pytest.raises(BooksError, match="has no tables"):
        read_events(books)
    world.make_books()
    assert read_events(books) == 12_841


def test_books_cannot_be_written(world: DeskWorld, books: Books) -> None:
    world.make_books()
    with pytest.raises(BooksError, match="readonly"), books.read() as connection:
        connection.execute(update(t.balance).values(units=0))


def test_books_are_read_while_central_writes_and_one_read_sees_one_moment(
    world: DeskWorld, books: Books
) -> None:
    world.make_books()
    engine = world.engine()
    seq = select(t.watermark.c.seq).where(t.watermark.c.edge_id == "A")
    with books.read() as reading:
        assert reading.execute(seq).scalar() == 4_211
        with engine.begin() as writing:
            writing.execute(
                update(t.watermark).where(t.watermark.c.edge_id == "A").values(seq=4_212)
            )
        assert reading.execute(seq).scalar() == 4_211
    with books.read() as reading:
        assert reading.execute(seq).scalar() == 4_212
    engine.dispose()


def test_books_that_were_replaced_are_opened_anew(world: DeskWorld, books: Books) -> None:
    world.make_books()
    assert read_events(books) == 12_841
    for file in world.directory.glob("central.db*"):
        file.unlink()
    engine = world.engine()
    t.metadata.create_all(engine)
    with engine.begin() as writing:
        writing.execute(insert(t.watermark).values(edge_id="A", epoch=2, seq=5))
    engine.dispose()
    assert read_events(books) == 5


def test_damaged_books_say_what_is_wrong(world: DeskWorld, books: Books) -> None:
    (world.directory / "central.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(BooksError, match="cannot be read: file is not a database"):
        read_events(books)


def test_a_url_without_a_file_is_refused() -> None:
    with pytest.raises(StoreError, match="expected the path"):
        Books("sqlite://")


def test_an_error_of_the_asker_is_not_taken_for_one_of_the_books(
    world: DeskWorld, books: Books
) -> None:
    world.make_books()
    with pytest.raises(KeyError), books.read():
        raise KeyError("ours")
    assert read_events(books) == 12_841


def read_events(books: Books) -> int:
    with books.read() as connection:
        return QUERIES.figures(connection).events
