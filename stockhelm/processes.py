"""The process table: what runs, started in order, watched, restarted, stopped in bounded time."""

from __future__ import annotations

import contextlib
import enum
import itertools
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runtime.clock import NS_PER_S, Clock
from stockhelm.broker import tail
from stockhelm.dies_with_parent import with_parent

READY_S_MAX: Final = 120.0
STOP_S_MAX: Final = 2.5
RESTARTS_MAX: Final = 5
LOOK_EVERY_S: Final = 0.05


class Restart(enum.Enum):
    """What happens when a process ends by itself."""

    ALWAYS = "started again, at most five times"
    NEVER = "everything stops"


class ProcessError(Exception):
    """A process cannot run; the text says which, why, and where its log is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One row of the table: `stockhelm ARGUMENTS`."""

    name: str
    arguments: tuple[str, ...]
    restart: Restart = Restart.ALWAYS


@dataclass(slots=True)
class _Running:
    row: Process
    child: subprocess.Popen[bytes]
    ready: socket.socket
    log_file: Path
    restarts: int = 0
    is_ready: bool = False
    said: list[bytes] = field(default_factory=list)


class Supervisor:
    """Runs the rows of a process table as children of this process.

    Its methods are called from one thread that lives as long as the children shall.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._numbers = itertools.count()
        self._running: dict[str, _Running] = {}
        self._held: set[str] = set()
        """Killed on purpose: they stay down until somebody starts them again."""

    def start(
        self,
        rows: Sequence[Process],
        on_ready: Callable[[str], None],
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        """Start `rows` side by side; return once each said that it is ready.

        Raises ProcessError for the first that ends or does not get ready in time, and whatever
        `on_look` raises, which is called before each start and while we wait.
        """
        for row in rows:
            on_look()
            self._running[row.name] = self._spawn(row)
        deadline_ns = self._clock.monotonic_ns() + round(READY_S_MAX * NS_PER_S)
        waiting = [self._running[row.name] for row in rows]
        while waiting:
            on_look()
            readable, _, _ = select.select([w.ready for w in waiting], [], [], LOOK_EVERY_S)
            for running in waiting:
                if running.ready in readable and b"READY=1" in running.ready.recv(4096):
                    running.is_ready = True
                    on_ready(running.row.name)
                elif running.child.poll() is not None:
                    raise ProcessError(_ended(running))
            waiting = [w for w in waiting if not w.is_ready]
            if waiting and self._clock.monotonic_ns() > deadline_ns:
                names = ", ".join(w.row.name for w in waiting)
                raise ProcessError(f"not ready within {READY_S_MAX:.0f} s: {names}")

    def watch(self) -> list[str]:
        """Restart what ended; return a line per restart. ProcessError when it is too much."""
        lines = []
        for name, running in list(self._running.items()):
            if running.child.poll() is None or name in self._held:
                continue
            said = _ended(running)
            if running.row.restart is Restart.NEVER or running.restarts >= RESTARTS_MAX:
                raise ProcessError(said)
            running.ready.close()
            fresh = self._spawn(running.row)
            fresh.restarts = running.restarts + 1
            self._running[name] = fresh
            lines.append(f"{said}; started again ({fresh.restarts} of at most {RESTARTS_MAX})")
        return lines

    def send_signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one process."""
        self._running[name].child.send_signal(number)

    def kill(self, name: str) -> None:
        """End one process without a word; it stays down until `start_again`. From any thread."""
        self._held.add(name)
        self._running[name].child.kill()

    def is_up(self, name: str) -> bool:
        """Return whether one process runs. From any thread."""
        return name in self._running and self._running[name].child.poll() is None

    def start_again(self, name: str) -> None:
        """Start a process that was killed on purpose; return at once."""
        running = self._running[name]
        if name in self._held:
            running.child.wait()
            running.ready.close()
            self._running[name] = self._spawn(running.row)
            self._held.discard(name)

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {name: running.child.pid for name, running in self._running.items()}

    def stop(self) -> None:
        """End every process: politely, then not; nothing is left when this returns."""
        for running in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                running.child.terminate()
        deadline_ns = self._clock.monotonic_ns() + round(STOP_S_MAX * NS_PER_S)
        for running in self._running.values():
            left_s = (deadline_ns - self._clock.monotonic_ns()) / NS_PER_S
            try:
                running.child.wait(timeout=max(left_s, 0.01))
            except subprocess.TimeoutExpired:
                running.child.kill()
                running.child.wait()
            running.ready.close()
        self._running.clear()

    def _spawn(self, row: Process) -> _Running:
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"stockhelm-{os.getpid()}-{next(self._numbers)}"
        ready.bind("\0" + address)
        log_file = self._directory / "logs" / f"{row.name}.log"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as log:
            child = subprocess.Popen(
                with_parent([sys.executable, "-m", "stockhelm", *row.arguments]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": "@" + address},
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends its children
            )
        return _Running(row, child, ready, log_file)


def _ended(running: _Running) -> str:
    return (
        f"{running.row.name} ended by itself with {running.child.returncode};"
        f" the end of {running.log_file}: {tail(running.log_file)}"
    )
