"""A damaged database is found at the start, refused in words, and made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from central.store import open_engine
from edge.counting.store import open_store
from runtime.config import to_toml
from runtime.store import StoreError, open_database
from stockhelm.ledger import rebuild, verify
from tests.faults.books import Books, central_books, edge_books
from tests.faults.pair import Pair
from tests.faults.summary import survived

PAGE_BYTES = 4_096
Damage = Callable[[Path, Random], None]


@dataclass(frozen=True)
class Closed:
    """A site whose processes ended in order: its files and what must be in them."""

    edge_file: Path
    edge_toml: Path
    central_toml: Path
    books: Books
    pair: Pair


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Closed:
    """Return a site that worked for a while, on the real disk."""
    pair = Pair(tmp_path, monkeypatch, seed=8, on_real_disks=True)
    pair.start()
    pair.run(2.5)
    assert pair.settle() == []
    books = pair.edge_books()
    pair.agent.store.close()
    pair.end_edge()
    pair.central_bus.stop()
    pair.engine.dispose()
    for scanner in pair.scanners:
        scanner.session_may_be_lost = True
    edge_toml, central_toml = tmp_path / "edge.toml", tmp_path / "central.toml"
    edge_toml.write_text(to_toml(pair.edge_config), encoding="utf-8")
    central_toml.write_text(to_toml(pair.central_config), encoding="utf-8")
    file = Path(pair.edge_config.data_dir) / "edge.db"
    return Closed(file, edge_toml, central_toml, books, pair)


def root_page(file: Path, name: str) -> int:
    with closing(sqlite3.connect(file)) as db:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        return int(db.execute(query, (name,)).fetchone()[0])


def overwrite(file: Path, offset: int, data: bytes) -> None:
    with file.open("r+b") as out:
        out.seek(offset)
        out.write(data)


def header(file: Path, chance: Random) -> None:
    overwrite(file, 0, chance.randbytes(64))


def journal_page(file: Path, chance: Random) -> None:
    """Spoil a leaf of the journal: its pages are not at the end, so one in the middle it is."""
    with closing(sqlite3.connect(file)) as db:
        pages = file.stat().st_size // PAGE_BYTES
        row = db.execute("SELECT payload FROM journal WHERE seq = 200").fetchone()[0].encode()
    data = file.read_bytes()
    page = data.index(row[:80]) // PAGE_BYTES
    assert 1 < page < pages
    overwrite(file, page * PAGE_BYTES, chance.randbytes(200))


def counts_page(file: Path, chance: Random) -> None:
    overwrite(file, (root_page(file, "counts") - 1) * PAGE_BYTES, chance.randbytes(100))


def truncated(file: Path, chance: Random) -> None:
    with file.open("r+b") as out:
        out.truncate(file.stat().st_size * chance.randint(3, 8) // 10)


def emptied(file: Path, chance: Random) -> None:
    file.write_bytes(b"")


DAMAGES: dict[str, Damage] = {
    "emptied": emptied,
    "header": header,
    "journal page": journal_page,
    "counts page": counts_page,
    "truncated": truncated,
}
OFTEN = ("emptied", "journal page")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(damage, id=name, marks=() if name in OFTEN else pytest.mark.soak)
        for name, damage in DAMAGES.items()
    ],
)
def test_a_damaged_edge_is_refused_and_made_anew_with_centrals_copy(
    closed: Closed, damage: Damage
) -> None:
    damage(closed.edge_file, Random(1))
    with pytest.raises(StoreError, match=r"edge\.db: .*stockhelm ledger rebuild"):
        closed.pair.start_edge()
    said = rebuild(closed.edge_toml, closed.central_toml)
    assert "made anew" in said
    assert "in neither" not in said
    assert list(closed.edge_file.parent.glob("edge.db.damaged-1")), "the damaged file is kept"
    assert verify(closed.edge_toml)[1]
    db = open_database(closed.edge_file)
    with closing(db.conn):
        after = edge_books(db)
    lost = [] if (after.moves, after.counts) == (closed.books.moves, closed.books.counts) else ["x"]
    closed.pair.start()
    closed.pair.run(3.0)
    lost += [*after.wrong, *closed.pair.settle()]
    assert len(closed.pair.accepted) > len(closed.books.moves), "work goes on"
    survived("edge database damaged", rounds=1, scans=len(closed.pair.accepted), losses=lost)
    closed.pair.agent.store.close()
    closed.pair.engine.dispose()


def test_where_the_journal_is_whole_no_copy_is_needed(closed: Closed) -> None:
    counts_page(closed.edge_file, Random(2))
    assert "0 of central's copy" in rebuild(closed.edge_toml)
    db = open_database(closed.edge_file)
    with closing(db.conn):
        assert edge_books(db).counts == closed.books.counts


def test_where_it_is_not_whole_nothing_is_made_up_without_a_copy(closed: Closed) -> None:
    journal_page(closed.edge_file, Random(3))
    with pytest.raises(StoreError, match=r"damaged, .* cannot be read to its end .*--central"):
        rebuild(closed.edge_toml)
    assert closed.edge_file.exists(), "nothing was moved away"


def test_a_damaged_row_stops_the_edge_with_its_number(closed: Closed) -> None:
    with closing(sqlite3.connect(closed.edge_file)) as db, db:
        db.execute("UPDATE journal SET payload = substr(payload, 3) WHERE seq = 5")
        db.execute("UPDATE meta SET value = '0' WHERE name = 'acked_seq'")
    closed.pair.start_edge()
    with pytest.raises(StoreError, match=r"edge\.db: journal row 5 is damaged .*ledger rebuild"):
        closed.pair.run(1.0)
    closed.pair.agent.store.close()
    closed.pair.end_edge()
    assert "1 of central's copy" in rebuild(closed.edge_toml, closed.central_toml)
    store = open_store(closed.edge_file, edge_id="A", new_epoch=1)
    assert edge_books(store.db).moves == closed.books.moves
    store.close()


def test_a_damaged_central_is_refused_and_fills_itself_from_the_edges(closed: Closed) -> None:
    file = Path(closed.pair.central_config.data_dir) / "central.db"
    header(file, Random(4))
    with pytest.raises(StoreError, match=r"central\.db"):
        closed.pair.start_central()
    for side in ("", "-wal", "-shm"):
        file.with_name(file.name + side).unlink(missing_ok=True)
    closed.pair.start()
    closed.pair.run(1.0)
    lost = closed.pair.settle()
    survived("central's database lost", rounds=1, scans=len(closed.pair.accepted), losses=lost)
    closed.pair.agent.store.close()
    closed.pair.engine.dispose()
    engine = open_engine(closed.pair.central_config.url())
    assert not central_books(engine).wrong
    engine.dispose()
