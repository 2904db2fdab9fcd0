"""The commands `stockhelm import ...`: what others have written down becomes files of a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from stockhelm.ending import FAILED, USAGE
from stockhelm.lif_import import ImportRefusedError, import_file


def add_import_commands(app: typer.Typer) -> None:
    """Add the commands to the group `import`."""
    app.command("lif")(import_lif)


def import_lif(
    file: Annotated[Path, typer.Argument(help="Layout file (JSON) of VDMA's LIF 1.0.")],
    site: Annotated[Path, typer.Argument(help="Folder of the site; made where it is missing.")],
    layout: Annotated[
        list[str] | None,
        typer.Option("--layout", help="Only this layoutId; again for more. Default: all."),
    ] = None,
    *,
    room_m: Annotated[
        float, typer.Option(min=0, max=20, help="Nodes nearer to each other are named.")
    ] = 0.8,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write what is understood where parts are not.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over nodes.csv and edges.csv.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Make nodes.csv and edges.csv of a site from a layout file; say what was not used, and why.

    Code 0: written, 1: no layout, or parts of it are not understood, 2: the files are there.
    """
    try:
        done = import_file(
            file, site, layout or (), room_m=room_m, partial=partial, replace=replace
        )
    except ImportRefusedError as error:
        typer.echo(f"stockhelm: {error}", err=True)
        raise typer.Exit(USAGE if error.is_usage else FAILED) from error
    if as_json:
        typer.echo(msgspec.json.encode(done))
    else:
        for line in done.lines:
            typer.echo(line)
    raise typer.Exit(0 if done.written else FAILED)
