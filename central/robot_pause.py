"""All robots are to stand, until somebody lets them go on: written into central's books."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, insert, select

from central.tables import fleet_pause


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """All robots are to stand, until somebody lets them go on."""

    why: str
    since_ns: int
    person_id: str = ""


def pause_now(conn: Connection) -> Pause | None:
    """Return why all robots are to stand; None where they are not."""
    row = conn.execute(select(fleet_pause)).mappings().one_or_none()
    if row is None:
        return None
    return Pause(why=row["why"], since_ns=row["since_ns"], person_id=row["person_id"])


def pause_robots(conn: Connection, pause: Pause) -> bool:
    """Write down that all robots are to stand; False where they are to already."""
    if pause_now(conn) is not None:
        return False
    conn.execute(insert(fleet_pause), {"number": 1} | msgspec.structs.asdict(pause))
    return True


def resume_robots(conn: Connection) -> bool:
    """Write down that they may go on; False where they may already."""
    return conn.execute(delete(fleet_pause)).rowcount > 0
