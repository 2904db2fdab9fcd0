"""Every message of `stockhelm/v1/...`: frozen, typed, bounded, units in names.

Fields are only added, with a default; a changed meaning gets a new name. Times are UTC
nanoseconds. Who publishes and reads each of them stands in `wire.topics`. What stands under a field
is its meaning in docs/protocol.md.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

PAYLOAD_BYTES_MAX = 64 * 1024
SCAN_TEXT_MAX = 512
EVENTS_PER_BATCH_MAX = 100
EDGE_DEVICES_MAX = 1_000
BINS_PER_LOOK_MAX = 64
COUNT_STOPS_MAX = 50
STOP_ARTICLES_MAX = 5
ENDED_TASKS_MAX = 10

# `\Z`, not `$`: that would let a line end after the text through.
Name = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*\Z")]
OptionalName = Annotated[str, Meta(max_length=64)]
EventId = Annotated[str, Meta(min_length=1, max_length=120)]
Bin = Annotated[str, Meta(min_length=1, max_length=20, pattern=r"^[A-Z0-9][A-Z0-9-]*\Z")]
Gtin = Annotated[str, Meta(pattern=r"^[0-9]{14}\Z")]
Place = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z]+:[A-Za-z0-9_.-]*\Z")]
LOT_MAX = 20
Lot = Annotated[str, Meta(max_length=LOT_MAX)]
Serial = Annotated[str, Meta(max_length=20)]
Day = Annotated[str, Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?\Z")]
Sscc = Annotated[str, Meta(pattern=r"^[0-9]{18}\Z")]
OptionalSscc = Annotated[str, Meta(pattern=r"^([0-9]{18})?\Z")]
LOT_SAID = "lot-said"
"""Reason of two movements that name the lot of what a robot brought from another zone: the units
with their lot from the robot, and as many without one back to it."""
UNITS_MAX = 1_000_000
Units = Annotated[int, Meta(ge=1, le=UNITS_MAX)]
Count = Annotated[int, Meta(ge=0, le=UNITS_MAX)]
Seq = Annotated[int, Meta(ge=1, le=2**53)]
Epoch = Annotated[int, Meta(ge=0, le=2**53)]
Nonce = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{32})?\Z")]
TimeNs = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Metres = Annotated[float, Meta(ge=-100_000, le=100_000)]
Text = Annotated[str, Meta(max_length=400)]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True):
    """What every message has: the name of its type in the field `type`."""


# --- devices <-> edge ------------------------------------------------------------------------


class DeviceScan(Message, frozen=True, kw_only=True):
    """A scanner read one barcode. (device, boot epoch, sequence) is unique: repeats are ignored."""

    device_id: Name
    """The scanner; the topic names the same one."""
    boot_epoch: Epoch
    """Which start of the device this is: any number that it never used before, best its start in
    microseconds since 1970."""
    seq: Seq
    """Number of the scan in this epoch: 1, 2, 3 ...; the same again where a scan is repeated."""
    text: Annotated[str, Meta(min_length=1, max_length=SCAN_TEXT_MAX)]
    """AIM symbology identifier and data, GS as 0x1D: `]C10104006381333931`."""
    scanned_at_ns: TimeNs
    """When it was read, by the device's clock."""


class ScanFeedback(Message, frozen=True, kw_only=True):
    """The edge's answer to one scan: sent only after the commit that made it durable."""

    device_id: Name
    """Whom it answers."""
    boot_epoch: Epoch
    """As in the scan; 0: no `DeviceScan` of this device."""
    seq: Epoch
    """As in the scan; 0: no `DeviceScan` of this device."""
    ok: bool
    """True: it is durable. False: nothing was changed."""
    code: Name
    """For programs: one of the codes below."""
    text: Text
    """For the person: what was done, or what is wrong and what to do."""
    sound: Name
    """What the device should let its person hear: one of the sounds below."""


class SeenArticle(msgspec.Struct, frozen=True, kw_only=True):
    """How many labels of one article were decoded in one look at a bin."""

    gtin: Gtin
    """The article."""
    labels: Annotated[int, Meta(ge=1, le=10_000)]
    """How many of its labels were decoded."""


class BinLook(msgspec.Struct, frozen=True, kw_only=True):
    """One bin as a camera that decodes by itself sees it."""

    bin_id: Bin
    """Its label was read."""
    articles: Annotated[tuple[SeenArticle, ...], Meta(max_length=64)]
    """Labels above it; empty: the bin's label alone."""


