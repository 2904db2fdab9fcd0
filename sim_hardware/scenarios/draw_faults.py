"""Faults drawn by chance: of every kind, on anything there is, for a moment or to the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runtime.seeds import Random
from sim_hardware.config import SimConfig
from sim_hardware.faults.kinds import KINDS
from sim_hardware.faults.model import FaultKind, Group, Parameter
from sim_hardware.faults.targets import NAMES
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
STORMS: Final = (
    ("link-lost", "robot", "kill-central"), ("silent", "robot", "kill-central"),
    ("brown-out", "robot", "kill-central"), ("partition", "central", "kill-central"),
    ("broker-gone", "broker", "kill-central"), ("message-delay", "scanner", "kill-edge"),
    ("unplug", "scanner", "kill-edge"), ("partition", "edge", "kill-edge"),
    ("partition", "edge", "kill-central"),
)  # fmt: skip
"""(kind, what it happens to, kind): while the first one lasts, a process dies and comes back.

Who comes back must know by itself what it cannot hear of: what robots own, what was booked."""
STORM_SHARE: Final = 0.35
STORM_S: Final = (8, 40)
STORM_BEGINS_S: Final = (0.5, 4.0)
DEAD_S: Final = (1, 4)
APART_S: Final = 0.5
"""Between the end of a fault and the same one again."""
EYES: Final = ("camera", "smart camera", "lens", "drone")
EYE_SHARE: Final = 0.6
"""Of runs on sites with cameras or drones."""
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


class Taken:
    """Which faults are when: the same one comes again and again, never twice at once."""

    def __init__(self) -> None:
        self._spans: dict[tuple[str, str], list[tuple[float, float]]] = {}

    def take(self, kind: str, target: str, at_s: float, length_s: float | None) -> bool:
        """Note a fault; return False where the same one is at that time."""
        end_s = math.inf if length_s is None else at_s + length_s + APART_S
        spans = self._spans.setdefault((kind, target), [])
        if any(at_s < end and begin < end_s for begin, end in spans):
            return False
        spans.append((at_s, end_s))
        return True


def draw_faults(
    chance: Random, site: Site, config: SimConfig, trouble: Trouble
) -> list[tuple[float, str]]:
    """Return (when, line) of some faults."""
    kinds = [k for k in KINDS.values() if trouble.is_rough or not k.parts_books_from_world]
    taken = Taken()
    found = _storm(chance, site, config, trouble, taken) if chance.random() < STORM_SHARE else []
    if (config.cameras or config.drones) and chance.random() < EYE_SHARE:
        own = [kind for kind in kinds if kind.target in EYES and NAMES[kind.target](site, config)]
        at_s = round(chance.uniform(0.0, trouble.until_s * 0.5), 1)
        found += _one(chance, site, config, trouble, (at_s, own), taken)
    at_s = 0.0
    for _ in range(chance.choice(COUNTS)):
        if not found or chance.random() >= AT_ONCE_SHARE:
            at_s = round(chance.uniform(0.0, trouble.until_s * 0.9), 1)
        group = chance.choice(GROUPS)
        among = [kind for kind in kinds if kind.group == group]
        found += _one(chance, site, config, trouble, (at_s, among), taken)
    return found


def _one(
    chance: Random,
    site: Site,
    config: SimConfig,
    trouble: Trouble,
    when: tuple[float, Sequence[FaultKind]],
    taken: Taken,
) -> list[tuple[float, str]]:
    """Return a fault of one of these kinds; none where it has nothing to happen to."""
    at_s, among = when
    kind = chance.choice(among)
    targets = NAMES[kind.target](site, config)
    if not targets:
        return []
    target = chance.choice(targets)
    most_s = trouble.until_s - at_s if trouble.is_over else None
    values, length_s = _values(chance, kind), _length_s(chance, most_s)
    if not taken.take(kind.name, target, at_s, length_s):
        return []
    ends = "" if length_s is None else f" FOR {length_s} s"
    return [(at_s, f"AT {at_s:g} s FAULT {kind.name} {target}{values}{ends}")]


def _storm(
    chance: Random, site: Site, config: SimConfig, trouble: Trouble, taken: Taken
) -> list[tuple[float, str]]:
    """Return a fault, and the death of a process while it lasts."""
    kind, what, kill = chance.choice(STORMS)
    fitting = NAMES[KINDS[kind].target](site, config)
    targets = [t for t in NAMES[what](site, config) if t in fitting]
    if not targets or (KINDS[kind].parts_books_from_world and not trouble.is_rough):
        return []
    target = chance.choice(targets)
    dies = chance.choice(NAMES[KINDS[kill].target](site, config))
    length_s, dead_s = chance.randint(*STORM_S), chance.randint(*DEAD_S)
    first_s = round(chance.uniform(0.0, max(1.0, trouble.until_s * 0.9 - length_s)), 1)
    then_s = round(first_s + chance.uniform(*STORM_BEGINS_S), 1)
    taken.take(kind, target, first_s, length_s)
    taken.take(kill, dies, then_s, dead_s)
    return [
        (first_s, f"AT {first_s:g} s FAULT {kind} {target} FOR {length_s} s"),
        (then_s, f"AT {then_s:g} s FAULT {kill} {dies} FOR {dead_s} s"),
    ]


def _values(chance: Random, kind: FaultKind) -> str:
    words = [
        f" {name}={_value(chance, name, parameter)}"
        for name, parameter in kind.parameters.items()
        if not parameter.name_of and chance.random() >= DEFAULT_SHARE
    ]
    return "".join(words)


def _length_s(chance: Random, most_s: float | None) -> int | None:
    """Return how long a fault lasts, at most `most_s`; None: to the end."""
    length_s = chance.randint(*chance.choice(LENGTHS_S))
    if most_s is not None:
        return max(1, min(length_s, int(most_s)))
    return None if chance.random() < TO_THE_END_SHARE else length_s


def _value(chance: Random, name: str, parameter: Parameter) -> str:
    if parameter.words:
        return chance.choice(parameter.words)
    if name == "by":
        return str(chance.choice(CLOCKS_S))
    low, high = BOUNDS.get(name, (parameter.min, parameter.max))
    low, high = max(low, parameter.min), min(high, parameter.max)
    number = chance.uniform(low, high)
    return f"{number:.0f}" if parameter.unit == "units" else f"{number:.2f}"
