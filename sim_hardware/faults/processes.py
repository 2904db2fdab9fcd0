"""Faults of the product's processes and of the network between them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from runtime.seeds import Random
from sim_hardware.faults.model import End, FaultError, FaultKind, Parameter, Stage, Values
from sim_hardware.plant import Mode, PlantError

VIRTUAL: Final[tuple[Mode, ...]] = ("mem", "pty")
"""Between real processes nothing can be cut, and they all have the machine's clock."""


def _kill(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    _try(stage.plant.kill, target)
    return functools.partial(stage.plant.start, target)


def _partition(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    _try(stage.plant.cut, target)
    return functools.partial(stage.plant.heal, target)


def _clock(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    by_s = values.number("by")
    try:
        stage.plant.shift_clock(target, by_s)
    except PlantError as error:
        raise FaultError(str(error)) from error
    return lambda: stage.plant.shift_clock(target, -by_s)


def _try(call: Callable[[str], None], target: str) -> None:
    """Do something to a process. Raises FaultError with what the plant says."""
    try:
        call(target)
    except PlantError as error:
        raise FaultError(str(error)) from error


KINDS: Final = (
    FaultKind(
        name="broker-gone", group="process", target="broker",
        text="the broker is killed, with all it knew; at the end it starts again", begin=_kill,
    ),
    FaultKind(
        name="kill-central", group="process", target="central",
        text="central is killed; at the end it starts on the same files", begin=_kill,
    ),
    FaultKind(
        name="kill-edge", group="process", target="edge",
        text="an edge is killed; at the end it starts on the same files", begin=_kill,
    ),
    FaultKind(
        name="kill-desk", group="process", target="desk",
        text="the desk is killed; at the end it starts again", begin=_kill,
    ),
    FaultKind(
        name="partition", group="process", target="client process",
        text="a process and the broker are parted, both ways, and neither knows; then joined",
        begin=_partition, modes=VIRTUAL,
    ),
    FaultKind(
        name="process-clock", group="process", target="client process",
        text="the clock of a process jumps; at the end it jumps back",
        parameters={"by": Parameter("s", -60.0, -1e9, 1e9, "how far; below 0: into the past")},
        begin=_clock, modes=VIRTUAL,
    ),
)  # fmt: skip
