"""How the commands of the simulator end: their exit codes, and a word where a person stops one."""

from __future__ import annotations

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
    """Run a command and end with its code; stopped by a person, say so and end with 130."""
    console = Console(highlight=False)
    try:
        code = command(console)
    except KeyboardInterrupt:
        console.print(STOPPED_TEXT)
        code = STOPPED
    raise typer.Exit(code)
