"""`stockhelm sim generate`: a warehouse of any size as a folder of CSV files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from runtime.errors import StartError
from sim_hardware.world.warehouse.files import WRITERS
from sim_hardware.world.warehouse.generate import Warehouse, generate_warehouse
from sim_hardware.world.warehouse.picture import warehouse_svg
from sim_hardware.world.warehouse.spec import Spec, WarehouseError, Wish, make_spec

SPEC_FILE: Final = "generated.json"
"""What the folder was made from: the same numbers make the same files."""
STEPS: Final = 5


def sim_generate(
    directory: Path, wish: Wish, console: Console, *, map_file: Path | None = None
) -> Warehouse:
    """Write the warehouse's CSV files into `directory`; return the warehouse.

    Raises StartError where it cannot be built or written, or where a site lies there already.
    """
    try:
        spec = make_spec(wish)
    except WarehouseError as error:
        raise StartError(f"no such warehouse: {error}") from error
    there = [name for name in WRITERS if (directory / name).exists()]
    if there:
        raise StartError(
            f"{directory}: holds {there[0]} already; name another folder or empty this one"
        )
    if map_file is not None and map_file.suffix != ".svg":
        raise StartError(f"--map {map_file}: expected a name that ends in .svg")
    try:
        return _write(directory, spec, console, map_file)
    except OSError as error:
        raise StartError(f"{error.filename}: cannot be written: {error.strerror}") from error


def _write(directory: Path, spec: Spec, console: Console, map_file: Path | None) -> Warehouse:
    steps = STEPS + len(WRITERS) + (map_file is not None)
    with Progress(
        BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"), console=console
    ) as progress:
        bar = progress.add_task("checks", total=steps)

        def say(step: str) -> None:
            progress.update(bar, advance=1, description=step)

        warehouse = generate_warehouse(spec, say)
        directory.mkdir(parents=True, exist_ok=True)
        for name, writer in WRITERS.items():
            say(name)
            with (directory / name).open("wb") as file:
                writer(warehouse, file)
        if map_file is not None:
            say(map_file.name)
            map_file.write_text(warehouse_svg(warehouse), encoding="utf-8")
        told = msgspec.json.format(msgspec.json.encode(dataclasses.asdict(spec)), indent=2)
        (directory / SPEC_FILE).write_bytes(told + b"\n")
        progress.update(bar, completed=steps, description="done")
    console.print(_summary(warehouse, directory))
    return warehouse


def _summary(warehouse: Warehouse, directory: Path) -> str:
    spec, faces = warehouse.spec, int(warehouse.slotting.is_face.sum())
    return (
        f"{directory}: {spec.bins:,} bins ({faces:,} pick faces), zones: {spec.zones},"
        f" {spec.skus:,} articles, {spec.robots:,} robots on {len(warehouse.floor):,} nodes,"
        f" {spec.people:,} people, {len(warehouse.sales.day):,} rows of sales"
    )
