"""A floor on which faults are begun by name, and what stands at the other end of its wires."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from runtime.seeds import Random, stream
from sim_hardware.config import SimDrone
from sim_hardware.devices.scanner import Answer
from sim_hardware.faults.kinds import Stage, begin_fault
from sim_hardware.faults.model import End
from sim_hardware.plant import Mode, PlantError
from tests.sim_floor import Bench, Master, make_bench

DRONE: Final = SimDrone(drone_id="drone-1", path="radio", camera_url="mem://drone-1")


class FloorAlone:
    """A plant of a floor with no processes of the product around it."""

    mode: Mode = "mem"
    processes: tuple[str, ...] = ()

    def is_up(self, process: str) -> bool:
        return self._none(process)

    def kill(self, process: str) -> None:
        self._none(process)

    def start(self, process: str) -> None:
        self._none(process)

    def cut(self, process: str) -> None:
        self._none(process)

    def heal(self, process: str) -> None:
        self._none(process)

    def shift_clock(self, process: str, seconds: float) -> None:
        self._none(process)

    def _none(self, process: str) -> bool:
        raise PlantError(f"{process}: no process runs here")


@dataclass
class Faulty:
    """A bench and its stage."""

    bench: Bench
    stage: Stage

    def begin(self, kind: str, target: str, **values: Any) -> End:
        """Begin a fault now."""
        return begin_fault(self.stage, kind, target, values)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.bench.runtime.run_for(seconds)

    def master(self) -> Master:
        """Return the master of a robot, with its newest state."""
        return Master(self.bench)


def make_stage(tmp_path: Path, **config: Any) -> Faulty:
    """Return a floor in virtual time on which faults may begin."""
    config.setdefault("drones", (DRONE,))
    bench = make_bench(tmp_path, **config)

    def chance(name: str) -> Random:
        return stream(7, name)

    stage = Stage(bench.floor, FloorAlone(), bench.floor.lane, chance)
    return Faulty(bench, stage)


@dataclass
class Host:
    """The host's end of a device's line: opened again whenever it is lost; hears every byte."""

    faulty: Faulty
    path: str
    heard: list[tuple[float, bytes]] = field(default_factory=list)
    lost: int = 0

    def __post_init__(self) -> None:
        self._lane = self.faulty.bench.runtime.lane("host")
        self.open()

    def open(self) -> None:
        """Open the line."""
        ports = self.faulty.bench.runtime.ports
        self.port = ports.open(self.path, 115_200, self._lane, self._hear, self._lose)

    def _hear(self, chunks: list[tuple[bytes, int]]) -> None:
        now_s = self.faulty.bench.runtime.clock.monotonic_ns() / 1e9
        self.heard += [(now_s, data) for data, _ in chunks]

    def _lose(self, _reason: str) -> None:
        self.lost += 1

    @property
    def bytes(self) -> bytes:
        """Return all bytes so far."""
        return b"".join(data for _, data in self.heard)


@dataclass
class Trigger:
    """A scanner's trigger in the test's hand."""

    faulty: Faulty
    device: str
    answers: list[Answer | None] = field(default_factory=list)

    def pull(self, text: str = "]C10109521321000010") -> None:
        """Read one barcode."""
        self.faulty.bench.floor.scanners[self.device].scan(text, self.answers.append)
