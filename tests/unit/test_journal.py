"""The edge's journal: numbered without a gap, unique, and all that the counts are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.counting.store import (
    ANSWERS_PER_EPOCH_MAX,
    EPOCHS_PER_DEVICE_MAX,
    CommitError,
    EdgeStore,
    decode_event,
    open_store,
)
from edge.counting.verify import CountDifference, rebuild_counts, verify_counts
from edge.scanning.core import Session
from runtime.store import StoreError
from tests.build import movement
from tests.edge_world import MUG
from wire.messages import BinCounted, ScanFeedback


@pytest.fixture
def store(tmp_path: Path) -> EdgeStore:
    return open_store(tmp_path / "edge.db", edge_id="A", new_epoch=7)


def counts(store: EdgeStore) -> dict[tuple[str, str], int]:
    rows = store.db.execute("SELECT place, gtin, units FROM counts")
    return {(place, gtin): units for place, gtin, units in rows}


def answer(seq: int, epoch: int = 1) -> ScanFeedback:
    return ScanFeedback(
        device_id="s", boot_epoch=epoch, seq=seq, ok=True, code="booked", text=f"scan {seq}",
        sound="good",
    )  # fmt: skip


def test_a_movement_takes_from_one_place_and_gives_to_another(store: EdgeStore) -> None:
    with store.transaction() as tx:
        assert tx.append(movement(units=3))
    assert counts(store) == {("bin:B-01", MUG): -3, ("tote:O1", MUG): 3}
    assert store.last_seq == 1


def test_a_repeated_event_changes_nothing_and_takes_no_number(store: EdgeStore) -> None:
    with store.transaction() as tx:
        assert tx.append(movement(event_id="e1"))
        assert not tx.append(movement(event_id="e1", units=9))
        assert tx.append(movement(event_id="e2"))
    with store.transaction() as tx:
        assert not tx.append(movement(event_id="e2"))
    assert [seq for seq, _ in store.rows_after(0, 10)] == [1, 2]
    assert counts(store)["tote:O1", MUG] == 2


def test_of_many_events_those_known_change_nothing_and_take_no_number(store: EdgeStore) -> None:
    known = [movement(event_id=f"e{n}") for n in range(3, 6)]
    with store.transaction() as tx:
        tx.append_all(known)
    with store.transaction() as tx:
        tx.append_all([movement(event_id=f"e{n}", units=2) for n in range(10)])
        assert tx.book_units("tote:O1", MUG) == 3 + 2 * 7
        assert [row.units for row in tx.contents("tote:O1", 9)] == [3 + 2 * 7]
        assert tx.last_seq == 10
    assert [seq for seq, _ in store.rows_after(0, 20)] == list(range(1, 11))
    assert counts(store)["tote:O1", MUG] == 3 + 2 * 7
    assert verify_counts(store.db) == []


def test_counts_are_the_same_one_by_one_and_all_at_once(tmp_path: Path) -> None:
    events = [
        movement(event_id=f"e{n}", from_place=f"bin:A-{n % 700}", to_place=f"bin:B-{n % 9}")
        for n in range(1_500)
    ]
    one, many = (open_store(tmp_path / f"{n}.db", edge_id="A", new_epoch=7) for n in "ab")
    with one.transaction() as tx:
        for event in events:
            tx.append(event)
    with many.transaction() as tx:
        tx.append_all(events)
        assert tx.discrepancies == 700, "bins, however often something was taken from each"
    assert counts(one) == counts(many)
    assert one.rows_after(0, 2_000) == many.rows_after(0, 2_000)


@pytest.mark.parametrize("known", [0, 1, 249, 250, 400, 599])
def test_what_is_known_already_is_left_out_wherever_it_stands(store: EdgeStore, known: int) -> None:
    events = [movement(event_id=f"e{n}", units=1, to_place="bin:B-1") for n in range(600)]
    with store.transaction() as tx:
        tx.append_all([events[known]])
    with store.transaction() as tx:
        tx.append_all(events)
    order = [events[known], *events[:known], *events[known + 1 :]]
    assert [decode_event(row) for _, row in store.rows_after(0, 700)] == order
    assert (store.last_seq, counts(store)["bin:B-1", MUG]) == (600, 600)
    assert verify_counts(store.db) == []


def test_an_observation_is_journalled_and_changes_no_count(store: EdgeStore) -> None:
    seen = BinCounted(
        event_id="c1", bin_id="A-01", gtin=MUG, counted_units=3, book_units=5, device_id="s",
        observed_at_ns=1, received_at_ns=1,
    )  # fmt: skip
    with store.transaction() as tx:
        assert tx.append(seen)
    assert (store.last_seq, counts(store)) == (1, {})


def test_a_transaction_that_fails_leaves_nothing_behind(store: EdgeStore) -> None:
    with store.transaction() as tx:
        tx.append(movement(event_id="e1"))

    def write_and_fail() -> None:
        with store.transaction() as tx:
            tx.append(movement(event_id="e2"))
            tx.put_session("s", Session(mode="pick"))
            tx.put_answer(answer(5), 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with store.transaction() as tx:
        assert tx.session("s") == Session()
        assert tx.last_scan("s", 1) == 0
        assert tx.append(movement(event_id="e3"))
    assert [seq for seq, _ in store.rows_after(0, 10)] == [1, 2]
    assert verify_counts(store.db) == []


def test_a_full_disk_is_told_and_what_was_committed_stays(store: EdgeStore) -> None:
    pages = store.db.execute("PRAGMA page_count").fetchone()[0]
    store.db.execute(f"PRAGMA max_page_count = {pages + 4}")

    def fill() -> None:
        for n in range(10_000):
            with store.transaction() as tx:
                tx.append(movement(event_id=f"e{n}", reason="r" * 40))

    with pytest.raises(CommitError, match="full"):
        fill()
    written = store.last_seq
    assert 0 < written < 10_000
    assert len(store.rows_after(0, 10_000)) == written
    assert verify_counts(store.db) == []
    store.db.execute("PRAGMA max_page_count = 100000")
    with store.transaction() as tx:
        assert tx.append(movement(event_id="after"))
    assert store.last_seq == written + 1


def test_the_epoch_stays_over_restarts_and_is_new_in_a_new_database(tmp_path: Path) -> None:
    first = open_store(tmp_path / "a.db", edge_id="A", new_epoch=7)
    with first.transaction() as tx:
        tx.append(movement())
    first.close()
    again = open_store(tmp_path / "a.db", edge_id="A", new_epoch=8)
    assert (again.epoch, again.last_seq) == (7, 1)
    assert open_store(tmp_path / "b.db", edge_id="A", new_epoch=8).epoch == 8


def test_another_edges_database_is_refused(tmp_path: Path) -> None:
    open_store(tmp_path / "a.db", edge_id="A", new_epoch=7).close()
    with pytest.raises(StoreError, match="belongs to edge 'A'"):
        open_store(tmp_path / "a.db", edge_id="B", new_epoch=7)


def test_a_damaged_database_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 8_000)
    with pytest.raises(StoreError, match=r"a\.db"):
        open_store(path, edge_id="A", new_epoch=7)


def test_commits_are_synced_in_full(store: EdgeStore) -> None:
    full = 2
    assert store.db.execute("PRAGMA synchronous").fetchone()[0] == full
    assert store.db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_the_outbox_is_what_central_has_not_acknowledged(store: EdgeStore) -> None:
    with store.transaction() as tx:
        for n in range(5):
            tx.append(movement(event_id=f"e{n}"))
    store.acked_seq = 3
    store.write_acked()
    rows = store.db.execute("SELECT seq FROM outbox ORDER BY seq").fetchall()
    assert [seq for (seq,) in rows] == [4, 5]


def test_the_next_rows_are_found_by_index_however_long_the_journal(store: EdgeStore) -> None:
    query = "EXPLAIN QUERY PLAN SELECT seq, payload FROM journal WHERE seq > 5 ORDER BY seq LIMIT 9"
    plan = " ".join(str(row[3]) for row in store.db.execute(query))
    assert "USING INTEGER PRIMARY KEY" in plan
    assert "TEMP B-TREE" not in plan


def test_answers_and_starts_of_a_device_are_kept_up_to_a_limit(store: EdgeStore) -> None:
    with store.transaction() as tx:
        for seq in range(1, ANSWERS_PER_EPOCH_MAX + 100):
            tx.put_answer(answer(seq), seq - 1)
        for epoch in range(2, EPOCHS_PER_DEVICE_MAX + 50):
            tx.put_answer(answer(1, epoch), 0)
    one = store.db.execute("SELECT count(*) FROM answer WHERE epoch = 1").fetchone()[0]
    starts = store.db.execute("SELECT count(*) FROM device_state").fetchone()[0]
    assert one == 0, "the oldest start is forgotten with its answers"
    assert starts == EPOCHS_PER_DEVICE_MAX
    with store.transaction() as tx:
        assert tx.answer("s", EPOCHS_PER_DEVICE_MAX + 49, 1) == answer(
            1, EPOCHS_PER_DEVICE_MAX + 49
        )
        for seq in range(1, ANSWERS_PER_EPOCH_MAX + 100):
            tx.put_answer(answer(seq, 10_000), seq - 1)
    rows = store.db.execute("SELECT min(seq), count(*) FROM answer WHERE epoch = 10000").fetchone()
    assert rows == (100, ANSWERS_PER_EPOCH_MAX)


def test_verify_names_each_row_that_is_not_what_the_journal_says(store: EdgeStore) -> None:
    with store.transaction() as tx:
        tx.append(movement(units=3))
    store.db.execute("UPDATE counts SET units = 4 WHERE place = 'tote:O1'")
    store.db.execute("INSERT INTO counts VALUES ('bin:X', ?, 1)", [MUG])
    store.db.execute("DELETE FROM counts WHERE place = 'bin:B-01'")
    assert verify_counts(store.db) == [
        CountDifference("bin:B-01", MUG, None, -3),
        CountDifference("bin:X", MUG, 1, None),
        CountDifference("tote:O1", MUG, 4, 3),
    ]
    assert rebuild_counts(store.db) == 2
    assert verify_counts(store.db) == []
    assert counts(store) == {("bin:B-01", MUG): -3, ("tote:O1", MUG): 3}


def test_a_bin_below_zero_is_booked_and_counted_as_a_discrepancy(store: EdgeStore) -> None:
    with store.transaction() as tx:
        tx.append(movement(event_id="in", from_place="opening:", to_place="bin:B-01", units=2))
        tx.append(movement(event_id="out", units=3))
        assert tx.discrepancies == 1
        tx.append(movement(event_id="back", from_place="tote:O1", to_place="bin:B-01", units=1))
        assert tx.discrepancies == 1
    assert counts(store)["bin:B-01", MUG] == 0