class CameraLook(Message, frozen=True, kw_only=True):
    """A camera that decodes by itself took one look. (device, boot epoch, sequence) is unique."""

    device_id: Name
    """The camera; the topic names the same one."""
    boot_epoch: Epoch
    """Which start of the camera this is; never a smaller one than before."""
    seq: Seq
    """Number of the look in this epoch: 1, 2, 3 ...; one that is not newer is ignored."""
    bins: Annotated[tuple[BinLook, ...], Meta(max_length=BINS_PER_LOOK_MAX)]
    """Every bin whose label was read; empty: none."""
    taken_at_ns: TimeNs
    """When, by the camera's clock."""


class DeviceStatus(Message, frozen=True, kw_only=True):
    """Birth and death of a device or process (retained; the death is its last will)."""

    device_id: Name
    """Device or edge."""
    kind: Name
    """`scanner`, `edge`, ...: shown, not checked."""
    online: bool
    """True: born. False: gone."""
    boot_epoch: Epoch
    """As in its scans."""
    changed_at_ns: TimeNs
    """When, by the sender's clock; in a last will the moment it was handed to the broker."""
    detail: Text = ""
    """Why it is gone, for people."""


class EdgeDevices(Message, frozen=True, kw_only=True):
    """The devices of one edge (retained, also while the edge is away)."""

    edge_id: Name
    """Who takes them."""
    devices: Annotated[tuple[Name, ...], Meta(max_length=EDGE_DEVICES_MAX)]
    """Ids of its devices over MQTT."""
    others: Annotated[tuple[Name, ...], Meta(max_length=EDGE_DEVICES_MAX)] = ()
    """Ids of its cameras, drones and serial scanners, as many as `devices` leaves room for."""


# --- stock events: edge -> central, inside JournalBatch ------------------------------------------


class Movement(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units went from one place to another. Double entry: nothing is made or lost on the way."""

    event_id: EventId
    """Unique for ever: a repeated one changes nothing."""
    gtin: Gtin
    """The article."""
    units: Units
    """How many."""
    from_place: Place
    """Where they were."""
    to_place: Place
    """Where they are now."""
    reason: Name
    """A scan's mode (`receive`, `damaged`, `putaway`, `refill`, `pick`, `move`, `pack`, `return`,
    `quarantine`, `release-good`, `release-error`, `scrap`), `undo`, `opening`, `robot-pick`,
    `robot-drop`, `robot-empty`, `lot-said` (what a robot brought gets its lot in another zone) or a
    planner's word."""
    device_id: Name
    """Scanner, robot or edge that saw it."""
    observed_at_ns: TimeNs
    """When, by the device's clock."""
    received_at_ns: TimeNs
    """When it reached the edge."""
    person_id: OptionalName = ""
    """Who did it; empty: no person."""
    task_id: OptionalName = ""
    """The task it belongs to; empty: none."""
    lot: Lot = ""
    """Which lot (AI 10); empty: not said."""
    expires_on: Day = ""
    """The last day of these units (AI 17), `2027-02-28`; empty: not said."""
    serial: Serial = ""
    """Which single unit (AI 21; `units` is 1 then); empty: not said."""
    container: OptionalSscc = ""
    """SSCC (AI 00) that was scanned for all that is in it; empty: none."""


