"""What a process is given from outside: clock, random, lanes, bus, ports, frames."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from runtime.bus import Bus, BusOptions
from runtime.clock import Clock
from runtime.frames import Frames
from runtime.lanes import Lane
from runtime.ports import Ports


class Runtime(Protocol):
    """The world outside a stage: `live.LiveRuntime` or `virtual.VirtualRuntime`."""

    @property
    def clock(self) -> Clock:
        """Return the clock."""

    @property
    def ports(self) -> Ports:
        """Return the serial ports."""

    @property
    def frames(self) -> Frames:
        """Return where camera pictures come from and go to."""

    def random(self, name: str) -> Random:
        """Return a random stream of its own for `name`: seed and name decide it."""

    def secret(self, name: str) -> bytes:
        """Return 16 bytes that nobody can guess; under a virtual clock seed and name decide."""

    def lane(self, name: str) -> Lane:
        """Return a new lane."""

    def bus(self, options: BusOptions) -> Bus:
        """Return a new connection to the message broker (not connected yet: call `start`)."""

    def run_on(self, lane: Lane, call: Callable[[], None], timeout_s: float = 5.0) -> bool:
        """Run `call` on `lane` and wait for its end, for `stop`; False where it did not end."""
