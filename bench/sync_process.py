"""How long an fdatasync takes while something else is measured: `python -m bench.sync_process DIR`.

It says `ready`, then writes and syncs 4 KiB about fifty times a second in a process of its own,
until its input ends; then it says the milliseconds as a JSON list.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import Final

import msgspec

from runtime.clock import SystemClock

EVERY_S: Final = 0.02
SYNC_BYTES: Final = 4_096
NS_PER_MS: Final = 1_000_000


def main() -> None:
    """Measure until nobody holds the other end of our input."""
    clock, found = SystemClock(), []
    path = Path(sys.argv[1]) / "sync-beside.bin"
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:
        begun_ns = clock.monotonic_ns()
        os.write(handle, b"\0" * SYNC_BYTES)
        os.fdatasync(handle)
        found.append((clock.monotonic_ns() - begun_ns) / NS_PER_MS)
    os.close(handle)
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
