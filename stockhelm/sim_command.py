"""What the commands of scenarios do, with progress and tables for people."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from runtime.errors import StartError
from sim_hardware.plant import Mode
from sim_hardware.scenarios.model import SEED_DEFAULT, Scenario, ScenarioError
from sim_hardware.wording import many, time_text
from stockhelm.broker import BrokerError
from stockhelm.ending import FAILED, STOPPED_TEXT, STOPS, USAGE
from stockhelm.processes import ProcessError
from stockhelm.sim_files import check_files, write_file
from stockhelm.sim_library import ENDING, LIBRARY, find_scenario, read_scenario
from stockhelm.sim_live import run_live
from stockhelm.sim_progress import shown_progress
from stockhelm.sim_run import Progress, RunOptions, SimReport, run_virtual
from stockhelm.sim_shrink import Shrunk, moved, shrink

SMALL_FILES_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """What `stockhelm sim run` was given."""

    scenario: str
    mode: Mode
    seed: int
    report: Path | None
    trace: Path | None
    directory: Path | None
    record: Path | None = None


class RunError(Exception):
    """A run cannot be as asked; the text says why and what to do."""


def run_command(command: RunCommand, console: Console) -> int:
    """Run a scenario, say what held; return 0, 1 where not all did, 2 where it cannot be run."""
    try:
        path = find_scenario(command.scenario)
        scenario = read_scenario(path)
        _check_files(command, path)
        console.print(f"{scenario.title}: {command.mode}, seed {command.seed}")
        with shown_progress(console, "the processes start") as shown:

            def show(progress: Progress) -> None:
                factor = progress.world_s / max(progress.real_s, 1e-6)
                shown.show(
                    f"{progress.phase}: {progress.world_s:.0f} of {scenario.run_s:.0f} s,"
                    f" {factor:.0f} x real time",
                    progress.world_s, scenario.run_s,
                )  # fmt: skip

            def say(at_s: float, text: str) -> None:
                line = f"  {at_s:8.2f} s  {text}"
                console.print(line, highlight=False, markup=False, soft_wrap=True)

            run = run_live if command.mode == "live" else run_virtual
            report = run(
                scenario, path.parent,
                RunOptions(
                    mode=command.mode, seed=command.seed, trace=command.trace,
                    directory=command.directory, record=command.record,
                ),
                on_progress=show, on_step=say,
            )  # fmt: skip
        if command.report is not None:
            payload = msgspec.json.format(msgspec.json.encode(report), indent=2)
            write_file("--report", command.report, payload + b"\n")
    except (ScenarioError, RunError, BrokerError, ProcessError, StartError) as error:
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return USAGE
    _show(report, console)
    if report.ok:
        return 0
    console.print(f"again: {reproduce(command)}", highlight=False, markup=False, soft_wrap=True)
    return FAILED


def reproduce(command: RunCommand) -> str:
    """Return the command line that gives the same run again."""
    words = ["stockhelm", "sim", "run", command.scenario]
    words += ["--mode", command.mode, "--seed", str(command.seed)]
    return shlex.join(words)


def _check_files(command: RunCommand, scenario: Path) -> None:
    """Raise RunError or StartError where what shall be written cannot be, before the run."""
    check_files({"--report": command.report, "--trace": command.trace}, scenario)
    if command.trace is not None and command.mode == "live":
        raise RunError("--trace: only in virtual time (mem, pty), where it is the same every time")
    folder = command.directory
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_free = not any(folder.iterdir())
    except OSError as error:
        raise RunError(
            f"--directory {folder}: expected an empty folder: {error.strerror}"
        ) from error
    if not is_free:
        raise RunError(f"--directory {folder}: expected an empty folder, or one that is not there")


def _show(report: SimReport, console: Console) -> None:
    table = Table("line", "expected", "found", "", show_edge=False)
    for row in report.expectations:
        mark = "[green]ok[/green]" if row.ok else "[red]NOT[/red]"
        table.add_row(str(row.line), row.expected, row.found, mark)
    if report.expectations:
        console.print(table)
    for problem in report.problems:
        console.print(problem, highlight=False, markup=False, soft_wrap=True)
    held = sum(row.ok for row in report.expectations)
    trace = f"; trace {report.trace_digest} ({report.trace_lines} lines)"
    settled = "" if report.settled else "; the books had NOT come to rest"
    console.print(
        f"{held} of {len(report.expectations)} expectations held; inventory accuracy"
        f" {report.inventory_accuracy_percent:g} %{settled}; {report.world_s:g} s of the world in"
        f" {report.real_s:g} s ({report.world_s_per_real_s:g} x real time)"
        f"{trace if report.trace_lines else ''}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def shrink_command(
    name: str, seed: int, output: Path | None, runs_max: int, console: Console
) -> int:
    """Shrink a failing scenario, print and write it; return 0, or 1 where it does not fail.

    2 where it cannot be run or written, 130 where a person stopped it.
    """
    try:
        path = find_scenario(name)
        scenario = read_scenario(path)
        place = _place_of_small(path, output)
        with shown_progress(console, "the first run") as shown:
            so_far = "the first run"

            def show(shrunk: Shrunk) -> None:
                nonlocal so_far
                so_far = _so_far(shrunk)
                shown.show(so_far)

            def run_on(progress: Progress) -> None:
                shown.show(so_far, progress.world_s, progress.run_s)

            found = shrink(
                scenario, path.parent, seed, runs_max=runs_max, on_run=show, on_progress=run_on
            )
    except (ScenarioError, RunError) as error:
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return USAGE
    if found is None:
        console.print(f"{name}: everything holds with seed {seed}: nothing to shrink")
        return FAILED
    _tell_shrunk(found, _size(scenario), console)
    text = moved(found.scenario, path.parent, place.parent)
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        console.print(f"{place}: cannot be written: {error.strerror}", markup=False, soft_wrap=True)
        return USAGE
    seed_words = "" if seed == SEED_DEFAULT else f" --seed {seed}"
    again = f"again: stockhelm sim run {shlex.quote(str(place))}{seed_words}"
    console.print(again, highlight=False, markup=False, soft_wrap=True)
    return STOPS.ends_with if found.stopped else 0


def _so_far(shrunk: Shrunk) -> str:
    """Return how far it is; the time is the scenario's, not how long a person waits."""
    steps, time = many(len(shrunk.scenario.steps), "step"), time_text(shrunk.scenario.run_s)
    return f"{many(shrunk.runs, 'run')}; still fails with {steps} of {time} of scenario"


