"""Drawn worlds, faults and traffic: each promise holds, and each run can be had again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from runtime.clock import SystemClock
from sim_hardware.scenarios.words import PROMISES as NAMES
from stockhelm.sim_fuzz import Found, Limits, draw, fuzz, try_one
from stockhelm.sim_fuzz_command import fuzz_command
from stockhelm.sim_promises import PROMISES
from stockhelm.sim_site import check_scenario

SEED = 20
GATE_RUNS = 4
SOAK_RUNS = 120


def run_some(seed: int, first: int, runs: int) -> Iterator[Found]:
    return fuzz(seed, first, Limits(runs_max=runs, seconds_max=0.0), SystemClock())


def wrong(found: Found) -> list[str]:
    return [f"{found.drawn.again()}: {breach}" for breach in found.breaches]


def test_drawn_runs_keep_the_promises() -> None:
    runs = list(run_some(SEED, 1, GATE_RUNS))
    assert [line for found in runs for line in wrong(found)] == []
    assert [found.drawn.number for found in runs] == [1, 2, 3, 4]
    for found in runs:
        assert found.report is not None
        looked_at = [row.expected for row in found.report.expectations]
        assert {f"EXPECT promise {name} holds" for name in NAMES} <= set(looked_at)
        assert found.report.trace_lines > 100


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_many_drawn_runs_keep_the_promises() -> None:
    assert [line for found in run_some(SEED, 1, SOAK_RUNS) for line in wrong(found)] == []


def test_a_number_is_always_the_same_run_and_another_one_is_not() -> None:
    first, again, other = draw(5, 17), draw(5, 17), draw(5, 18)
    assert (first.scenario.text, first.seed) == (again.scenario.text, again.seed)
    assert first.scenario.text != other.scenario.text
    assert first.again() == "stockhelm sim fuzz --seed 5 --first 17 --runs 1"


def test_what_is_drawn_can_be_and_is_of_all_kinds() -> None:
    texts = []
    for number in range(1, 31):
        drawn = draw(SEED, number)
        check_scenario(drawn.scenario, Path())
        texts.append(drawn.scenario.text)
    faults = set(re.findall(r"FAULT (\S+)", "\n".join(texts)))
    assert len(faults) >= 30
    assert {t.split()[1] for t in re.findall(r"SITE \S+", "\n".join(texts))} == {
        "demo",
        "generated",
    }
    honest = [text for text in texts if "EXPECT books are true" in text]
    assert 10 <= len(honest) < len(texts)
    assert not [t for t in honest if "FAULT theft" in t or "WITH errors" in t]
    assert [t for t in honest if re.search(r" due=(5|12|30) ", t)]
    storms = re.compile(r"FAULT (link-lost|silent|partition|broker-gone|unplug).*\n.*FAULT kill-")
    assert len([t for t in texts if storms.search(t)]) >= 3
    for device in ("cameras=1", "smart=3", "drones=1"):
        assert [t for t in texts if device in t]


def test_every_promise_is_named_with_what_it_says() -> None:
    assert tuple(PROMISES) == NAMES
    assert all(promise.says and promise.measured for promise in PROMISES.values())


def test_a_crash_of_the_product_is_found_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("a stage fell over")

    monkeypatch.setattr("stockhelm.sim_fuzz.run_virtual", crash)
    found = try_one(draw(SEED, 1))
    assert found.report is None
    assert len(found.breaches) == 1
    assert "P9" in found.breaches[0]
    assert "RuntimeError: a stage fell over" in found.breaches[0]


def test_what_fails_is_told_with_the_lines_that_repeat_and_shrink_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn = draw(SEED, 2)
    found = Found(drawn=drawn, breaches=("EXPECT promise P6 holds: B-01: 3 promised",), report=None)
    monkeypatch.setattr("stockhelm.sim_fuzz_command.fuzz", lambda *_: iter([found]))
    console = Console(record=True, width=300)
    keep = tmp_path / "kept"
    assert fuzz_command(SEED, 2, Limits(runs_max=1, seconds_max=0.0), keep, console) == 1
    said = console.export_text()
    assert "EXPECT promise P6 holds: B-01: 3 promised" in said
    assert f"again: stockhelm sim fuzz --seed {SEED} --first 2 --runs 1" in said
    path = keep / f"fuzz-{SEED}-2.scn"
    assert path.read_text() == drawn.scenario.text
    assert f"run: stockhelm sim run {path} --seed {drawn.seed}" in said
    assert f"shrink: stockhelm sim shrink {path} --seed {drawn.seed}" in said
    assert "1 runs, 1 of them failed" in said


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    limits = Limits(runs_max=1, seconds_max=0.0)
    console = Console(record=True, width=300)
    assert fuzz_command(SEED, 1, limits, tmp_path / "file" / "kept", console) == 2
    assert "--keep" in console.export_text()
