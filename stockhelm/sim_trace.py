"""The trace of a run: a line per message, per chunk on a serial line, per line of the logs.

Its bytes depend on the scenario and the seed alone: times are virtual, the folder of the run is
written as RUN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from runtime.bus import BusOptions, Incoming
from runtime.clock import NS_PER_S, Clock
from runtime.lanes import Lane
from runtime.ports import Port, Ports
from runtime.virtual import VirtualRuntime
from stockhelm.sim_files import TraceFile

RUN: Final = "RUN"
MESSAGES_WAITING_MAX: Final = 1_000_000


class Trace:
    """Where a run's lines go: a digest always, a file where one is asked for."""

    def __init__(self, clock: Clock, directory: Path, file: TraceFile | None) -> None:
        self.lines = 0
        self._clock = clock
        self._begun_ns = clock.now_ns()
        self._directory = str(directory).encode()
        # As URLs write it too. The longer first: one of them may be part of the other.
        ways = {str(directory), quote(str(directory)), quote(str(directory), safe=" +/")}
        self._ways = sorted(ways, key=len, reverse=True)
        self._file = file
        self._digest = hashlib.blake2b(digest_size=16)

    def digest(self) -> str:
        """Return a digest of all lines so far."""
        return self._digest.hexdigest()

    def add(self, kind: str, what: bytes) -> None:
        """Add one line: seconds since the start, kind, what."""
        at_s = (self._clock.now_ns() - self._begun_ns) / NS_PER_S
        line = b"%.6f %s %s\n" % (at_s, kind.encode(), what)
        line = line.replace(self._directory, RUN.encode())
        self._digest.update(line)
        self.lines += 1
        if self._file is not None:
            self._file.write(line)

    def placed(self, text: str) -> str:
        """Return a word of the logs with RUN for the folder of the run.

        To be asked before a line is made of its words: spaces in the folder's name would put quotes
        around them.
        """
        for way in self._ways:
            text = text.replace(way, RUN)
        return text

    def log_line(self, text: str) -> None:
        """Add a line of the logs."""
        self.add("log", text.encode())

    def hear(self, runtime: VirtualRuntime) -> None:
        """Add every message that the broker passes on from now on."""
        bus = runtime.bus(BusOptions(client_id="trace"))
        lane = runtime.lane("trace")
        bus.subscribe("#", lane, self._messages, size_max=MESSAGES_WAITING_MAX)
        bus.start()

    def _messages(self, batch: list[Incoming]) -> None:
        for message in batch:
            kept = b" retained" if message.retained else b""
            self.add("mqtt", message.topic.encode() + kept + b" " + message.payload)


class TracedRuntime(VirtualRuntime):
    """A floor's surroundings whose serial lines are traced, at the devices' end."""

    def __init__(self, seed: int, shared: VirtualRuntime, trace: Trace) -> None:
        super().__init__(seed, shared=shared)
        self._traced = _TracedPorts(super().ports, trace)

    @property
    def ports(self) -> Ports:
        """Return the serial ports."""
        return self._traced


class _TracedPorts:
    def __init__(self, ports: Ports, trace: Trace) -> None:
        self._ports = ports
        self._trace = trace

    def open(
        self,
        path: str,
        baud: int,
        lane: Lane,
        on_bytes: Callable[[list[tuple[bytes, int]]], None],
        on_lost: Callable[[str], None],
    ) -> Port:
        """Open the host's end of a line; a floor has none."""
        return self._ports.open(path, baud, lane, on_bytes, on_lost)

    def create(
        self, path: str, lane: Lane, on_bytes: Callable[[list[tuple[bytes, int]]], None]
    ) -> Port:
        """Make a device whose host end appears at `path`; return the device's end."""
        name = Path(path).name

        def heard(chunks: list[tuple[bytes, int]]) -> None:
            for data, _ in chunks:
                self._trace.add("serial", f"{name} < {data.hex()}".encode())
            on_bytes(chunks)

        return _TracedPort(self._ports.create(path, lane, heard), name, self._trace)


class _TracedPort:
    def __init__(self, port: Port, name: str, trace: Trace) -> None:
        self._port = port
        self._name = name
        self._trace = trace

    def write(self, data: bytes) -> None:
        """Write all of `data` in bounded time. Raises PortLostError."""
        self._trace.add("serial", f"{self._name} > {data.hex()}".encode())
        self._port.write(data)

    def close(self) -> None:
        """Close; nothing is called any more."""
        self._port.close()
