"""`stockhelm sim generate`: a warehouse of any size as a folder of CSV files."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
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
from stockhelm.ending import os_error_text
from stockhelm.sim_files import check_files, write_file

SPEC_FILE: Final = "generated.json"
"""What the folder was made from: the same numbers make the same files."""
STEPS: Final = 5
PART: Final = ".part"
"""The ending of a file that is not written to its end yet."""


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
    check_files({"--map": map_file})
    try:
        return _write(directory, spec, console, map_file)
    except OSError as error:
        error.filename = None
        raise StartError(f"{directory}: cannot be written: {os_error_text(error)}") from error


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
        with _all_or_none(directory) as place:
            for name, writer in WRITERS.items():
                say(name)
                with place(name).open("wb") as file:
                    writer(warehouse, file)
            if map_file is not None:
                say(map_file.name)
                write_file("--map", map_file, warehouse_svg(warehouse).encode())
            told = msgspec.json.format(msgspec.json.encode(dataclasses.asdict(spec)), indent=2)
            place(SPEC_FILE).write_bytes(told + b"\n")
        progress.update(bar, completed=steps, description="done")
    console.print(_summary(warehouse, directory))
    return warehouse


@contextlib.contextmanager
def _all_or_none(directory: Path) -> Iterator[Callable[[str], Path]]:
    """Yield where to write each file; they get their names when all are written, else they go.

    Half of a site might be read as one: without its last rows of stock, say.
    """
    parts: dict[Path, Path] = {}

    def place(name: str) -> Path:
        part = directory / f"{name}{PART}"
        parts[part] = directory / name
        return part

    try:
        yield place
        for part, whole in parts.items():
            part.replace(whole)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _summary(warehouse: Warehouse, directory: Path) -> str:
    spec, faces = warehouse.spec, int(warehouse.slotting.is_face.sum())
    return (
        f"{directory}: {spec.bins:,} bins ({faces:,} pick faces), zones: {spec.zones},"
        f" {spec.skus:,} articles, {spec.robots:,} robots on {len(warehouse.floor):,} nodes,"
        f" {spec.people:,} people, {len(warehouse.sales.day):,} rows of sales"
    )
