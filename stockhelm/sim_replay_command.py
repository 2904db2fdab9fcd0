"""What `stockhelm sim replay` does, with progress and tables for people."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from runtime.clock import SystemClock
from runtime.log import send_logs_to
from sim_hardware.plant import Mode
from stockhelm.broker import BrokerError
from stockhelm.sim_replay import Replayed, ReplayProgress, ReplayReport, replay

USAGE: Final = 2
FAILED: Final = 1
SHOWN_MAX: Final = 20


def replay_command(
    directory: Path, mode: Mode, speed: float, report: Path | None, console: Console
) -> int:
    """Replay recordings, say what was found; return 0 where all counts are equal, else 1."""
    if report is not None:
        try:
            with report.open("ab"):
                pass
        except OSError as error:
            console.print(f"--report {report}: {error.strerror}", markup=False)
            return USAGE
    warnings: list[str] = []
    send_logs_to(warnings.append, SystemClock(), level="ERROR")
    with _bars(console) as bars:
        bar = bars.add_task("reading", total=None)

        def show(progress: ReplayProgress) -> None:
            bars.update(
                bar, description=progress.name, completed=progress.at_s, total=progress.of_s
            )

        try:
            found = replay(directory, mode=mode, speed=speed, on_progress=show)
        except BrokerError as error:
            console.print(str(error), markup=False)
            return USAGE
    if report is not None:
        payload = msgspec.json.format(msgspec.json.encode(found), indent=2)
        report.write_bytes(payload + b"\n")
    _show(found, console)
    return 0 if found.ok else FAILED


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} s"),
        TimeElapsedColumn(), console=console, transient=True,
    )  # fmt: skip


def _show(report: ReplayReport, console: Console) -> None:
    for one in report.processes:
        console.print(_line(one), markup=False, highlight=False, soft_wrap=True)
        for note in ([f"torn: {one.torn}"] if one.torn else []) + one.notes:
            console.print(f"    {note}", markup=False, highlight=False, soft_wrap=True)
        if one.differences:
            console.print(_differences(one))
    said = "equal counts" if report.ok else "NOT equal"
    console.print(f"{len(report.processes)} recordings, mode {report.mode}: {said}")


def _line(one: Replayed) -> str:
    said = "equal" if one.equal else f"{len(one.differences)} counts differ"
    if not one.equal and not one.differences:
        said = "not compared"
    flight = f" ({one.in_flight} movements were not in its books yet)" if one.in_flight else ""
    speed = one.recorded_s / max(one.real_s, 1e-6)
    return (
        f"{one.file}: {said}{flight}: {one.counts} counts against {one.compared_with};"
        f" {one.messages} messages, {one.line_bytes} bytes of lines, {one.pictures} pictures,"
        f" {one.recorded_s:.0f} s in {one.real_s:.1f} s ({speed:.0f} x)"
    )


def _differences(one: Replayed) -> Table:
    table = Table("place", "GTIN", "recorded", "replayed", title=f"{one.name}, life {one.life}")
    for row in one.differences[:SHOWN_MAX]:
        table.add_row(row.place, row.gtin, str(row.recorded_units), str(row.replayed_units))
    if len(one.differences) > SHOWN_MAX:
        table.add_row(f"and {len(one.differences) - SHOWN_MAX} more", "", "", "")
    return table
