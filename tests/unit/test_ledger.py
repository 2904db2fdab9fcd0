"""The ledger: every row once, no holes, balances from what was really taken in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from central.ledger.journal import Applied, apply_batches
from central.ledger.reservations import reserve
from central.ledger.verify import rebuild_balances, verify_ledger
from central.statement import LIST_MAX
from central.store import open_engine, reading
from central.tables import balance, movement, observation, reservation, task, watermark
from runtime.store import StoreError
from tests.build import GTIN
from tests.build import movement as a_move
from wire import messages as m


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(f"sqlite:///{tmp_path}/central.db")
    yield found
    found.dispose()


def batch(first_seq: int, *events: m.StockEvent, edge: str = "A", epoch: int = 1) -> m.JournalBatch:
    return m.JournalBatch(edge_id=edge, epoch=epoch, first_seq=first_seq, events=events)


def moves(first: int, count: int) -> tuple[m.Movement, ...]:
    return tuple(a_move(event_id=f"e/{i}") for i in range(first, first + count))


def apply(engine: Engine, *batches: m.JournalBatch) -> Applied:
    with engine.begin() as conn:
        return apply_batches(conn, batches, now_ns=99)


def units_at(engine: Engine, place: str) -> int:
    with reading(engine) as conn:
        return sum(conn.execute(select(balance.c.units).where(balance.c.place == place)).scalars())


def a_task(engine: Engine, task_id: str, **columns: Any) -> None:
    row = {
        "task_id": task_id, "kind": "pick", "status": "open", "worker_kind": "person",
        "gtin": GTIN, "units": 5, "from_place": "bin:B-01", "to_place": "tote:O1",
        "created_at_ns": 1, "due_at_ns": 10,
    }  # fmt: skip
    with engine.begin() as conn:
        conn.execute(insert(task), row | columns)


def stock(engine: Engine, units: int, place: str = "bin:B-01") -> None:
    event = a_move(event_id=f"open/{place}", units=units, from_place="opening:", to_place=place)
    apply(engine, batch(1, event, edge="S", epoch=units))


def test_rows_in_order_are_taken_in_and_acknowledged(engine: Engine) -> None:
    applied = apply(engine, batch(1, *moves(1, 3)))
    assert applied.acks == [m.JournalAck(edge_id="A", epoch=1, watermark_seq=3)]
    assert units_at(engine, "tote:O1") == 3
    assert units_at(engine, "bin:B-01") == -3


def test_a_repeated_batch_changes_nothing_and_is_acknowledged_again(engine: Engine) -> None:
    apply(engine, batch(1, *moves(1, 3)))
    again = apply(engine, batch(1, *moves(1, 3)))
    assert again.acks == [m.JournalAck(edge_id="A", epoch=1, watermark_seq=3)]
    assert (again.events, again.duplicates) == ([], 3)
    assert units_at(engine, "tote:O1") == 3


def test_of_a_batch_that_overlaps_only_the_new_rows_are_taken(engine: Engine) -> None:
    apply(engine, batch(1, *moves(1, 3)))
    applied = apply(engine, batch(2, *moves(2, 4)))
    assert [e.event_id for e in applied.events] == ["e/4", "e/5"]
    assert applied.acks[0].watermark_seq == 5


def test_a_batch_beyond_the_watermark_changes_nothing_and_repeats_it(engine: Engine) -> None:
    apply(engine, batch(1, *moves(1, 3)))
    applied = apply(engine, batch(5, *moves(5, 2)))
    assert applied.acks == [m.JournalAck(edge_id="A", epoch=1, watermark_seq=3)]
    assert (applied.gaps, applied.events) == (1, [])
    assert units_at(engine, "tote:O1") == 3


def test_the_first_batch_of_an_epoch_must_begin_with_its_first_row(engine: Engine) -> None:
    applied = apply(engine, batch(2, *moves(2, 1)))
    assert applied.acks == [m.JournalAck(edge_id="A", epoch=1, watermark_seq=0)]


def test_epochs_and_edges_have_watermarks_of_their_own(engine: Engine) -> None:
    applied = apply(
        engine,
        batch(1, *moves(1, 2)),
        batch(1, *moves(11, 1), epoch=2),
        batch(1, *moves(21, 3), edge="B"),
    )
    assert {(a.edge_id, a.epoch): a.watermark_seq for a in applied.acks} == {
        ("A", 1): 2, ("A", 2): 1, ("B", 1): 3,
    }  # fmt: skip


def test_several_batches_of_one_commit_follow_each_other(engine: Engine) -> None:
    applied = apply(engine, batch(1, *moves(1, 2)), batch(3, *moves(3, 2)))
    assert applied.acks == [m.JournalAck(edge_id="A", epoch=1, watermark_seq=4)]


def test_an_event_id_known_from_another_journal_is_not_booked_twice(engine: Engine) -> None:
    apply(engine, batch(1, *moves(1, 2)))
    applied = apply(engine, batch(1, *moves(1, 2), epoch=2))
    assert applied.duplicates == 2
    assert units_at(engine, "tote:O1") == 2
    assert verify_ledger(engine).balanced


def test_of_many_rows_only_those_not_known_are_booked(engine: Engine) -> None:
    apply(engine, batch(1, *moves(1, 20)))
    applied = apply(engine, batch(1, *moves(11, 20), epoch=2))
    assert [event.event_id for event in applied.events] == [move.event_id for move in moves(21, 10)]
    assert applied.duplicates == 10
    assert units_at(engine, "tote:O1") == 30
    assert verify_ledger(engine).balanced


def test_an_event_id_twice_in_one_batch_is_booked_once(engine: Engine) -> None:
    applied = apply(engine, batch(1, *moves(1, 1), *moves(1, 1)))
    assert applied.acks[0].watermark_seq == 2
    assert units_at(engine, "tote:O1") == 1


def test_nothing_of_a_transaction_that_fails_stays(engine: Engine) -> None:
    def break_off() -> None:
        with engine.begin() as conn:
            apply_batches(conn, [batch(1, *moves(1, 3))], now_ns=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    with reading(engine) as conn:
        for table in (movement, balance, watermark):
            assert conn.execute(select(table)).all() == []


def test_counts_and_sightings_become_observations(engine: Engine) -> None:
    stock(engine, 7)
    common: dict[str, Any] = {"device_id": "d", "observed_at_ns": 5, "received_at_ns": 6}
    seen = m.SeenArticle(gtin=GTIN, labels=2)
    apply(
        engine,
        batch(
            1,
            m.BinCounted(
                event_id="c/1", bin_id="B-01", gtin=GTIN, counted_units=6, book_units=7, **common
            ),
            m.BinSighted(event_id="s/1", bin_id="B-01", articles=(seen,), **common),
            m.BinSighted(event_id="s/2", bin_id="B-02", articles=(), **common),
        ),
    )
    with reading(engine) as conn:
        rows = conn.execute(select(observation).order_by(observation.c.event_id)).all()
    assert [(r.kind, r.bin_id, r.gtin, r.seen_units, r.book_units) for r in rows] == [
        ("counted", "B-01", GTIN, 6, 7),
        ("sighted", "B-01", GTIN, 2, 7),
        ("sighted", "B-02", "", 0, 0),
    ]


def test_a_sighting_confirms_the_done_task_whose_bin_shows_the_article(engine: Engine) -> None:
    a_task(engine, "t1", status="done", to_place="bin:B-02", done_at_ns=10)
    a_task(engine, "t2", status="done", to_place="bin:B-02", done_at_ns=30)
    a_task(engine, "t3", status="assigned", to_place="bin:B-02")
    sighting = m.BinSighted(
        event_id="s/1", bin_id="B-02", articles=(m.SeenArticle(gtin=GTIN, labels=1),),
        device_id="cam", observed_at_ns=20, received_at_ns=21,
    )  # fmt: skip
    apply(engine, batch(1, sighting))
    with reading(engine) as conn:
        found = {row.task_id: row.confirmed_at_ns for row in conn.execute(select(task))}
    assert found == {"t1": 20, "t2": 0, "t3": 0}


def test_what_a_task_takes_out_is_no_longer_reserved(engine: Engine) -> None:
    stock(engine, 10)
    a_task(engine, "t1")
    with engine.begin() as conn:
        assert reserve(conn, "t1", "bin:B-01", GTIN, 5)
    apply(engine, batch(1, a_move(event_id="p/1", units=2, task_id="t1")))
    with reading(engine) as conn:
        assert conn.execute(select(reservation.c.units)).scalars().all() == [3]
    apply(engine, batch(2, a_move(event_id="p/2", units=3, task_id="t1")))
    with reading(engine) as conn:
        assert conn.execute(select(reservation)).all() == []


def test_an_undone_scan_is_reserved_again_for_its_task(engine: Engine) -> None:
    stock(engine, 10)
    a_task(engine, "t1")
    with engine.begin() as conn:
        assert reserve(conn, "t1", "bin:B-01", GTIN, 5)
    back = {"from_place": "tote:O1", "to_place": "bin:B-01", "reason": "undo", "task_id": "t1"}
    apply(engine, batch(1, a_move(event_id="p/1", units=2, task_id="t1")))
    apply(engine, batch(2, a_move(event_id="p/2", units=2, **back)))
    with reading(engine) as conn:
        assert conn.execute(select(reservation.c.units)).scalars().all() == [5]
    assert verify_ledger(engine).balanced


def test_stock_that_leaves_otherwise_takes_the_newest_reservation_with_it(engine: Engine) -> None:
    stock(engine, 10)
    for task_id, made in (("t1", 1), ("t2", 2)):
        a_task(engine, task_id, created_at_ns=made)
        with engine.begin() as conn:
            assert reserve(conn, task_id, "bin:B-01", GTIN, 5)
    applied = apply(engine, batch(1, a_move(event_id="x/1", units=1, to_place="loss:")))
    assert applied.cut_tasks == ["t2"]
    with reading(engine) as conn:
        assert conn.execute(select(reservation.c.task_id)).scalars().all() == ["t1"]
    assert verify_ledger(engine).balanced


def test_a_promise_is_cut_also_where_very_many_places_change(engine: Engine) -> None:
    stock(engine, 5)
    a_task(engine, "T1")
    with engine.begin() as conn:
        assert reserve(conn, "T1", "bin:B-01", GTIN, 4)
    many = [
        a_move(event_id=f"m{n}", from_place=f"bin:C-{n}", to_place="tote:X", units=1)
        for n in range(LIST_MAX)
    ]
    lost = a_move(event_id="lost", from_place="bin:B-01", to_place="tote:Y", units=3)
    assert apply(engine, batch(1, *many, lost, edge="Z")).cut_tasks == ["T1"]


def test_a_balance_that_was_changed_by_hand_is_found_and_rebuilt(engine: Engine) -> None:
    apply(engine, batch(1, *moves(1, 3)))
    with engine.begin() as conn:
        conn.execute(update(balance).where(balance.c.place == "tote:O1").values(units=4))
    report = verify_ledger(engine)
    assert not report.balanced
    assert f"  tote:O1 {GTIN}: balance 4, its movements sum up to 3" in report.text()
    assert f"  {GTIN}: 1 units too many" in report.text()
    with engine.begin() as conn:
        assert rebuild_balances(conn) == 2
    assert verify_ledger(engine).text() == "whole: 3 movements give the balances of 2 places"


def test_more_promised_than_there_is_found(engine: Engine) -> None:
    stock(engine, 3)
    row = {"task_id": "t", "place": "bin:B-01", "gtin": GTIN, "units": 4}
    with engine.begin() as conn:
        conn.execute(insert(reservation), row)
    report = verify_ledger(engine)
    assert not report.balanced
    assert f"bin:B-01 {GTIN}: 4 units promised, 3 there" in report.text()


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "central.db"
    path.write_bytes(b"this is no database, it is a text that somebody put there" * 100)
    with pytest.raises(StoreError, match=r"central\.db"):
        open_engine(f"sqlite:///{path}")


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/central.db"
    engine = open_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE setting SET value='0' WHERE name='schema'")
    engine.dispose()
    with pytest.raises(StoreError, match="tables of version 0, this program expects 1"):
        open_engine(url)
