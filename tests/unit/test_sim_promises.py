"""Each promise's check: it holds on real books, and finds every breach that is put into them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.clock import NS_PER_S
from sim_hardware.scenarios.text import parse_scenario
from sim_hardware.scenarios.witness import Seen
from sim_hardware.site_folder import read_site
from stockhelm.demo_site import DemoSite
from stockhelm.sim_books import SiteBooks
from stockhelm.sim_promises import PROMISES
from stockhelm.sim_run import RunOptions, run_virtual

SCENARIO = """SCENARIO Some work
SITE demo skus=8 robots=2 orders=200
DAY 6 min
SPEED 8
RUN 80 s
EXPECT promise P1 holds
EXPECT promise P7 holds
EXPECT promise P9 holds
"""
CENTRAL, EDGE_A, EDGE_B = "central/central.db", "edge-A/edge.db", "edge-B/edge.db"
CLAIM = "INSERT INTO reservation VALUES ('T', 'bin:B-01-01-9', '1', 9)"
INTRUDE = "INSERT INTO counts VALUES ('bin:B-01-01-1', '09521321000015', 4)"
NO_UNITS = "UPDATE proposal SET numbers = json_remove(numbers, '$.units')"
OTHER_UNITS = "UPDATE proposal SET numbers = json_set(numbers, '$.units', 9999)"


def one(table: str, change: str, where: str = "1") -> str:
    """Return what changes the first such row of a table."""
    first = f"(SELECT min(rowid) FROM {table} WHERE {where})"
    return f"UPDATE {table} SET {change} WHERE rowid = {first}"


BREACHES = (
    ("P1", EDGE_B, "UPDATE answer SET ok = 0", "scanner-5 got a good beep for scan"),
    ("P2", CENTRAL, one("movement", "reason = ''"), "reason ''"),
    ("P2", CENTRAL, one("balance", "units = units + 1"), "add up to 1"),
    ("P3", CENTRAL, "DELETE FROM movement WHERE id = 5", "is not at central"),
    ("P3", EDGE_A, "DELETE FROM journal WHERE seq = 2", "is at no edge"),
    ("P3", CENTRAL, "UPDATE watermark SET seq = seq - 1", "central has its rows up to"),
    ("P3", CENTRAL, "UPDATE movement SET seq = 1 WHERE seq = 2", "is 2 times in the ledger"),
    ("P4", CENTRAL, one("movement", "edge_id = 'A'", "edge_id = 'B'"), "written by A"),
    ("P4", EDGE_A, INTRUDE, "counts B-01-01-1"),
    ("P5", EDGE_B, one("counts", "units = units + 1"), "made again"),
    ("P5", CENTRAL, one("balance", "units = 777", "place LIKE 'bin:B-%'"), "beside the edges"),
    ("P6", CENTRAL, CLAIM, "9 units promised, 0 there"),
    ("P6", EDGE_B, one("counts", "units = -2", "place LIKE 'bin:%'"), "in the book of edge B"),
    ("P6", CENTRAL, one("order_line", "picked_units = units + 1"), "picked"),
    ("P8", CENTRAL, one("proposal", "reason = ''"), "has no reason"),
    ("P8", CENTRAL, OTHER_UNITS, "it says 9999"),
    ("P8", CENTRAL, NO_UNITS, "lack 'units'"),
    ("P8", CENTRAL, one("proposal", """causes = '["O-no"]'"""), "its cause O-no is in no book"),
    ("P8", CENTRAL, one("proposal", "decided_by = '', status = 'done'"), "nobody decided it"),
    ("P9", CENTRAL, one("task", "status = 'moving', due_at_ns = 5"), "past its deadline"),
    ("P9", CENTRAL, one("task", "status = 'moving', due_at_ns = 0"), "has no deadline"),
    ("P9", CENTRAL, one("proposal", "status = 'waiting', expires_at_ns = 5"), "past its time"),
    ("P9", CENTRAL, one("customer_order", "status = 'allocated', order_id = 'O'"), "pick it"),
    ("P9", CENTRAL, one("customer_order", "status = 'picked', order_id = 'O'"), "deliver it"),
    ("P9", CENTRAL, one("proposal", "status = 'approved', proposal_id = 'P'"), "under way"),
    ("P9", EDGE_A, "DELETE FROM meta WHERE name = 'acked_seq'", "events never reached central"),
)
"""(promise, file, what somebody does to it, what is said)."""


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that kept every promise."""
    folder = tmp_path_factory.mktemp("worked") / "run"
    report = run_virtual(
        parse_scenario(SCENARIO, "x.scn"), folder, RunOptions(directory=folder, seed=3)
    )
    assert [row.found for row in report.expectations] == ["holds"] * 3
    assert report.settled
    return folder


def books_in(folder: Path) -> SiteBooks:
    site = read_site(folder / "site")
    return SiteBooks(DemoSite(directory=folder, site=site, edges=("A", "B")))


def seen(folder: Path) -> Seen:
    """Return what was seen: now, by the books, and every good answer that is kept."""
    with closing(sqlite3.connect(folder / "data" / EDGE_B)) as db:
        beeps = frozenset(
            db.execute(
                "SELECT device_id, epoch, seq FROM answer WHERE ok AND device_id='scanner-5'"
            )
        )
    with closing(sqlite3.connect(folder / "data" / CENTRAL)) as db:
        now_ns = db.execute("SELECT max(committed_at_ns) FROM movement").fetchone()[0]
    assert beeps
    return Seen(now_ns=now_ns + 10 * NS_PER_S, good_beeps=beeps, overlaps=())


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_holds_after_work_in_which_nothing_went_wrong(worked: Path, promise: str) -> None:
    assert books_in(worked).broken(promise, seen(worked)) == []


@pytest.mark.parametrize(("promise", "file", "deed", "said"), BREACHES)
def test_a_breach_is_found(
    worked: Path, tmp_path: Path, promise: str, file: str, deed: str, said: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(worked, folder)
    before = seen(worked)
    with closing(sqlite3.connect(folder / "data" / file)) as db, db:
        db.execute(deed)
    lines = books_in(folder).broken(promise, before if promise != "P9" else later(before))
    assert lines
    assert said in " ".join(lines)


def later(before: Seen) -> Seen:
    return replace(before, now_ns=before.now_ns + 3_600 * NS_PER_S)


def test_nodes_that_two_robots_held_are_told(worked: Path) -> None:
    overlap = "N1 was released to agv-1 and agv-2 at 3.0 s"
    found = books_in(worked).broken("P7", replace(seen(worked), overlaps=(overlap,)))
    assert found == [overlap]
