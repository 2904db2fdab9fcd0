"""The one topic table: who publishes what, who reads it, how it is kept."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from wire import messages as m

ROOT: Final = "stockhelm/v1"


class Party(enum.StrEnum):
    """Who stands at one end of a topic."""

    DEVICE = "device"
    EDGE = "edge"
    CENTRAL = "central"
    DESK = "desk"
    PERSON = "person"
    SHOP = "shop"
    SUPPLIER = "supplier"
    ROBOT = "robot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One row of the table. `pattern` has `{name}` for each part that varies."""

    pattern: str
    messages: tuple[type[m.Message], ...]
    publisher: Party
    subscribers: tuple[Party, ...]
    retain: bool = False
    qos: int = 1

    def of(self, **parts: str) -> str:
        """Return the topic for these parts, e.g. `of(site="FC1", device="scanner-1")`."""
        return self.pattern.format(**parts)

    def any(self, **parts: str) -> str:
        """Return the subscription filter with `+` for every part that is not given."""
        names = [p[1:-1] for p in self.pattern.split("/") if p.startswith("{")]
        return self.pattern.format(**{name: parts.get(name, "+") for name in names})

    def parts(self, topic: str) -> dict[str, str] | None:
        """Return the varying parts of `topic`, or None where it does not match this row."""
        mine, theirs = self.pattern.split("/"), topic.split("/")
        if len(mine) != len(theirs):
            return None
        found: dict[str, str] = {}
        for want, got in zip(mine, theirs, strict=True):
            if want.startswith("{"):
                found[want[1:-1]] = got
            elif want != got:
                return None
        return found


SITE: Final = ROOT + "/{site}"

