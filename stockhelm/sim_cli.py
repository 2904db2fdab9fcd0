"""The commands `stockhelm sim run|list|check|faults|shrink|fuzz`: each calls one function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim_hardware.plant import Mode
from stockhelm.ending import end_with

SEED_HELP = "Decides all chance of the run (the site's own seed stands in its SITE line)."


def add_sim_commands(app: typer.Typer) -> None:
    """Add the commands of scenarios to the group `sim`."""
    app.command("run")(run)
    app.command("list")(list_all)
    app.command("check")(check)
    app.command("faults")(faults)
    app.command("shrink")(shrink)
    app.command("fuzz")(fuzz)


def run(
    scenario: Annotated[str, typer.Argument(help="A file, or a name of `stockhelm sim list`.")],
    *,
    mode: Annotated[
        Mode,
        typer.Option(help="mem: in memory; pty: real terminals; live: processes, real time."),
    ] = "mem",
    seed: Annotated[int, typer.Option(help=SEED_HELP)] = 7,
    report: Annotated[Path | None, typer.Option(help="Write what was found here as JSON.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write every message, serial chunk and log line here.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(help="Keep all files of the run here; an empty folder.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Record edges and central here, for `sim replay`.")
    ] = None,
) -> None:
    """Run a scenario with the whole product and say what held. Code 0: all of it, 1: not all."""
    from stockhelm.sim_command import RunCommand, run_command

    command = RunCommand(
        scenario=scenario, mode=mode, seed=seed, report=report, trace=trace, directory=directory,
        record=record,
    )  # fmt: skip
    end_with(lambda console: run_command(command, console))


def list_all(
    name: Annotated[str, typer.Argument(help="Print this one as it is written.")] = "",
    *,
    long: Annotated[bool, typer.Option("--long", help="Say of each what it shows.")] = False,
) -> None:
    """Name the scenarios that come with stockhelm, or print one of them."""
    from stockhelm.sim_look_command import list_command

    end_with(lambda console: list_command(name, console, long=long))


def check(
    scenarios: Annotated[list[str], typer.Argument(help="Files, or names of `sim list`.")],
) -> None:
    """Say what is wrong in scenarios, with file, line and the fix, without running them."""
    from stockhelm.sim_look_command import check_command

    end_with(lambda console: check_command(scenarios, console))


def faults(kind: Annotated[str, typer.Argument(help="One kind, in full.")] = "") -> None:
    """Print every kind of fault: what it happens to, its values and what it does."""
    from stockhelm.sim_look_command import faults_command

    end_with(lambda console: faults_command(kind, console))


def shrink(
    scenario: Annotated[str, typer.Argument(help="A file or name whose run fails.")],
    *,
    seed: Annotated[int, typer.Option(help=SEED_HELP)] = 7,
    output: Annotated[
        Path | None,
        typer.Option(help="Write the small scenario here (default: NAME.small.scn beside it)."),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many runs.")] = 200,
) -> None:
    """Make a failing scenario as short as it can be and still fail the same way; print it."""
    from stockhelm.sim_command import shrink_command

    end_with(lambda console: shrink_command(scenario, seed, output, runs, console))


def fuzz(
    *,
    seconds: Annotated[float, typer.Option(min=0, help="Stop after so long; 0: never.")] = 0.0,
    runs: Annotated[int, typer.Option(min=0, help="Stop after so many runs; 0: never.")] = 0,
    seed: Annotated[int, typer.Option(help="Decides what is drawn.")] = 7,
    first: Annotated[int, typer.Option(min=1, help="Number of the first run.")] = 1,
    keep: Annotated[Path | None, typer.Option(help="Write scenarios that fail here.")] = None,
) -> None:
    """Draw worlds, faults and traffic without end and check the promises P1 to P9 in each."""
    from stockhelm.sim_fuzz import Limits
    from stockhelm.sim_fuzz_command import fuzz_command

    limits = Limits(runs_max=runs, seconds_max=seconds)
    end_with(lambda console: fuzz_command(seed, first, limits, keep, console))
