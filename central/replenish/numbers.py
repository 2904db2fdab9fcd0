"""The numbers of a proposal and how they add up; imports nothing, so that the desk can use it."""

from __future__ import annotations

from typing import Final

Numbers = dict[str, float | str]
"""What recomputes a proposal (`planner.recompute`): plain JSON, integers stay whole."""

NO_LIMIT: Final = 2**40
"""In place of a number of units: as many as one likes."""

_SUM: Final = (
    ("on_hand_units", "+", "there"),
    ("inbound_units", "+", "coming"),
    ("on_order_units", "+", "on order"),
    ("reserved_units", "-", "promised"),
    ("allocated_units", "-", "promised"),
    ("backordered_units", "-", "owed"),
)


def position_sum(numbers: Numbers) -> str:
    """Return "68 there + 60 coming - 4 promised = 124"; what is zero is left out."""
    parts = [
        f"{sign} {int(numbers[key])} {word}"
        for key, sign, word in _SUM
        if key == "on_hand_units" or int(numbers.get(key, 0))
    ]
    total = f" = {int(numbers['position_units'])}" if len(parts) > 1 else ""
    return " ".join(parts).removeprefix("+ ") + total


def units_text(units: int) -> str:
    """Return "1 unit", "12 units"."""
    return "1 unit" if units == 1 else f"{units} units"
