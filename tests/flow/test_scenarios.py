"""The scenarios that come with stockhelm, through the whole product: in memory, some live too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sim_hardware.scenarios.text import parse_scenario
from stockhelm.reference import DOCS
from stockhelm.sim_library import find_scenario, library_names, read_scenario
from stockhelm.sim_live import run_live
from stockhelm.sim_run import RunOptions, SimReport, run_virtual
from stockhelm.sim_shrink import shrink
from tests.fleet_audit.messages import audit, trace_messages

ON_TERMINALS = (
    "a-visitor-scans", "broker-outage-at-peak", "brown-out", "cable-pulled", "central-killed",
    "drone-recount", "edge-killed", "opening-day", "three-restarts", "wrong-labels",
)  # fmt: skip
LONG = (
    "500-robots", "a-bad-shift", "black-friday", "both-killed", "dead-camera", "desk-killed",
    "drained-battery", "drone-in-the-dark", "drone-recount", "label-swap", "long-partition",
    "lost-robot", "one-charger-for-all", "partition-of-an-edge", "promotion-day",
    "robots-in-trouble", "smeared-lens", "supplier-late", "suppliers-who-err", "three-restarts",
    "umbrella-rainstorm",
)  # fmt: skip
LONGEST_S = 900
LIVE = ("a-visitor-scans", "edge-killed", "opening-day")


LOSES_MESSAGES = re.compile(r"FAULT (partition central|broker-gone|message-loss)")
"""What central says meanwhile nobody hears, though central cannot know."""
IS_FAULT = re.compile(r"AT .*\b(FAULT|END) ")


def has_faults(name: str) -> bool:
    return any(IS_FAULT.match(line) for line in find_scenario(name).read_text().splitlines())


def assert_holds(report: SimReport) -> None:
    wrong = [f"{row.expected}: found {row.found}" for row in report.expectations if not row.ok]
    assert (wrong, report.problems) == ([], []), f"stockhelm sim run {report.scenario}"
    assert report.ok
    assert report.settled


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.soak, pytest.mark.timeout(LONGEST_S)])
        if name in LONG
        else name
        for name in library_names()
    ],
)
def test_a_scenario_holds_in_memory(name: str, tmp_path: Path) -> None:
    path = find_scenario(name)
    scenario = read_scenario(path)
    assert scenario.expectations(), "it would hold whatever the product did"
    trace = tmp_path / "trace"
    assert_holds(run_virtual(scenario, path.parent, RunOptions(trace=trace)))
    may_lose = LOSES_MESSAGES.search(path.read_text()) is not None
    assert audit(trace_messages(trace), may_lose=may_lose).findings == []


@pytest.mark.soak
@pytest.mark.timeout(LONGEST_S)
@pytest.mark.parametrize("name", [name for name in library_names() if has_faults(name)])
def test_a_scenario_notices_that_its_faults_do_not_happen(name: str, tmp_path: Path) -> None:
    path = find_scenario(name)
    kept = [line for line in path.read_text().splitlines() if not IS_FAULT.match(line)]
    calm = tmp_path / path.name
    calm.write_text("\n".join([*kept, ""]))
    report = run_virtual(read_scenario(calm), tmp_path, RunOptions())
    assert not all(row.ok for row in report.expectations), "it holds whether they happen or not"


@pytest.mark.soak
@pytest.mark.parametrize("name", ON_TERMINALS)
def test_a_scenario_holds_on_real_terminals(name: str) -> None:
    path = find_scenario(name)
    assert_holds(run_virtual(read_scenario(path), path.parent, RunOptions(mode="pty")))


@pytest.mark.soak
@pytest.mark.parametrize("name", LIVE)
def test_a_scenario_holds_live(name: str) -> None:
    path = find_scenario(name)
    assert_holds(run_live(read_scenario(path), path.parent, RunOptions(mode="live")))


def page_scenario() -> str:
    """Return the scenario that docs/simulator.md lets its reader write."""
    page = (DOCS / "simulator.md").read_text(encoding="utf-8")
    found = re.search(r"^       SCENARIO .*?(?=\n\n)", page, re.MULTILINE | re.DOTALL)
    assert found
    return "".join(line.removeprefix(" " * 7) + "\n" for line in found[0].splitlines())


def test_the_scenario_of_the_page_holds_and_fails_once_broken(tmp_path: Path) -> None:
    text = page_scenario()
    assert_holds(run_virtual(parse_scenario(text, "mine.scn"), tmp_path, RunOptions()))
    broken = text + "AT 0:50 FAULT theft B-01-05-1 units=3\n"
    report = run_virtual(parse_scenario(broken, "mine.scn"), tmp_path, RunOptions())
    failed = [row for row in report.expectations if not row.ok]
    assert [row.expected for row in failed] == ["EXPECT books are true"]
    assert failed[0].found.startswith("B-01-05-1 ")
    assert not report.ok


def test_a_failing_scenario_shrinks_to_what_makes_it_fail(tmp_path: Path) -> None:
    text = """SCENARIO Too much
SITE demo skus=6 robots=1 orders=0
SPEED 4
RUN 40 s
AT 0:05 SCAN scanner-guest CARD COUNT
AT 0:08 FAULT unplug scanner-1 FOR 5 s
AT 0:10 FAULT theft B-01-05-1 units=2
AT 0:12 SCAN scanner-guest RAW "]Q1nothing"
AT 0:15 EXPECT process central is up
EXPECT robot conflicts = 0
EXPECT books are true
"""
    found = shrink(parse_scenario(text, "x.scn"), tmp_path, 7, runs_max=60)
    assert found is not None
    assert found.fails == "EXPECT books are true"
    kept = [step.text for step in found.scenario.steps]
    assert kept == ["AT 0:10 FAULT theft B-01-05-1 units=2", "EXPECT books are true"]
    assert found.scenario.run_s < 40
    assert found.runs <= 60


def test_a_scenario_that_holds_is_not_shrunk(tmp_path: Path) -> None:
    text = "SCENARIO Nothing\nSITE demo skus=3 robots=1\nRUN 5 s\nEXPECT strays accepted = 0\n"
    assert shrink(parse_scenario(text, "x.scn"), tmp_path, 7, runs_max=5) is None
