"""A run's final counts do not depend on its mode where nothing in it is a race."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stockhelm.sim_library import find_scenario, read_scenario
from stockhelm.sim_live import run_live
from stockhelm.sim_run import RunOptions, run_virtual

Counts = dict[tuple[str, str, str], int]


def final_counts(directory: Path) -> Counts:
    """Return units by (book, place, GTIN) of every book in a run's folder, bins only."""
    found: Counts = {}
    for name, table in (("edge.db", "counts"), ("central.db", "balance")):
        for file in directory.rglob(name):
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
                query = f"SELECT place, gtin, units FROM {table} WHERE place LIKE 'bin:%'"
                rows = db.execute(query).fetchall()
            found |= {(file.parent.name, place, gtin): units for place, gtin, units in rows}
    return found


def counts_of(mode: str, directory: Path) -> Counts:
    path = find_scenario("same-counts")
    directory.mkdir()
    if mode == "live":
        options = RunOptions(mode="live", directory=directory)
        report = run_live(read_scenario(path), path.parent, options)
    else:
        options = RunOptions(mode="pty" if mode == "pty" else "mem", directory=directory)
        report = run_virtual(read_scenario(path), path.parent, options)
    assert report.ok, [row for row in report.expectations if not row.ok]
    return final_counts(directory)


def test_real_terminals_give_the_counts_of_memory(tmp_path: Path) -> None:
    in_memory = counts_of("mem", tmp_path / "mem")
    assert {book for book, _, _ in in_memory} == {"edge-A", "edge-B", "central"}
    assert counts_of("pty", tmp_path / "pty") == in_memory


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_live_processes_give_the_counts_of_memory(tmp_path: Path) -> None:
    assert counts_of("live", tmp_path / "live") == counts_of("mem", tmp_path / "mem")
