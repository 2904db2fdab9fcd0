"""How the commands of the simulator end: their exit codes, and a word where a person stops one."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

import typer
from rich.console import Console

FAILED: Final = 1
"""It was done, and something did not hold."""
USAGE: Final = 2
"""It cannot be done as asked; nothing is known of what was to be looked at."""
STOPPED: Final = 130
"""A person stopped it (Ctrl-C), as shells say it: 128 and the number of SIGINT."""
TERMINATED: Final = 143
"""The system or another program stopped it: 128 and the number of SIGTERM."""
STOPPED_TEXT: Final = "stopped by hand"


class Stopped(KeyboardInterrupt):
    """A person or the system stopped this process.

    No plain KeyboardInterrupt: one that passes through an `exec` of a text, as in numba, lets
    CPython die of SIGINT in the end, whoever caught it and whatever the exit code.
    """


class Stops:
    """Remembers that this process was told to stop.

    Python loses a KeyboardInterrupt that comes while it is in a callback of some library, and the
    work goes on. So whoever shows progress asks, and what was told is not forgotten at the end.
    """

    def __init__(self) -> None:
        self.code = 0
        """What to end with; 0: nobody has said to stop."""

    @property
    def ends_with(self) -> int:
        """Return what a command ends with that a KeyboardInterrupt stopped."""
        return self.code or STOPPED

    def check(self) -> None:
        """Raise Stopped where this process was told to stop and goes on all the same."""
        if self.code:
            raise Stopped

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear Ctrl-C and SIGTERM while this lasts."""
        self.code = 0
        numbers = {signal.SIGINT: STOPPED, signal.SIGTERM: TERMINATED}
        before = {number: signal.getsignal(number) for number in numbers}

        def stop(number: int, _frame: FrameType | None) -> None:
            self.code = self.code or numbers[signal.Signals(number)]
            raise Stopped

        try:
            for number in numbers:
                signal.signal(number, stop)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


STOPS: Final = Stops()
"""Of this process."""


def end_with(command: Callable[[Console], int]) -> NoReturn:
    """Run a command and end with its code.

    Stopped by a person, say so and end with 130. Where the system refuses something (a full disk, a
    folder that cannot be read), say what and end with 2: what was to be looked at is not known.
    """
    console = Console(highlight=False, emoji=False)
    try:
        with STOPS.heard():
            code = command(console)
            if code == 0:
                STOPS.check()
    except KeyboardInterrupt:
        console.print(STOPPED_TEXT)
        code = STOPS.ends_with
    except OSError as error:
        if error.errno == errno.EPIPE:  # who reads has enough, as `head` does: nothing is wrong
            raise
        typer.echo(f"stockhelm: {os_error_text(error)}", err=True)
        code = USAGE
    raise typer.Exit(code)


def os_error_text(error: OSError) -> str:
    """Return what the system refused, with the file where it says which, and what to do."""
    what = error.strerror or str(error)
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where}{what}: make room, or name another place"
    return f"{where}{what}"
