"""Real processes of `stockhelm` that begin in milliseconds: forks of one that has imported it all.

`Forks.start("edge", file)` runs `stockhelm edge run --config file` in a process of its own. To be
forked from a program without threads, they come from a helper program, which is this file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parents[2]


class Forks:
    """The helper program, and the processes that it made."""

    def __init__(self, log: Path) -> None:
        self.log = log
        """What the processes say."""

    def __enter__(self) -> Self:
        """Start the helper program; it ends when its input does, and so do its processes."""
        self._log_file = self.log.open("wb")
        self._helper = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks"], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._log_file, text=True, bufsize=1,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self._helper.stdin is not None
        assert self._helper.stdout is not None
        self._helper.stdin.close()
        self._helper.wait(30.0)
        self._helper.stdout.close()
        self._log_file.close()

    def start(self, name: str, config_file: Path) -> int:
        """Start a process; return its id."""
        return self._ask(f"start {name} {config_file}")

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; return the exit code (negative: the signal)."""
        os.kill(pid, number)
        return self._ask(f"wait {pid}")

    def _ask(self, line: str) -> int:
        assert self._helper.stdin is not None
        assert self._helper.stdout is not None
        self._helper.stdin.write(line + "\n")
        return int(self._helper.stdout.readline())


def _serve() -> None:
    import central.agent  # noqa: F401, PLC0415 - what the processes would import
    import edge.agent  # noqa: F401, PLC0415
    import runtime.service  # noqa: F401, PLC0415
    import stockhelm.cli  # noqa: F401, PLC0415

    living: set[int] = set()
    for line in sys.stdin:
        verb, *rest = line.split()
        if verb == "start":
            pid = _start(*rest)
            living.add(pid)
            print(pid, flush=True)  # noqa: T201 - the answer
        else:
            pid = int(rest[0])
            _, status = os.waitpid(pid, 0)
            living.discard(pid)
            print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _start(name: str, config_file: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    from stockhelm.cli import main  # noqa: PLC0415 - only here

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.argv = ["stockhelm", name, "run", "--config", config_file]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
