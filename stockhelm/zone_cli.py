"""The commands `stockhelm zone close|lift|list`: parts of the floor that robots do not enter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stockhelm.ending import FAILED, USAGE

CentralFile = Annotated[Path, typer.Option("--config", help="TOML file of central.")]
Person = Annotated[str, typer.Option(help="Who says so.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
CORNERS = 4


def add_zone_commands(app: typer.Typer) -> None:
    """Add the commands to the group `zone`."""
    app.command("close")(zone_close)
    app.command("lift")(zone_lift)
    app.command("list")(zone_list)


def zone_close(
    config: CentralFile,
    minutes: Annotated[
        float, typer.Option(min=1, max=1_440, help="For how long; it opens by itself then.")
    ],
    person: Person,
    *,
    node: Annotated[list[str] | None, typer.Option(help="A node; again for more.")] = None,
    box: Annotated[
        str, typer.Option(help="All nodes in a rectangle: x,y,x,y of two corners, in metres.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    as_json: AsJson = False,
) -> None:
    """Close a part of the floor for robots: those that were released into it finish, nobody enters.

    Central takes it within a second; where it does not run, when it starts. No safety device. Code
    0: closed, 1: refused.
    """
    from stockhelm.zones import close

    ok, said = close(
        config,
        person_id=person,
        minutes=minutes,
        nodes=node or (),
        box_m=_corners(box),
        reason=reason,
        as_json=as_json,
    )
    typer.echo(said)
    raise typer.Exit(0 if ok else FAILED)


def zone_lift(
    config: CentralFile,
    zone_id: Annotated[str, typer.Argument(help="As `zone list` says it.")],
    person: Person,
    *,
    as_json: AsJson = False,
) -> None:
    """Open a zone again before its time is over. Code 0: open, 1: it is not closed."""
    from stockhelm.zones import lift

    ok, said = lift(config, zone_id, person_id=person, as_json=as_json)
    typer.echo(said)
    raise typer.Exit(0 if ok else FAILED)


def zone_list(config: CentralFile, *, as_json: AsJson = False) -> None:
    """Say what is closed for robots now, by whom and until when."""
    from stockhelm.zones import listed

    typer.echo(listed(config, as_json=as_json))


def _corners(told: str) -> tuple[float, ...]:
    if not told:
        return ()
    try:
        found = tuple(float(part) for part in told.split(","))
    except ValueError:
        found = ()
    if len(found) != CORNERS:
        typer.echo(f"stockhelm: --box {told!r}: expected four numbers, x,y,x,y", err=True)
        raise typer.Exit(USAGE)
    return found
