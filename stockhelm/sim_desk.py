"""The planners' desk in virtual time: all of it but the port that browsers reach.

A module of its own, loaded where a run has a desk: its web framework is much to load for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from central.config import DeskConfig
from central.desk.service import build_desk
from runtime.config import load_config

if TYPE_CHECKING:
    from pathlib import Path

    from central.desk.guard import Guard
    from runtime.metrics import Metrics
    from runtime.runtime import Runtime


class NoPages:
    """Pages that nobody opens: in virtual time there is no browser."""

    alive = True

    def start(self) -> None:
        """Take no port."""

    def post(self, call: Callable[[], None]) -> bool:
        """Run `call` at once: there is only one thread."""
        call()
        return True

    def stop(self) -> None:
        """Nothing was begun."""


def _no_pages(_app: Guard, _config: DeskConfig, _metrics: Metrics) -> NoPages:
    return NoPages()


def start_desk(runtime: Runtime, metrics: Metrics, file: Path) -> Callable[[], None]:
    """Start the desk of a configuration; return what closes its files when it is dead."""
    from_file = load_config(file, DeskConfig)
    desk = build_desk(runtime, metrics, from_file, _no_pages)
    desk.start()
    return desk.close_books
