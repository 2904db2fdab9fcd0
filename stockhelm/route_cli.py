"""The command `stockhelm route` as typer sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stockhelm.ending import USAGE

STEPS_MAX = 10_000_000
SEED_MAX = 2**60
TRIES_MAX = 1_000_000


def add_route_command(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(route)


def route(
    *,
    map_file: Annotated[Path, typer.Option("--map", help="MovingAI .map file.")],
    scenario: Annotated[
        Path,
        typer.Option(help="League of Robot Runners problem (.json), or NAME_N_agents.csv."),
    ],
    steps: Annotated[int, typer.Option(min=1, max=STEPS_MAX, help="How many steps.")],
    log: Annotated[Path | None, typer.Option(help="Write every step here, JSON lines.")] = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(min=0.1, max=60_000, help="Planning time per step, to plan better in."),
    ] = None,
    turn: Annotated[
        bool, typer.Option("--turn/--no-turn", help="Robots turn, or move to all four sides.")
    ] = True,
    depth: Annotated[
        int | None,
        typer.Option(min=1, max=5, help="Actions planned ahead (turning 3, without 1)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=-SEED_MAX, max=SEED_MAX, help="Decides all chance.")] = 0,
    tries: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=TRIES_MAX,
            help="Without a budget: tries to improve each step (an eighth of the robots).",
        ),
    ] = None,
    execute: Annotated[
        bool,
        typer.Option("--execute", help="Actions take ticks, robots are delayed (LoRR 2026)."),
    ] = False,
    tasks: Annotated[
        int | None, typer.Option(min=1, help="Only so many tasks; ends when they are done.")
    ] = None,
    rings: Annotated[
        bool,
        typer.Option("--rings/--no-rings", help="Whether robots may all move on in a full ring."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Plan for many robots on a grid, alone, and write the log that a checker can read."""
    from stockhelm.warmup import GRID_MODULES, say_where_compiled

    errors = Console(stderr=True, highlight=False)
    if budget_ms is not None and tries is not None:
        errors.print("route: --tries is for runs without a budget: say --budget-ms or --tries")
        raise typer.Exit(USAGE)
    say_where_compiled(errors, GRID_MODULES)
    from central.fleet.grid.planner import Rules
    from central.fleet.grid.route import RouteSettings
    from stockhelm.route_command import route_command

    console = Console(highlight=False)
    try:
        rules = Rules(turning=turn, depth=depth or (3 if turn else 1), rings=rings, seed=seed)
        settings = RouteSettings(
            steps=steps,
            rules=rules,
            budget_ms=budget_ms,
            tries=tries,
            execute=execute,
            tasks_max=tasks,
        )
        code = route_command(map_file, scenario, log, settings, console, as_json=as_json)
    except ValueError as error:
        errors.print(f"route: {error}", markup=False, soft_wrap=True)
        code = USAGE
    raise typer.Exit(code)