def _size(scenario: Scenario) -> str:
    return f"{many(len(scenario.steps), 'step')}, {time_text(scenario.run_s)}"


def _tell_shrunk(found: Shrunk, before: str, console: Console) -> None:
    if found.stopped:
        console.print(f"{STOPPED_TEXT}: this is the smallest until then")
    text = found.scenario.text
    console.print(text, highlight=False, markup=False, soft_wrap=True, end="")
    console.print(
        f"# {many(found.runs, 'run')}: {before} became {_size(found.scenario)};"
        f" still fails: {found.fails}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _place_of_small(path: Path, output: Path | None) -> Path:
    """Return the file for what is left of a scenario: the given one, or a new one beside it.

    One of the library is written into the current folder. Raises RunError where it cannot be.
    """
    if output is not None:
        if output.is_dir() or not os.access(output.parent, os.W_OK):
            raise RunError(f"--output {output}: expected a file in a folder that can be written")
        return output
    beside = path.parent
    folder = Path() if beside == LIBRARY or not os.access(beside, os.W_OK) else beside
    for number in range(1, SMALL_FILES_MAX + 1):
        place = folder / f"{path.stem}.small{'' if number == 1 else f'-{number}'}{ENDING}"
        if not place.exists():
            return place
    raise RunError(
        f"{place}: {SMALL_FILES_MAX} such files are there already: remove some, or name another"
        " file with --output"
    )
