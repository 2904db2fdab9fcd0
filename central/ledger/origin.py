"""Whose an event may be: an edge tells of its own bins and devices, and of nobody else's.

Refused is what names a bin of another zone, a device that only other edges have, or what central
asked another edge for. Who and what crosses zones stays free: robots and people are the site's,
a scanner that two edges take is both's, totes and containers belong to no zone, and each edge books
its own half of a transfer. A device that nobody named is taken: older edges do not name all.

A refused event is set aside in `refused_event`, and the journal goes on behind it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from central.statement import Statement, parts_of
from central.store import insert_new
from central.tables import edge_command, edge_device, movement, refused_event, task
from wire.ids import bin_location
from wire.messages import (
    BinCounted,
    BinSighted,
    ContainerMoved,
    MissionEnded,
    Movement,
    StockEvent,
    TaskClosed,
)
from wire.site import Site

SET_ASIDE_MAX: Final = 10_000
"""Refused events that are kept; more are counted and logged alone."""
DEVICES_MAX: Final = 100_000
"""Devices of edges that are kept; one beyond belongs to nobody and is taken from everybody."""
TEXT_MAX: Final = 400
CENTRAL_DEVICE: Final = "central"
"""Who saw what central asks edges to write."""
_OF_DEVICE: Final = re.compile(r"([^/]+)/[0-9]+/[0-9]+(?:/[0-9]+)?")
ArrivedRow = tuple[str, int, int, StockEvent]
"""(edge, epoch, seq, event)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An event that is not its edge's to tell."""

    edge_id: str
    code: str
    """`foreign_bin`, `foreign_device` or `foreign_command`."""
    text: str


class Origin:
    """Which bins and devices belong to which edge. Pure but for what it is told of devices."""

    def __init__(self, site: Site, drones: Mapping[str, str]) -> None:
        self._owner: dict[str, str] = {
            bin_location(row.bin_id): row.edge_id for row in site.bins.values()
        }
        self._robots = frozenset(row.serial for row in site.robots)
        self._fixed = {edge: edge for edge in self._owner.values()} | dict(drones)
        self._takers: dict[str, frozenset[str]] = {}
        self._known = 0

    def take_devices(self, edge_id: str, devices: Iterable[str]) -> list[str]:
        """Learn that an edge has these devices; return those that were not known of it.

        What was its device once stays so: rows from then may still be on their way.
        """
        new = []
        for device in devices:
            takers = self._takers.get(device, frozenset())
            if edge_id not in takers and self._known < DEVICES_MAX:
                self._takers[device] = takers | {edge_id}
                self._known += 1
                new.append(device)
        return new

    def takers_of(self, device_id: str) -> Collection[str]:
        """Return the edges that ever named this device as theirs."""
        return self._takers.get(device_id, ())

    def foreign(self, edge_id: str, item: StockEvent) -> Refusal | None:
        """Return why this event is not this edge's to tell, None where it is."""
        places, device_id = _named(item)
        owner = self._owner
        for place in places:
            if owner.get(place, edge_id) != edge_id:
                text = f"{place} is in zone {owner[place]}: only edge {owner[place]} tells of it"
                return Refusal(edge_id=edge_id, code="foreign_bin", text=_text(item, text))
        if item.event_id.startswith(device_id + "/"):
            devices: tuple[str, ...] = (device_id,)
        else:
            said = _OF_DEVICE.fullmatch(item.event_id)
            devices = (device_id, said[1]) if said else (device_id,)
        for device in devices:
            if why := self._not_its(edge_id, device):
                return Refusal(edge_id=edge_id, code="foreign_device", text=_text(item, why))
        return None

    def _not_its(self, edge_id: str, device: str) -> str:
        if device in self._robots or device == CENTRAL_DEVICE:
            return ""
        owner = self._fixed.get(device)
        takers = self._takers.get(device, ())
        # What the site or central's configuration gives to an edge, nobody takes by naming it.
        if owner == edge_id if owner else not takers or edge_id in takers:
            return ""
        whose = owner or ", ".join(sorted(takers))
        return f"{device} is a device of {whose}, and never was one of {edge_id}"

    def owner_of(self, place: str) -> str:
        """Return the edge that owns a bin's place, empty where it is no bin of the site."""
        return self._owner.get(place, "")


def _named(item: StockEvent) -> tuple[tuple[str, ...], str]:
    """Return the places that an event is about, and the device that saw it."""
    match item:
        case Movement() | ContainerMoved():
            return (item.from_place, item.to_place), item.device_id
        case BinCounted() | BinSighted():
            return (bin_location(item.bin_id),), item.device_id
        case MissionEnded():
            return tuple(map(bin_location, item.bins_seen)), item.drone_id
        case TaskClosed():
            return (), item.device_id


def _text(item: StockEvent, why: str) -> str:
    return f"{item.event_id}: {why}"[:TEXT_MAX]


