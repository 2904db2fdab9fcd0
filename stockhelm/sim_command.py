"""What the commands of scenarios do, with progress and tables for people."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from sim_hardware.faults.kinds import KINDS
from sim_hardware.plant import Mode
from sim_hardware.scenarios.model import SEED_DEFAULT, ScenarioError
from sim_hardware.scenarios.words import near
from stockhelm.broker import BrokerError
from stockhelm.processes import ProcessError
from stockhelm.sim_library import find_scenario, library_names, read_scenario
from stockhelm.sim_live import run_live
from stockhelm.sim_run import Progress, RunOptions, SimReport, check_scenario, run_virtual
from stockhelm.sim_shrink import Shrunk, shrink

USAGE: Final = 2
FAILED: Final = 1


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
        _check_files(command)
        console.print(f"{scenario.title}: {command.mode}, seed {command.seed}")
        with _bars(console) as bars:
            bar = bars.add_task("the processes start", total=scenario.run_s, speed="")

            def show(progress: Progress) -> None:
                factor = progress.world_s / max(progress.real_s, 1e-6)
                bars.update(
                    bar, completed=progress.world_s, description=progress.phase,
                    speed=f"{progress.world_s:.0f} s of the world, {factor:.0f} x real time",
                )  # fmt: skip

            def say(at_s: float, text: str) -> None:
                bars.console.print(f"  {at_s:8.2f} s  {text}", highlight=False, markup=False)

            run = run_live if command.mode == "live" else run_virtual
            report = run(
                scenario, path.parent,
                RunOptions(
                    mode=command.mode, seed=command.seed, trace=command.trace,
                    directory=command.directory, record=command.record,
                ),
                on_progress=show, on_step=say,
            )  # fmt: skip
    except (ScenarioError, RunError, BrokerError, ProcessError) as error:
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return USAGE
    if command.report is not None:
        payload = msgspec.json.format(msgspec.json.encode(report), indent=2)
        command.report.write_bytes(payload + b"\n")
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


def _check_files(command: RunCommand) -> None:
    """Raise RunError where something that shall be written cannot be, before the run."""
    for option, path in (("--report", command.report), ("--trace", command.trace)):
        if path is not None:
            try:
                with path.open("ab"):
                    pass
            except OSError as error:
                raise RunError(f"{option} {path}: {error.strerror}") from error
    if command.trace is not None and command.mode == "live":
        raise RunError("--trace: only in virtual time (mem, pty), where it is the same every time")
    folder = command.directory
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"--directory {folder}: expected an empty folder, or one that is not there")


def _bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(), console=console, transient=True,
    )  # fmt: skip


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


def list_command(console: Console) -> int:
    """Name the scenarios of the library; return 0."""
    table = Table(show_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("runs", no_wrap=True)
    table.add_column("what it shows")
    for name in library_names():
        scenario = read_scenario(find_scenario(name))
        table.add_row(name, f"{scenario.run_s:g} s", f"{scenario.title}: {scenario.about}")
    console.print(table)
    return 0


def check_command(names: list[str], console: Console) -> int:
    """Say what is wrong in these scenarios; return 0, or 2 where something is."""
    code = 0
    for name in names:
        try:
            path = find_scenario(name)
            scenario = read_scenario(path)
            check_scenario(scenario, path.parent)
        except ScenarioError as error:
            console.print(str(error), highlight=False, markup=False, soft_wrap=True)
            code = USAGE
        else:
            console.print(f"{name}: {scenario.title}: {len(scenario.steps)} steps, nothing wrong")
    return code


def faults_command(kind: str, console: Console) -> int:
    """Print the kinds of faults, or one of them in full; return 0, or 2 for an unknown one."""
    if kind and kind not in KINDS:
        console.print(f"unknown fault {kind!r}{near(kind, KINDS)}; `stockhelm sim faults`")
        return USAGE
    table = Table(show_edge=False)
    table.add_column("FAULT", no_wrap=True)
    table.add_column("happens to", no_wrap=True)
    table.add_column("values", overflow="fold")
    table.add_column("what")
    for found in KINDS.values():
        if kind and found.name != kind:
            continue
        values = "\n".join(
            f"{name}={p.default:g} {p.unit}" if isinstance(p.default, float | int)
            else f"{name}={p.default} ({'|'.join(p.words)})"
            for name, p in found.parameters.items()
        )  # fmt: skip
        modes = "" if len(found.modes) == 3 else f" (only {', '.join(found.modes)})"  # noqa: PLR2004 - all of them
        table.add_row(found.name, found.target, values, found.text + modes)
    console.print(table)
    return 0


def shrink_command(
    name: str, seed: int, output: Path | None, runs_max: int, console: Console
) -> int:
    """Shrink a failing scenario and print it; return 0, 1 where it does not fail, 2 for misuse."""
    try:
        path = find_scenario(name)
        scenario = read_scenario(path)
        with console.status("the first run") as status:

            def show(shrunk: Shrunk) -> None:
                status.update(
                    f"{shrunk.runs} runs, {len(shrunk.scenario.steps)} steps,"
                    f" {shrunk.scenario.run_s:g} s left"
                )

            found = shrink(scenario, path.parent, seed, runs_max=runs_max, on_run=show)
    except ScenarioError as error:
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return USAGE
    if found is None:
        console.print(f"{name}: everything holds with seed {seed}: nothing to shrink")
        return FAILED
    console.print(found.scenario.text, highlight=False, markup=False, soft_wrap=True, end="")
    console.print(
        f"# {found.runs} runs: {len(scenario.steps)} steps and {scenario.run_s:g} s became"
        f" {len(found.scenario.steps)} and {found.scenario.run_s:g} s; still fails: {found.fails}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    if output is not None:
        output.write_text(found.scenario.text, encoding="utf-8")
    seed_words = "" if seed == SEED_DEFAULT else f" --seed {seed}"
    again = shlex.quote(str(output)) if output else "FILE"
    console.print(f"again: stockhelm sim run {again}{seed_words}", highlight=False, soft_wrap=True)
    return 0
