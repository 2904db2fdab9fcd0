"""A program that ends when its parent ends, even where the parent is killed outright.

`with_parent(command)` returns the command to start in place of `command`. It starts this file,
which asks the kernel for a signal at the parent's death and then becomes `command`; a function run
between fork and exec (`preexec_fn`) would do the same but may hang in a process that has threads.

The kernel takes the *thread* that started the child for its parent: start children from a thread
that lives as long as they shall. Where the kernel knows no such signal (not Linux), the command
simply runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def with_parent(
    command: Sequence[str], *, death_signal: signal.Signals = signal.SIGTERM
) -> list[str]:
    """Return the command that runs `command` for as long as the calling process lives."""
    here = str(Path(__file__).resolve())
    return [sys.executable, "-I", "-S", here, str(os.getpid()), str(int(death_signal)), *command]


def become(arguments: Sequence[str]) -> None:
    """Become the command; end with 1 if the parent was gone before it could be watched."""
    parent, death_signal, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl") and libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_PDEATHSIG): {os.strerror(number)}")
    if os.getppid() != int(parent):
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    become(sys.argv[1:])
