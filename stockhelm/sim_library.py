"""Scenarios by name: those that come with stockhelm, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sim_hardware.scenarios
from sim_hardware.scenarios.model import Scenario, ScenarioError
from sim_hardware.scenarios.text import parse_scenario
from sim_hardware.scenarios.words import near

ENDING: Final = ".scn"
LIBRARY: Final = Path(sim_hardware.scenarios.__file__).parent / "library"


def library_names() -> list[str]:
    """Return the names of the scenarios that come with stockhelm."""
    return sorted(path.stem for path in LIBRARY.glob(f"*{ENDING}"))


def find_scenario(name: str) -> Path:
    """Return the file of a scenario: a path, or a name of the library. Raises ScenarioError."""
    given = Path(name)
    if given.is_file():
        return given
    stored = LIBRARY / f"{name.removesuffix(ENDING)}{ENDING}"
    if stored.is_file() and stored.parent == LIBRARY:
        return stored
    raise ScenarioError(
        f"{name}: no such file, and no scenario of that name comes with stockhelm"
        f"{near(name, library_names())}; `stockhelm sim list` names all"
    )


def read_scenario(path: Path) -> Scenario:
    """Return the scenario in a file. Raises ScenarioError with each line that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read as text: {error}") from error
    return parse_scenario(text, shown(path))


def shown(path: Path) -> str:
    """Return how a file is called: one of the library by its name alone."""
    return path.stem if path.parent == LIBRARY else str(path)
