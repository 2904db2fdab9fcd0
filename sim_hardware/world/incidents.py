"""What went wrong in the world, and by how much the books are wrong since then.

An incident's effects say, by place and article, how many more units are really there than whoever
believes every scan would think. So what is there is what was scanned plus all effects, and each
difference between the books and the truth has its incidents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

INCIDENTS_MAX: Final = 100_000
"""Past this only the sums are kept, and `dropped` counts what has no line of its own."""

IncidentKind = Literal[
    "misplaced", "miscounted", "wrong-pick", "unscanned", "stolen", "trusted-paper", "away",
    "false-count",
]  # fmt: skip
Pair = tuple[str, str]
"""(place, GTIN-14)."""


class Effect(msgspec.Struct, frozen=True):
    """So many more units are really there than was scanned; below 0: fewer."""

    place: str
    gtin: str
    units: int


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody did wrong."""

    number: int
    """1, 2, 3 ... in the order in which they happened."""
    at_s: float
    """World time."""
    person_id: str
    kind: IncidentKind
    bin_id: str
    """Where it happened; empty: nowhere in particular."""
    gtin: str
    units: int
    """How many units are about; for a false count: how many more were said than are there."""
    text: str
    """In words."""
    effects: tuple[Effect, ...] = ()


@dataclass(slots=True)
class Incidents:
    """All of one world, in order."""

    rows: list[Incident] = field(default_factory=list)
    dropped: int = 0
    effects: Counter[Pair] = field(default_factory=Counter)
    """The sum of all effects, by place and article."""
    kinds: Counter[str] = field(default_factory=Counter)

    def note(
        self,
        kind: IncidentKind,
        *,
        at_s: float,
        person_id: str,
        text: str,
        bin_id: str = "",
        gtin: str = "",
        units: int = 0,
        effects: Iterable[Effect] = (),
    ) -> Incident:
        """Write down that something went wrong; return it."""
        incident = Incident(
            number=sum(self.kinds.values()) + 1, at_s=round(at_s, 3), person_id=person_id,
            kind=kind, bin_id=bin_id, gtin=gtin, units=units, text=text, effects=tuple(effects),
        )  # fmt: skip
        self.kinds[kind] += 1
        for effect in incident.effects:
            self.effects[effect.place, effect.gtin] += effect.units
        if len(self.rows) < INCIDENTS_MAX:
            self.rows.append(incident)
        else:
            self.dropped += 1
        return incident

    def about(self, place: str, gtin: str) -> list[Incident]:
        """Return what happened to an article at a place."""
        bin_id = place.removeprefix("bin:")
        return [
            row
            for row in self.rows
            if any((e.place, e.gtin) == (place, gtin) for e in row.effects)
            or (row.kind == "false-count" and (row.bin_id, row.gtin) == (bin_id, gtin))
        ]

    def explain(self, differences: Mapping[Pair, int]) -> dict[Pair, list[Incident]]:
        """Return what explains each difference (truth less book); an empty list: nothing does."""
        return {pair: self.about(*pair) for pair, units in sorted(differences.items()) if units}
