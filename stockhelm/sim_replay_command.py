"""What `stockhelm sim replay` does, with progress and tables for people."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from runtime.clock import SystemClock
from runtime.errors import StartError
from runtime.log import send_logs_to
from runtime.recording import RecordingError
from sim_hardware.plant import Mode
from sim_hardware.wording import many
from stockhelm.broker import BrokerError
from stockhelm.ending import FAILED, USAGE
from stockhelm.sim_files import check_files, write_file
from stockhelm.sim_progress import shown_progress
from stockhelm.sim_replay import Replayed, ReplayProgress, ReplayReport, recorded_s, replay

SHOWN_MAX: Final = 20


def replay_command(
    directory: Path, mode: Mode, speed: float, report: Path | None, console: Console
) -> int:
    """Replay recordings, say what was found; return 0 where all counts are equal.

    1 where some differ or cannot be compared, or a process crashed; 2 where one cannot be replayed.
    """
    if report is not None:
        try:
            check_files({"--report": report}, directory)
        except StartError as error:
            console.print(str(error), markup=False, highlight=False, soft_wrap=True)
            return USAGE
    warnings: list[str] = []
    send_logs_to(warnings.append, SystemClock(), level="ERROR")
    try:
        if mode == "live":
            _say_how_long(recorded_s(directory), speed, console)
        with shown_progress(console, "reading") as shown:

            def show(progress: ReplayProgress) -> None:
                text = f"{progress.name}: {progress.at_s:.0f} of {progress.of_s:.0f} s"
                shown.show(text, progress.at_s, progress.of_s)

            def tell(one: Replayed) -> None:
                _tell(one, console)

            found = replay(directory, mode=mode, speed=speed, on_progress=show, on_done=tell)
        if report is not None:
            payload = msgspec.json.format(msgspec.json.encode(found), indent=2)
            write_file("--report", report, payload + b"\n")
    except (BrokerError, RecordingError, StartError) as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return USAGE
    console.print(_summary(found), markup=False, highlight=False, soft_wrap=True)
    if any(one.outcome == "not replayed" for one in found.processes):
        return USAGE
    return 0 if found.ok else FAILED


def _say_how_long(seconds: float, speed: float, console: Console) -> None:
    console.print(
        f"live, one after the other: {seconds:.0f} s were recorded, which takes"
        f" {seconds / speed:.0f} s at --speed {speed:g}, and some seconds for each start",
        soft_wrap=True,
    )


def _tell(one: Replayed, console: Console) -> None:
    """Say what was found of one process, when it is done."""
    console.print(_line(one), markup=False, highlight=False, soft_wrap=True)
    for note in ([f"torn: {one.torn}"] if one.torn else []) + one.notes:
        console.print(f"    {note}", markup=False, highlight=False, soft_wrap=True)
    if one.differences:
        console.print(_differences(one))


def _summary(report: ReplayReport) -> str:
    said = f"{many(len(report.processes), 'recording')}, mode {report.mode}"
    if report.ok:
        return f"{said}: equal counts"
    tally = Counter(one.outcome for one in report.processes)
    parts = [f"{count} {outcome}" for outcome, count in tally.items()]
    return f"{said}: {'NOT equal: ' if tally['differs'] else ''}{', '.join(parts)}"


def _line(one: Replayed) -> str:
    if one.outcome in ("crashed", "not replayed"):
        return f"{one.file}: {one.outcome}: {one.reason}"
    flight = (
        f" ({many(one.in_flight, 'movement')} it was handed last had not come into its books)"
        if one.in_flight else ""
    )  # fmt: skip
    counts = many(one.counts, "count")
    if one.outcome == "not compared":
        said = f"not compared: {one.reason}; {counts} here"
    elif one.outcome == "differs":
        differing = len(one.differences)
        verb = "differs" if differing == 1 else "differ"
        said = f"{many(differing, 'count')} {verb}, of {counts} against {one.compared_with}"
    else:
        said = f"equal{flight}: {counts} against {one.compared_with}"
    speed = one.recorded_s / max(one.real_s, 1e-6)
    return (
        f"{one.file}: {said}; {many(one.messages, 'message')},"
        f" {many(one.line_bytes, 'byte')} of lines, {many(one.pictures, 'picture')},"
        f" {one.recorded_s:.0f} s in {one.real_s:.1f} s ({speed:.0f} x)"
    )


def _differences(one: Replayed) -> Table:
    table = Table("place", "GTIN", "recorded", "replayed", title=f"{one.name}, life {one.life}")
    for row in one.differences[:SHOWN_MAX]:
        table.add_row(row.place, row.gtin, str(row.recorded_units), str(row.replayed_units))
    if len(one.differences) > SHOWN_MAX:
        table.add_row(f"and {len(one.differences) - SHOWN_MAX} more", "", "", "")
    return table
