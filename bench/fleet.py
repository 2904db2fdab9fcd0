"""`stockhelm bench fleet`: the planner, assignment and the master of the robots."""

from __future__ import annotations

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import fleet_assignment, fleet_master, fleet_planner
from stockhelm.bench import Bench, Row


def run(bench: Bench) -> list[Row]:
    """Return the figures, with progress on the console."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=bench.console
    ) as progress:
        return [
            *fleet_planner.run(bench, progress),
            *fleet_assignment.run(bench, progress),
            *fleet_master.run(bench, progress),
        ]
