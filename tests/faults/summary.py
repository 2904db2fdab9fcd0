"""Faults survived, rounds and losses: each test of this folder says what it did, one file sums up.

With STOCKHELM_FAULTS=FILE each test adds a line of JSON to FILE, and `python -m
tests.faults.summary FILE` prints the table of them.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import msgspec

FILE_VARIABLE: Final = "STOCKHELM_FAULTS"


class Survived(msgspec.Struct, frozen=True, kw_only=True):
    """What one test did."""

    fault: str
    rounds: int
    """How often the fault happened."""
    scans: int
    """Scans answered `booked` meanwhile."""
    losses: int
    """Scans, rows or units that are not exactly once where they belong."""


def survived(fault: str, *, rounds: int, scans: int, losses: list[str]) -> None:
    """Write down what a test did; fail where anything was lost."""
    done = Survived(fault=fault, rounds=rounds, scans=scans, losses=len(losses))
    file = os.environ.get(FILE_VARIABLE)
    if file:
        with Path(file).open("ab") as lines:
            lines.write(msgspec.json.encode(done) + b"\n")
    assert not losses, f"{fault}, {rounds} rounds, {scans} scans: {losses[:20]}"
    assert rounds, fault
    assert scans, fault


def table(text: bytes) -> str:
    """Return the table of what a run wrote down, as markdown."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for line in text.splitlines():
        done = msgspec.json.decode(line, type=Survived)
        for place, number in enumerate((done.rounds, done.scans, done.losses)):
            sums[done.fault][place] += number
    lines = ["| fault | rounds | scans booked | losses |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {fault} | {_grouped(rounds)} | {_grouped(scans)} | {lost} |"
        for fault, (rounds, scans, lost) in sorted(sums.items())
    ]
    return "\n".join(lines)


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")


if __name__ == "__main__":
    print(table(Path(sys.argv[1]).read_bytes()))  # noqa: T201 - it is what it is for