DEVICE_SCAN: Final = Topic(
    pattern=SITE + "/device/{device}/scan", messages=(m.DeviceScan,),
    publisher=Party.DEVICE, subscribers=(Party.EDGE,),
)  # fmt: skip
DEVICE_FEEDBACK: Final = Topic(
    pattern=SITE + "/device/{device}/feedback", messages=(m.ScanFeedback,),
    publisher=Party.EDGE, subscribers=(Party.DEVICE,),
)  # fmt: skip
CAMERA_LOOK: Final = Topic(
    pattern=SITE + "/device/{device}/look", messages=(m.CameraLook,),
    publisher=Party.DEVICE, subscribers=(Party.EDGE,),
)  # fmt: skip
DEVICE_STATUS: Final = Topic(
    pattern=SITE + "/device/{device}/status", messages=(m.DeviceStatus,),
    publisher=Party.DEVICE, subscribers=(Party.EDGE, Party.DESK), retain=True,
)  # fmt: skip
EDGE_STATUS: Final = Topic(
    pattern=SITE + "/edge/{edge}/status", messages=(m.DeviceStatus,),
    publisher=Party.EDGE, subscribers=(Party.CENTRAL, Party.DESK), retain=True,
)  # fmt: skip
EDGE_DEVICES: Final = Topic(
    pattern=SITE + "/edge/{edge}/devices", messages=(m.EdgeDevices,),
    publisher=Party.EDGE, subscribers=(Party.EDGE, Party.CENTRAL), retain=True,
)  # fmt: skip
JOURNAL: Final = Topic(
    pattern=SITE + "/edge/{edge}/journal", messages=(m.JournalBatch,),
    publisher=Party.EDGE, subscribers=(Party.CENTRAL,),
)  # fmt: skip
JOURNAL_ACK: Final = Topic(
    pattern=SITE + "/edge/{edge}/journal-ack", messages=(m.JournalAck,),
    publisher=Party.CENTRAL, subscribers=(Party.EDGE,),
)  # fmt: skip
EDGE_COMMAND: Final = Topic(
    pattern=SITE + "/edge/{edge}/command", messages=(m.RecordMove, m.FlyMission, m.LookAtBins),
    publisher=Party.CENTRAL, subscribers=(Party.EDGE,),
)  # fmt: skip
PERSON_TASKS: Final = Topic(
    pattern=SITE + "/person/{person}/tasks", messages=(m.PersonTasks,),
    publisher=Party.CENTRAL, subscribers=(Party.PERSON, Party.EDGE), retain=True,
)  # fmt: skip
CUSTOMER_ORDER: Final = Topic(
    pattern=SITE + "/shop/order", messages=(m.CustomerOrder,),
    publisher=Party.SHOP, subscribers=(Party.CENTRAL,),
)  # fmt: skip
ORDER_STATUS: Final = Topic(
    pattern=SITE + "/shop/order-status", messages=(m.OrderStatus,),
    publisher=Party.CENTRAL, subscribers=(Party.SHOP,),
)  # fmt: skip
PURCHASE_ORDER: Final = Topic(
    pattern=SITE + "/supplier/{supplier}/order", messages=(m.PurchaseOrder,),
    publisher=Party.CENTRAL, subscribers=(Party.SUPPLIER,),
)  # fmt: skip
SUPPLIER_NOTICE: Final = Topic(
    pattern=SITE + "/supplier/{supplier}/notice", messages=(m.SupplierNotice,),
    publisher=Party.SUPPLIER, subscribers=(Party.CENTRAL,),
)  # fmt: skip
DESK_COMMAND: Final = Topic(
    pattern=SITE + "/desk/command", messages=(m.DecideProposal,),
    publisher=Party.DESK, subscribers=(Party.CENTRAL,),
)  # fmt: skip
DESK_RESULT: Final = Topic(
    pattern=SITE + "/desk/result", messages=(m.DecisionResult,),
    publisher=Party.CENTRAL, subscribers=(Party.DESK,),
)  # fmt: skip
DESK_ADJUST: Final = Topic(
    pattern=SITE + "/desk/adjust", messages=(m.AdjustStock,),
    publisher=Party.DESK, subscribers=(Party.CENTRAL,),
)  # fmt: skip
DESK_ADJUSTED: Final = Topic(
    pattern=SITE + "/desk/adjusted", messages=(m.AdjustResult,),
    publisher=Party.CENTRAL, subscribers=(Party.DESK,),
)  # fmt: skip
DESK_ZONE: Final = Topic(
    pattern=SITE + "/desk/zone", messages=(m.StopZone,),
    publisher=Party.DESK, subscribers=(Party.CENTRAL,),
)  # fmt: skip
DESK_ZONED: Final = Topic(
    pattern=SITE + "/desk/zoned", messages=(m.StopZoneResult,),
    publisher=Party.CENTRAL, subscribers=(Party.DESK,),
)  # fmt: skip
DESK_PIN: Final = Topic(
    pattern=SITE + "/desk/pin", messages=(m.PinTask,),
    publisher=Party.DESK, subscribers=(Party.CENTRAL,),
)  # fmt: skip
DESK_PINNED: Final = Topic(
    pattern=SITE + "/desk/pinned", messages=(m.PinResult,),
    publisher=Party.CENTRAL, subscribers=(Party.DESK,),
)  # fmt: skip
CHANGED: Final = Topic(
    pattern=SITE + "/central/changed", messages=(m.Changed,),
    publisher=Party.CENTRAL, subscribers=(Party.DESK,), qos=0,
)  # fmt: skip

TOPICS: Final = (
    DEVICE_SCAN, DEVICE_FEEDBACK, CAMERA_LOOK, DEVICE_STATUS, EDGE_STATUS, EDGE_DEVICES,
    JOURNAL, JOURNAL_ACK, EDGE_COMMAND, PERSON_TASKS, CUSTOMER_ORDER, ORDER_STATUS, PURCHASE_ORDER,
    SUPPLIER_NOTICE, DESK_COMMAND, DESK_RESULT, DESK_ADJUST, DESK_ADJUSTED,
    DESK_ZONE, DESK_ZONED, DESK_PIN, DESK_PINNED, CHANGED,
)  # fmt: skip


def topics_markdown() -> str:
    """Return the table as Markdown, as it stands in docs/protocol.md."""
    lines = ["| topic | messages | from | to | kept |", "|---|---|---|---|---|"]
    for topic in TOPICS:
        kinds = ", ".join(f"`{kind.__name__}`" for kind in topic.messages)
        readers = ", ".join(topic.subscribers)
        kept = f"QoS {topic.qos}" + (", retained" if topic.retain else "")
        lines.append(f"| `{topic.pattern}` | {kinds} | {topic.publisher} | {readers} | {kept} |")
    return "\n".join(lines) + "\n"
