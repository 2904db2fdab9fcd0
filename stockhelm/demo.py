"""`stockhelm demo`: one site with simulated devices, the whole product, one live page."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from runtime.clock import NS_PER_S, Clock, SystemClock
from runtime.config import load_config
from stockhelm.broker import BrokerConfig, BrokerError, BrokerProcess, free_port
from stockhelm.demo_keys import secure
from stockhelm.demo_report import ReportError, holds, in_short, is_settled, make_report, peek
from stockhelm.demo_site import DemoSite, Ports, SalesFileError, read_sales, write_demo
from stockhelm.ending import STOPPED, Stopped
from stockhelm.processes import RESTARTS_MAX, Process, ProcessError, Restart, Supervisor
from stockhelm.warmup import warm_up

LOOK_EVERY_S: Final = 0.25
STATUS_EVERY_S: Final = 5.0
SETTLE_S_MAX: Final = 20.0
QUIET_LOOKS: Final = 8
OWN_FOLDERS: Final = ("config", "data", "site")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says."""

    headless: bool = False
    seconds: float = 0.0
    """How long to run; 0: until Ctrl-C (headless: 60 s)."""
    seed: int = 7
    speed: float = 4.0
    orders: Path | None = None
    port: int = 0
    """Of the live page; 0: 8000, headless any free one."""
    report: Path | None = None
    directory: Path | None = None
    """Where everything is kept; none: a temporary folder that goes with the demo."""
    record: Path | None = None
    """Where edges and central are recorded; none: they are not."""
    tls: bool = False
    """Whether everybody is enrolled, and nothing goes without TLS."""


class DemoError(Exception):
    """The demo cannot run as asked; the text says why and what to do."""


