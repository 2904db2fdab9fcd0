"""Lanes: each stage lives on one, and everything that happens to the stage happens there, in order.

Live, a lane is a thread. In virtual time all lanes share one loop. A stage cannot tell the
difference: it is plain synchronous functions that are called with batches and by timers.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class WhenFull(enum.Enum):
    """The stated answer of a full inbox."""

    WAIT = "slow the source until there is room"
    DROP_OLDEST = "the newest replaces the oldest (positions, never counts)"


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Forget the call if it has not begun."""


class Inbox(Protocol[T_contra]):
    """A bounded queue in front of a lane; any thread may put."""

    def put(self, item: T_contra) -> bool:
        """Add `item`; False where a WAIT inbox was closed while waiting for room."""

    @property
    def dropped(self) -> int:
        """Return how many items a DROP_OLDEST inbox gave up."""


class Lane(Protocol):
    """One thread of control. All handlers and timers of a lane run one after the other."""

    @property
    def name(self) -> str:
        """Return the lane's name, for logs."""

    def inbox(
        self,
        name: str,
        handler: Callable[[list[T]], None],
        *,
        size_max: int = 10_000,
        batch_max: int = 500,
        when_full: WhenFull = WhenFull.WAIT,
    ) -> Inbox[T]:
        """Return an inbox whose items reach `handler` on this lane in order, in batches."""

    def post(self, call: Callable[[], None]) -> None:
        """Run `call` on this lane soon. For rare things; streams go through an inbox."""

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Run `call` on this lane after `delay_s` seconds."""

    def call_every(self, period_s: float, call: Callable[[], None]) -> Timer:
        """Run `call` on this lane every `period_s` seconds; a late run is not made up for."""
