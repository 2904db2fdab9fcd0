"""Stop zones: parts of the floor that robots do not enter while people are there. In the books.

A zone holds over a restart of central, opens by itself when its time is over, and may be lifted
before. Robots that were released into it finish what they have: a zone is no safety device.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from central.statement import Row, Statement
from central.store import insert_new
from central.tables import stop_zone
from runtime.clock import NS_PER_S
from wire.site import Site

ZONES_MAX: Final = 100
NODES_MAX: Final = 10_000
"""Of one zone; of more a site is rather put in pieces, or stopped as a whole."""
LASTS_S_MIN: Final = 60.0
LASTS_S_MAX: Final = 86_400.0
BOX: Final = 4
NAMES_SAID_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A part of the floor that somebody closed."""

    zone_id: str
    nodes: tuple[str, ...]
    reason: str
    person_id: str
    made_at_ns: int
    expires_at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody wants to be closed: nodes, or all nodes in a rectangle, or both."""

    zone_id: str
    person_id: str
    reason: str
    lasts_s: float
    nodes: Collection[str] = ()
    box_m: Collection[float] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it, in words."""

    ok: bool
    text: str


_OPEN: Final = Statement(
    select(stop_zone)
    .where(stop_zone.c.expires_at_ns > bindparam("now_ns"))
    .order_by(stop_zone.c.made_at_ns, stop_zone.c.zone_id)
)
_LIFT: Final = Statement(
    update(stop_zone)
    .where(stop_zone.c.zone_id == bindparam("of_zone"))
    .values(expires_at_ns=bindparam("at_ns"), lifted_by=bindparam("by_person"))
)


def open_zones(conn: Connection, now_ns: int) -> list[Zone]:
    """Return the zones that hold now, the oldest first."""
    return [_zone(row) for row in _OPEN.all(conn, {"now_ns": now_ns})]


def closed_nodes(conn: Connection, now_ns: int) -> frozenset[str]:
    """Return all nodes that nobody may enter now."""
    return frozenset(node for zone in open_zones(conn, now_ns) for node in zone.nodes)


def close_zone(conn: Connection, site: Site, wanted: Wanted, now_ns: int) -> Answer:
    """Close a part of the floor; return what is closed until when, or why nothing is."""
    nodes = set(wanted.nodes)
    unknown = sorted(nodes - site.nodes.keys())
    if unknown:
        return Answer(ok=False, text=f"node {unknown[0]!r} is not in nodes.csv: nothing is closed")
    if wanted.box_m and len(wanted.box_m) != BOX:
        text = f"the rectangle has {len(wanted.box_m)} numbers, expected x, y, x, y: none is closed"
        return Answer(ok=False, text=text)
    if wanted.box_m:
        x_m, y_m, to_x_m, to_y_m = wanted.box_m
        (left, right), (low, high) = sorted((x_m, to_x_m)), sorted((y_m, to_y_m))
        nodes.update(
            node.node_id
            for node in site.nodes.values()
            if left <= node.x_m <= right and low <= node.y_m <= high
        )
    if not 0 < len(nodes) <= NODES_MAX:
        text = f"{len(nodes)} nodes are in it, expected 1 to {NODES_MAX}: nothing is closed"
        return Answer(ok=False, text=text)
    if not LASTS_S_MIN <= wanted.lasts_s <= LASTS_S_MAX:
        text = f"{wanted.lasts_s:g} s, expected {LASTS_S_MIN:g} to {LASTS_S_MAX:g}: none is closed"
        return Answer(ok=False, text=text)
    if len(open_zones(conn, now_ns)) >= ZONES_MAX:
        return Answer(ok=False, text=f"{ZONES_MAX} zones are closed already: lift one first")
    expires_at_ns = now_ns + round(wanted.lasts_s * NS_PER_S)
    row = {
        "zone_id": wanted.zone_id,
        "nodes": msgspec.json.encode(sorted(nodes)).decode(),
        "reason": wanted.reason,
        "person_id": wanted.person_id,
        "made_at_ns": now_ns,
        "expires_at_ns": expires_at_ns,
    }
    insert_new(conn, stop_zone, [row])
    text = f"zone {wanted.zone_id}: {_said(nodes)} closed until {utc(expires_at_ns)}"
    return Answer(ok=True, text=f"{text}; robots that were released into it finish what they have")


def lift_zone(conn: Connection, zone_id: str, person_id: str, now_ns: int) -> Answer:
    """Open a zone again; return what is open, or why nothing changed."""
    zones = {zone.zone_id: zone for zone in open_zones(conn, now_ns)}
    zone = zones.get(zone_id)
    if zone is None:
        words = ", ".join(zones) or "none"
        return Answer(ok=False, text=f"zone {zone_id!r} is not closed now; closed are: {words}")
    _LIFT.run(conn, {"of_zone": zone_id, "at_ns": now_ns, "by_person": person_id})
    return Answer(ok=True, text=f"zone {zone_id}: {_said(zone.nodes)} open again")


def utc(at_ns: int) -> str:
    """Return a time for people."""
    return datetime.fromtimestamp(at_ns / NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _said(nodes: Collection[str]) -> str:
    names = ", ".join(sorted(nodes)[:NAMES_SAID_MAX])
    if len(nodes) == 1:
        return f"node {names} is"
    return f"{len(nodes)} nodes ({names}{', ...' if len(nodes) > NAMES_SAID_MAX else ''}) are"


def _zone(row: Row) -> Zone:
    return Zone(
        zone_id=row.zone_id,
        nodes=tuple(msgspec.json.decode(row.nodes, type=list[str])),
        reason=row.reason,
        person_id=row.person_id,
        made_at_ns=row.made_at_ns,
        expires_at_ns=row.expires_at_ns,
    )
