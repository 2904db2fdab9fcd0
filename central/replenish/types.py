"""What the planner is given and what it gives back: plain frozen values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from central.config import PlanningConfig
from central.demand.service import Forecast
from central.replenish.counting import Eye
from central.replenish.numbers import Numbers
from wire.site import Site

PlaceGtin = tuple[str, str]
"""(place, GTIN-14), for example ("bin:A-01-02-1", "04006381333931")."""

ProposalKind = Literal["refill", "transfer", "buy", "count", "adjust"]
KINDS: Final[tuple[ProposalKind, ...]] = ("refill", "transfer", "buy", "count")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningSnapshot:
    """Everything the planner looks at, read at one moment by one read transaction."""

    site: Site
    config: PlanningConfig
    now_ns: int
    day: int
    """Index of the running demand day: floor(now_ns / day length)."""
    first_day: int
    """First day of the site's demand records; days without a row since then sold nothing."""
    history: Mapping[str, tuple[tuple[int, int], ...]]
    """Per GTIN the (day, units ordered) rows, today's part day included, in any order."""
    balances: Mapping[PlaceGtin, int]
    """Units on hand by place and GTIN; every place may stand there, bins and robots count."""
    reserved: Mapping[PlaceGtin, int] = field(default_factory=dict)
    """Units of a bin promised to open tasks (rows of `reservation`, summed)."""
    promised: Mapping[PlaceGtin, int] = field(default_factory=dict)
    """Units of a source bin in waiting or approved proposals that hold no reservation yet."""
    inbound: Mapping[PlaceGtin, int] = field(default_factory=dict)
    """Units on their way to a bin: open move tasks, and proposals waiting or approved."""
    on_order: Mapping[str, int] = field(default_factory=dict)
    """Units bought and not yet in a bin, and units of buy proposals waiting or approved."""
    allocated: Mapping[str, int] = field(default_factory=dict)
    """Units of customer orders allocated and not yet picked."""
    backordered: Mapping[str, int] = field(default_factory=dict)
    """Units of customer orders that nothing is allocated to."""
    last_seen_ns: Mapping[str, int] = field(default_factory=dict)
    """When a bin was last counted or sighted, by bin id; absent: never."""
    sure: Mapping[str, float] = field(default_factory=dict)
    """How likely a bin's book is right, by what was booked there since the last look; absent: 1."""
    doubtful_bins: frozenset[str] = frozenset()
    """Bins where the last observation disagrees with the book."""
    changed_bins: frozenset[str] = frozenset()
    """Bins where something was booked, or work failed, since the last look."""
    eyes: tuple[Eye, ...] = ()
    """Who and what can look at bins; without any none is proposed to be counted."""
    last_count_round_ns: int = 0
    """When the newest count proposal was made; 0: never."""
    refused: frozenset[tuple[str, str, str]] = frozenset()
    """(kind, GTIN, to_place) that a person rejected a short time ago: not proposed again."""
    causes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids of recent orders (or movements) per GTIN, newest first: why the stock fell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One move, purchase or count that the planner thinks should be."""

    kind: ProposalKind
    gtin: str
    """Empty for a count."""
    units: int
    """Units to move or buy; for a count, how many bins."""
    from_place: str
    to_place: str
    reason: str
    """The sentence a planner reads."""
    numbers: Numbers
    """What recomputes `units`; a count's bins stand in `bins`, with spaces between."""
    causes: tuple[str, ...] = ()

    def bins(self) -> tuple[str, ...]:
        """Return the bins of a count, in the order of the flight."""
        return tuple(str(self.numbers.get("bins", "")).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something the plan could not do, and why."""

    gtin: str
    place: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now. Sources are never promised twice, targets never overfilled."""

    proposals: tuple[Proposal, ...]
    forecasts: tuple[Forecast, ...]
    notes: tuple[Note, ...] = ()
