"""Faults drawn by chance: of every kind, on anything there is, for a moment or to the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runtime.seeds import Random
from sim_hardware.config import SimConfig
from sim_hardware.faults.kinds import KINDS
from sim_hardware.faults.model import FaultKind, Group, Parameter
from sim_hardware.faults.targets import DESK, NAMES
from wire.site import Site

COUNTS: Final = (0, 1, 1, 2, 2, 3, 4, 6, 8, 20)
GROUPS: Final[tuple[Group, ...]] = ("wire", "wire", "world", "world", "process")
"""What breaks is drawn first, then how: there are few kinds of what happens to processes."""
LENGTHS_S: Final = ((1, 4), (4, 15), (10, 40), (30, 90))
AT_ONCE_SHARE: Final = 0.3
"""Of faults: they begin together with the one before."""
TO_THE_END_SHARE: Final = 0.1
DEFAULT_SHARE: Final = 0.4
"""Of values: left as they are."""
CLOCKS_S: Final = (-86_400, -3_600, -30, -2, 2, 30, 3_600)
KILLS: Final = ("kill-central", "kill-edge")
OF_RUNNING: Final = ("partition", "process-clock")
"""These need a process that runs: not on one that is killed in the same run."""
BOUNDS: Final = {
    "factor": (0.0, 8.0), "delay": (0.0, 4.0), "rain": (0.0, 40.0), "rate": (0.2, 8.0),
    "units": (1.0, 6.0), "slip": (0.0, 0.6), "every": (0.5, 5.0), "pause": (0.0, 1.0),
    "speed": (0.0, 6.0), "drift": (-0.2, 0.2), "share": (0.0, 0.6), "blur": (0.0, 8.0),
}  # fmt: skip
"""By a value's name: what is drawn, inside what the kind allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What may happen in a run."""

    until_s: int
    """World seconds at which it is over, or nearly."""
    is_rough: bool
    """Whether books and world may part."""
    is_over: bool
    """Whether every fault ends by then."""


def draw_faults(
    chance: Random, site: Site, config: SimConfig, trouble: Trouble
) -> list[tuple[float, str]]:
    """Return (when, line) of some faults."""
    kinds = [k for k in KINDS.values() if trouble.is_rough or not k.parts_books_from_world]
    found: list[tuple[float, str]] = []
    taken: set[tuple[str, str]] = set()
    at_s = 0.0
    for _ in range(chance.choice(COUNTS)):
        if not found or chance.random() >= AT_ONCE_SHARE:
            at_s = round(chance.uniform(0.0, trouble.until_s * 0.9), 1)
        group = chance.choice(GROUPS)
        kind = chance.choice([kind for kind in kinds if kind.group == group])
        targets = [t for t in NAMES[kind.target](site, config) if t != DESK]
        if not targets:
            continue
        target = chance.choice(targets)
        if _clashes(kind.name, target, taken):
            continue
        taken.add((kind.name, target))
        most_s = trouble.until_s - at_s if trouble.is_over else None
        rest = _values(chance, kind) + _length(chance, most_s)
        found.append((at_s, f"AT {at_s:g} s FAULT {kind.name} {target}{rest}"))
    return found


def _clashes(kind: str, target: str, taken: set[tuple[str, str]]) -> bool:
    """Return whether that fault cannot be beside one of those."""
    others = KILLS if kind in OF_RUNNING else OF_RUNNING if kind in KILLS else ()
    return (kind, target) in taken or any((other, target) in taken for other in others)


def _values(chance: Random, kind: FaultKind) -> str:
    words = [
        f" {name}={_value(chance, name, parameter)}"
        for name, parameter in kind.parameters.items()
        if not parameter.name_of and chance.random() >= DEFAULT_SHARE
    ]
    return "".join(words)


def _length(chance: Random, most_s: float | None) -> str:
    """Return how long a fault lasts: to the end, or a time that is at most `most_s`."""
    length_s = chance.randint(*chance.choice(LENGTHS_S))
    if most_s is not None:
        return f" FOR {max(1, min(length_s, int(most_s)))} s"
    return "" if chance.random() < TO_THE_END_SHARE else f" FOR {length_s} s"


def _value(chance: Random, name: str, parameter: Parameter) -> str:
    if parameter.words:
        return chance.choice(parameter.words)
    if name == "by":
        return str(chance.choice(CLOCKS_S))
    low, high = BOUNDS.get(name, (parameter.min, parameter.max))
    low, high = max(low, parameter.min), min(high, parameter.max)
    return f"{chance.uniform(low, high):.2f}"
