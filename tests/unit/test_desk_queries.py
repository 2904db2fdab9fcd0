from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, delete, insert, select, update

from central import tables as t
from central.desk.books import Books
from central.desk.queries import LIMIT_MAX, Queries
from central.desk.site import Names, read_site
from central.rules import Rules, write_rules
from tests.desk_world import NOW_NS, DeskWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DeskWorld:
    world = DeskWorld(tmp_path_factory.mktemp("desk"))
    world.make_site()
    world.make_books()
    return world


@pytest.fixture(scope="module")
def queries(world: DeskWorld) -> Queries:
    return Queries(Names(read_site(world.site_dir)))


@pytest.fixture
def books(world: DeskWorld) -> Iterator[Connection]:
    opened = Books(world.url)
    with opened.read() as connection:
        yield connection
    opened.close()


def test_figures_count_what_stands_in_the_tables(queries: Queries, books: Connection) -> None:
    figures = queries.figures(books)
    assert (figures.orders_waiting, figures.orders_filled, figures.orders_refused) == (22, 23, 1)
    assert figures.proposals_waiting == 3
    assert figures.events == 4_211 + 8_630
    by_kind = {found.kind: (found.open, found.done, found.failed) for found in figures.tasks}
    assert by_kind["pick"] == (2, 9, 0)
    assert by_kind["refill"] == (3, 1, 1)
    in_bins = sum(found.units for found in queries.bins(books).values())
    assert figures.units_in_bins == in_bins > 0


def test_a_bin_shows_stock_promises_and_what_comes(
    world: DeskWorld, queries: Queries, books: Connection
) -> None:
    face = world.faces[2]
    found = queries.bins(books)[face.bin_id]
    assert (found.kind, found.edge_id, found.inbound_units) == ("pick", "B", 24)
    assert found.slot is not None
    assert found.slot.gtin == face.gtin
    assert found.capacity_units == face.capacity_units
    source = queries.bins(books)[world.reserve[2]]
    assert source.reserved_units == 24
    assert queries.bins(books, face.bin_id) == {face.bin_id: found}


def test_a_bin_that_only_the_books_know_is_listed_too(tmp_path: Path, queries: Queries) -> None:
    other = DeskWorld(tmp_path)
    engine = other.engine()
    t.metadata.create_all(engine)
    with engine.begin() as writing:
        writing.execute(insert(t.balance).values(place="bin:OLD-1", gtin="0" * 14, units=3))
        writing.execute(insert(t.balance).values(place="tote:T1", gtin="0" * 14, units=4))
        found = queries.bins(writing)
        assert found["OLD-1"].kind == "unknown"
        assert found["OLD-1"].stock[0].article.name == "0" * 14
        assert not any("T1" in bin_id for bin_id in found)
        assert queries.bin_detail(writing, "NOT-1", NOW_NS) is None
    engine.dispose()


def test_a_bin_shows_lots_serials_and_containers_and_so_does_quarantine(
    tmp_path: Path, world: DeskWorld, queries: Queries
) -> None:
    face, gtin = world.faces[0].bin_id, world.faces[0].gtin
    place, aside = f"bin:{face}", "quarantine:"
    other = DeskWorld(tmp_path)
    engine = other.engine()
    t.metadata.create_all(engine)

    def put(table: Table, *columns: str, rows: Sequence[tuple[object, ...]]) -> None:
        values = [dict(zip(columns, row, strict=True)) for row in rows]
        writing.execute(insert(table), values)

    with engine.begin() as writing:
        put(t.balance, "place", "gtin", "units", rows=[(place, gtin, 9), (aside, gtin, 2)])
        put(
            t.lot_balance, "place", "gtin", "lot", "units",
            rows=[(place, gtin, "NO-DAY", 1), (place, gtin, "LATE", 4), (place, gtin, "EARLY", 2),
                  (place, gtin, "GONE", 0), (aside, gtin, "EARLY", 2)],
        )  # fmt: skip
        put(
            t.lot, "gtin", "lot", "expires_on",
            rows=[(gtin, "LATE", "2027-05-31"), (gtin, "EARLY", "2027-02-28")],
        )  # fmt: skip
        put(
            t.serial_place, "gtin", "serial", "place", "lot",
            rows=[(gtin, "S2", place, ""), (gtin, "S1", place, "LATE"), (gtin, "S3", aside, "")],
        )  # fmt: skip
        put(t.container_place, "sscc", "place", rows=[("340123450000000017", place)])
        detail = queries.bin_detail(writing, face, NOW_NS)
        assert detail is not None
        assert [(held.lot, held.expires_on, held.units) for held in detail.lots] == [
            ("EARLY", "2027-02-28", 2), ("LATE", "2027-05-31", 4), ("NO-DAY", "", 1),
        ]  # fmt: skip
        assert [(unit.serial, unit.lot) for unit in detail.serials] == [("S1", "LATE"), ("S2", "")]
        assert detail.containers == ["340123450000000017"]
        put_aside = queries.quarantine(writing)
        assert [held.units for held in put_aside.stock] == [2]
        assert [held.lot for held in put_aside.lots] == ["EARLY"]
        assert [unit.serial for unit in put_aside.serials] == ["S3"]
    engine.dispose()


