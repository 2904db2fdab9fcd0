"""Time comes from outside: a clock that runs, or one that a test moves."""

from __future__ import annotations

import time
from typing import Final, Protocol

NS_PER_S: Final = 1_000_000_000


class Clock(Protocol):
    """What a stage may ask about time."""

    def now_ns(self) -> int:
        """Return UTC nanoseconds since 1970."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back; for durations and timeouts."""


class SystemClock:
    """The machine's own clocks."""

    def now_ns(self) -> int:
        """Return UTC nanoseconds since 1970."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back."""
        return time.monotonic_ns()


class VirtualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return UTC nanoseconds since 1970."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Return the same nanoseconds: nobody sets this clock back."""
        return self._now_ns

    def move_to(self, at_ns: int) -> None:
        """Move the clock forward to `at_ns`."""
        assert at_ns >= self._now_ns, "a virtual clock never goes back"
        self._now_ns = at_ns


class ShiftedClock:
    """Another clock as one process sees it: its UTC may be wrong, its durations are not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead_ns = 0
        """How far its UTC is ahead of the truth."""

    def now_ns(self) -> int:
        """Return what this process takes for UTC nanoseconds since 1970."""
        return self._clock.now_ns() + self.ahead_ns

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back."""
        return self._clock.monotonic_ns()


class PacedClock:
    """Another clock, faster by a factor, that began at a UTC of one's choice."""

    def __init__(self, clock: Clock, utc_ns: int, pace: float) -> None:
        self.pace = pace
        self.ahead_ns = 0
        """How far its UTC is ahead of what it began with and the time since."""
        self._clock = clock
        self._utc_ns = utc_ns
        self._begun_ns = clock.monotonic_ns()

    def now_ns(self) -> int:
        """Return what this clock takes for UTC nanoseconds since 1970."""
        return self._utc_ns + self.since_ns() + self.ahead_ns

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never go back, as fast as this clock."""
        return self._begun_ns + self.since_ns()

    def since_ns(self) -> int:
        """Return nanoseconds since it began, as fast as this clock."""
        return round((self._clock.monotonic_ns() - self._begun_ns) * self.pace)
