"""What a scenario is, once its text is read: values that never change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

RUN_S_MAX: Final = 30 * 86_400.0
STEPS_MAX: Final = 10_000
MISTAKES_SHOWN_MAX: Final = 20
SEED_DEFAULT: Final = 7


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with one line, and the fix."""

    line: int
    text: str


class ScenarioError(ValueError):
    """A scenario cannot be played; each line of the text says file, line, what and the fix."""

    def __init__(self, text: str, mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(text)
        self.mistakes = mistakes
        """Each of them, where they are of single lines."""


def refusal(file: str, mistakes: Iterable[Mistake]) -> ScenarioError:
    """Return the error that names mistakes, in the order of their lines."""
    found = sorted(mistakes, key=lambda mistake: mistake.line)
    said = [f"{file}:{mistake.line}: {mistake.text}" for mistake in found]
    more = len(said) - MISTAKES_SHOWN_MAX
    text = "\n".join(said[:MISTAKES_SHOWN_MAX]) + (f"\nand {more} more" if more > 0 else "")
    return ScenarioError(text, tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSpec:
    """Where the scenario happens: a generated site, or the one in a folder of CSV files."""

    line: int = 0
    kind: Literal["demo", "generated", "folder"] = "demo"
    folder: str = ""
    """As written; relative to the scenario's file."""
    options: Mapping[str, float]
    """By name, as in `words.SITE_OPTIONS`."""

    def option(self, name: str) -> float:
        """Return the value of one option."""
        return self.options[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One `WITH` line: how people, suppliers, weather ... are here."""

    line: int
    section: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A visitor's scanner reads one barcode."""

    device: str
    what: Literal["BIN", "ARTICLE", "CARD", "RAW"]
    value: str
    units: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOn:
    """Something breaks, for a time or for good."""

    kind: str
    target: str
    values: Mapping[str, str]
    for_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOff:
    """What was broken is whole again."""

    kind: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Somebody does something: a planner decides, a customer orders."""

    form: str
    """The pattern in `deeds.DEEDS`."""
    given: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What must hold, at a time or within some time."""

    form: str
    """The pattern in `checks.FORMS`."""
    given: Mapping[str, str]
    compare: str = ""
    """`=`, `!=`, `<`, `<=`, `>`, `>=`; empty where the form is a whole sentence."""
    value: float = 0.0
    within_s: float = 0.0


Action = Scan | FaultOn | FaultOff | Deed | Expect


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line that does or checks something."""

    line: int
    text: str
    """As written, without spaces around it."""
    at_s: float | None
    """World seconds since the start; None: at the end, when the books have settled."""
    action: Action

    @property
    def over_s(self) -> float:
        """Return when it is known at the latest what it finds, in world seconds; at the end: 0."""
        within_s = self.action.within_s if isinstance(self.action, Expect) else 0.0
        return round((self.at_s or 0.0) + within_s, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario: where, how long, what happens, what must hold."""

    file: str
    """As it stands in errors."""
    title: str
    about: str
    site: SiteSpec
    settings: tuple[Setting, ...]
    day_s: float
    speed: float
    run_s: float
    steps: tuple[Step, ...]
    text: str

    def expectations(self) -> tuple[Step, ...]:
        """Return the steps that check something, in the order of their lines."""
        return tuple(step for step in self.steps if isinstance(step.action, Expect))