def test_a_bin_tells_what_happened_there_newest_first(
    world: DeskWorld, queries: Queries, books: Connection
) -> None:
    detail = queries.bin_detail(books, world.faces[5].bin_id, NOW_NS)
    assert detail is not None
    times = [event.at_ms for event in detail.events]
    assert times == sorted(times, reverse=True)
    assert {event.kind for event in detail.events} >= {"sighted"}
    assert [task.task_id for task in detail.open_tasks] == ["T-206"]


def test_a_bin_says_how_sure_its_book_is_and_what_that_rests_on(
    world: DeskWorld, queries: Queries, books: Connection
) -> None:
    place = f"bin:{world.faces[5].bin_id}"
    now_ns = NOW_NS + 3 * 86_400 * 10**9
    detail = queries.bin_detail(books, world.faces[5].bin_id, now_ns)
    assert detail is not None
    seen_ns = max(event.at_ms for event in detail.events if event.kind != "moved") * 10**6
    m = t.movement.c
    since = books.execute(
        select(m.from_place, m.reason).where(
            (m.from_place == place) | (m.to_place == place), m.observed_at_ns > seen_ns
        )
    ).all()
    book = detail.book
    assert book.seen_at_ms == seen_ns // 10**6
    assert book.picks == sum(row.from_place == place and "pick" in row.reason for row in since)
    assert book.picks + book.moves == len(since) > 0
    assert book.days == pytest.approx((now_ns - seen_ns) / 86_400e9, abs=0.01)
    assert 0.5 < book.probability < 0.98
    later = queries.bin_detail(books, world.faces[5].bin_id, 2 * now_ns - NOW_NS)
    assert later is not None
    assert later.book.probability < book.probability


def test_why_leads_from_orders_and_scans_to_tasks_and_movements(
    queries: Queries, books: Connection
) -> None:
    why = queries.why(books, "P-101")
    assert why is not None
    assert [(cause.kind, cause.id) for cause in why.causes] == [
        ("order", "O1044"),
        ("moved", "scanner-3/1759/115"),
        ("other", "P-404"),
    ]
    assert why.causes[1].text.endswith("(pick, Emil)")
    assert why.proposal.numbers["order_up_to_units"] == 105
    after = queries.why(books, "P-090")
    assert after is not None
    assert [task.task_id for task in after.tasks] == ["T-201", "T-DONE-1"]
    assert [event.task_id for event in after.events] == ["T-DONE-1"]
    assert queries.why(books, "P-404") is None


