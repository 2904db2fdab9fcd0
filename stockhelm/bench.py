"""`stockhelm bench NAME...`: what is claimed, measured here and now, beside its peers.

The measurements themselves live in the folder `bench/` of a checkout, one module each with a
function `run(bench) -> list[Row]`; this is their frame: the machine, the versions, a table, JSON.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec
from rich.console import Console
from rich.table import Table

from runtime.clock import Clock, SystemClock
from stockhelm.benches import BENCHES
from stockhelm.broker import find_mosquitto, mosquitto_version

PACKAGES: Final = ("stockhelm", "numba", "numpy", "paho-mqtt", "sqlalchemy", "msgspec")
WORK_FOLDER: Final = "var"
"""Below the current directory: its disk counts, and a machine's temporary folder may be memory."""
KIB: Final = 1024


class BenchError(Exception):
    """A bench cannot run; the text says why and what to do."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of ours, beside a peer's and a goal where there are any."""

    what: str
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str | None = None
    ratio: float | None = None
    """Ours divided by the peer's."""
    goal: float | None = None
    met: bool | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of one bench."""

    bench: str
    machine: dict[str, str | int]
    versions: dict[str, str]
    rows: list[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a bench is given."""

    console: Console
    clock: Clock
    directory: Path
    """An empty folder of its own on the disk of the current directory."""
    full: bool = False
    """Whether long measurements are made whole; else a part of them, which their rows say."""


class BenchModule(Protocol):
    """One module of the folder `bench/`."""

    def run(self, bench: Bench) -> list[Row]:
        """Return the figures, with progress on the console."""


def at_most(
    what: str, unit: str, ours: float, *, goal: float, peer: float | None = None,
    peer_name: str | None = None,
) -> Row:  # fmt: skip
    """Return the row of a figure that shall not exceed `goal`."""
    plain = figure(what, unit, ours, peer=peer, peer_name=peer_name)
    return msgspec.structs.replace(plain, goal=goal, met=ours <= goal)


def at_least(what: str, unit: str, ours: float, *, goal: float) -> Row:
    """Return the row of a figure that shall reach `goal`."""
    return msgspec.structs.replace(figure(what, unit, ours), goal=goal, met=ours >= goal)


def beside(
    what: str, unit: str, ours: float, *, peer: float, peer_name: str, share_min: float
) -> Row:  # fmt: skip
    """Return the row of a figure that shall reach a share of the peer's."""
    plain = figure(what, unit, ours, peer=peer, peer_name=peer_name)
    goal = round(share_min * peer, 4)
    return msgspec.structs.replace(plain, goal=goal, met=ours >= goal)


def figure(
    what: str, unit: str, ours: float, *, peer: float | None = None, peer_name: str | None = None
) -> Row:
    """Return the row of a figure without a goal."""
    return Row(
        what=what, unit=unit, ours=round(ours, 4), peer=round(peer, 4) if peer else None,
        peer_name=peer_name, ratio=round(ours / peer, 3) if peer else None,
    )  # fmt: skip


def run_bench(
    names: Sequence[str],
    json_path: Path | None = None,
    console: Console | None = None,
    *,
    full: bool = False,
) -> int:
    """Run the named benches (all where none is named); return 0, or 1 where a goal was missed.

    `full`: long measurements are made whole. The file holds one report, or a list of them where
    several benches ran.
    """
    console = console or Console(highlight=False)
    reports = []
    try:
        for name in names or list(BENCHES):
            module = _module(name)
            console.print(f"bench {name}: {BENCHES[name]}")
            with _work_folder(name) as directory:
                bench = Bench(console=console, clock=SystemClock(), directory=directory, full=full)
                rows = module.run(bench)
            report = Report(bench=name, machine=machine(), versions=versions(), rows=rows)
            console.print(_table(report))
            reports.append(report)
    except BenchError as error:
        console.print(f"[red]bench:[/red] {error}")
        return 1
    if json_path is not None:
        payload = msgspec.json.encode(reports[0] if len(reports) == 1 else reports)
        json_path.write_bytes(msgspec.json.format(payload, indent=2) + b"\n")
        console.print(f"figures: {json_path}")
    return 1 if any(row.met is False for report in reports for row in report.rows) else 0


def machine() -> dict[str, str | int]:
    """Return what this machine is."""
    return {
        "cpu": _first_value(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        "cores": os.cpu_count() or 0,
        "memory_mib": int((_first_value(Path("/proc/meminfo"), "MemTotal") or "0 kB").split()[0])
        // KIB,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    mosquitto = find_mosquitto()
    return found | ({"mosquitto": mosquitto_version(mosquitto)} if mosquitto else {})


def _module(name: str) -> BenchModule:
    if name not in BENCHES:
        raise BenchError(f"{name!r} is no bench: expected {', '.join(BENCHES)}")
    if importlib.util.find_spec("bench") is None:
        raise BenchError("the folder bench/ is not here: run `make bench` in a checkout")
    found: BenchModule = importlib.import_module(f"bench.{name}")
    return found


@contextmanager
def _work_folder(name: str) -> Iterator[Path]:
    parent = Path.cwd() / WORK_FOLDER
    try:
        parent.mkdir(exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir=parent))
    except OSError as error:
        raise BenchError(
            f"{parent}: cannot be written: {error.strerror}; run it in a folder of yours"
        ) from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _first_value(path: Path, key: str) -> str:
    """Return the value of the first `key : value` line of a /proc file, or nothing."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(key))
    return next(found, "")


def _table(report: Report) -> Table:
    told = report.machine
    peers = list(dict.fromkeys(row.peer_name for row in report.rows if row.peer_name))
    table = Table(
        title=f"{report.bench} on {told['cpu']}, {told['cores']} cores, Python {told['python']}",
        caption="; ".join(f"peer {n}: {name}" for n, name in enumerate(peers, start=1)),
    )
    for name in ("what", "unit", "ours", "peer", "ratio", "goal", "met"):
        table.add_column(name, justify="left" if name in {"what", "unit"} else "right")
    for row in report.rows:
        number = peers.index(row.peer_name) + 1 if row.peer_name else 0
        table.add_row(
            row.what, row.unit, f"{row.ours:.4g}",
            f"{row.peer:.4g} ({number})" if row.peer is not None else "",
            f"{row.ratio:.3g}" if row.ratio is not None else "",
            f"{row.goal:.5g}" if row.goal is not None else "",
            {True: "[green]yes[/green]", False: "[red]no[/red]", None: ""}[row.met],
        )  # fmt: skip
    return table
