"""The ledger on each database it may lie in: what arrives, what is promised, what is checked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import OperationalError

from central import postgres, store
from central.fleet.memory import JobEnd, Memory, OrderMemory
from central.ledger import asof
from central.ledger.asof import rebuild_marks, stock_as_of
from central.ledger.core import balance_changes
from central.ledger.journal import Applied, apply_batches
from central.ledger.reservations import available_units, cut_to_balance, release, reserve
from central.ledger.verify import rebuild_balances, verify_ledger
from central.postgres import COPY_ROWS_MIN
from central.store import insert_returning, next_numbers, open_engine, reading, upsert
from central.tables import (
    ODD_NS,
    balance,
    counter,
    lot_balance,
    movement,
    observation,
    reservation,
    serial_place,
    task,
)
from tests.build import GTIN
from tests.build import movement as a_move
from tests.unit.test_lots import EVENTS
from wire import messages as m

PLACE = "bin:B-01"
CALLERS = 64
JOIN_S_MAX = 60.0
MANY = 4 * COPY_ROWS_MIN
"""So many rows go another way into PostgreSQL than few."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/central.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    found = open_engine(url)
    yield found
    found.dispose()


def batch(first_seq: int, *events: m.StockEvent, edge: str = "A", epoch: int = 1) -> m.JournalBatch:
    return m.JournalBatch(edge_id=edge, epoch=epoch, first_seq=first_seq, events=events)


def moves(first: int, count: int, name: str = "e") -> tuple[m.Movement, ...]:
    return tuple(a_move(event_id=f"{name}/{i}") for i in range(first, first + count))


def apply(engine: Engine, *batches: m.JournalBatch, now_ns: int = 99) -> Applied:
    with engine.begin() as conn:
        return apply_batches(conn, batches, now_ns=now_ns)


def units_at(engine: Engine, place: str) -> int:
    with reading(engine) as conn:
        return sum(conn.execute(select(balance.c.units).where(balance.c.place == place)).scalars())


def stock(engine: Engine, units: int, place: str = PLACE) -> None:
    event = a_move(event_id=f"open/{place}", units=units, from_place="opening:", to_place=place)
    apply(engine, batch(1, event, edge=place.replace(":", "-")))


def ack(seq: int, *, edge: str = "A", epoch: int = 1) -> m.JournalAck:
    return m.JournalAck(edge_id=edge, epoch=epoch, watermark_seq=seq)


# --- batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, MANY])
def test_rows_are_taken_in_once_however_often_they_come(engine: Engine, count: int) -> None:
    first = apply(engine, batch(1, *moves(1, count)))
    assert first.acks == [ack(count)]
    assert [event.event_id for event in first.events] == [f"e/{n}" for n in range(1, count + 1)]
    again = apply(engine, batch(1, *moves(1, count)))
    assert (again.acks, again.events, again.duplicates) == ([ack(count)], [], count)
    longer = apply(engine, batch(2, *moves(2, count + 1)))
    assert longer.acks == [ack(count + 2)]
    assert [event.event_id for event in longer.events] == [f"e/{count + 1}", f"e/{count + 2}"]
    assert (units_at(engine, "tote:O1"), units_at(engine, PLACE)) == (count + 2, -count - 2)
    assert verify_ledger(engine).balanced


def test_a_hole_changes_nothing_and_the_watermark_is_repeated(engine: Engine) -> None:
    apply(engine, batch(1, *moves(1, 3)))
    applied = apply(engine, batch(5, *moves(5, 2)))
    assert (applied.acks, applied.gaps, applied.events) == ([ack(3)], 1, [])
    assert apply(engine, batch(1, *moves(1, 1), edge="B"), batch(3, *moves(3, 1), edge="B")).acks
    assert units_at(engine, "tote:O1") == 3


def test_what_comes_in_another_order_ends_the_same(engine: Engine) -> None:
    parts = [batch(n, *moves(n, 2)) for n in (1, 3, 5, 7)]
    for order in ((3, 1, 0, 2), (1, 2, 0, 3), (2, 1, 3, 0), (3, 2, 1, 0)):
        for index in order:
            apply(engine, parts[index])
    assert apply(engine, parts[0]).acks == [ack(8)]
    assert units_at(engine, "tote:O1") == 8
    assert verify_ledger(engine).movements == 8


def test_two_epochs_and_two_edges_count_by_themselves(engine: Engine) -> None:
    applied = apply(
        engine,
        batch(1, *moves(1, 2)),
        batch(1, *moves(11, 1), epoch=2),
        batch(1, *moves(21, 3), edge="B"),
        batch(3, *moves(3, 2)),
    )
    assert set(applied.acks) == {ack(4), ack(1, epoch=2), ack(3, edge="B")}
    late = apply(engine, batch(5, *moves(5, 1)), batch(2, *moves(12, 1), epoch=2))
    assert set(late.acks) == {ack(5), ack(2, epoch=2)}


