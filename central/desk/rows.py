"""What the pages and the API show: one frozen row type per thing, times in UTC milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

QUARANTINE: Final = "quarantine:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleRef:
    """An article as people call it."""

    gtin: str
    sku: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the plan wants, why, and what was decided."""

    proposal_id: str
    kind: str
    status: str
    article: ArticleRef
    units: int
    free_units: int | None
    """Units nobody is promised at the source of a move that waits: more cannot be approved."""
    from_place: str
    to_place: str
    reason: str
    numbers: dict[str, Any]
    causes: list[str]
    decided_by: str
    decision_reason: str
    created_at_ms: int
    decided_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing that a robot, a person or a drone does."""

    task_id: str
    kind: str
    status: str
    worker_kind: str
    worker_id: str
    worker: str
    article: ArticleRef
    units: int
    from_place: str
    to_place: str
    proposal_id: str
    order_id: str
    waits: str
    created_at_ms: int
    due_at_ms: int
    assigned_at_ms: int
    done_at_ms: int
    confirmed_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """So many units of one article, and how far they are."""

    article: ArticleRef
    units: int
    allocated_units: int
    picked_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A customer's order."""

    order_id: str
    status: str
    lines: list[OrderLine]
    units: int
    picked_units: int
    ordered_at_ms: int
    filled_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing in the ledger: units moved, or somebody looked at a bin."""

    event_id: str
    kind: str
    """moved, counted or sighted."""
    article: ArticleRef
    units: int
    book_units: int
    from_place: str
    to_place: str
    reason: str
    device_id: str
    person_id: str
    person: str
    task_id: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BinStock:
    """One article in one bin."""

    article: ArticleRef
    units: int
    reserved_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A bin and what the books say is in it."""

    bin_id: str
    kind: str
    edge_id: str
    slot: ArticleRef | None
    capacity_units: int
    """0 where no limit is known."""
    units: int
    reserved_units: int
    inbound_units: int
    stock: list[BinStock]


@dataclass(frozen=True, slots=True, kw_only=True)
class LotStock:
    """Units of one lot; what an article has above its lots is of no known lot."""

    article: ArticleRef
    lot: str
    units: int
    expires_on: str
    """Last day, `2027-02-28`; empty: nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialUnit:
    """One unit that is known by its serial number."""

    article: ArticleRef
    serial: str
    lot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSure:
    """How sure the book of a bin is, and what that rests on."""

    probability: float
    """That the book is right, 0 to 1."""
    seen_at_ms: int
    """When somebody last looked at the whole bin; 0: nobody did yet."""
    picks: int
    """Booked there since."""
    moves: int
    """Putaways and other moves, booked there since."""
    days: float
    """Since the last look; 0 where there was none."""
    failed: bool
    """Whether a person found too few there since, or a robot failed."""
    counts: int
    """So many counts on the site taught how often what goes wrong; 0: none did yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BinDetail:
    """A bin with what happened there lately and what will."""

    bin: Bin
    book: BookSure
    lots: list[LotStock]
    """What is to go first, first."""
    serials: list[SerialUnit]
    containers: list[str]
    """SSCCs of pallets, totes and parcels that were put here."""
    events: list[Event]
    open_tasks: list[Task]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """What is put aside."""

    stock: list[BinStock]
    lots: list[LotStock]
    serials: list[SerialUnit]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStock:
    """Units of one article in a bin at a past time."""

    article: ArticleRef
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMove:
    """One movement as a bin saw it."""

    event_id: str
    article: ArticleRef
    by_units: int
    """What the bin had more afterwards; negative: less."""
    left_units: int | None
    """What it held of the article afterwards; None where that is not said."""
    other_place: str
    reason: str
    person_id: str
    person: str
    device_id: str
    task_id: str
    lot: str
    at_ms: int
    is_booked: bool
    """False: the edge of the bin has not booked it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BinPast:
    """What lay in a bin at a time, and the movements that led there, the newest first."""

    bin_id: str
    at_ms: int | None
    """None: now."""
    units: int
    stock: list[PastStock]
    moves: list[PastMove]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentAnswer:
    """Central's answer to who said what a bin holds."""

    bin_id: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopZone:
    """A part of the floor that robots do not enter now."""

    zone_id: str
    nodes: list[str]
    reason: str
    person_id: str
    made_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneAnswer:
    """Central's answer to who closes a part of the floor, or opens it again."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PinAnswer:
    """Central's answer to who pins a task to a robot."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that a proposal was made for."""

    id: str
    kind: str
    """order, moved, counted, sighted, task, purchase or other (the books do not know the id)."""
    text: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyFigure:
    """One number of a proposal as a planner reads it."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalWhy:
    """A proposal with its causes before it and its tasks and movements after it."""

    proposal: Proposal
    sums: list[str]
    """How the units come about, one step a line."""
    figures: list[WhyFigure]
    """The other numbers, each with a label."""
    causes: list[Cause]
    tasks: list[Task]
    events: list[Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFigures:
    """How many tasks of one kind stand where."""

    kind: str
    open: int
    done: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The numbers on top of the page."""

    orders_waiting: int
    orders_filled: int
    orders_refused: int
    proposals_waiting: int
    tasks: list[TaskFigures]
    events: int
    units_in_bins: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What policy approves by itself, and how long a demand day is: as central works."""

    day_s: float
    auto_units_max: int
    auto_buy_cents_max: int
    auto_adjust_units_max: int
    auto_adjust_cents_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Robot:
    """A robot as it last spoke (what changes with every message goes in binary frames)."""

    robot_id: str
    index: int
    manufacturer: str
    serial: str
    online: bool
    mode: str
    node_id: str
    task_id: str
    carries: str
    errors: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures, robots and who can be reached."""

    site_id: str
    figures: Figures
    rules: Rules | None
    """None before central wrote them down."""
    robots_online: int
    robots_known: int
    broker_connected: bool
    edges_online: list[str]
    edges_offline: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAnswer:
    """Central's answer to a planner."""

    proposal_id: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the desk can do its work."""

    status: str
    books: str
    broker_connected: bool
