"""How the commands of the simulator end: their exit codes, and a word where a person stops one."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final, NoReturn

import typer
from rich.console import Console

FAILED: Final = 1
"""It was done, and something did not hold."""
USAGE: Final = 2
"""It cannot be done as asked; nothing is known of what was to be looked at."""
STOPPED: Final = 130
"""A person stopped it (Ctrl-C), as shells say it: 128 and the number of SIGINT."""
STOPPED_TEXT: Final = "stopped by hand"


def end_with(command: Callable[[Console], int]) -> NoReturn:
    """Run a command and end with its code.

    Stopped by a person, say so and end with 130. Where the system refuses something (a full disk, a
    folder that cannot be read), say what and end with 2: what was to be looked at is not known.
    """
    console = Console(highlight=False, emoji=False)
    try:
        code = command(console)
    except KeyboardInterrupt:
        console.print(STOPPED_TEXT)
        code = STOPPED
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