# --- the database ---------------------------------------------------------------------------------

_COMMANDED: Final = Statement(
    select(edge_command.c.event_id, edge_command.c.edge_id).where(
        edge_command.c.event_id.in_(bindparam("event_ids"))
    )
)
_TASKS: Final = Statement(
    select(task.c.task_id, task.c.from_place, task.c.to_place).where(
        task.c.task_id.in_(bindparam("task_ids"))
    )
)
_BOOKED: Final = Statement(
    select(movement.c.event_id).where(movement.c.event_id.in_(bindparam("event_ids")))
)


def set_aside(
    conn: Connection, origin: Origin, rows: Sequence[ArrivedRow], now_ns: int
) -> tuple[list[ArrivedRow], list[Refusal]]:
    """Return the rows that are their edge's to tell, and the refusals of the others.

    The others are kept in `refused_event`. What is in the ledger already is no refusal: bins may
    have changed hands since, and a journal that comes again changes nothing.
    """
    found: list[tuple[ArrivedRow, Refusal]] = []
    kept = []
    for row in rows:
        refusal = origin.foreign(row[0], row[3])
        if refusal is None:
            kept.append(row)
        else:
            found.append((row, refusal))
    asked = _asked_of_others(conn, origin, kept)
    if asked:
        found += [(row, asked[index]) for index, row in enumerate(kept) if index in asked]
        kept = [row for index, row in enumerate(kept) if index not in asked]
    if not found:
        return kept, []
    ids = sorted({row[3].event_id for row, _ in found})
    booked = {
        event_id
        for part in parts_of(ids)
        for event_id in _BOOKED.scalars(conn, {"event_ids": part})
    }
    fresh = [(row, refusal) for row, refusal in found if row[3].event_id not in booked]
    _keep(conn, fresh, now_ns)
    return kept, [refusal for _, refusal in fresh]


def _asked_of_others(
    conn: Connection, origin: Origin, rows: Sequence[ArrivedRow]
) -> dict[int, Refusal]:
    """Return, by their index, the rows that end what central asked another edge for."""
    ends: dict[int, str] = {}
    closes: dict[int, str] = {}
    for index, (_, _, _, item) in enumerate(rows):
        if isinstance(item, MissionEnded):
            ends[index] = item.mission_id
        elif isinstance(item, TaskClosed):
            closes[index] = item.task_id
        elif isinstance(item, Movement) and not item.event_id.startswith(item.device_id + "/"):
            ends[index] = item.event_id
    found: dict[int, Refusal] = {}
    if ends:
        whose = {
            row.event_id: row.edge_id
            for part in parts_of(sorted(set(ends.values())))
            for row in _COMMANDED.all(conn, {"event_ids": part})
        }
        for index, event_id in ends.items():
            edge_id, item = rows[index][0], rows[index][3]
            if whose.get(event_id, edge_id) != edge_id:
                why = f"{event_id} was asked of edge {whose[event_id]}"
                found[index] = Refusal(
                    edge_id=edge_id, code="foreign_command", text=_text(item, why)
                )
    if closes:
        tasks = {
            row.task_id: {origin.owner_of(row.from_place), origin.owner_of(row.to_place)} - {""}
            for part in parts_of(sorted(set(closes.values())))
            for row in _TASKS.all(conn, {"task_ids": part})
        }
        for index, task_id in closes.items():
            edge_id, item = rows[index][0], rows[index][3]
            zones = tasks.get(task_id, set())
            if zones and edge_id not in zones:
                why = f"{task_id} is a task in zone {', '.join(sorted(zones))}"
                found[index] = Refusal(
                    edge_id=edge_id, code="foreign_command", text=_text(item, why)
                )
    return found


def _keep(conn: Connection, found: Sequence[tuple[ArrivedRow, Refusal]], now_ns: int) -> None:
    there = int(conn.execute(select(func.count()).select_from(refused_event)).scalar_one())
    rows = [
        {
            "edge_id": edge_id, "epoch": epoch, "seq": seq, "event_id": item.event_id,
            "code": refusal.code, "reason": refusal.text,
            "payload": msgspec.json.encode(item).decode(), "refused_at_ns": now_ns,
        }
        for (edge_id, epoch, seq, item), refusal in found[: max(SET_ASIDE_MAX - there, 0)]
    ]  # fmt: skip
    insert_new(conn, refused_event, rows)


def read_devices(conn: Connection, origin: Origin) -> None:
    """Let `origin` know the devices that edges named so far."""
    for row in conn.execute(select(edge_device)):
        origin.take_devices(row.edge_id, (row.device_id,))


def write_devices(conn: Connection, edge_id: str, devices: Iterable[str], now_ns: int) -> None:
    """Write down that an edge named these devices as its own."""
    rows = [{"device_id": name, "edge_id": edge_id, "since_ns": now_ns} for name in devices]
    insert_new(conn, edge_device, rows)
