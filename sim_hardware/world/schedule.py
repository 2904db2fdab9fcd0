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

    def __init__(self) -> None:
        self.now_s = 0.0
        self.frozen = False
        self._due: list[tuple[float, int, WorldCall]] = []
        self._order = itertools.count()

    def after(self, delay_s: float, call: Callable[[], None]) -> WorldCall:
        """Let `call` happen after `delay_s` world seconds."""
        due = WorldCall(call)
        heapq.heappush(self._due, (self.now_s + max(delay_s, 0.0), next(self._order), due))
        return due

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass: what is due happens in order of time, then of asking."""
        if self.frozen:
            return
        end_s = self.now_s + seconds
        for _ in range(CALLS_PER_ADVANCE_MAX):
            if self.frozen or not self._due or self._due[0][0] > end_s:
                break
            at_s, _, due = heapq.heappop(self._due)
            if not due.cancelled:
                self.now_s = max(self.now_s, at_s)
                due.call()
        else:
            raise RuntimeError("the world repeats something at once for ever")
        if not self.frozen:
            self.now_s = end_s
