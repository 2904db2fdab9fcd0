"""What a fault is: its kind, its values with units, the stage it happens on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from runtime.lanes import Lane
from runtime.seeds import Random
from sim_hardware.floor import SimulatedFloor
from sim_hardware.plant import Mode, Plant
from sim_hardware.wording import instead, meant, number_text, time_text

Group = Literal["wire", "world", "process"]
Given = Mapping[str, str | float]
"""Values as written in a scenario (`share=5 %`), or as numbers in the parameter's own unit."""
EVERYWHERE: Final[tuple[Mode, ...]] = ("mem", "pty", "live")
PERCENT: Final = 100.0
_NUMBER: Final = re.compile(r"^\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*([^\s0-9]*)\s*$")
_IN_UNIT: Final[dict[str, dict[str, float]]] = {
    "share": {"": 1.0, "%": 0.01},
    "s": {"": 1.0, "s": 1.0, "ms": 0.001, "min": 60.0, "h": 3_600.0, "d": 86_400.0},
    "d": {"": 1.0, "d": 1.0, "day": 1.0, "days": 1.0},
    "m": {"": 1.0, "m": 1.0, "cm": 0.01},
    "m/s": {"": 1.0, "m/s": 1.0},
    "units": {"": 1.0, "unit": 1.0, "units": 1.0},
    "times": {"": 1.0, "x": 1.0, "times": 1.0},
    "/s": {"": 1.0, "/s": 1.0, "/min": 1.0 / 60.0},
    "deg": {"": 1.0, "deg": 1.0},
    "mm/h": {"": 1.0, "mm/h": 1.0},
    "px": {"": 1.0, "px": 1.0},
}
"""By a parameter's unit: what else it may be written in, and how much of it that is."""


class FaultError(ValueError):
    """A fault cannot be; the text says what came, what was expected and what there is."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number with a unit, or one of some words."""

    unit: str
    """`share`, `s`, `d`, `m`, `m/s`, `units`, `times`, `/s`, `deg`, `mm/h`, `px`; `word` for one of
    `words`; `name` for the name of something else on the site."""
    default: float | str
    min: float
    max: float
    text: str
    words: tuple[str, ...] = ()
    name_of: str = ""
    """A key of `targets.NAMES`: what it names."""

    def read(self, name: str, given: str | float) -> float | str:
        """Return the value that `given` says, in the parameter's unit. Raises FaultError."""
        if self.name_of:
            return str(given)
        if self.words:
            word = str(given)
            if word not in self.words:
                raise FaultError(
                    f"{name}={word}: expected {' or '.join(self.words)}{meant(word, self.words)}"
                )
            return word
        number = given if isinstance(given, float | int) else self._parse(name, given)
        if not self.min <= number <= self.max:
            raise FaultError(
                f"{name}={given}: expected {self._range()}{self._per_cent(name, given)}"
            )
        if self.unit == "units" and number % 1:
            raise FaultError(f"{name}={given}: expected a whole number of units")
        return float(number)

    def _range(self) -> str:
        if self.unit == "s":
            return f"{time_text(self.min)} to {time_text(self.max)}"
        low, high = number_text(self.min), number_text(self.max)
        if self.unit == "share":
            percent = f"{number_text(self.min * PERCENT)} % to {number_text(self.max * PERCENT)} %"
            return f"{low} to {high}, or {percent}"
        return f"{low} to {high} {self.unit}"

    def _per_cent(self, name: str, given: str | float) -> str:
        """Return what to write where per cent were meant and a share was given."""
        if self.unit != "share" or not (found := _NUMBER.match(str(given))) or found[2]:
            return ""
        is_meant = self.min <= float(found[1]) / PERCENT <= self.max
        return f"; for {found[1]} % write {name}={found[1]} %" if is_meant else ""

    def written(self, name: str) -> str:
        """Return how it is written in a line, with the value it has where nobody writes it."""
        if not isinstance(self.default, float | int):
            return f"{name}={self.default or '...'}"
        unit = "" if self.unit in ("share", "units", "times") else f" {self.unit}"
        return f"{name}={self.default:.12g}{unit}"

    def _parse(self, name: str, given: str) -> float:
        found = _NUMBER.match(given)
        known = _IN_UNIT[self.unit]
        if found is None or found[2] not in known:
            units = ", ".join(unit or "nothing" for unit in known)
            raise FaultError(f"{name}={given}: expected a number, then one of: {units}")
        return float(found[1]) * known[found[2]]


def word(default: str, words: tuple[str, ...], text: str) -> Parameter:
    """Return a parameter that is one of `words`."""
    return Parameter("word", default, 0, 0, text, words)


def name_of(what: str, text: str) -> Parameter:
    """Return a parameter that names something of the site, or nothing."""
    return Parameter("name", "", 0, 0, text, name_of=what)


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one fault, each in its parameter's unit."""

    given: Mapping[str, float | str]

    def number(self, name: str) -> float:
        """Return a number."""
        value = self.given[name]
        assert isinstance(value, float), f"{name} is a word"
        return value

    def word(self, name: str) -> str:
        """Return a word."""
        value = self.given[name]
        assert isinstance(value, str), f"{name} is a number"
        return value


@dataclass(slots=True)
class Stage:
    """Where faults happen. Everything is called on `lane`, the floor's."""

    floor: SimulatedFloor
    plant: Plant
    lane: Lane
    random: Callable[[str], Random]
    begun: int = field(default=0)
    """How many faults have begun: each draws its chance from a stream of its own."""

    def chance(self, kind: str, target: str) -> Random:
        """Return the random stream of a fault that begins now."""
        self.begun += 1
        return self.random(f"fault {self.begun} {kind} {target}")


End = Callable[[], None]
"""Ends a fault; called twice it does nothing the second time."""
Begin = Callable[[Stage, str, Values, Random], End]
"""(stage, target, values, chance): begins the fault now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One kind of fault."""

    name: str
    group: Group
    target: str
    """What it happens to: a key of `targets.NAMES`."""
    text: str
    """One line for people: what happens, and what is over at its end."""
    begin: Begin
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    modes: tuple[Mode, ...] = EVERYWHERE
    parts_books_from_world: bool = False
    """After it the books may differ from the world until somebody counts: no product can know."""

    def read(self, given: Given) -> Values:
        """Return all values: what is given, else the defaults. Raises FaultError."""
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise FaultError(
                    f"{self.name} has no value {name!r}"
                    + instead(name, self.parameters, lead="expected", text=known)
                )
        return Values(
            {
                name: parameter.read(name, given.get(name, parameter.default))
                for name, parameter in self.parameters.items()
            }
        )
