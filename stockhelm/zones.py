"""Stop zones at the command line: written into central's books, which central looks at."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from central.stop_zones import Answer, Wanted, Zone, close_zone, lift_zone, open_zones, utc
from central.store import reading
from runtime.clock import SystemClock
from runtime.errors import StartError
from stockhelm.ledger_books import AskedWronglyError, Books
from stockhelm.ledger_cli import named


def close(
    config: Path,
    *,
    person_id: str,
    minutes: float,
    nodes: Collection[str],
    box_m: Collection[float],
    reason: str,
    as_json: bool,
) -> tuple[bool, str]:
    """Return whether the part of the floor is closed, and what is to be said of it."""
    now_ns = SystemClock().now_ns()
    wanted = Wanted(
        zone_id=f"zone-{now_ns:x}", person_id=person_id, reason=reason, lasts_s=minutes * 60,
        nodes=nodes, box_m=box_m,
    )  # fmt: skip
    with books_of(config) as books, books.opened() as engine, engine.begin() as conn:
        answer = close_zone(conn, books.site, wanted, now_ns)
    return answer.ok, _said(answer, wanted.zone_id, as_json=as_json)


def lift(config: Path, zone_id: str, *, person_id: str, as_json: bool) -> tuple[bool, str]:
    """Return whether the zone is open again, and what is to be said of it."""
    with books_of(config) as books, books.opened() as engine, engine.begin() as conn:
        answer = lift_zone(conn, zone_id, person_id, SystemClock().now_ns())
    return answer.ok, _said(answer, zone_id, as_json=as_json)


def listed(config: Path, *, as_json: bool) -> str:
    """Return what is closed now, in lines or as JSON."""
    with books_of(config) as books, books.opened() as engine, reading(engine) as conn:
        zones = open_zones(conn, SystemClock().now_ns())
    if as_json:
        return _json([_told(zone) for zone in zones])
    return "\n".join(_line(zone) for zone in zones) or "no part of the floor is closed"


@contextmanager
def books_of(config: Path) -> Iterator[Books]:
    """Return central's books; what is wrong with them ends the command with words."""
    with named(config):
        try:
            yield Books(config)
        except AskedWronglyError as error:
            raise StartError(str(error)) from error
        except SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            raise StartError(f"central's database cannot be used now: {reason}") from error


def _line(zone: Zone) -> str:
    why = f", {zone.reason}" if zone.reason else ""
    until = f"until {utc(zone.expires_at_ns)} by {zone.person_id}{why}"
    return f"{zone.zone_id}  {until}: {' '.join(zone.nodes)}"


def _told(zone: Zone) -> dict[str, Any]:
    return {
        "zone_id": zone.zone_id,
        "nodes": zone.nodes,
        "reason": zone.reason,
        "person_id": zone.person_id,
        "made_at_ns": zone.made_at_ns,
        "expires_at_ns": zone.expires_at_ns,
    }


def _said(answer: Answer, zone_id: str, *, as_json: bool) -> str:
    if not as_json:
        return answer.text
    return _json({"ok": answer.ok, "zone_id": zone_id, "text": answer.text})


def _json(found: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
