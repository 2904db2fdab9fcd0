"""Scenarios by name: those that come with stockhelm, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sim_hardware.scenarios
from sim_hardware.scenarios.model import Scenario, ScenarioError, refusal
from sim_hardware.scenarios.text import TEXT_BYTES_MAX, read_text
from sim_hardware.wording import elsewhere, number_text, shortened
from stockhelm.sim_site import check_scenario

ENDING: Final = ".scn"
LIBRARY: Final = Path(sim_hardware.scenarios.__file__).parent / "library"


def library_names() -> list[str]:
    """Return the names of the scenarios that come with stockhelm."""
    return sorted(path.stem for path in LIBRARY.glob(f"*{ENDING}"))


def find_scenario(name: str) -> Path:
    """Return the file of a scenario: a path, or a name of the library. Raises ScenarioError."""
    given = Path(name)
    stored = LIBRARY / f"{name.removesuffix(ENDING)}{ENDING}"
    try:
        if given.is_file():
            return given
        if stored.is_file() and stored.parent == LIBRARY:
            return stored
    except OSError as error:  # a name too long, a folder that may not be looked into
        raise ScenarioError(f"{shortened(name)}: {error.strerror}") from error
    raise ScenarioError(
        f"{name}: no such file, and no scenario of that name comes with stockhelm"
        + elsewhere(name, library_names(), "stockhelm sim list")
    )


def read_scenario(path: Path) -> Scenario:
    """Return the scenario in a file. Raises ScenarioError with each line that is wrong.

    Where lines cannot be read, the names in the others are looked up on the site all the same.
    """
    try:
        if path.stat().st_size > TEXT_BYTES_MAX:
            raise ScenarioError(
                f"{path}: over {number_text(TEXT_BYTES_MAX)} bytes: expected a shorter scenario"
            )
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError(
            f"{path}: cannot be read as text: {error}; expected a file saved as UTF-8"
        ) from error
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror}") from error
    reading = read_text(text, shown(path))
    if not reading.mistakes:
        return reading.scenario
    mistakes = [*reading.mistakes]
    if reading.has_site:
        try:
            check_scenario(reading.scenario, path.parent)
        except ScenarioError as error:
            mistakes += error.mistakes
    raise refusal(reading.scenario.file, mistakes)


def shown(path: Path) -> str:
    """Return how a file is called: one of the library by its name alone."""
    return path.stem if path.parent == LIBRARY else str(path)
