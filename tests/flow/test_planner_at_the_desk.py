"""A planner at the desk of a scenario: hired where the text speaks of one, decides, sleeps."""

from __future__ import annotations

from pathlib import Path

from sim_hardware.scenarios.text import parse_scenario
from stockhelm.sim_run import RunOptions, SimReport, run_virtual

HEAD = """SCENARIO At the desk
SITE demo skus=20 robots=2 orders=150 auto=0
DAY 6 min
SPEED 8
RUN 70 s
"""


def played(lines: str) -> SimReport:
    return run_virtual(parse_scenario(HEAD + lines, "x.scn"), Path(), RunOptions())


def assert_all_held(report: SimReport) -> None:
    assert [(row.expected, row.found) for row in report.expectations if not row.ok] == []
    assert report.problems == []


def test_a_planner_decides_what_waits_and_sleeps_when_told_to() -> None:
    # Asleep from the start: nothing is decided. Then they wake and say no to nothing.
    assert_all_held(
        played(
            "WITH planner delay_s=1\n"
            "AT 0:01 FAULT planner-asleep site FOR 44 s\n"
            "AT 0:44 EXPECT proposals refill waits >= 3\n"
            "AT 0:44 EXPECT proposals refill approved = 0\n"
            "AT 0:46 EXPECT proposals refill waits <= 2 WITHIN 22 s\n"
            "EXPECT proposals refill rejected = 0\n"
        )
    )


def test_chance_decides_some_with_yes_and_some_with_no() -> None:
    assert_all_held(
        played(
            "AT 0:44 EXPECT proposals refill waits >= 3\n"
            "AT 0:45 DO decide by chance\n"
            "AT 0:46 EXPECT proposals refill waits = 0 WITHIN 10 s\n"
            "EXPECT proposals refill rejected >= 1\n"
            "EXPECT proposals refill approved >= 1\n"
        )
    )
