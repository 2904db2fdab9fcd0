"""A due task goes to somebody else while its first person hears no beep: books stay true."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim_hardware.scenarios.text import parse_scenario
from stockhelm.sim_run import RunOptions, run_virtual

HEAD = """SCENARIO Due while nobody hears a beep
SITE demo skus=11 robots=1 seed=1489251280 orders=0 stray=0 auto=1000 due=6
DAY 4 min
SPEED 2
RUN 100 s
AT 49.6 s DO order SKU-002 x200
"""
TROUBLES = (
    "AT 62.7 s FAULT unplug scanner-3 FOR 34 s",  # the scans and the beeps are lost for good
    "AT 62.7 s FAULT unplug scanner-3 FOR 12 s",  # the edge hears of the goods in hand, late
    "AT 62.7 s FAULT partition central FOR 30 s",  # booked, and central knows nothing of it
    "AT 62.7 s FAULT broker-gone broker FOR 30 s",
)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_books_are_true_though_the_task_was_handed_on(trouble: str, tmp_path: Path) -> None:
    expected = ("books are true", "promise P6 holds", "promise P9 holds")
    text = HEAD + "\n".join([trouble, *(f"EXPECT {wish}" for wish in expected), ""])
    report = run_virtual(parse_scenario(text, "due.scn"), tmp_path, RunOptions(seed=7))
    assert [(row.expected, row.found) for row in report.expectations if not row.ok] == []
    assert report.ok
