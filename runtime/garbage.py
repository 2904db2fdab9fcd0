"""How often a process of ours looks for garbage that reference counts do not find."""

from __future__ import annotations

import gc
from typing import Final

YOUNG_MAX: Final = 20_000
"""New objects that hold others, beyond those that went again, until the youngest are looked at."""
MIDDLE_MAX: Final = 20
OLD_MAX: Final = 50


def collect_seldom() -> None:
    """Let this process collect more seldom than Python's 700 new objects.

    Messages, rows and statements are freed by their reference counts; rings are few. Collecting for
    each 700 takes a tenth of central's time on a site of 10 000 bins and finds next to nothing;
    20 000 of them are some MB at most.
    """
    gc.set_threshold(YOUNG_MAX, MIDDLE_MAX, OLD_MAX)
