"""Whether two vehicles speak under one serial number: their states are believed to neither. Pure.

A vehicle that restarts counts anew and never goes on with its old numbers; two that speak at once
go on with both. A vehicle is in one place; two may be in places that none can drive between in the
time. Each sign by itself happens to a single vehicle, too (a late message, a map that was moved):
only several within a short time say that there are two.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import hypot
from typing import Final

from runtime.clock import NS_PER_S
from wire.vda5050.messages import State, parse_time

SIGNS_MIN: Final = 4
WITHIN_S: Final = 60.0
LATE_MAX: Final = 50
"""Messages of one vehicle never overtake so many others of it."""
SPEED_MPS_MAX: Final = 5.0
"""No robot of a warehouse drives faster."""
JUMP_M_MIN: Final = 4.0
"""A position may be so much off, and a message so late, that this is no jump."""


@dataclass(slots=True)
class Sources:
    """The signs of one serial number. Times are monotonic, by arrival."""

    signs: deque[int] = field(default_factory=lambda: deque(maxlen=SIGNS_MIN))
    """When there was a sign that there are two."""
    counts: list[int] = field(default_factory=list)
    """The newest header id of each of the last two rows of numbers, the last spoken first."""
    place_m: tuple[float, float] | None = None
    place_at_ns: int = 0
    place_said_ns: int = 0
    identity: tuple[str, str] | None = None

    def see(self, state: State, now_ns: int) -> bool:
        """Take in a state; return whether this serial number is two vehicles now."""
        both = self._goes_on_with_both(state.header_id)
        if self._jumps(state, now_ns) or self._is_other(state) or both:
            self.signs.append(now_ns)
        return self.are_two(now_ns)

    def are_two(self, now_ns: int) -> bool:
        """Return whether there were enough signs lately."""
        full = len(self.signs) == SIGNS_MIN
        return full and now_ns - self.signs[0] < WITHIN_S * NS_PER_S

    def _goes_on_with_both(self, number: int) -> bool:
        """Return whether this number follows on the row that did not speak last."""
        counts = self.counts
        if counts and number == counts[0] + 1:
            counts[0] = number
            return False
        if len(counts) > 1 and number == counts[1] + 1:
            apart = abs(counts[0] - counts[1])
            counts[:] = [number, counts[0]]
            return apart > LATE_MAX  # nearer ones overtook each other on the way
        if not counts or number not in counts:
            self.counts = [number, *counts][:2]
        return False

    def _jumps(self, state: State, now_ns: int) -> bool:
        position = state.agv_position
        if not position or not position.position_initialized:
            return False
        said_ns = parse_time(state.timestamp) or 0
        before, before_ns, before_said_ns = self.place_m, self.place_at_ns, self.place_said_ns
        self.place_m, self.place_at_ns = (position.x, position.y), now_ns
        self.place_said_ns = said_ns
        if before is None:
            return False
        # What comes late was said long before, and somewhere else.
        since_ns = max(now_ns - before_ns, abs(said_ns - before_said_ns))
        way_m = hypot(position.x - before[0], position.y - before[1])
        return way_m > JUMP_M_MIN + SPEED_MPS_MAX * since_ns / NS_PER_S

    def _is_other(self, state: State) -> bool:
        said = (state.manufacturer, state.serial_number)
        before, self.identity = self.identity, said
        return before is not None and before != said and all(said) and all(before)
