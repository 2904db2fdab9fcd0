"""Every message of `stockhelm/v1/...`: frozen, typed, bounded, units in names.

Fields are only added, with a default; a changed meaning gets a new name. Times are UTC
nanoseconds. Who publishes and reads each of them stands in `wire.topics`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

PAYLOAD_BYTES_MAX = 64 * 1024
SCAN_TEXT_MAX = 512
EVENTS_PER_BATCH_MAX = 100

Name = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
EventId = Annotated[str, Meta(min_length=1, max_length=120)]
Bin = Annotated[str, Meta(min_length=1, max_length=20, pattern=r"^[A-Z0-9][A-Z0-9-]*$")]
Gtin = Annotated[str, Meta(pattern=r"^[0-9]{14}$")]
Place = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z]+:[A-Za-z0-9_.-]*$")]
Units = Annotated[int, Meta(ge=1, le=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Seq = Annotated[int, Meta(ge=1, le=2**53)]
Epoch = Annotated[int, Meta(ge=0, le=2**53)]
TimeNs = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, Meta(max_length=400)]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True):
    """What every message has: the name of its type in the field `type`."""


# --- devices <-> edge ------------------------------------------------------------------------


class DeviceScan(Message, frozen=True, kw_only=True):
    """A scanner read one barcode. (device, boot epoch, sequence) is unique: repeats are ignored."""

    device_id: Name
    boot_epoch: Epoch
    seq: Seq
    text: Annotated[str, Meta(min_length=1, max_length=SCAN_TEXT_MAX)]
    """AIM symbology identifier and data, GS as 0x1D: `]C10104006381333931`."""
    scanned_at_ns: TimeNs


class ScanFeedback(Message, frozen=True, kw_only=True):
    """The edge's answer to one scan: sent only after the commit that made it durable."""

    device_id: Name
    boot_epoch: Epoch
    seq: Epoch  # 0: the answer to something without a usable sequence (a malformed message)
    ok: bool
    code: Name
    text: Text
    sound: Name


class DeviceStatus(Message, frozen=True, kw_only=True):
    """Birth and death of a device or process (retained; the death is its last will)."""

    device_id: Name
    kind: Name
    online: bool
    boot_epoch: Epoch
    changed_at_ns: TimeNs
    detail: Text = ""


# --- stock events: edge -> central, inside JournalBatch ------------------------------------------


class Movement(Message, frozen=True, kw_only=True):
    """Units went from one place to another. Double entry: nothing is made or lost on the way."""

    event_id: EventId
    gtin: Gtin
    units: Units
    from_place: Place
    to_place: Place
    reason: Name
    device_id: Name
    observed_at_ns: TimeNs
    received_at_ns: TimeNs
    person_id: str = ""
    task_id: str = ""


class BinCounted(Message, frozen=True, kw_only=True):
    """Somebody counted an article in a bin. An observation: the ledger decides what to believe."""

    event_id: EventId
    bin_id: Bin
    gtin: Gtin
    counted_units: Count
    book_units: Count
    device_id: Name
    observed_at_ns: TimeNs
    received_at_ns: TimeNs
    person_id: str = ""
    task_id: str = ""


class SeenArticle(msgspec.Struct, frozen=True, kw_only=True):
    """How many labels of one article were decoded in one look at a bin."""

    gtin: Gtin
    labels: Annotated[int, Meta(ge=1, le=10_000)]


class BinSighted(Message, frozen=True, kw_only=True):
    """A camera read a bin's label and the article labels in front of it. An observation."""

    event_id: EventId
    bin_id: Bin
    articles: Annotated[tuple[SeenArticle, ...], Meta(max_length=64)]
    device_id: Name
    observed_at_ns: TimeNs
    received_at_ns: TimeNs
    task_id: str = ""


class MissionEnded(Message, frozen=True, kw_only=True):
    """A drone's mission is over, one way or the other."""

    event_id: EventId
    mission_id: Name
    drone_id: Name
    ok: bool
    detail: Text
    bins_seen: Annotated[tuple[Bin, ...], Meta(max_length=1_000)]
    observed_at_ns: TimeNs
    received_at_ns: TimeNs