class DemoStop:
    """Ctrl-C and SIGTERM: noted, and looked at wherever the demo waits.

    Only the loading of the kernels, which may take long and looks at nothing, is broken off. What
    starts a process never is: it would leave one that nobody knows of.
    """

    def __init__(self) -> None:
        """Hear the signals from now on, until this process ends."""
        self.asked = False
        self._breaks_off = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def check(self) -> None:
        """Raise Stopped where somebody asked to stop."""
        if self.asked:
            raise Stopped

    @contextlib.contextmanager
    def breaks_off(self) -> Iterator[None]:
        """Raise Stopped out of what is done meanwhile, once somebody asks to stop."""
        try:
            self._breaks_off = True
            self.check()  # asked a moment before
            yield
        finally:
            # A library may have lost what was raised, or made another error of it.
            self._breaks_off = False
            self.check()

    def ended(self) -> None:
        """Let Ctrl-C do nothing any more: all is said, and the code stands."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self._breaks_off:
            self._breaks_off = False  # once: what is cleaned up then is not broken off again
            raise Stopped


def run_demo(options: DemoOptions, console: Console) -> int:
    """Run the demo as the work of this process; return the exit code."""
    clock = SystemClock()
    stop = DemoStop()
    try:
        _check_report(options.report)
        with _directory(options.directory) as directory:
            return _Demo(options, directory, clock, console, stop).run()
    except (BrokerError, DemoError, ProcessError, ReportError, SalesFileError) as error:
        console.print(f"[red]stockhelm:[/red] {error}", highlight=False)
        return 1
    except Stopped:
        console.print("stopped before it had begun")
        return STOPPED
    finally:
        stop.ended()


@contextlib.contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield _fresh(given)
        return
    directory = Path(tempfile.mkdtemp(prefix="stockhelm-demo-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _fresh(given: Path) -> Path:
    """Return `given` as a folder without an earlier run: its books would not fit a new world."""
    try:
        given.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in given.iterdir())
    except OSError as error:
        raise DemoError(f"--directory {given}: {error.strerror}") from error
    if any(name in found for name in OWN_FOLDERS):
        raise DemoError(
            f"--directory {given} holds an earlier run, whose books do not fit the world of a new"
            f" one. Name another folder, or remove this one first: rm -r {given}"
        )
    return given.resolve()


def _check_report(report: Path | None) -> None:
    """Find out before the run whether its report can be written."""
    if report is None:
        return
    try:
        with report.open("ab"):
            pass
    except OSError as error:
        raise DemoError(f"--report {report}: {error.strerror}") from error


class _Demo:
    """One run of the demo."""

    def __init__(
        self, options: DemoOptions, directory: Path, clock: Clock, console: Console, stop: DemoStop
    ) -> None:
        self._options = options
        self._directory = directory
        self._clock = clock
        self._console = console
        self._stop = stop
        self._supervisor = Supervisor(directory, clock)
        self._broker_restarts = 0
        self._status = console.status("the world begins to move")

    def run(self) -> int:
        """Start everything, run, measure, stop everything."""
        options = self._options
        sales = read_sales(options.orders) if options.orders else None
        ports = self._ports()
        demo = write_demo(
            self._directory, seed=options.seed, speed=options.speed, ports=ports, sales=sales
        )
        if options.tls:
            secure(demo, self._clock)
        broker = BrokerProcess(load_config(demo.config("broker"), BrokerConfig))
        self._console.print(f"seed {options.seed}, speed x{options.speed:g}, site {demo.directory}")
        with broker:
            self._console.print(f"broker: {broker.describe()} on 127.0.0.1:{ports.broker}")
            try:
                self._start(demo)
                self._console.print(
                    f"The live page: http://127.0.0.1:{ports.desk}/  (Ctrl-C ends everything)",
                    highlight=False,
                )
                with self._status:
                    seconds = self._run(demo, broker)
                settled = not self._stop.asked and self._freeze(demo)
                if self._stop.asked:
                    self._console.print(f"stopped after {seconds:.0f} s: {peek(demo)}")
                    if options.headless or options.report is not None:
                        self._console.print("no report: it is made when a run has its full time")
                    return STOPPED if options.headless else 0
            finally:
                self._supervisor.stop()
            report = make_report(
                demo, seconds=seconds, broker=broker.describe(), seed=options.seed, settled=settled
            )
        self._console.print(in_short(report), highlight=False)
        payload = msgspec.json.format(msgspec.json.encode(report), indent=2)
        if options.report is not None:
            options.report.write_bytes(payload + b"\n")
            self._console.print(f"report: {options.report}")
        if options.headless and options.report is None:
            self._console.print_json(payload.decode())
        return 0 if holds(report) else 1

    def _ports(self) -> Ports:
        """Choose the ports; a busy port 8000 is reported before anything starts."""
        wanted = self._options.port or (free_port() if self._options.headless else 8000)
        try:
            bind_once(wanted)
        except OSError as error:
            raise ProcessError(
                f"port {wanted} on 127.0.0.1 is taken: {error.strerror}. End the program that holds"
                f" it (`ss -ltnp 'sport = :{wanted}'` names it), or take another port for the live"
                f" page: --port {wanted + 80}"
            ) from error
        return Ports(broker=free_port(), desk=wanted, pictures=free_port())

    def _start(self, demo: DemoSite) -> None:
        """Start all processes side by side, with progress; the floor comes last."""
        central = Process(name="central", arguments=self._command(demo, "central", "central"))
        product = (
            *(
                Process(name=f"edge-{e}", arguments=self._command(demo, "edge", f"edge-{e}"))
                for e in demo.edges
            ),
            central,
            Process(name="desk", arguments=self._command(demo, "desk", "desk")),
        )
        floor = Process(
            name="sim",
            arguments=("sim", "floor", "--config", str(demo.config("sim"))),
            restart=Restart.NEVER,
        )
        with self._stop.breaks_off():
            warm_up(self._clock, self._console)
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=not self._options.headless,
        ) as progress:
            names = [p.name for p in (*product, floor)]
            bars = {name: progress.add_task(f"starting {name}", total=1) for name in names}

            def done(name: str) -> None:
                progress.update(bars[name], completed=1, description=f"{name} is ready")

            self._supervisor.start((*product, floor), done, self._stop.check)

    def _command(self, demo: DemoSite, command: str, name: str) -> tuple[str, ...]:
        metrics = demo.data(name) / "metrics.json"
        config = str(demo.config(name))
        words = (command, "run", "--config", config, "--metrics", str(metrics))
        to = self._options.record
        # The desk decides nothing of the counts, and keeps none.
        return words if to is None or command == "desk" else (*words, "--record", str(to))

    def _run(self, demo: DemoSite, broker: BrokerProcess) -> float:
        """Run until time is up or somebody stops it; return the seconds it ran."""
        options = self._options
        seconds_max = options.seconds or (60.0 if options.headless else 0.0)
        started_ns = self._clock.monotonic_ns()
        next_status_s = STATUS_EVERY_S
        while True:
            pause(LOOK_EVERY_S)
            ran_s = (self._clock.monotonic_ns() - started_ns) / NS_PER_S
            if self._stop.asked or (seconds_max and ran_s >= seconds_max):
                return ran_s
            for line in (*self._supervisor.watch(), *self._watch_broker(broker)):
                self._console.print(f"[yellow]{line}[/yellow]", highlight=False)
            if ran_s >= next_status_s:
                next_status_s += STATUS_EVERY_S
                self._say(f"{ran_s:5.0f} s  {peek(demo)}")

    def _watch_broker(self, broker: BrokerProcess) -> list[str]:
        """Start the broker again where it has ended; return a line on it."""
        code = broker.wait(0)
        if code is None:
            return []
        self._broker_restarts += 1
        said = f"{broker.describe()} ended by itself with {code}"
        if self._broker_restarts > RESTARTS_MAX:
            raise ProcessError(f"{said}, again after {RESTARTS_MAX} restarts")
        broker.start()
        return [f"{said}; started again ({self._broker_restarts} of at most {RESTARTS_MAX})"]

    def _say(self, line: str) -> None:
        """Say how it goes: on a terminal in one line that is written anew each time."""
        if self._console.is_terminal:
            self._status.update(line)
        else:
            self._console.print(line, highlight=False, soft_wrap=True)

    def _freeze(self, demo: DemoSite) -> bool:
        """Let the world stand still and the books catch up; return whether they did in time."""
        self._supervisor.send_signal("sim", signal.SIGUSR1)
        quiet = 0
        before = ""
        for _ in range(round(SETTLE_S_MAX / LOOK_EVERY_S)):
            if self._stop.asked:
                return False
            pause(LOOK_EVERY_S)
            drained, state = is_settled(demo)
            quiet = quiet + 1 if drained and state == before else 0
            before = state
            if quiet >= QUIET_LOOKS:
                return True
        return False


def bind_once(port: int) -> None:
    """Raise OSError where `port` cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def pause(seconds: float) -> None:
    """Wait, or until a signal comes."""
    signal.sigtimedwait((), seconds)
