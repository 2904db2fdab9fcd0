"""The commands `stockhelm robots pause|resume|status`: all robots stand, and go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stockhelm.ending import FAILED

CentralFile = Annotated[Path, typer.Option("--config", help="TOML file of central.")]


def add_robot_commands(app: typer.Typer) -> None:
    """Add the commands to the group `robots`."""
    app.command("pause")(robots_pause)
    app.command("resume")(robots_resume)
    app.command("status")(robots_status)


def robots_pause(
    config: CentralFile,
    person: Annotated[str, typer.Option(help="Who says so.")],
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
) -> None:
    """Have every robot stand where it is until `robots resume`, also over a restart of central.

    Central tells them within a second; where it does not run, when it starts. No safety device.
    """
    from stockhelm.robot_pause import pause

    typer.echo(pause(config, person_id=person, reason=reason))


def robots_resume(config: CentralFile) -> None:
    """Let the robots go on. Code 0: they do, 1: none was told to stand."""
    from stockhelm.robot_pause import resume

    ended, said = resume(config)
    typer.echo(said)
    raise typer.Exit(0 if ended else FAILED)


def robots_status(config: CentralFile) -> None:
    """Say whether all robots are to stand, since when, by whom and why."""
    from stockhelm.robot_pause import told

    typer.echo(told(config))