@pytest.mark.parametrize("count", [2, MANY])
def test_a_journal_sent_anew_in_a_new_epoch_is_not_booked_again(engine: Engine, count: int) -> None:
    apply(engine, batch(1, *moves(1, count)))
    replayed = apply(engine, batch(1, *moves(1, count + 1), epoch=2))
    assert (replayed.duplicates, len(replayed.events)) == (count, 1)
    assert replayed.acks == [ack(count + 1, epoch=2)]
    assert units_at(engine, "tote:O1") == count + 1
    assert verify_ledger(engine).balanced


@pytest.mark.parametrize("count", [1, MANY])
def test_an_event_twice_in_one_batch_is_booked_once(engine: Engine, count: int) -> None:
    applied = apply(engine, batch(1, *moves(1, count), *moves(1, count)))
    assert applied.acks == [ack(2 * count)]
    assert units_at(engine, "tote:O1") == count


def test_nothing_of_a_transaction_that_fails_stays_and_no_ack_holds(engine: Engine) -> None:
    def break_off() -> None:
        with engine.begin() as conn:
            acks = apply_batches(conn, [batch(1, *moves(1, MANY))], now_ns=1).acks
            assert acks == [ack(MANY)]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert verify_ledger(engine).movements == 0
    assert apply(engine, batch(MANY + 1, *moves(MANY + 1, 1))).acks == [ack(0)]
    assert apply(engine, batch(1, *moves(1, MANY))).acks == [ack(MANY)]


def test_what_is_acknowledged_is_there_for_whoever_opens_the_books_next(
    url: str, engine: Engine
) -> None:
    applied = apply(engine, batch(1, *moves(1, MANY)))
    other = open_engine(url)
    with reading(other) as conn:
        known = set(conn.execute(select(movement.c.event_id)).scalars())
    other.dispose()
    assert known == {event.event_id for event in applied.events}


def test_counts_and_sightings_become_observations_once(engine: Engine) -> None:
    stock(engine, 7)
    common: dict[str, Any] = {"device_id": "d", "observed_at_ns": 5, "received_at_ns": 6}
    seen = tuple(
        m.BinSighted(
            event_id=f"s/{n}",
            bin_id="B-01",
            articles=(m.SeenArticle(gtin=GTIN, labels=2),),
            **common,
        )
        for n in range(MANY)
    )
    counted = m.BinCounted(
        event_id="c", bin_id="B-01", gtin=GTIN, counted_units=6, book_units=7, **common
    )
    for _ in range(2):
        apply(engine, batch(1, counted, *seen))
    with reading(engine) as conn:
        rows = conn.execute(select(observation).order_by(observation.c.event_id)).all()
    assert len(rows) == MANY + 1
    assert {row.book_units for row in rows} == {7}
    assert units_at(engine, PLACE) == 7


def test_two_that_apply_the_same_rows_at_once_book_them_once(url: str, engine: Engine) -> None:
    """Rows in opposite orders, so that row locks alone would wait for each other for ever."""
    rows = moves(1, MANY)

    def apply_all(number: int, mine: Engine) -> None:
        mixed = rows if number % 2 else rows[::-1]
        for part in range(0, MANY, 40):
            events = mixed[part : part + 40]
            edge = f"E{number}"
            apply(mine, batch(part + 1, *events, edge=edge))

    at_once(url, 6, apply_all)
    assert units_at(engine, "tote:O1") == MANY
    report = verify_ledger(engine)
    assert report.balanced
    assert report.movements == MANY


# --- reservations ------------------------------------------------------------------------------


def at_once(url: str, callers: int, work: Any) -> None:
    """Do `work(number, engine)` in so many threads with a connection each; none may hang."""
    together = threading.Barrier(callers)
    failed: list[BaseException] = []

    def run(number: int) -> None:
        mine = store._make_engine(url, "FULL", cache_kib=2_000)  # its tables are there
        try:
            mine.connect().close()
            together.wait(timeout=JOIN_S_MAX)
            work(number, mine)
        except BaseException as error:  # noqa: BLE001 # told by the caller's thread
            failed.append(error)
        finally:
            mine.dispose()

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=JOIN_S_MAX)
    assert not any(thread.is_alive() for thread in threads)
    failed.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    assert not failed, failed[0]


def test_of_64_callers_at_once_on_10_units_exactly_10_get_one(url: str, engine: Engine) -> None:
    stock(engine, 10)
    results: list[bool] = []

    def ask(number: int, mine: Engine) -> None:
        with mine.begin() as conn:
            results.append(reserve(conn, f"t{number}", PLACE, GTIN, 1))

    at_once(url, CALLERS, ask)
    assert (len(results), sum(results)) == (CALLERS, 10)
    with reading(engine) as conn:
        assert sum(conn.execute(select(reservation.c.units)).scalars()) == 10
    assert verify_ledger(engine).balanced


