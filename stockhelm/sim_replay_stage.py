"""Where a recording is replayed: in virtual time, or live with a real broker and real terminals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from runtime.bus import BusOptions
from runtime.clock import NS_PER_S, PacedClock, SystemClock
from runtime.live import LiveRuntime
from runtime.recording import Header, RecordingError
from runtime.virtual import Lines, VirtualRuntime
from stockhelm.broker import BrokerConfig, BrokerProcess, free_port
from stockhelm.demo import pause
from stockhelm.sim_replay_world import PROBE, Contents, ReplayRuntime

UTC_STEP_NS_MIN: Final = 1_000_000
"""Less is the time between two looks at the clocks, not somebody who set one."""
READY_S_MAX: Final = 10.0
DRAIN_S_MAX: Final = 60.0
LOOK_S: Final = 0.05
SETTLE_LOOK_S: Final = 0.002
SETTLE_S_MAX: Final = 5.0
"""A process that is not done with it by then gets the next thing nevertheless."""
GRACE_S: Final = 2.0
"""What is under way in a process that was asked to stop has so long."""
log = structlog.get_logger()


class CrashError(Exception):
    """The replayed process ended by an error of its own; the text says which."""


class Stage(Protocol):
    """Where a process is replayed. All calls are made on one thread."""

    world: ReplayRuntime

    @property
    def broker_port(self) -> int:
        """Return the port that the process shall find its broker at."""

    def ready(self) -> None:
        """Wait until what is played reaches the process."""

    def advance(self, at_ns: int) -> None:
        """Let time go on to `at_ns` since the recording began."""

    def set_utc(self, utc_ns: int) -> None:
        """Let the process's clock tell what it told, where somebody had set it."""

    def settle(self) -> None:
        """Let the process work off what it was handed, where nothing else is to happen before."""

    def finish(self, *, ended: bool) -> None:
        """Let it work off everything; `ended`: it ended well, so also what it had begun."""

    def stopping(self) -> None:
        """Let everything arrive: the process begins to stop, and then hears nobody."""

    def crash(self) -> str:
        """Return what the process died of, empty while it lives."""

    def end(self) -> None:
        """End the process."""

    def close(self) -> None:
        """Free everything."""


class VirtualStage:
    """One loop, a clock that jumps; lines in memory or on pseudo-terminals."""

    def __init__(self, header: Header, contents: Contents, folder: Path, lines: Lines) -> None:
        self._base = VirtualRuntime(header.seed, lines=lines)
        self._product = VirtualRuntime(header.seed, shared=self._base)
        self._player = VirtualRuntime(header.seed, shared=self._base)
        self._begun_ns = self._base.clock.monotonic_ns()
        self.world = ReplayRuntime(self._product, self._player, contents, folder=folder, carry=None)
        self.advance(contents.begun_at_ns)
        self._shift(contents.begun_utc_ns - self._product.clock.now_ns())

    @property
    def broker_port(self) -> int:
        """Return any port: the broker is in memory."""
        return 1883

    def ready(self) -> None:
        """Let the process do what it does at its start."""
        self.settle()

    def advance(self, at_ns: int) -> None:
        """Let time go on to `at_ns` since the recording began."""
        self._base.loop.run_until(self._begun_ns + at_ns)

    def set_utc(self, utc_ns: int) -> None:
        """Let the process's clock tell what it told, where somebody had set it."""
        step_ns = utc_ns - self._product.clock.now_ns()
        if abs(step_ns) >= UTC_STEP_NS_MIN:
            self._shift(step_ns)

    def settle(self) -> None:
        """Let the process work off what it was handed."""
        self._base.run_for(0.0)

    def finish(self, *, ended: bool) -> None:
        """Let it work off everything; `ended`: it ended well, so also what it had begun."""
        self._base.run_for(GRACE_S if ended else 0.0)

    def stopping(self) -> None:
        """Do nothing: here everything arrives at once."""

    def crash(self) -> str:
        """Return nothing: here an error ends the replay itself."""
        return ""

    def end(self) -> None:
        """End the process."""
        self._product.kill()

    def close(self) -> None:
        """Free everything."""
        self._product.close()
        self._player.close()
        self._base.close()

    def _shift(self, step_ns: int) -> None:
        # In two parts: a float holds whole seconds exactly, and the rest to the nanosecond.
        seconds, rest_ns = divmod(step_ns, NS_PER_S)
        self._product.shift_clock(float(seconds))
        self._product.shift_clock(rest_ns / NS_PER_S)


