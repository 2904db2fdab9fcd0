"""Waiting until the books have come to rest after the world did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stockhelm.sim_books import SiteBooks


class Asking(Protocol):
    """A floor whose customers may still wait for an answer."""

    @property
    def unanswered_orders(self) -> int:
        """Return how many orders nobody has answered yet."""


def settle(
    books: SiteBooks, floor: Asking, wait: Callable[[], None], *, looks_max: int, quiet_looks: int
) -> bool:
    """Look again and again, `wait` before each look; return whether the books came to rest.

    They rest where so many looks on end found nothing of the goods on its way and the same in the
    books. Cameras go on looking at a world that stands still; of what they see nothing may be on
    its way at the last look.
    """
    quiet, before = 0, ""
    for _ in range(looks_max):
        wait()
        rest = books.rest()
        is_quiet = not rest.moving and rest.mark == before and not floor.unanswered_orders
        quiet, before = quiet + 1 if is_quiet else 0, rest.mark
        if quiet >= quiet_looks and not rest.seen:
            return True
    return False
