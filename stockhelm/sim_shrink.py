"""Delta debugging: the shortest scenario that still fails the same way."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sim_hardware.scenarios.model import Expect, Scenario, ScenarioError
from sim_hardware.scenarios.text import parse_scenario
from stockhelm.sim_run import OnProgress, RunOptions, SimReport, run_virtual

RUN_S_MIN: Final = 5.0
SHARES: Final = (0.25, 0.5, 0.75, 0.9)
"""Shares of the length that are tried, shortest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """How far it is."""

    scenario: Scenario
    runs: int
    fails: str
    """What fails: an expectation as written, or what could not be done."""
    stopped: bool = False
    """Whether a person stopped it: it may be made smaller still."""


class _OutOfRunsError(Exception):
    """No more runs are allowed; what was reached stands."""


def shrink(
    scenario: Scenario,
    base: Path,
    seed: int,
    *,
    runs_max: int,
    on_run: Callable[[Shrunk], None] = lambda _: None,
    on_progress: OnProgress = lambda _: None,
) -> Shrunk | None:
    """Return the shortest scenario found that fails as this one does; None where it does not fail.

    Comments go, but those of the title; lines are left out in halves, quarters, ... down to single
    lines, then the run is shortened. At most `runs_max` runs. Stopped by a person after the first
    run, it returns the shortest until then.
    """
    first = run_virtual(scenario, base, RunOptions(seed=seed), on_progress=on_progress)
    if first.ok:
        return None
    search = _Search(scenario, base, seed, runs_max, _failure(first), on_run, on_progress)
    stopped = False
    try:
        search.leave_out_comments()
        search.leave_out_lines()
        search.shorten()
        search.leave_out_lines()
    except _OutOfRunsError:
        pass
    except KeyboardInterrupt:
        stopped = True
    return replace(search.state(), stopped=stopped)


def moved(scenario: Scenario, base: Path, folder: Path) -> str:
    """Return the text of a scenario in `base` for a file in `folder`: its site is found there."""
    site = scenario.site
    if site.kind != "folder" or Path(site.folder).is_absolute():
        return scenario.text
    path = os.path.relpath(base / site.folder, folder)
    lines = scenario.text.split("\n")
    named = re.compile(r'(SITE\s+folder\s+)("[^"]*"|\S+)')
    lines[site.line - 1] = named.sub(lambda m: f'{m[1]}"{path}"', lines[site.line - 1], count=1)
    return "\n".join(lines)


def _without_comments(text: str) -> str:
    """Return a text without comments and empty lines of their own, but for the title's."""
    kept: list[str] = []
    is_title = False
    for line in text.split("\n"):
        stripped = line.strip()
        is_title = stripped.startswith("SCENARIO") or (is_title and stripped.startswith("#"))
        if is_title or (stripped and not stripped.startswith("#")):
            kept.append(line)
    return "\n".join(kept) + "\n"


def _failure(report: SimReport) -> str:
    """Return what fails first: what is kept failing."""
    for row in report.expectations:
        if not row.ok:
            return _meaning(row.expected)
    return _problem(report.problems[0])


def _meaning(expected: str) -> str:
    """Return an expectation without its time: `EXPECT books are true`."""
    return expected[expected.index("EXPECT") :].partition(" WITHIN ")[0]


def _problem(problem: str) -> str:
    """Return a problem without file and line."""
    return problem.split(": ", 1)[1] if ": " in problem else problem


class _Search:
    def __init__(
        self,
        scenario: Scenario,
        base: Path,
        seed: int,
        runs_max: int,
        failure: str,
        on_run: Callable[[Shrunk], None],
        on_progress: OnProgress,
    ) -> None:
        self._best = scenario
        self._base = base
        self._seed = seed
        self._runs_max = runs_max
        self._failure = failure
        self._on_run = on_run
        self._on_progress = on_progress
        self._runs = 1

    def state(self) -> Shrunk:
        """Return the best so far."""
        return Shrunk(scenario=self._best, runs=self._runs, fails=self._failure)

    def leave_out_comments(self) -> None:
        """Leave out comments, which tell of lines that will be gone.

        Tried as everything is: chance may depend on the number of a line.
        """
        text = _without_comments(self._best.text)
        if text != self._best.text:
            self._try(text)

    def leave_out_lines(self) -> None:
        """Leave out as many lines as can be, in ever smaller parts (ddmin, complements only)."""
        parts = 2
        while lines := self._spare_lines():
            parts = min(parts, len(lines))
            size = -(-len(lines) // parts)
            chunks = [lines[i : i + size] for i in range(0, len(lines), size)]
            if any(self._fails_without(chunk) for chunk in chunks):
                parts = max(parts - 1, 2)
            elif size == 1:
                return
            else:
                parts *= 2

    def shorten(self) -> None:
        """Let the world run as short as can be."""
        changed = True
        while changed and self._best.run_s > RUN_S_MIN:
            changed = any(self._fails_for(self._best.run_s * share) for share in SHARES)

    def _spare_lines(self) -> list[int]:
        """Return the lines that do or set something and are not what must go on failing."""
        kept = {
            step.line
            for step in self._best.steps
            if isinstance(step.action, Expect) and _meaning(step.text) == self._failure
        }
        found = [step.line for step in self._best.steps if step.line not in kept]
        return [*found, *(setting.line for setting in self._best.settings)]

    def _fails_without(self, lines: Sequence[int]) -> bool:
        texts = self._best.text.split("\n")
        return self._try("\n".join(t for n, t in enumerate(texts, 1) if n not in lines))

    def _fails_for(self, run_s: float) -> bool:
        last = max((step.over_s for step in self._best.steps), default=0.0)
        run_s = max(round(run_s), round(last + 0.5), RUN_S_MIN)
        if run_s >= self._best.run_s:
            return False
        texts = self._best.text.split("\n")
        shorter = [f"RUN {run_s:g} s" if t.split()[:1] == ["RUN"] else t for t in texts]
        return self._try("\n".join(shorter))

    def _try(self, text: str) -> bool:
        """Run a text; take it as the best where it fails the same way."""
        if self._runs >= self._runs_max:
            raise _OutOfRunsError
        try:
            scenario = parse_scenario(text, self._best.file)
            self._runs += 1
            options = RunOptions(seed=self._seed)
            report = run_virtual(scenario, self._base, options, on_progress=self._on_progress)
        except ScenarioError:
            return False  # an END lost its FAULT
        same = any(
            not row.ok and _meaning(row.expected) == self._failure for row in report.expectations
        ) or any(_problem(problem) == self._failure for problem in report.problems)
        if same:
            self._best = scenario
        self._on_run(self.state())
        return same