class LiveStage:
    """Threads, a real broker, real pseudo-terminals, the time of the machine times a factor."""

    def __init__(self, header: Header, contents: Contents, folder: Path, speed: float) -> None:
        self._clock = PacedClock(SystemClock(), contents.begun_utc_ns, speed)
        self._port = free_port()
        config = BrokerConfig(directory=str(folder / "broker"), port=self._port)
        self._broker = BrokerProcess(config)
        self._broker.start()
        self._product = LiveRuntime(header.seed, clock=self._clock)
        self._player = LiveRuntime(header.seed)
        self._is_running = True
        self._bus = self._player.bus(BusOptions(client_id="stockhelm-replay", port=self._port))
        self._bus.start()
        self.world = ReplayRuntime(
            self._product, self._player, contents, folder=folder, carry=self._carry
        )

    @property
    def broker_port(self) -> int:
        """Return the broker's port."""
        return self._port

    def ready(self) -> None:
        """Wait until a message of the player comes to the process."""

        def reached() -> bool:
            self._bus.publish(PROBE, b"")
            return self.world.router.probed.is_set()

        self._wait(reached, READY_S_MAX, "the process to be reached through the broker")

    def advance(self, at_ns: int) -> None:
        """Wait for the moment."""
        while not self.crash() and (left_ns := at_ns - self._clock.since_ns()) > 0:
            pause(min(left_ns / NS_PER_S / self._clock.pace, LOOK_S))

    def set_utc(self, utc_ns: int) -> None:
        """Let the process's clock tell what it told, where somebody had set it."""
        step_ns = utc_ns - self._clock.now_ns()
        # The player's own lateness is no setting of the clock.
        if abs(step_ns) >= NS_PER_S:
            self._clock.ahead_ns += step_ns

    def settle(self) -> None:
        """Wait until everything arrived and was worked off.

        What came later may be the answer to what the process made of this: however busy this
        machine is, it must not come before.
        """
        router, lines = self.world.router, self.world.lines
        for _ in range(round(SETTLE_S_MAX / SETTLE_LOOK_S)):
            if self.crash() or (
                router.handed >= router.sent and lines.all_heard and self._product.idle
            ):
                return
            pause(SETTLE_LOOK_S)

    def finish(self, *, ended: bool) -> None:  # noqa: ARG002 - live, what was begun ends either way
        """Wait until everything was handed on, and for what it begins."""
        self._drain()
        pause(GRACE_S)

    def stopping(self) -> None:
        """Let everything arrive; what was handed on later had arrived before, and is given as is.

        A process that stops says goodbye to its broker.
        """
        self._drain()
        self.world.router.carry_no_more()

    def crash(self) -> str:
        """Return what the process died of, empty while it lives."""
        crash = self._product.crash
        return "" if crash is None else f"lane {crash[0]}: {crash[1]!r}"

    def end(self) -> None:
        """End the process."""
        if self._is_running:
            self._is_running = False
            self._product.close()

    def close(self) -> None:
        """Free everything."""
        self.end()
        self._player.close()
        self._broker.stop()

    def _drain(self) -> None:
        router = self.world.router
        self._wait(
            lambda: router.handed >= router.sent, DRAIN_S_MAX, "every message to be handed on"
        )

    def _carry(self, topic: str, payload: bytes) -> None:
        self._wait(lambda: self._bus.publish(topic, payload), DRAIN_S_MAX, "room for a message")

    def _wait(self, reached: Callable[[], bool], seconds_max: float, what: str) -> None:
        for _ in range(round(seconds_max / LOOK_S)):
            if reached():
                return
            if self.crash():
                raise CrashError(self.crash())
            pause(LOOK_S)
        raise RecordingError(f"live: expected {what} within {seconds_max:g} s")


def make_stage(mode: str, header: Header, contents: Contents, folder: Path, speed: float) -> Stage:
    """Return where to replay: mode mem, pty or live."""
    folder.mkdir(parents=True, exist_ok=True)
    if mode == "live":
        return LiveStage(header, contents, folder, speed)
    return VirtualStage(header, contents, folder, "pty" if mode == "pty" else "memory")