class BinCounted(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody counted an article in a bin. An observation: the ledger decides what to believe."""

    event_id: EventId
    """Unique for ever."""
    bin_id: Bin
    """Where."""
    gtin: Gtin
    """Which article."""
    counted_units: Count
    """What the person saw."""
    book_units: Count
    """What the edge's book had at that moment."""
    device_id: Name
    """The scanner."""
    observed_at_ns: TimeNs
    """When, by the device's clock."""
    received_at_ns: TimeNs
    """When it reached the edge."""
    person_id: OptionalName = ""
    """Who counted."""
    task_id: OptionalName = ""
    """The counting task; empty: nobody had asked."""
    lot: Lot = ""
    """The lot that was counted: both numbers are of this lot then; empty: all of the article."""
    expires_on: Day = ""
    """As on the label; empty: not said."""
    serial: Serial = ""
    """The single unit that was seen: both numbers are 0 or 1 then; empty: none."""
    since_ns: TimeNs = 0
    """When this look began, by the edge's clock, as `received_at_ns`; 0: not known."""


class BinSighted(Message, frozen=True, kw_only=True):
    """A camera read a bin's label and the article labels in front of it. An observation."""

    event_id: EventId
    """Unique for ever."""
    bin_id: Bin
    """Where."""
    articles: Annotated[tuple[SeenArticle, ...], Meta(max_length=64)]
    """What was in view; empty: the bin's label alone."""
    device_id: Name
    """Camera or drone."""
    observed_at_ns: TimeNs
    """When the picture was taken."""
    received_at_ns: TimeNs
    """When it reached the edge."""
    task_id: OptionalName = ""
    """The drone's mission or the camera's round; empty: a fixed camera, unasked."""


class MissionEnded(Message, frozen=True, kw_only=True):
    """A drone's mission or a camera's round is over, one way or the other."""

    event_id: EventId
    """Unique for ever."""
    mission_id: Name
    """As in `FlyMission`, or the round as in `LookAtBins`."""
    drone_id: Name
    """Who flew, or the camera that looked."""
    ok: bool
    """Whether it was flown or looked to its end."""
    detail: Text
    """How it ended, for people."""
    bins_seen: Annotated[tuple[Bin, ...], Meta(max_length=1_000)]
    """Bins whose label was read."""
    observed_at_ns: TimeNs
    """When it ended."""
    received_at_ns: TimeNs
    """When the edge knew."""


class ContainerMoved(Message, frozen=True, kw_only=True):
    """A pallet, tote or parcel was put into another one; what is in it goes with it."""

    event_id: EventId
    """Unique for ever."""
    container: Sscc
    """Which one."""
    from_place: Place
    """Where it was; `container:` where nobody had said."""
    to_place: Place
    """Where it is now: `container:` and the SSCC of the other one."""
    device_id: Name
    """The scanner."""
    observed_at_ns: TimeNs
    """When, by the device's clock."""
    received_at_ns: TimeNs
    """When it reached the edge."""
    person_id: OptionalName = ""
    """Who did it; empty: no person."""


class TaskClosed(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A person ended a task with less than was asked for: no more is there. Or takes that back."""

    event_id: EventId
    """Unique for ever."""
    task_id: Name
    """Which task."""
    short_units: Units
    """What did not come."""
    undone: bool = False
    """True: they take it back, more is there after all; the task goes on."""
    device_id: Name
    """The scanner."""
    observed_at_ns: TimeNs
    """When, by the device's clock."""
    received_at_ns: TimeNs
    """When it reached the edge."""
    person_id: OptionalName = ""
    """Who said so."""


StockEvent = Movement | BinCounted | BinSighted | MissionEnded | ContainerMoved | TaskClosed


class JournalBatch(Message, frozen=True, kw_only=True):
    """Consecutive rows of one edge's journal, from `first_seq` on."""

    edge_id: Name
    """Whose journal."""
    epoch: Epoch
    """Which database of that edge (see Epochs)."""
    first_seq: Seq
    """Number of the first event; the others follow without a gap."""
    events: Annotated[tuple[StockEvent, ...], Meta(min_length=1, max_length=EVENTS_PER_BATCH_MAX)]
    """The rows, each one of `Movement`, `BinCounted`, `BinSighted`, `MissionEnded`,
    `ContainerMoved`, `TaskClosed`."""


class JournalAck(Message, frozen=True, kw_only=True):
    """Central has committed every row of this epoch up to and including `watermark_seq`."""

    edge_id: Name
    """Whose journal."""
    epoch: Epoch
    """As in the batches."""
    watermark_seq: Epoch
    """The last row up to which nothing is missing; 0: none yet."""


# --- central -> edge: commands, repeated until their event is in the ledger ------------------


class RecordMove(Message, frozen=True, kw_only=True):
    """Write this movement unless its event id is in the journal already."""

    command_id: Name
    """Unique."""
    expires_at_ns: TimeNs
    """Too late after this: it is dropped."""
    movement: Movement
    """What to write."""
    nonce: Nonce = ""
    """The same in each repetition of this command, and in no other; empty: of an older central."""


class FlyMission(Message, frozen=True, kw_only=True):
    """Let a drone look at these bins, in this order."""

    command_id: Name
    """Unique."""
    expires_at_ns: TimeNs
    """Too late after this: it is dropped."""
    mission_id: Name
    """Flown once by a process."""
    drone_id: Name
    """Which drone of this edge."""
    bins: Annotated[tuple[Bin, ...], Meta(min_length=1, max_length=1_000)]
    """What to look at, in the order of the flight."""
    nonce: Nonce = ""
    """The same in each repetition of this command, and in no other; empty: of an older central."""


class LookAtBins(Message, frozen=True, kw_only=True):
    """Let a fixed camera look at these bins now, and tell what it sees, news or not."""

    command_id: Name
    """Unique."""
    expires_at_ns: TimeNs
    """Too late after this: it is dropped."""
    round_id: Name
    """Looked once by a process; its `MissionEnded` and `BinSighted` carry it."""
    camera_id: Name
    """Which camera of this edge."""
    bins: Annotated[tuple[Bin, ...], Meta(min_length=1, max_length=BINS_PER_LOOK_MAX)]
    """What to look at."""
    nonce: Nonce = ""
    """The same in each repetition of this command, and in no other; empty: of an older central."""


EdgeCommand = RecordMove | FlyMission | LookAtBins


# --- central -> people ------------------------------------------------------------------------


class CountStop(msgspec.Struct, frozen=True, kw_only=True):
    """One bin of a counting round. Blind: it says what to count there, never how many."""

    bin_id: Bin
    """Where."""
    gtins: Annotated[tuple[Gtin, ...], Meta(max_length=STOP_ARTICLES_MAX)] = ()
    """What the book has there: each is counted, also where none is left; empty: whatever is there.
    """


class PersonTask(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do, as it stands on a person's screen."""

    task_id: Name
    """Unique."""
    kind: Name
    """`receive`, `putaway`, `refill`, `pick` or `count`."""
    gtin: str
    """The article; empty: whatever is there (count)."""
    units: Count
    """What is left to do."""
    from_place: Place
    """Where to take it."""
    to_place: Place
    """Where to put it."""
    order_id: OptionalName = ""
    """The customer's order; empty: none."""
    due_at_ns: TimeNs = 0
    """Until when; 0: no matter."""
    done_units: Count = 0
    """Already in the ledger when this was said: an edge that has booked more knows of it."""
    lot: Lot = ""
    """The lot to take while it is there and not over; empty: any."""
    stops: Annotated[tuple[CountStop, ...], Meta(max_length=COUNT_STOPS_MAX)] = ()
    """The bins of a counting round that are still to be counted, in the order of the way; the first
    is `from_place`. Empty: that one bin, or no count."""


class EndedTask(msgspec.Struct, frozen=True, kw_only=True):
    """How a task left a person's list."""

    task_id: Name
    """Unique."""
    end: Name
    """`done`; `handed_on`: it was due, and somebody else has it or did it; `withdrawn`: nobody is
    asked any more."""
    own_units: Count = 0
    """What this person's scans moved for it, as far as the ledger knew when this was said."""


class PersonTasks(Message, frozen=True, kw_only=True):
    """All open tasks of one person, first one first (retained: the newest replaces the older)."""

    person_id: Name
    """Whose list."""
    tasks: Annotated[tuple[PersonTask, ...], Meta(max_length=50)]
    """First one first; empty: nothing to do."""
    ended: Annotated[tuple[EndedTask, ...], Meta(max_length=ENDED_TASKS_MAX)] = ()
    """The last tasks that left the list, each once, the newest first."""
    handed_on: Annotated[tuple[PersonTask, ...], Meta(max_length=ENDED_TASKS_MAX)] = ()
    """Of those, the ones that wait for somebody else now: nothing to begin, but goods that are in
    this person's hands already are still counted when they are scanned."""


# --- shop, suppliers, planners ----------------------------------------------------------------


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """So many units of one article."""

    gtin: Gtin
    """The article."""
    units: Units
    """How many."""


class CustomerOrder(Message, frozen=True, kw_only=True):
    """A customer ordered. The order id is unique: repeats change nothing."""

    order_id: Name
    """Unique: the shop's own number."""
    lines: Annotated[tuple[OrderLine, ...], Meta(min_length=1, max_length=200)]
    """What is wanted."""
    ordered_at_ns: TimeNs
    """When; it counts as demand of that day."""


class OrderStatus(Message, frozen=True, kw_only=True):
    """Where a customer's order stands: accepted, refused, allocated, filled."""

    order_id: Name
    """Which order."""
    status: Name
    """`accepted`, `refused`, `allocated`, `picked`, `filled`."""
    text: Text
    """For people: why."""
    changed_at_ns: TimeNs
    """When."""


class PurchaseOrder(Message, frozen=True, kw_only=True):
    """We buy from a supplier. Repeated until the supplier confirms; the id is unique."""

    po_id: Name
    """Unique."""
    supplier_id: Name
    """Who shall deliver."""
    lines: Annotated[tuple[OrderLine, ...], Meta(min_length=1, max_length=200)]
    """What we buy."""
    ordered_at_ns: TimeNs
    """When."""


class SupplierNotice(Message, frozen=True, kw_only=True):
    """The supplier's word on a purchase order: confirmed, despatched or arrived at the dock."""

    po_id: Name
    """As in the purchase order."""
    supplier_id: Name
    """Who says so."""
    status: Name
    """`confirmed` or `arrived`."""
    lines: Annotated[tuple[OrderLine, ...], Meta(max_length=200)]
    """What was ordered; once lorries came, what has come so far: it may be less or more."""
    at_ns: TimeNs
    """When."""


class DecideProposal(Message, frozen=True, kw_only=True):
    """A planner approves or rejects one proposal, maybe with other units."""

    command_id: Name
    """Unique: a repetition gets the first answer."""
    proposal_id: Name
    """Which."""
    approve: bool
    """True: do it. False: reject it."""
    person_id: Name
    """Who decides."""
    reason: Text = ""
    """Why; kept with the proposal."""
    units: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Other units than proposed; 0 leaves them as they are."""


class DecisionResult(Message, frozen=True, kw_only=True):
    """Central's answer to one planner command."""

    command_id: Name
    """As in the command."""
    proposal_id: Name
    """As in the command."""
    ok: bool
    """Whether it was taken."""
    text: Text
    """What came of it, or why not."""


class AdjustStock(Message, frozen=True, kw_only=True):
    """A planner says what a bin holds; the edge that owns it books the difference."""

    command_id: Name
    """Unique: a repetition gets the first answer."""
    bin_id: Bin
    """Which bin."""
    gtin: Gtin
    """Which article."""
    reason: Name
    """Why, in a word: `damaged`, `counted`, ... It is kept with the movement."""
    person_id: Name
    """Who says so."""
    units: Annotated[int, Meta(ge=-UNITS_MAX, le=UNITS_MAX)]
    """What the bin holds; or what it holds more (negative: less) than the book says."""
    is_difference: bool = False
    """True: `units` is the difference."""
    lot: Lot = ""
    """Of this lot only; empty where it does not matter."""
    quarantine: bool = False
    """True: what the bin gets more comes out of quarantine, what it has less goes into it. Only for
    a difference."""
    expires_at_ns: TimeNs
    """Central does not take it after this time: the bin may hold something else by then."""


class AdjustResult(Message, frozen=True, kw_only=True):
    """Central's answer to one adjustment."""

    command_id: Name
    """As in the command."""
    ok: bool
    """Whether it is going to be booked (or nothing differs)."""
    text: Text
    """What is going to be booked by whom, or why not."""


class StopZone(Message, frozen=True, kw_only=True):
    """A planner closes a part of the floor for robots, or lifts that again."""

    command_id: Name
    """Unique: a repetition gets the first answer. It is the id of the zone that it makes."""
    person_id: Name
    """Who says so."""
    lifts: OptionalName = ""
    """The zone that is open again; empty: a zone is closed."""
    nodes: Annotated[tuple[Name, ...], Meta(max_length=1_000)] = ()
    """Nodes to be closed."""
    box_m: Annotated[tuple[Metres, ...], Meta(max_length=4)] = ()
    """Or all nodes in a rectangle: x and y of one corner, x and y of the opposite one."""
    reason: Text = ""
    """Why, for people."""
    lasts_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    """For how long; it opens by itself then."""
    expires_at_ns: TimeNs
    """Central does not take it after this time: somebody may be in the aisle by then."""


class StopZoneResult(Message, frozen=True, kw_only=True):
    """Central's answer to one stop zone."""

    command_id: Name
    """As in the command."""
    ok: bool
    """Whether it is closed, or open again."""
    text: Text
    """Which nodes until when, or why not."""


class PinTask(Message, frozen=True, kw_only=True):
    """A planner lets one robot alone have a task that is not picked up yet, or any robot again."""

    command_id: Name
    """Unique: a repetition gets the first answer."""
    task_id: Name
    """Which."""
    robot_id: Annotated[str, Meta(max_length=81)] = ""
    """`manufacturer/serial` as in robots.csv; empty: any robot may have it again."""
    person_id: Name
    """Who says so."""
    reason: Text = ""
    """Why, for people."""


class PinResult(Message, frozen=True, kw_only=True):
    """Central's answer to one pin."""

    command_id: Name
    """As in the command."""
    ok: bool
    """Whether it was taken."""
    text: Text
    """What came of it, or why not."""


class Changed(Message, frozen=True, kw_only=True):
    """Central is there; where it names tables, it committed something that pages may show."""

    tables: Annotated[tuple[Name, ...], Meta(max_length=20)]
    """Names of central's tables that changed; none: only that central is there, each 2 s."""
    at_ns: TimeNs
    """When it was committed or said."""
