"""A table that went missing is said so at the start, and `ledger rebuild` makes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlite_utils
from sqlalchemy import insert, text

from central.config import CentralConfig
from central.ledger.journal import apply_batches
from central.store import open_engine, open_existing, read_setting
from central.tables import balance, metadata, observation
from edge.counting.store import FILE_NAME, EdgeStore, open_store
from edge.counting.tables import TABLES
from edge.counting.verify import CountDifference, verify_counts
from runtime.config import to_toml
from runtime.store import StoreError, open_database
from stockhelm.ledger import rebuild, verify
from tests.build import movement
from tests.edge_world import edge_config
from wire.messages import BinSighted, JournalBatch

# --- an edge --------------------------------------------------------------------------------------


def edge_of(folder: Path) -> tuple[Path, Path]:
    """Return configuration and database of an edge that moved something."""
    config = edge_config(folder)
    (folder / "edge.toml").write_text(to_toml(config))
    file = Path(config.data_dir) / FILE_NAME
    store = open_store(file, edge_id="A", new_epoch=7)
    with store.transaction() as tx:
        tx.append(movement(event_id="1", units=3, person_id="P1", task_id="T1"))
        tx.append(movement(event_id="2", units=2))
    store.close()
    return folder / "edge.toml", file


def reopened(file: Path) -> EdgeStore:
    return open_store(file, edge_id="A", new_epoch=8)


def change(file: Path, statement: str) -> None:
    db = sqlite_utils.Database(file)
    with db.conn:
        db.execute(statement)
    db.close()


@pytest.mark.parametrize("table", ["counts", "task_units", "session", "device_state", "answer"])
def test_a_dropped_table_of_an_edge_stops_the_start_until_it_is_rebuilt(
    tmp_path: Path, table: str
) -> None:
    config, file = edge_of(tmp_path)
    change(file, f"DROP TABLE {table}")
    with pytest.raises(StoreError) as caught:
        reopened(file)
    assert str(caught.value) == (
        f"{file}: table {table} is missing: make it anew with"
        " `stockhelm ledger rebuild --config FILE`"
    )
    assert "2 counts made anew" in rebuild(config)
    store = reopened(file)
    with store.transaction() as tx:
        assert (tx.book_units("bin:B-01", movement().gtin), tx.done_units("T1")) == (-5, 3)
    assert (store.epoch, store.last_seq) == (7, 2)
    store.close()


def test_emptied_counts_stop_the_start_until_they_are_rebuilt(tmp_path: Path) -> None:
    config, file = edge_of(tmp_path)
    change(file, "DELETE FROM counts")
    with pytest.raises(StoreError, match="counts is empty, its journal has movements: make it"):
        reopened(file)
    assert verify(config)[1] is False
    rebuild(config)
    assert verify(config)[1] is True
    reopened(file).close()


def test_a_check_names_every_count_where_the_table_is_gone(tmp_path: Path) -> None:
    config, file = edge_of(tmp_path)
    change(file, "DROP TABLE counts")
    said, whole = verify(config)
    assert not whole
    assert "not whole: 2 counts differ" in said
    db = open_database(file)
    assert [d.counted for d in verify_counts(db) if isinstance(d, CountDifference)] == [None, None]
    db.conn.close()


@pytest.mark.parametrize("table", ["journal", "meta"])
def test_a_journal_that_is_gone_is_made_anew_only_from_central(tmp_path: Path, table: str) -> None:
    config, file = edge_of(tmp_path)
    change(file, f"DROP TABLE {table}")
    for act in (lambda: reopened(file), lambda: verify(config)):
        with pytest.raises(StoreError, match=f"table {table} is missing: make it anew with"):
            act()
    with pytest.raises(StoreError, match="name central's configuration or a copy of it"):
        rebuild(config)


def test_a_journal_of_sightings_alone_needs_no_counts(tmp_path: Path) -> None:
    store = open_store(tmp_path / FILE_NAME, edge_id="A", new_epoch=1)
    seen = BinSighted(
        event_id="c/1",
        bin_id="A-01",
        device_id="c",
        observed_at_ns=1,
        received_at_ns=1,
        articles=(),
    )
    with store.transaction() as tx:
        tx.append(seen)
    store.close()
    reopened(tmp_path / FILE_NAME).close()


def test_a_table_newer_than_the_database_is_made_and_one_of_before_the_mark_is_not(
    tmp_path: Path,
) -> None:
    _, file = edge_of(tmp_path)
    change(file, "DROP TABLE answer")
    older = " ".join(name for name in TABLES if name != "answer")
    change(file, f"UPDATE meta SET value = '{older}' WHERE name = 'tables'")
    reopened(file).close()
    change(file, "DROP TABLE answer")
    change(file, "DELETE FROM meta WHERE name = 'tables'")
    with pytest.raises(StoreError, match="table answer is missing"):
        reopened(file)


# --- central --------------------------------------------------------------------------------------


def central_of(folder: Path) -> tuple[Path, str]:
    """Return configuration and database URL of a central that took movements."""
    config = CentralConfig(site_id="FC1", site_dir="s", data_dir=str(folder / "central"))
    (folder / "central.toml").write_text(to_toml(config))
    engine = open_engine(config.url())
    events = (movement(event_id="1", units=3), movement(event_id="2", units=2))
    with engine.begin() as conn:
        apply_batches(conn, [JournalBatch(edge_id="A", epoch=1, first_seq=1, events=events)], 1)
    engine.dispose()
    return folder / "central.toml", config.url()


def do(url: str, statement: str) -> None:
    file = url.removeprefix("sqlite:///")
    change(Path(file), statement)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DROP TABLE balance", "table balance is gone"),
        ("DELETE FROM balance", "table balance is empty, there are movements"),
    ],
)
def test_lost_balances_stop_the_start_until_they_are_rebuilt(
    tmp_path: Path, statement: str, says: str
) -> None:
    config, url = central_of(tmp_path)
    do(url, statement)
    for _ in range(2):  # being refused changes nothing
        with pytest.raises(StoreError) as caught:
            open_engine(url)
        assert str(caught.value) == (
            f"{url}: {says}: make it anew with `stockhelm ledger rebuild --config FILE`"
        )
    assert rebuild(config).startswith("balances of 2 places")
    said, whole = verify(config)
    assert whole, said


def test_balances_dropped_from_a_database_without_marks_are_missed_too(tmp_path: Path) -> None:
    _, url = central_of(tmp_path)
    do(url, "DELETE FROM setting WHERE name = 'tables'")
    do(url, "DROP TABLE balance")
    with pytest.raises(StoreError, match="table balance is gone"):
        open_engine(url)


@pytest.mark.parametrize("table", ["movement", "task", "setting"])
def test_what_nothing_can_make_anew_is_restored_from_a_copy(tmp_path: Path, table: str) -> None:
    config, url = central_of(tmp_path)
    do(url, f"DROP TABLE {table}")
    for act in (lambda: open_engine(url), lambda: rebuild(config)):
        with pytest.raises(StoreError, match=f"tables that are gone: {table}; move it away and"):
            act()


def test_a_table_newer_than_central_database_is_made(tmp_path: Path) -> None:
    _, url = central_of(tmp_path)
    do(url, "DROP TABLE job_end")
    older = " ".join(name for name in metadata.tables if name != "job_end")
    do(url, f"UPDATE setting SET value = '{older}' WHERE name = 'tables'")
    engine = open_engine(url)
    with engine.begin() as conn:
        conn.execute(text("SELECT * FROM job_end"))
        assert "job_end" in str(read_setting(conn, "tables")).split()
    engine.dispose()


def test_observations_alone_need_no_balances(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/central.db"
    engine = open_engine(url)
    row = dict.fromkeys((column.name for column in observation.columns), "")
    numbers = {"seen_units": 1, "book_units": 1, "observed_at_ns": 1}
    with engine.begin() as conn:
        conn.execute(insert(observation), [row | numbers])
        conn.execute(balance.delete())
    engine.dispose()
    open_engine(url).dispose()


def test_no_disk_error_can_end_a_process_by_a_signal(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'central.db'}"
    for engine in (open_engine(url), open_existing(url)):
        with engine.connect() as conn:
            mapped = conn.exec_driver_sql("PRAGMA mmap_size").scalar()
        engine.dispose()
        assert not mapped, "a page that cannot be read is an error then, and no SIGBUS"
