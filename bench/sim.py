"""`stockhelm bench sim`: the simulated floor, part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import sim_determinism, sim_generator, sim_speed
from stockhelm.bench import Bench, Row

Part = Callable[[Bench, Progress], list[Row]]
PARTS: Final[tuple[Part, ...]] = (sim_determinism.rows, sim_speed.rows, sim_generator.rows)
"""Each returns its rows and shows its progress; they run one after the other."""


def run(bench: Bench) -> list[Row]:
    """Return the figures, with progress on the console."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=bench.console
    ) as progress:
        return [row for part in PARTS for row in part(bench, progress)]
