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
)
from sim_hardware.faults.targets import NAMES
from sim_hardware.wording import instead, near, one, some, there_is
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
    kind: str, target: str, values: Given, site: Site, config: SimConfig, *, word: str = "FAULT"
) -> tuple[FaultKind, Values]:
    """Return the kind and its values. Raises FaultError where this fault cannot be.

    `word` is what the line that asks for it begins with, for what an error says to write.
    """
    found = KINDS.get(kind)
    if found is None:
        raise FaultError(
            f"fault {kind!r}: there is no such kind{instead(kind, KINDS, text=', '.join(KINDS))}"
        )
    names = NAMES[found.target](site, config)
    if target not in names:
        raise FaultError(_no_target(found, target, names, word))
    read = found.read(values)
    for name, parameter in found.parameters.items():
        if parameter.name_of and read.word(name):
            named = NAMES[parameter.name_of](site, config)
            if read.word(name) not in named:
                raise FaultError(
                    f"{kind}: {name}={read.word(name)}: expected {one(parameter.name_of)} of this"
                    f" site{there_is(read.word(name), named)}"
                )
            if read.word(name) == target:
                raise FaultError(
                    f"{kind} {target}: {name}={target} is the same one; expected another"
                    f" {parameter.name_of}"
                )
    return found, read


def _no_target(found: FaultKind, target: str, names: tuple[str, ...], word: str) -> str:
    """Return what is wrong with a target that there is not, and what to write in its place."""
    line = f"{word} {found.name}"
    if not names:
        return f"{line} {target}: this site has no {found.target} that it could happen to"
    is_only_one = len(names) == 1
    guess = names[0] if is_only_one else near(target, names)
    if not target:
        rest = "" if is_only_one else f" ({one(found.target)}; there is: {some(names)})"
        return f"{line}: what it happens to is missing; write: {line} {names[0]}{rest}"
    what = f"{line} {target}: expected {one(found.target)} of this site"
    if guess:
        return f"{what}; did you mean {line} {guess}? There is: {some(names)}"
    return f"{what}; there is: {some(names)}"


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
