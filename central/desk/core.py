"""Pure parts of the desk: what a task waits for, how a cause reads, what changed, frames for pages.

The WebSocket's frames are described in docs/desk.md: the first byte says the kind.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from central.desk.rows import Event, Order, Task

FRAME_VERSION: Final = 1
INT32_MAX: Final = 2**31 - 1
OPEN_TASKS: Final = ("open", "assigned", "moving")
FAILED_TASKS: Final = ("failed", "cancelled")
MOVES: Final = ("refill", "transfer")
BINS_SHOWN_MAX: Final = 4
OPEN_ORDERS: Final = ("accepted", "allocated", "picked")
_encoder: Final = msgspec.json.Encoder()


class Frame(enum.IntEnum):
    """The first byte of a frame."""

    SITE = 1
    ROBOTS = 2
    BINS = 3
    ROWS = 4
    STATUS = 5


class RobotFlag(enum.IntFlag):
    """What is true of a robot, in the frame ROBOTS."""

    ONLINE = 1
    DRIVING = 2
    LOADED = 4
    FAULTY = 8
    PAUSED = 16
    POSITIONED = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotMark:
    """Where a robot is, as the map draws it."""

    index: int
    x_m: float
    y_m: float
    heading_rad: float
    battery_percent: float
    flags: int
    age_ms: int


@dataclass(frozen=True, slots=True)
class BinMark:
    """How full a bin is, as the map draws it."""

    index: int
    units: int
    reserved_units: int
    inbound_units: int


def robots_frame(marks: Sequence[RobotMark], now_ms: int) -> bytes:
    """Return the frame ROBOTS: header, then one column after the other, all little-endian."""
    count = len(marks)
    header = struct.pack("<BBHIdII", Frame.ROBOTS, FRAME_VERSION, 0, 0, float(now_ms), count, 0)
    whole = np.array([[m.index for m in marks], [m.flags for m in marks],
                      [min(m.age_ms, INT32_MAX) for m in marks]], dtype="<i4")  # fmt: skip
    real = np.array([[m.x_m for m in marks], [m.y_m for m in marks], [m.heading_rad for m in marks],
                     [m.battery_percent for m in marks]], dtype="<f4")  # fmt: skip
    return header + whole.tobytes() + real.tobytes()


def bins_frame(marks: Sequence[BinMark], *, full: bool) -> bytes:
    """Return the frame BINS: header, then the columns index, units, reserved, inbound as Int32."""
    header = struct.pack("<BBHI", Frame.BINS, FRAME_VERSION, int(full), len(marks))
    columns = np.array(
        [[m.index for m in marks], [m.units for m in marks], [m.reserved_units for m in marks],
         [m.inbound_units for m in marks]], dtype=np.int64)  # fmt: skip
    return header + np.clip(columns, -INT32_MAX, INT32_MAX).astype("<i4").tobytes()


def json_frame(kind: Frame, value: Any) -> bytes:
    """Return a frame of UTF-8 JSON behind its first byte."""
    return bytes([kind]) + _encoder.encode(value)


@dataclass(slots=True)
class Rows:
    """One table as the pages have it. `change` says what to send so that they have it anew."""

    table: str
    held: dict[str, Any] = field(default_factory=dict)

    def change(self, rows: Mapping[str, Any]) -> bytes | None:
        """Take the new rows; return the frame with what changed, None where nothing did."""
        put = {key: row for key, row in rows.items() if self.held.get(key) != row}
        gone = [key for key in self.held if key not in rows]
        self.held = dict(rows)
        if not put and not gone:
            return None
        return json_frame(
            Frame.ROWS, {"table": self.table, "full": False, "put": put, "gone": gone}
        )

    def full(self) -> bytes:
        """Return the frame with every row."""
        return json_frame(
            Frame.ROWS, {"table": self.table, "full": True, "put": self.held, "gone": []}
        )


@dataclass(slots=True)
class BinMarks:
    """All bins as the pages have them."""

    held: dict[int, BinMark] = field(default_factory=dict)

    def change(self, marks: Mapping[int, BinMark]) -> bytes | None:
        """Take the new marks; return the frame with those that changed, None where none did."""
        put = [mark for index, mark in marks.items() if self.held.get(index) != mark]
        self.held = dict(marks)
        return bins_frame(put, full=False) if put else None

    def full(self) -> bytes:
        """Return the frame with every bin."""
        return bins_frame(list(self.held.values()), full=True)


def why_it_waits(
    *, status: str, worker_kind: str, worker: str, detail: str, tries: int = 1, kind: str = ""
) -> str:
    """Return the sentence that says what a task waits for; `detail` where central wrote one.

    While it is open, the detail of a count is its bins, each maybe with articles after a colon.
    """
    if kind == "count" and status != "failed":
        base = why_it_waits(
            status=status, worker_kind=worker_kind, worker=worker, detail="", tries=tries
        )
        return f"{base} {_bins_text(detail)}".rstrip() if base else ""
    if detail:
        return detail
    if status == "open":
        if worker_kind == "robot":
            return "Waits for a free robot."
        if worker_kind == "drone":
            return "Waits for the drone."
        return f"On the list of {worker}." if worker else "Waits for a person with this role."
    if status == "assigned":
        again = f" Given out {tries} times: it was due." if tries > 1 else ""
        return f"{worker or 'The worker'} has it next.{again}"
    return ""


def _bins_text(stops: str) -> str:
    """Return which bins are counted, the first ones by name."""
    bins = [stop.partition(":")[0] for stop in stops.split()]
    more = f" and {len(bins) - BINS_SHOWN_MAX} more" if len(bins) > BINS_SHOWN_MAX else ""
    return f"To count: {', '.join(bins[:BINS_SHOWN_MAX])}{more}." if bins else ""


def place_text(place: str) -> str:
    """Return a place as people read it: a bin by its id, everything else with its kind."""
    kind, _, name = place.partition(":")
    if kind == "bin":
        return name
    return f"{kind} {name}".strip()


def event_text(event: Event) -> str:
    """Return an event of the ledger as one sentence."""
    who = event.person or event.device_id
    if event.kind == "moved":
        return (
            f"{event.units} x {event.article.name} went from {place_text(event.from_place)}"
            f" to {place_text(event.to_place)} ({event.reason}, {who})"
        )
    if not event.article.gtin:
        return f"{who} saw {place_text(event.to_place)} without any article label"
    if event.kind == "counted":
        return (
            f"{who} counted {event.units} x {event.article.name} in"
            f" {place_text(event.to_place)}; the books said {event.book_units}"
        )
    return f"{who} saw {event.article.name} in {place_text(event.to_place)}"


def order_text(order: Order) -> str:
    """Return a customer's order as one sentence."""
    lines = ", ".join(f"{line.units} x {line.article.name}" for line in order.lines[:3])
    more = f" and {len(order.lines) - 3} more lines" if len(order.lines) > 3 else ""  # noqa: PLR2004 - as cut above
    return f"order for {lines}{more}: {order.status}"


def task_text(task: Task) -> str:
    """Return a task as one sentence."""
    what = f"{task.units} x {task.article.name}" if task.article.gtin else f"{task.units}"
    return (
        f"{task.kind} of {what} from {place_text(task.from_place)}"
        f" to {place_text(task.to_place)}: {task.status}"
    )
