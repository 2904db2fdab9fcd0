"""World time: it runs `speed` times faster than the product's clock, and it can stand still."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Final

CALLS_PER_ADVANCE_MAX: Final = 1_000_000


class WorldCall:
    """Something that happens later in the world."""

    __slots__ = ("call", "cancelled")

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        """Forget it if it has not happened."""
        self.cancelled = True


class WorldTime:
    """Seconds since the world began, and what is due when. Frozen, nothing happens any more."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        """World seconds per second of the product's clock."""
        self.now_s = 0.0
        self._frozen = False
        self._due: list[tuple[float, int, WorldCall]] = []
        self._order = itertools.count()

    @property
    def frozen(self) -> bool:
        """Return whether the world stands still."""
        return self._frozen

    def freeze(self) -> None:
        """Let the world stand still from now on."""
        self._frozen = True

    def after(self, delay_s: float, call: Callable[[], None]) -> WorldCall:
        """Let `call` happen after `delay_s` world seconds."""
        due = WorldCall(call)
        heapq.heappush(self._due, (self.now_s + max(delay_s, 0.0), next(self._order), due))
        return due

    def after_real(self, delay_s: float, call: Callable[[], None]) -> WorldCall:
        """Let `call` happen after `delay_s` seconds of the product's clock, unless frozen."""
        return self.after(delay_s * self.speed, call)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass: what is due happens in order of time, then of asking."""
        end_s = self.now_s + seconds
        for _ in range(CALLS_PER_ADVANCE_MAX):
            due = self._next(end_s)
            if due is None:
                return
            due.call()
        raise RuntimeError("the world repeats something at once for ever")

    def _next(self, end_s: float) -> WorldCall | None:
        """Return what is due next before `end_s`; None, at `end_s`, when nothing is."""
        while not self._frozen:
            if not self._due or self._due[0][0] > end_s:
                self.now_s = end_s
                return None
            at_s, _, due = heapq.heappop(self._due)
            if not due.cancelled:
                self.now_s = max(self.now_s, at_s)
                return due
        return None
