"""No oversell across processes: several reserve at once, one of them is killed while it does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from central.ledger.journal import apply_batches
from central.ledger.reservations import available_units
from central.store import open_engine, reading
from central.tables import reservation
from tests.build import movement as a_move
from tests.conftest import ROOT
from wire import messages as m

PLACE, GTIN = "bin:B-01", "04006381333931"
WAIT_S = 60
RESERVER = f"""
import sys
from central.ledger.reservations import reserve
from central.store import open_existing
url, name, tries, then = sys.argv[1:]
engine = open_existing(url)
print("ready", flush=True)
sys.stdin.readline()
got = 0
for n in range(int(tries)):
    with engine.begin() as conn:
        got += reserve(conn, f"{{name}}-{{n}}", {PLACE!r}, {GTIN!r}, 1)
        if then == "hold":
            print("holds", flush=True)
            sys.stdin.readline()
print(got, flush=True)
engine.dispose()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/central.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    move = a_move(event_id="e/1", from_place="opening:", to_place=PLACE, gtin=GTIN, units=10)
    with engine.begin() as conn:
        batch = m.JournalBatch(edge_id="A", epoch=1, first_seq=1, events=(move,))
        apply_batches(conn, [batch], 1)
    yield engine
    engine.dispose()


def start(url: str, name: str, tries: int, then: str = "go on") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RESERVER, url, name, str(tries), then],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_of_64_tries_of_four_processes_exactly_10_get_one_though_a_holder_is_killed(
    url: str, engine: Engine
) -> None:
    holder = start(url, "killed", 1, "hold")
    others = [start(url, f"p{n}", 16) for n in range(4)]
    try:
        assert [heard(process) for process in (holder, *others)] == ["ready"] * 5
        go(holder)
        assert heard(holder) == "holds"  # it has reserved one, and not committed
        for process in others:
            go(process)  # they wait for it
        holder.kill()
        got = [process.communicate(timeout=WAIT_S)[0] for process in others]
    finally:
        for process in (holder, *others):
            process.kill()
            process.communicate(timeout=WAIT_S)
    assert sum(int(text) for text in got) == 10
    with reading(engine) as conn:
        names = conn.execute(select(reservation.c.task_id)).scalars().all()
        assert len(names) == 10
        assert not [name for name in names if name.startswith("killed")]
        assert available_units(conn, PLACE, GTIN) == 0
        assert conn.execute(select(func.sum(reservation.c.units))).scalar_one() == 10
