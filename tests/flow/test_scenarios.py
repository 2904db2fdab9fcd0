"""Each scenario that comes with stockhelm, through the whole product, in virtual time."""

from __future__ import annotations

import pytest

from stockhelm.sim_library import find_scenario, library_names, read_scenario
from stockhelm.sim_run import RunOptions, run_virtual


@pytest.mark.parametrize("name", library_names())
def test_a_scenario_holds_in_memory(name: str) -> None:
    path = find_scenario(name)
    scenario = read_scenario(path)
    assert scenario.expectations(), "it would hold whatever the product did"
    report = run_virtual(scenario, path.parent, RunOptions())
    wrong = [f"{row.expected}: found {row.found}" for row in report.expectations if not row.ok]
    assert (wrong, report.problems) == ([], []), f"stockhelm sim run {name}"
    assert report.ok