StockEvent = Movement | BinCounted | BinSighted | MissionEnded


class JournalBatch(Message, frozen=True, kw_only=True):
    """Consecutive rows of one edge's journal, from `first_seq` on."""

    edge_id: Name
    epoch: Epoch
    first_seq: Seq
    events: Annotated[tuple[StockEvent, ...], Meta(min_length=1, max_length=EVENTS_PER_BATCH_MAX)]


class JournalAck(Message, frozen=True, kw_only=True):
    """Central has committed every row of this epoch up to and including `watermark_seq`."""

    edge_id: Name
    epoch: Epoch
    watermark_seq: Epoch


# --- central -> edge: commands, repeated until their event is in the ledger ------------------


class RecordMove(Message, frozen=True, kw_only=True):
    """Write this movement unless its event id is in the journal already."""

    command_id: Name
    expires_at_ns: TimeNs
    movement: Movement


class FlyMission(Message, frozen=True, kw_only=True):
    """Let a drone look at these bins, in this order."""

    command_id: Name
    expires_at_ns: TimeNs
    mission_id: Name
    drone_id: Name
    bins: Annotated[tuple[Bin, ...], Meta(min_length=1, max_length=1_000)]


EdgeCommand = RecordMove | FlyMission


# --- central -> people ------------------------------------------------------------------------


class PersonTask(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do, as it stands on a person's screen."""

    task_id: Name
    kind: Name  # receive, putaway, pick, count
    gtin: str  # empty: whatever is there (count)
    units: Count  # what is left to do
    from_place: Place
    to_place: Place
    order_id: str = ""
    due_at_ns: TimeNs = 0
    done_units: Count = 0
    """Already in the ledger when this was said: an edge that has booked more knows of it."""


class PersonTasks(Message, frozen=True, kw_only=True):
    """All open tasks of one person, first one first (retained: the newest replaces the older)."""

    person_id: Name
    tasks: Annotated[tuple[PersonTask, ...], Meta(max_length=50)]


# --- shop, suppliers, planners ----------------------------------------------------------------


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """So many units of one article."""

    gtin: Gtin
    units: Units


class CustomerOrder(Message, frozen=True, kw_only=True):
    """A customer ordered. The order id is unique: repeats change nothing."""

    order_id: Name
    lines: Annotated[tuple[OrderLine, ...], Meta(min_length=1, max_length=200)]
    ordered_at_ns: TimeNs


class OrderStatus(Message, frozen=True, kw_only=True):
    """Where a customer's order stands: accepted, refused, allocated, filled."""

    order_id: Name
    status: Name
    text: Text
    changed_at_ns: TimeNs


class PurchaseOrder(Message, frozen=True, kw_only=True):
    """We buy from a supplier. Repeated until the supplier confirms; the id is unique."""

    po_id: Name
    supplier_id: Name
    lines: Annotated[tuple[OrderLine, ...], Meta(min_length=1, max_length=200)]
    ordered_at_ns: TimeNs


class SupplierNotice(Message, frozen=True, kw_only=True):
    """The supplier's word on a purchase order: confirmed, despatched or arrived at the dock."""

    po_id: Name
    supplier_id: Name
    status: Name  # confirmed, arrived
    lines: Annotated[tuple[OrderLine, ...], Meta(max_length=200)]
    at_ns: TimeNs


class DecideProposal(Message, frozen=True, kw_only=True):
    """A planner approves or rejects one proposal, maybe with other units."""

    command_id: Name
    proposal_id: Name
    approve: bool
    person_id: Name
    reason: Text = ""
    units: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Other units than proposed; 0 leaves them as they are."""


class DecisionResult(Message, frozen=True, kw_only=True):
    """Central's answer to one planner command."""

    command_id: Name
    proposal_id: Name
    ok: bool
    text: Text


class Changed(Message, frozen=True, kw_only=True):
    """Central committed something that pages may show: which tables changed, and up to where."""

    tables: Annotated[tuple[Name, ...], Meta(max_length=20)]
    at_ns: TimeNs
