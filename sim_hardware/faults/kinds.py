"""The registry of faults: what there is, whether one may be, and how one begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sim_hardware.config import SimConfig
from sim_hardware.faults import lines, network, people, power, processes, robots, sight, trade, ways
from sim_hardware.faults.model import (
    FaultError,
    FaultKind,
    Given,
    Parameter,
    Stage,
    Values,
    one,
    some,
    suggest,
)
from sim_hardware.faults.targets import NAMES
from wire.site import Site

__all__ = [
    "KINDS",
    "FaultError",
    "FaultKind",
    "Given",
    "Parameter",
    "Stage",
    "begin_fault",
    "check_fault",
]

KINDS: Final[Mapping[str, FaultKind]] = {
    kind.name: kind
    for kind in (
        *lines.KINDS, *network.KINDS, *power.KINDS, *processes.KINDS, *robots.KINDS, *sight.KINDS,
        *ways.KINDS, *people.KINDS, *trade.KINDS,
    )
}  # fmt: skip
"""Every kind of fault by its name."""


def check_fault(
    kind: str, target: str, values: Given, site: Site, config: SimConfig
) -> tuple[FaultKind, Values]:
    """Return the kind and its values. Raises FaultError where this fault cannot be."""
    found = KINDS.get(kind)
    if found is None:
        raise FaultError(
            f"fault {kind!r}: there is no such kind{suggest(kind, KINDS)}; expected one of: "
            + ", ".join(KINDS)
        )
    names = NAMES[found.target](site, config)
    if target not in names:
        raise FaultError(
            f"{kind} {target!r}: expected {one(found.target)} of this site{suggest(target, names)};"
            f" there is: {some(names)}"
        )
    read = found.read(values)
    for name, parameter in found.parameters.items():
        if parameter.name_of and read.word(name):
            named = NAMES[parameter.name_of](site, config)
            if read.word(name) not in named:
                raise FaultError(
                    f"{kind}: {name}={read.word(name)}: expected {one(parameter.name_of)} of this"
                    f" site{suggest(read.word(name), named)}; there is: {some(named)}"
                )
    return found, read


def begin_fault(stage: Stage, kind: str, target: str, values: Given) -> Callable[[], None]:
    """Begin a fault now; return what ends it. Raises FaultError. Call on the floor's lane."""
    floor = stage.floor
    found, read = check_fault(kind, target, values, floor.world.site, floor.config)
    if stage.plant.mode not in found.modes:
        raise FaultError(
            f"{kind}: not in mode {stage.plant.mode}; it can be in {', '.join(found.modes)}"
        )
    end = found.begin(stage, target, read, stage.chance(kind, target))
    ended = False

    def end_once() -> None:
        nonlocal ended
        if not ended:
            ended = True
            end()

    return end_once
