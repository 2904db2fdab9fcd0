"""The clock inside a device: right, unless it is set wrong or drifts."""

from __future__ import annotations

from runtime.clock import Clock


class DeviceClock:
    """UTC as one device takes it; its durations stay right."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ns = 0
        self._drift = 0.0
        self._drifts_since_ns = 0

    def now_ns(self) -> int:
        """Return what the device takes for UTC nanoseconds since 1970."""
        return self._clock.now_ns() + self.ahead_ns

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back."""
        return self._clock.monotonic_ns()

    @property
    def ahead_ns(self) -> int:
        """Return how far the device's UTC is ahead of the truth at this moment."""
        drifted_s = self._clock.monotonic_ns() - self._drifts_since_ns
        return self._ahead_ns + round(drifted_s * self._drift)

    def jump(self, by_ns: int) -> None:
        """Move the clock at once, forward or back."""
        self._ahead_ns += by_ns

    def drift(self, share: float) -> None:
        """Let the clock run faster by `share` (below 0: slower) from now on."""
        self._ahead_ns = self.ahead_ns
        self._drifts_since_ns = self._clock.monotonic_ns()
        self._drift += share

    def set_right(self) -> None:
        """Set the clock right, as time synchronisation does; a drift goes on."""
        self._ahead_ns = 0
        self._drifts_since_ns = self._clock.monotonic_ns()