def test_a_waiting_move_says_how_many_are_free_at_its_source(
    world: DeskWorld, queries: Queries
) -> None:
    engine = world.engine()
    place = f"bin:{world.reserve[4]}"
    with engine.connect() as writing:  # never committed
        gtin = world.faces[12].gtin
        writing.execute(delete(t.balance).where(t.balance.c.place == place))
        writing.execute(delete(t.reservation).where(t.reservation.c.place == place))
        for other, units in ((gtin, 100), (world.gtins[0], 7)):
            writing.execute(insert(t.balance).values(place=place, gtin=other, units=units))
        promise = {"task_id": "T-X", "place": place, "gtin": gtin, "units": 30}
        writing.execute(insert(t.reservation).values(promise))
        shown = queries.page_proposals(writing)
        assert shown["P-101"].free_units == 70
        writing.execute(
            update(t.reservation).values(units=300).where(t.reservation.c.place == place)
        )
        found = queries.proposal(writing, "P-101")
        assert found is not None
        assert found.free_units == 0
    # What is bought or counted leaves no bin, and what is decided takes nothing more.
    assert {shown[id_].free_units for id_ in ("P-102", "P-103", "P-090")} == {None}
    engine.dispose()


def test_rules_are_what_central_wrote_down(world: DeskWorld, queries: Queries) -> None:
    engine = world.engine()
    with engine.connect() as writing:  # never committed
        assert queries.page_rules(writing) == {}
        write_rules(writing, Rules(day_s=120.0, auto_units_max=60, auto_buy_cents_max=5))
        shown = queries.page_rules(writing)["rules"]
        assert (shown.day_s, shown.auto_units_max, shown.auto_buy_cents_max) == (120.0, 60, 5)
        writing.execute(update(t.setting).values(value='{"day_s": "long"}'))
        assert queries.rules(writing) is None
    engine.dispose()


def test_a_cause_may_stand_behind_its_kind(queries: Queries, books: Connection) -> None:
    why = queries.why(books, "P-102")
    assert why is not None
    assert [(cause.kind, cause.id) for cause in why.causes] == [("order", "O1040")]


def test_numbers_and_causes_that_are_no_json_are_shown_as_they_are(
    world: DeskWorld, queries: Queries
) -> None:
    engine = world.engine()
    with engine.connect() as writing:  # never committed
        writing.execute(update(t.proposal).values(numbers="12 units", causes="O1044"))
        why = queries.why(writing, "P-101")
    engine.dispose()
    assert why is not None
    assert why.proposal.numbers == {"unreadable": "12 units"}
    assert why.proposal.causes == ["O1044"]
    assert why.causes[0].kind == "order"


def test_lists_come_in_pages_that_do_not_overlap(queries: Queries, books: Connection) -> None:
    first, total = queries.tasks(books, limit=10)
    second, _ = queries.tasks(books, limit=10, offset=10)
    third, _ = queries.tasks(books, limit=10, offset=20)
    ids = [task.task_id for task in (*first, *second, *third)]
    assert total == len(ids) == len(set(ids)) == 21
    picks, count = queries.tasks(books, kind="pick", status="done")
    assert count == len(picks) == 9
    filled, count = queries.orders(books, status="filled", limit=5)
    assert (len(filled), count) == (5, 23)
    assert all(order.picked_units == order.units for order in filled)
    waiting, count = queries.proposals(books, status="waiting", limit=2)
    assert (len(waiting), count) == (2, 3)
    assert len(queries.tasks(books, limit=10 * LIMIT_MAX)[0]) == 21


def test_the_page_shows_open_tasks_and_those_that_ended_last(
    queries: Queries, books: Connection
) -> None:
    tasks = queries.page_tasks(books)
    assert set(tasks) >= {"T-201", "T-205", "T-210", "T-DONE-1", "T-120"}
    assert tasks["T-206"].worker == "Cem"
    assert tasks["T-201"].worker == "agv-1"
    assert tasks["T-205"].waits == "Waits for a free robot."
    assert tasks["T-207"].waits.startswith("Waits for stock")
    proposals = queries.page_proposals(books)
    assert {found.status for found in proposals.values()} == {"waiting", "done", "rejected"}
    orders = queries.page_orders(books)
    assert orders["O1044"].status == "accepted"
    events = list(queries.page_events(books).values())
    assert len(events) == 60
    assert {event.kind for event in events} == {"moved", "counted", "sighted"}
