"""The frame of a process: start, say that it is ready, wait for a signal, stop in bounded time."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

import msgspec
import structlog

from runtime.live import LiveRuntime
from runtime.log import set_up_logs
from runtime.metrics import Metrics

STOP_S_MAX: Final = 4
log = structlog.get_logger()


class Service(Protocol):
    """What a process runs."""

    def start(self) -> None:
        """Open everything; return when work has begun."""

    def stop(self) -> None:
        """Finish what is begun and close; called on the main thread, lanes still run."""


def notify(state: str) -> None:
    """Tell the supervisor, as systemd does: a datagram to $NOTIFY_SOCKET; silent without one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError as error:
            log.warning("supervisor not reached", error=str(error))


def run_service(
    name: str,
    build: Callable[[LiveRuntime, Metrics], Service],
    *,
    seed: int = 0,
    metrics_file: Path | None = None,
    on_user_signal: Callable[[], None] | None = None,
) -> int:
    """Run one process until SIGTERM or SIGINT; return its exit code (1: a lane crashed).

    A process that has not stopped STOP_S_MAX seconds after the signal is ended by SIGALRM.
    `on_user_signal` is called on the main thread after each SIGUSR1.
    """
    set_up_logs(name)
    runtime = LiveRuntime(seed)
    metrics = Metrics()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        # What does not stop in time is ended by the kernel; what was promised is on disk already.
        signal.alarm(STOP_S_MAX)
        runtime.request_stop()

    user_signals: list[int] = []

    def on_user(number: int, _frame: FrameType | None) -> None:
        user_signals.append(number)
        runtime.wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    if on_user_signal is not None:
        signal.signal(signal.SIGUSR1, on_user)
    service = build(runtime, metrics)
    try:
        service.start()
        notify("READY=1")
        log.info("ready")
        while not runtime.wait():
            while user_signals and on_user_signal is not None:
                user_signals.pop()
                on_user_signal()
    finally:
        notify("STOPPING=1")
        if runtime.crash is None:
            service.stop()
        runtime.close()
        if metrics_file is not None:
            metrics_file.parent.mkdir(parents=True, exist_ok=True)
            metrics_file.write_bytes(msgspec.json.encode(metrics.snapshot(with_samples=True)))
    log.info("stopped")
    return 0 if runtime.crash is None else 1
