"""The kinds of runtime behind one small interface: one suite holds all to one contract."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from runtime.live import LiveRuntime
from runtime.runtime import Runtime
from runtime.virtual import Lines, VirtualRuntime


class World(Protocol):
    """A runtime, and a way to let it work until something is true."""

    runtime: Runtime

    def until(self, reached: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Return whether `reached` came true in time."""

    def settle(self, seconds: float) -> None:
        """Let `seconds` of the runtime's own time go by."""


class VirtualWorld:
    """Virtual time, with serial lines in memory or on pseudo-terminals."""

    def __init__(self, seed: int = 0, lines: Lines = "memory") -> None:
        self.runtime = VirtualRuntime(seed, lines=lines)

    def until(self, reached: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Return whether `reached` came true in time."""
        return self.runtime.run_until(reached, timeout_s)

    def settle(self, seconds: float) -> None:
        """Let `seconds` go by at once."""
        self.runtime.run_for(seconds)

    def close(self) -> None:
        """Close all lines."""
        self.runtime.close()


class LiveWorld:
    """Real time, real threads."""

    def __init__(self, seed: int = 0) -> None:
        self.runtime = LiveRuntime(seed)

    def until(self, reached: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Return whether `reached` came true in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if reached():
                return True
            time.sleep(0.005)
        return reached()

    def settle(self, seconds: float) -> None:
        """Let `seconds` go by."""
        time.sleep(seconds)

    def close(self) -> None:
        """End all threads."""
        self.runtime.close()


KINDS = ("memory", "pty", "live")
"""Virtual time with lines in memory, with pseudo-terminals, and real time."""


def make_world(kind: str) -> LiveWorld | VirtualWorld:
    """Return a world of one of `KINDS`."""
    if kind == "live":
        return LiveWorld(seed=3)
    return VirtualWorld(seed=3, lines="pty" if kind == "pty" else "memory")
