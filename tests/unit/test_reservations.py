"""Reservations: however many ask at once, no unit is promised twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select

from central.ledger.reservations import available_units, release, reserve
from central.ledger.verify import verify_ledger
from central.store import next_numbers, open_engine, reading
from central.tables import balance, movement, reservation
from tests.build import GTIN

PLACE = "bin:B-01"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(f"sqlite:///{tmp_path}/central.db")
    row = {
        "event_id": "open", "edge_id": "A", "epoch": 1, "seq": 1, "gtin": GTIN, "units": 10,
        "from_place": "opening:", "to_place": PLACE, "reason": "opening", "device_id": "d",
        "person_id": "", "task_id": "", "observed_at_ns": 1, "received_at_ns": 1,
        "committed_at_ns": 1,
    }  # fmt: skip
    with found.begin() as conn:
        conn.execute(insert(movement), row)
        conn.execute(
            insert(balance),
            [
                {"place": PLACE, "gtin": GTIN, "units": 10},
                {"place": "opening:", "gtin": GTIN, "units": -10},
            ],
        )
    yield found
    found.dispose()


def test_what_is_free_can_be_promised_and_given_back(engine: Engine) -> None:
    with engine.begin() as conn:
        assert reserve(conn, "t1", PLACE, GTIN, 7)
        assert available_units(conn, PLACE, GTIN) == 3
        assert not reserve(conn, "t2", PLACE, GTIN, 4)
        assert reserve(conn, "t2", PLACE, GTIN, 3)
        release(conn, "t1")
        assert available_units(conn, PLACE, GTIN) == 7


def test_nothing_can_be_promised_where_nothing_is(engine: Engine) -> None:
    with engine.begin() as conn:
        assert not reserve(conn, "t1", "bin:B-02", GTIN, 1)
        assert available_units(conn, "bin:B-02", GTIN) == 0


def test_of_64_callers_at_once_on_10_units_exactly_10_get_one(engine: Engine) -> None:
    together = threading.Barrier(64)
    results: list[bool] = []
    url = engine.url

    def ask(number: int) -> None:
        mine = open_engine(str(url))
        together.wait(timeout=60)
        with mine.begin() as conn:
            results.append(reserve(conn, f"t{number}", PLACE, GTIN, 1))
        mine.dispose()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    assert (len(results), sum(results)) == (64, 10)
    with reading(engine) as conn:
        assert conn.execute(select(func.sum(reservation.c.units))).scalar_one() == 10
    assert verify_ledger(engine).balanced


def test_numbers_are_given_out_once_and_a_rollback_gives_them_back(engine: Engine) -> None:
    with engine.begin() as conn:
        assert list(next_numbers(conn, "id", 2)) == [1, 2]
    with engine.connect() as conn:
        conn.begin()
        assert list(next_numbers(conn, "id", 1)) == [3]
        conn.rollback()
    with engine.begin() as conn:
        assert list(next_numbers(conn, "id", 1)) == [3]