def test_callers_that_want_the_same_places_in_opposite_orders_do_not_block_each_other(
    url: str, engine: Engine
) -> None:
    places = ["bin:B-01", "bin:B-02", "bin:B-03"]
    for place in places:
        stock(engine, 5, place)
    won: list[str] = []

    def ask(number: int, mine: Engine) -> None:
        order = places if number % 2 else places[::-1]
        for turn in range(3):
            with mine.begin() as conn:
                name = f"t{number}-{turn}"
                won.extend(place for place in order if reserve(conn, name, place, GTIN, 1))

    at_once(url, 12, ask)
    assert {place: won.count(place) for place in places} == dict.fromkeys(places, 5)
    assert verify_ledger(engine).balanced


def test_what_is_free_can_be_promised_and_given_back(engine: Engine) -> None:
    stock(engine, 10)
    with engine.begin() as conn:
        assert reserve(conn, "t1", PLACE, GTIN, 7)
        assert available_units(conn, PLACE, GTIN) == 3
        assert not reserve(conn, "t2", PLACE, GTIN, 4)
        assert reserve(conn, "t2", PLACE, GTIN, 3)
        release(conn, "t1")
        assert available_units(conn, PLACE, GTIN) == 7
        assert not reserve(conn, "t3", "bin:B-99", GTIN, 1)


def a_task(conn: Connection, task_id: str, created_at_ns: int, units: int) -> None:
    row = {
        "task_id": task_id, "kind": "pick", "status": "open", "worker_kind": "person",
        "gtin": GTIN, "units": units, "from_place": PLACE, "to_place": "tote:O1",
        "created_at_ns": created_at_ns, "due_at_ns": 10**9,
    }  # fmt: skip
    conn.execute(insert(task), row)
    assert reserve(conn, task_id, PLACE, GTIN, units)


def test_stock_that_leaves_otherwise_costs_the_newest_promises(engine: Engine) -> None:
    stock(engine, 10)
    with engine.begin() as conn:
        for number in range(3):
            a_task(conn, f"t{number}", number, 3)
    gone = a_move(event_id="gone", units=5, from_place=PLACE, to_place="loss:")
    assert apply(engine, batch(1, gone)).cut_tasks == ["t2", "t1"]
    with engine.begin() as conn:
        assert cut_to_balance(conn, [(PLACE, GTIN)]) == []
        assert available_units(conn, PLACE, GTIN) == 2


def test_a_pick_uses_up_its_own_promise(engine: Engine) -> None:
    stock(engine, 10)
    with engine.begin() as conn:
        a_task(conn, "t1", 1, 6)
    apply(engine, batch(1, a_move(event_id="p", units=4, from_place=PLACE, task_id="t1")))
    with reading(engine) as conn:
        assert conn.execute(select(reservation.c.units)).scalar_one() == 2


def test_who_waits_too_long_for_another_writer_is_told(
    url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (store, postgres):
        monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 100)
    other = store._make_engine(url, "FULL", cache_kib=2_000)
    with engine.begin() as conn:
        assert next_numbers(conn, "id", 1)
        with pytest.raises(OperationalError, match=r"locked|lock timeout"), other.begin():
            pass
        with reading(other) as reader:
            assert reader.execute(select(counter)).all() == []
    with other.begin() as conn:
        assert list(next_numbers(conn, "id", 1)) == [2]
    other.dispose()


# --- checks, numbers, rows ---------------------------------------------------------------------


def test_a_wrong_balance_is_named_and_made_again(engine: Engine) -> None:
    stock(engine, 7)
    apply(engine, batch(1, *moves(1, 3)))
    assert verify_ledger(engine).balanced
    with engine.begin() as conn:
        conn.execute(update(balance).where(balance.c.place == PLACE).values(units=99))
        conn.execute(
            insert(reservation), {"task_id": "x", "place": "bin:Z", "gtin": GTIN, "units": 1}
        )
    report = verify_ledger(engine)
    assert not report.balanced
    assert report.wrong_balances == (((PLACE, GTIN), 99, 4),)
    assert report.unbalanced_gtins == ((GTIN, 95),)
    assert report.over_reserved == ((("bin:Z", GTIN), 1, 0),)
    with engine.begin() as conn:
        release(conn, "x")
        assert rebuild_balances(conn) == 3
    assert verify_ledger(engine).balanced
    assert units_at(engine, PLACE) == 4


def test_numbers_are_given_out_once_however_many_ask(url: str, engine: Engine) -> None:
    found: list[int] = []

    def ask(_number: int, mine: Engine) -> None:
        for _ in range(5):
            with mine.begin() as conn:
                found.extend(next_numbers(conn, "id", 2))

    at_once(url, 8, ask)
    assert sorted(found) == list(range(1, 81))


