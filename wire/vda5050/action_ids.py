"""Action ids that say what moves: a finished action is a stock movement for who reads the state.

VDA 5050 echoes `actionId` in every state, also after restarts on either side, so an edge agent
that reads robot telemetry needs no memory of the order to book the movement, exactly once: the
action id is the event id.

Form: `{verb}/{task_id}/{bin_id}/{gtin}/{units}`, verb `pick` or `drop`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from wire.ids import BinId, Gtin14
from wire.messages import UNITS_MAX

_FORM: Final = re.compile(
    r"(pick|drop)/([A-Za-z0-9][A-Za-z0-9_.-]{0,39})/([A-Z0-9][A-Z0-9-]{0,19})/([0-9]{14})/([1-9][0-9]{0,6})"
)


@dataclass(frozen=True, slots=True)
class StockAction:
    """A robot's action that moves stock between a bin and the robot."""

    verb: Literal["pick", "drop"]
    task_id: str
    bin_id: BinId
    gtin: Gtin14
    units: int

    @property
    def action_id(self) -> str:
        """Return the VDA 5050 action id of this action."""
        return f"{self.verb}/{self.task_id}/{self.bin_id}/{self.gtin}/{self.units}"


def parse_action_id(action_id: str) -> StockAction | None:
    """Return what moves in the action of this id, or None where the id says nothing of stock.

    More units than a movement can have say nothing either: no task of ours asks for them.
    """
    found = _FORM.fullmatch(action_id)
    if not found or int(found[5]) > UNITS_MAX:
        return None
    verb: Literal["pick", "drop"] = "pick" if found[1] == "pick" else "drop"
    return StockAction(verb, found[2], BinId(found[3]), Gtin14(found[4]), int(found[5]))
