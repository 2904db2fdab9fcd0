"""What the machine itself does: how fast its disk is, how much memory processes hold, kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import msgspec

from runtime.clock import NS_PER_S, Clock
from stockhelm.bench import BenchError
from stockhelm.warmup import Warmed

SYNCS: Final = 500
SYNC_BYTES: Final = 4_096
NS_PER_MS: Final = 1_000_000
KIB: Final = 1_024
WARM_UP_S_MAX: Final = 600.0


def sync_ms(directory: Path, clock: Clock) -> list[float]:
    """Return how long each of some writes of 4 KiB with fdatasync took."""
    found = []
    handle = os.open(directory / "sync.bin", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        for _ in range(SYNCS):
            begun_ns = clock.monotonic_ns()
            os.write(handle, b"\0" * SYNC_BYTES)
            os.fdatasync(handle)
            found.append((clock.monotonic_ns() - begun_ns) / NS_PER_MS)
    finally:
        os.close(handle)
    return found


def descendants(pid: int) -> list[int]:
    """Return `pid` and all processes below it."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "stat").read_text()
            except OSError:
                continue  # it ended while we looked
            children[int(told.rpartition(")")[2].split()[1])].append(int(entry.name))
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        left += children[one]
    return found


def resident_mib(pids: list[int]) -> float:
    """Return the proportional set size of these processes together: shared pages count once."""
    total_kib = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it ended while we looked
        total_kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kib / KIB


def kernel_seconds(directory: Path) -> tuple[float, float]:
    """Return how long a first start spends on the numba kernels, and the second one."""
    return _warm_up(directory), _warm_up(directory)


def _warm_up(cache: Path) -> float:
    command = [sys.executable, "-m", "stockhelm.warmup", "--json"]
    begun = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    try:
        done = subprocess.run(
            command, env=begun, capture_output=True, check=True, timeout=WARM_UP_S_MAX
        )
    except subprocess.SubprocessError as error:
        raise BenchError(f"{' '.join(command)} failed: {error}") from error
    return sum(warmed.seconds for warmed in msgspec.json.decode(done.stdout, type=list[Warmed]))


def seconds_since(clock: Clock, begun_ns: int) -> float:
    """Return the seconds since a moment of the monotonic clock."""
    return (clock.monotonic_ns() - begun_ns) / NS_PER_S
