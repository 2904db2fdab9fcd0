"""`stockhelm sim fuzz`: runs without end or limit, and what to do with what it finds."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

from rich.console import Console

from runtime.clock import SystemClock
from sim_hardware.scenarios.model import SEED_DEFAULT, Scenario, ScenarioError
from stockhelm.ending import FAILED, STOPPED_TEXT, STOPS, USAGE
from stockhelm.sim_fuzz import Found, Limits, fuzz
from stockhelm.sim_progress import shown_progress
from stockhelm.sim_run import Progress


def fuzz_command(seed: int, first: int, limits: Limits, keep: Path | None, console: Console) -> int:
    """Draw and run; return 0, 1 where something did not hold, 2 where nothing could be run.

    Stopped by a person it returns 130, or 1 where something had not held until then.
    """
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            console.print(f"--keep {keep}: {error.strerror}", highlight=False, markup=False)
            return USAGE
    tally: Counter[str] = Counter()
    ended = 0
    try:
        with shown_progress(console, "the first run") as shown:

            def show(number: int, progress: Progress) -> None:
                text = f"{_summary(tally)}; in run {number}"
                shown.show(text, progress.world_s, progress.run_s)

            for found in fuzz(seed, first, limits, SystemClock(), show):
                _count(tally, found)
                if found.breaches:
                    _tell(found, keep, console)
    except ScenarioError as error:
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return USAGE
    except KeyboardInterrupt:
        console.print(STOPPED_TEXT)
        ended = STOPS.ends_with
    console.print(f"seed {seed}: {_summary(tally)}", highlight=False, soft_wrap=True)
    return FAILED if tally["failed"] else ended


def _count(tally: Counter[str], found: Found) -> None:
    tally["runs"] += 1
    tally["failed"] += bool(found.breaches)
    if found.report is not None:
        tally["world seconds"] += round(found.report.world_s)
        tally["checks"] += len(found.report.expectations)


def _summary(tally: Counter[str]) -> str:
    return (
        f"{tally['runs']} runs, {tally['failed']} of them failed; {tally['world seconds']} s of"
        f" worlds, {tally['checks']} expectations looked at"
    )


def _site(scenario: Scenario) -> str:
    return scenario.text.splitlines()[scenario.site.line - 1]


def _tell(found: Found, keep: Path | None, console: Console) -> None:
    """Say what did not hold, and how to have it again and small."""
    drawn = found.drawn
    console.print(f"run {drawn.number}: {_site(drawn.scenario)}", highlight=False)
    for breach in found.breaches:
        console.print(f"  {breach}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"  again: {drawn.again()}", highlight=False, markup=False, soft_wrap=True)
    if keep is None:
        return
    path = keep / drawn.name
    path.write_text(drawn.scenario.text, encoding="utf-8")
    seed_words = "" if drawn.seed == SEED_DEFAULT else f" --seed {drawn.seed}"
    for deed in ("run", "shrink"):
        line = f"stockhelm sim {deed} {shlex.quote(str(path))}{seed_words}"
        console.print(f"  {deed}: {line}", highlight=False, markup=False, soft_wrap=True)