@pytest.mark.parametrize("count", [5, MANY])
def test_rows_are_added_to_or_replaced_whichever_way_they_go(engine: Engine, count: int) -> None:
    told: list[tuple[str, int]] = []
    options: dict[str, Any] = {"stockhelm_on_write": lambda t, rows: told.append((t, len(rows)))}
    rows = [{"name": f"n{n}", "value": n} for n in range(count)]
    with engine.execution_options(**options).begin() as conn:
        first = partial(insert_returning, conn, counter)
        assert first(rows[:3], counter.c.name) == ["n0", "n1", "n2"]
        assert first(rows, counter.c.name) == [f"n{n}" for n in range(3, count)]
        upsert(conn, counter, rows, add=("value",))
        upsert(conn, counter, rows[:2], replace=("value",))
        found = {row.name: row.value for row in conn.execute(select(counter))}
    assert found == {f"n{n}": n if n < 2 else 2 * n for n in range(count)}
    assert {table for table, _ in told} == {"counter"}
    assert ("counter", count) in told


def test_lots_serials_and_containers_follow_and_are_made_anew(engine: Engine) -> None:
    apply(engine, batch(1, *EVENTS))
    assert verify_ledger(engine).balanced
    with engine.begin() as conn:
        for table in (lot_balance, serial_place):
            before = {tuple(row) for row in conn.execute(select(table)) if row[-1]}
            assert before
            conn.execute(delete(table))
            rebuild_balances(conn)
            assert {tuple(row) for row in conn.execute(select(table)) if row[-1]} == before
    assert verify_ledger(engine).balanced


def test_what_the_fleet_must_remember_comes_back(url: str, engine: Engine) -> None:
    robots = [
        Memory(robot_id=f"acme/r{n}", order_id="o", sent_at_ns=2**62 + n) for n in range(MANY)
    ]
    ends = [
        JobEnd(
            job_id=f"j{n}", robot_id="acme/r1", event="done", stops_done=2, detail="",
            ended_at_ns=n,
        )
        for n in range(3)
    ]  # fmt: skip
    for rows, told in ((robots, ends), (robots[:1], ends[:1])):
        memory = OrderMemory(url)
        memory.save(rows, told)
        memory.close()
    memory = OrderMemory(url)
    assert memory.load() == {row.robot_id: row for row in robots}
    memory.forget_ends(2)
    assert (memory.end_of("j1"), memory.end_of("j2")) == (None, ends[2])
    memory.close()


# --- the stock at a past time --------------------------------------------------------------------


@pytest.mark.parametrize("rows_max", [0, 10_000])
def test_the_stock_of_the_past_follows_what_comes_late(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, rows_max: int
) -> None:
    monkeypatch.setattr(asof, "_spacing", lambda _movements, _rows: 7)
    monkeypatch.setattr(asof, "SPACING_MIN", 7)
    monkeypatch.setattr(asof, "CORRECTED_ROWS_MAX", rows_max)
    order = [(n * 7) % 60 for n in range(60)]
    found: list[tuple[int, m.Movement]] = []
    for turn, part in enumerate(range(0, 60, 5)):
        events = tuple(
            a_move(
                event_id=f"e/{n}",
                observed_at_ns=n * ODD_NS // 4,
                to_place=f"bin:A-{n % 3}",
                units=n + 1,
            )
            for n in order[part : part + 5]
        )
        apply(engine, batch(part + 1, *events), now_ns=turn * ODD_NS)
        found += [(turn * ODD_NS, event) for event in events]

    def plain(at_ns: int, known_at_ns: int) -> dict[tuple[str, str], int]:
        return balance_changes(
            move for known, move in found if move.observed_at_ns <= at_ns and known <= known_at_ns
        )

    with engine.begin() as conn:
        for at_ns in range(0, 16 * ODD_NS, ODD_NS):
            assert stock_as_of(conn, at_ns) == plain(at_ns, 99 * ODD_NS)
            for known_at_ns in range(0, 12 * ODD_NS, 3 * ODD_NS):
                assert stock_as_of(conn, at_ns, known_at_ns) == plain(at_ns, known_at_ns)
        half = plain(8 * ODD_NS, 99 * ODD_NS)
        place = "bin:A-1"
        assert stock_as_of(conn, 8 * ODD_NS, place=place, gtin=GTIN) == {
            (place, GTIN): half[place, GTIN]
        }
    assert verify_ledger(engine).balanced
    with engine.begin() as conn:
        assert rebuild_marks(conn) == 8
        assert stock_as_of(conn, 8 * ODD_NS) == half
    assert verify_ledger(engine).balanced
