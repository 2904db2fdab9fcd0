"""Lots, serial numbers and containers stand beside the counts and follow from the same events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils
from sqlalchemy import inspect, select, text

from central.ledger.journal import apply_batches
from central.ledger.verify import rebuild_balances, verify_ledger
from central.store import open_engine
from central.tables import container_place, lot, lot_balance, movement, serial_place, task_short
from edge.counting.core import split
from edge.counting.facts import append_facts, with_lots
from edge.counting.store import open_store
from edge.counting.verify import rebuild_counts, verify_counts
from runtime.store import open_database
from tests import build
from wire import messages as m

SSCC = "340123450000000017"
OUTER = "340123450000000024"
TIMES: dict[str, Any] = {"observed_at_ns": 1, "received_at_ns": 1}
EVENTS: tuple[m.StockEvent, ...] = (
    build.movement(event_id="1", from_place="supplier:S1", to_place="bin:B-01", units=5,
                   lot="L1", expires_on="2027-02-28", reason="receive"),
    build.movement(event_id="2", from_place="supplier:S1", to_place="bin:B-01", units=1,
                   lot="L2", serial="S1", reason="receive"),
    build.movement(event_id="3", units=2, lot="L1"),
    build.movement(event_id="4", units=1, lot="L2", serial="S1"),
    build.movement(event_id="5", units=1),
    m.ContainerMoved(event_id="6", container=SSCC, from_place="container:", device_id="s",
                     to_place=f"container:{OUTER}", **TIMES),
    m.TaskClosed(event_id="7", task_id="T9", short_units=4, device_id="s", **TIMES),
)  # fmt: skip


def edge(path: Path | None = None) -> sqlite_utils.Database:
    store = open_store(path, edge_id="A", new_epoch=1)
    with store.transaction() as tx:
        for event in EVENTS:
            tx.append(event)
        assert tx.lots_at("bin:B-01", build.GTIN) == {"L1": 3}
        assert tx.serials_at("tote:O1", build.GTIN) == 1
        assert tx.serial_place(build.GTIN, "S1") == "tote:O1"
        assert tx.lot_expires_on(build.GTIN, "L1") == "2027-02-28"
        assert tx.container_place(SSCC) == f"container:{OUTER}"
        assert tx.inside(f"container:{OUTER}", 9) == [SSCC]
        assert tx.done_units("T9") == 4
        assert tx.contents("tote:O1", 9) == [
            (build.GTIN, 1, "L2", "S1"),
            (build.GTIN, 2, "L1", ""),
            (build.GTIN, 1, "", ""),
        ]
    return store.db


def test_an_edge_keeps_lots_serials_and_containers_and_makes_them_anew() -> None:
    db = edge()
    assert verify_counts(db) == []
    tables = ("counts", "lot_counts", "lots", "serials", "containers", "task_units")
    before = {name: set(db.execute(f"SELECT * FROM {name}")) for name in tables}
    assert rebuild_counts(db) == len(before["counts"])
    assert {name: set(db.execute(f"SELECT * FROM {name}")) for name in tables} == before
    assert sum(units for *_, units in before["lot_counts"]) == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE lot_counts SET units = units + 1 WHERE place = 'bin:B-01' AND lot = 'L1'",
        "UPDATE serials SET place = 'bin:B-01'",
        "DELETE FROM containers",
        "UPDATE lots SET expires_on = '2030-01-01'",
    ],
)
def test_what_is_not_as_the_journal_makes_it_is_found(change: str) -> None:
    db = edge()
    db.execute(change)
    assert verify_counts(db)
    rebuild_counts(db)
    assert verify_counts(db) == []


def test_an_edge_database_without_lots_gets_their_tables(tmp_path: Path) -> None:
    file = tmp_path / "edge.db"
    store = open_store(file, edge_id="A", new_epoch=1)
    with store.transaction() as tx:
        tx.append(build.movement())
        tx.append(
            build.movement(event_id="7", from_place=f"container:{SSCC}", to_place="bin:A-01",
                           container=SSCC, units=3)
        )  # fmt: skip
    store.close()
    db = open_database(file)
    for name in ("lot_counts", "lots", "serials", "containers", "container_goods"):
        db.execute(f"DROP TABLE {name}")
    old = "meta journal counts task_units session device_state answer"
    db.execute(f"UPDATE meta SET value = '{old}' WHERE name = 'tables'")
    db.conn.close()
    store = open_store(file, edge_id="A", new_epoch=2)
    assert verify_counts(store.db) == []
    with store.transaction() as tx:
        assert tx.goods_with(SSCC, 9) == [(build.GTIN, 3, "", "")]
    store.close()


def named(parts: Sequence[m.StockEvent]) -> list[tuple[str, int, str, str]]:
    return [
        (e.event_id, e.units, e.lot, e.serial) for e in parts if isinstance(e, m.Movement)
    ]  # fmt: skip


def arrived(number: int, units: int, lot: str = "", **said: Any) -> m.Movement:
    return build.movement(
        event_id=f"in-{number}", from_place="supplier:S1", to_place="bin:B-01", units=units,
        lot=lot, **said,
    )  # fmt: skip


def robot_picks(units: int, task_id: str = "T1") -> m.Movement:
    return build.movement(
        event_id=f"pick/{task_id}/B-01/{build.GTIN}/{units}", units=units, from_place="bin:B-01",
        to_place="robot:r1", reason="robot-pick", task_id=task_id,
    )  # fmt: skip


def robot_drops(units: int, task_id: str = "T1", to_bin: str = "B-02") -> m.Movement:
    return build.movement(
        event_id=f"drop/{task_id}/{to_bin}/{build.GTIN}/{units}", units=units,
        from_place="robot:r1", to_place=f"bin:{to_bin}", reason="robot-drop", task_id=task_id,
    )  # fmt: skip


def test_a_robot_takes_the_only_lot_with_it() -> None:
    store = open_store(None, edge_id="A", new_epoch=1)
    with store.transaction() as tx:
        append_facts(tx, [arrived(1, 5, "L1"), robot_picks(3), robot_drops(3)])
        assert tx.lots_at("bin:B-01", build.GTIN) == {"L1": 2}
        assert tx.lots_at("bin:B-02", build.GTIN) == {"L1": 3}
        append_facts(tx, [robot_picks(9, "T2"), robot_drops(9, "T2")])
        assert tx.lots_at("bin:B-02", build.GTIN) == {"L1": 3}, "more than the book has: no lot"
    assert verify_counts(store.db) == []


def test_a_robot_takes_first_what_expires_first_and_a_repeat_changes_nothing() -> None:
    store = open_store(None, edge_id="A", new_epoch=1)
    late, early = {"expires_on": "2027-05-31"}, {"expires_on": "2027-02-28"}
    with store.transaction() as tx:
        append_facts(tx, [arrived(1, 4, "L1", **late), arrived(2, 3, "L2", **early), arrived(3, 1)])
        assert named(with_lots(tx, robot_picks(6))) == [
            (robot_picks(6).event_id, 3, "L2", ""),
            (robot_picks(6).event_id + "#2", 2, "L1", ""),
            (robot_picks(6).event_id + "#3", 1, "", ""),
        ]
    before = store.last_seq
    for _ in range(2):
        with store.transaction() as tx:
            append_facts(tx, [robot_picks(6), robot_drops(6), robot_drops(6)])
            assert tx.lots_at("bin:B-02", build.GTIN) == {"L1": 2, "L2": 3}
            assert tx.book_units("bin:B-02", build.GTIN) == 6
            assert tx.lots_at("bin:B-01", build.GTIN) == {"L1": 2}
    assert store.last_seq == before + 6
    assert verify_counts(store.db) == []


def test_a_robot_that_takes_all_takes_the_serial_numbers_too() -> None:
    store = open_store(None, edge_id="A", new_epoch=1)
    with store.transaction() as tx:
        append_facts(tx, [arrived(1, 1, "L1", serial="S1"), arrived(2, 1, serial="S2")])
        append_facts(tx, [robot_picks(2), robot_drops(2)])
        assert tx.lots_of_serials("bin:B-02", build.GTIN) == {"S1": "L1", "S2": ""}
        append_facts(tx, [arrived(3, 1, serial="S3"), arrived(4, 1)])
        assert named(with_lots(tx, robot_picks(1, "T2"))) == [
            (robot_picks(1, "T2").event_id, 1, "", "")
        ]
    assert verify_counts(store.db) == []


def test_what_is_alike_at_a_place_is_one_row() -> None:
    assert split("g", 0, {}, {}) == []
    assert split("g", 5, {"L": 2, "M": -1}, {}) == [("g", 2, "L", ""), ("g", 3, "", "")]
    assert split("g", 2, {"L": 2}, {"S": "L", "T": ""}) == [("g", 1, "L", "S"), ("g", 1, "", "T")]


def test_central_keeps_the_same_and_makes_it_anew(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/central.db")
    batch = m.JournalBatch(edge_id="A", epoch=1, first_seq=1, events=EVENTS)
    for _ in range(2):  # the second time changes nothing
        with engine.begin() as conn:
            apply_batches(conn, [batch], 1)
    with engine.begin() as conn:
        kept = {(r.lot, r.place): r.units for r in conn.execute(select(lot_balance))}
        assert kept == {
            ("L1", "supplier:S1"): -5, ("L1", "bin:B-01"): 3, ("L1", "tote:O1"): 2,
            ("L2", "supplier:S1"): -1, ("L2", "tote:O1"): 1,
        }  # fmt: skip
        assert conn.execute(select(lot.c.expires_on)).scalar_one() == "2027-02-28"
        assert conn.execute(select(serial_place.c.place)).scalar_one() == "tote:O1"
        assert conn.execute(select(container_place.c.place)).scalar_one() == f"container:{OUTER}"
        assert conn.execute(select(task_short.c.short_units)).scalar_one() == 4
    assert verify_ledger(engine).balanced
    with engine.begin() as conn:
        conn.execute(lot_balance.update().values(units=7))
        conn.execute(serial_place.update().values(place="bin:B-01"))
    report = verify_ledger(engine)
    assert not report.balanced
    assert f"bin:B-01 {build.GTIN} lot L1: balance 7, its movements sum up to 3" in report.text()
    with engine.begin() as conn:
        conn.execute(container_place.delete())
    assert f"container {SSCC}" in verify_ledger(engine).text()
    with engine.begin() as conn:
        rebuild_balances(conn)
        assert conn.execute(select(container_place.c.place)).scalar_one() == f"container:{OUTER}"
    assert verify_ledger(engine).balanced
    engine.dispose()


def test_an_older_central_database_gets_the_columns_and_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/central.db"
    engine = open_engine(url)
    with engine.begin() as conn:
        batch = m.JournalBatch(edge_id="A", epoch=1, first_seq=1, events=(build.movement(),))
        apply_batches(conn, [batch], 1)
        conn.execute(text("DROP INDEX movement_lot"))
        for column in ("lot", "expires_on", "serial", "container"):
            conn.execute(text(f"ALTER TABLE movement DROP COLUMN {column}"))
        conn.execute(text("ALTER TABLE observation DROP COLUMN lot"))
    engine.dispose()
    engine = open_engine(url)
    with engine.begin() as conn:
        assert conn.execute(select(movement.c.lot, movement.c.units)).one() == ("", 1)
        events = (build.movement(event_id="x", lot="L1"),)
        batch = m.JournalBatch(edge_id="A", epoch=1, first_seq=2, events=events)
        apply_batches(conn, [batch], 1)
        indexes = {index["name"] for index in inspect(conn).get_indexes("movement")}
        assert "movement_lot" in indexes
    assert verify_ledger(engine).balanced
    engine.dispose()
