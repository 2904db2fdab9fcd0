"""How far something is, for people who wait: a bar on a terminal, else some plain lines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from runtime.clock import NS_PER_S, Clock, SystemClock
from stockhelm.ending import STOPS

PLAIN_EVERY_S: Final = 10.0
"""Between two plain lines; what is done sooner says nothing but its result."""


class Shown(Protocol):
    """Where it is shown how far something is."""

    def show(self, text: str, done: float = 0.0, total: float | None = None) -> None:
        """Show `text`, and how much of a total is done where there is one."""


@contextlib.contextmanager
def shown_progress(console: Console, begin: str) -> Iterator[Shown]:
    """Yield where to show how far it is: on `console` where that is a terminal, else on stderr.

    Results may be printed on `console` meanwhile. Without any terminal a plain line comes on stderr
    every 10 s, so that results stay clean where they go into a file.
    """
    place = console if console.is_terminal else Console(stderr=True, highlight=False)
    if not place.is_terminal:
        yield PlainLines(place, SystemClock())
        return
    with Bars(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
        console=place, transient=True,
    ) as bars:  # fmt: skip
        yield _Bar(bars, begin)


class _Bar:
    def __init__(self, bars: Bars, begin: str) -> None:
        self._bars = bars
        self._task = bars.add_task(begin, total=None)

    def show(self, text: str, done: float = 0.0, total: float | None = None) -> None:
        STOPS.check()
        self._bars.update(self._task, description=text, completed=done, total=total)


class PlainLines:
    """A plain line every 10 s, the first one 10 s after the beginning."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._due_ns = self._next_ns()

    def show(self, text: str, done: float = 0.0, total: float | None = None) -> None:
        """Print it where it is time for a line."""
        STOPS.check()
        if self._clock.monotonic_ns() < self._due_ns:
            return
        share = f" ({done / total:.0%})" if total else ""
        self._console.print(f"  {text}{share}", markup=False, soft_wrap=True)
        self._due_ns = self._next_ns()

    def _next_ns(self) -> int:
        return self._clock.monotonic_ns() + round(PLAIN_EVERY_S * NS_PER_S)
