"""Compile the numba kernels before they are needed, and show it: `python -m stockhelm.warmup`.

Kernels have explicit signatures, so importing their module compiles them, or loads what an earlier
start left in numba's cache. Set-up and the first start call this, so that a slow first time is seen
for what it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console

from runtime.clock import NS_PER_S, Clock, SystemClock

KERNEL_MODULES: Final = (
    "central.demand.kernels",
    "central.replenish.kernels",
    "central.fleet.assignment_changes",
    "central.fleet.assignment_kernels",
    "central.fleet.kernels",
    "central.fleet.turning",
    "central.fleet.grid.distance.kernels",
    "central.fleet.grid.planning.kernels",
)

GRID_MODULES: Final = tuple(name for name in KERNEL_MODULES if ".grid." in name)


class Warmed(msgspec.Struct, frozen=True, kw_only=True):
    """What one module of kernels took."""

    module: str
    kernels: int
    compiled: int
    """How many were not in the cache."""
    seconds: float


def warm_up(
    clock: Clock, console: Console, modules: Sequence[str] = KERNEL_MODULES
) -> list[Warmed]:
    """Return what each module took; shows which one is compiling and how long it took."""
    with console.status("numba"):
        importlib.import_module("numba")
    found = []
    for number, name in enumerate(modules, start=1):
        if importlib.util.find_spec(name) is None:
            continue
        with console.status(f"kernels {number} of {len(modules)}: {name}"):
            warmed = _load(clock, name)
        how = f"{warmed.compiled} compiled" if warmed.compiled else "from the cache"
        console.print(f"{name}: {warmed.kernels} kernels, {how}, {warmed.seconds:.1f} s")
        found.append(warmed)
    return found


def say_where_compiled(console: Console, modules: Sequence[str]) -> None:
    """Say that the kernels are compiled now, where numba's cache beside them holds none yet."""
    specs = [importlib.util.find_spec(name) for name in modules]
    origins = [Path(spec.origin) for spec in specs if spec is not None and spec.origin]
    if os.environ.get("NUMBA_CACHE_DIR") or all(
        any((origin.parent / "__pycache__").glob(f"{origin.stem}.*.nbi")) for origin in origins
    ):
        return
    console.print("compiling the planner, once: about half a minute", highlight=False)


def _load(clock: Clock, name: str) -> Warmed:
    begun_ns = clock.monotonic_ns()
    module = importlib.import_module(name)
    seconds = (clock.monotonic_ns() - begun_ns) / NS_PER_S
    kernels = [value for value in vars(module).values() if hasattr(value, "py_func")]
    own = [kernel for kernel in kernels if kernel.py_func.__module__ == name]
    compiled = sum(bool(kernel.stats.cache_misses) for kernel in own)
    return Warmed(module=name, kernels=len(own), compiled=compiled, seconds=seconds)


def main(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False
) -> None:
    """Compile all kernels, or load them from the cache, and say how long each module took."""
    console = Console(stderr=as_json, highlight=False)
    warmed = warm_up(SystemClock(), console)
    if as_json:
        sys.stdout.write(msgspec.json.encode(warmed).decode() + "\n")


if __name__ == "__main__":
    typer.run(main)
