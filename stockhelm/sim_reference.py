"""The tables of docs/simulator.md, made from the words, sentences and faults that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sim_hardware.faults.kinds import KINDS
from sim_hardware.faults.model import FaultKind, Parameter
from sim_hardware.scenarios import words as w
from sim_hardware.scenarios.checks import checks_markdown
from sim_hardware.scenarios.deeds import deeds_markdown
from sim_hardware.scenarios.names import sections
from sim_hardware.wording import number_text
from stockhelm.sim_promises import PROMISES

MODES: Final = 3


def _lines() -> str:
    return w.examples_markdown("line", w.DIRECTIVES)


def _actions() -> str:
    return w.examples_markdown("AT ...", w.ACTIONS)


def _scans() -> str:
    return w.examples_markdown("SCAN scanner ...", w.SCANS)


def _site() -> str:
    rows = (
        (f"`{name}`", f"{o.default:.12g}", _range(o), o.text) for name, o in w.SITE_OPTIONS.items()
    )
    return w.table(("option", "default", "range", "meaning"), rows)


def _range(option: w.Option) -> str:
    most = number_text(option.generated_max)
    generated = f"; generated: {most}" if option.generated_max else ""
    return f"{number_text(option.min)} to {number_text(option.max)}{generated}"


def _settings() -> str:
    rows = (
        (f"`{name}`", ", ".join(f"`{key}`" for key in kind.__struct_fields__))
        for name, (kind, _) in sections().items()
    )
    return w.table(("WITH ...", "keys"), rows)


def _faults() -> str:
    rows = (
        (f"`{kind.name}`", kind.target, _values(kind.parameters), kind.text + _only(kind))
        for kind in KINDS.values()
    )
    return w.table(("kind", "happens to", "values", "what"), rows)


def _values(parameters: Mapping[str, Parameter]) -> str:
    return ", ".join(
        f"`{p.written(name)}`" + (f" ({', '.join(p.words)})" if p.words else "")
        for name, p in parameters.items()
    )


def _only(kind: FaultKind) -> str:
    return "" if len(kind.modes) == MODES else f" (only {', '.join(kind.modes)})"


def _promises() -> str:
    rows = ((f"`{name}`", p.says, p.measured) for name, p in PROMISES.items())
    return w.table(("promise", "says", "what is measured"), rows)


SCENARIO_TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "scenario lines": _lines,
    "scenario actions": _actions,
    "scenario scans": _scans,
    "scenario deeds": deeds_markdown,
    "scenario checks": checks_markdown,
    "scenario words": w.words_markdown,
    "scenario promises": _promises,
    "scenario site": _site,
    "scenario settings": _settings,
    "scenario faults": _faults,
}
"""By the name of their markers in the page."""
