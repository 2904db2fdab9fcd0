"""The process of a simulated floor."""

from __future__ import annotations

from pathlib import Path

from runtime.config import load_config
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from runtime.service import run_service
from sim_hardware.config import SimConfig
from sim_hardware.floor import SimulatedFloor, build_floor


def run_floor(config_file: Path) -> int:
    """Run the floor until SIGTERM; SIGUSR1 lets its world stand still and writes the truth."""
    config = load_config(config_file, SimConfig)
    floors: list[SimulatedFloor] = []

    def build(runtime: LiveRuntime, metrics: Metrics) -> SimulatedFloor:
        floor = build_floor(runtime, config, metrics)
        floors.append(floor)
        return floor

    def freeze() -> None:
        for floor in floors:
            floor.freeze()

    return run_service("sim", build, seed=config.seed, on_user_signal=freeze)
