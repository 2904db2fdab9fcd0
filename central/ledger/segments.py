"""Where in the ledger a bin is spoken of: by segments of so many movements, not by every movement.

An index by place would cost each movement that comes in nearly as much again as all the rest. Here
a segment of movements, once it is full, writes down which bins occur in it, in one go and in order;
who asks for a bin reads those segments alone, the newest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    union,
)

from central.statement import Row, Statement
from central.tables import movement, segment, segment_bin

SEGMENT_MOVES: Final = 10_000
"""To write one down takes some 10 ms, to look for a bin in one likewise."""
_BINS: Final = ("bin:", "bin;")
m = movement.c
s = segment.c
SEEN: Final = m.observed_at_ns + 0
"""When a movement was observed, so that a database does not go by the index of these times: that
reads all movements, where a segment is a few."""

_LAST: Final = Statement(
    select(
        select(func.coalesce(func.max(s.to_id), 0)).scalar_subquery(),
        select(func.coalesce(func.max(m.id), 0)).scalar_subquery(),
    )
)
_SPAN: Final = Statement(
    select(func.min(m.observed_at_ns), func.max(m.observed_at_ns)).where(
        m.id > bindparam("from_id"), m.id <= bindparam("to_id")
    )
)


def _touched(place: ColumnElement[str]) -> Any:
    return select(bindparam("to_id", type_=s.to_id.type), place.label("place")).where(
        m.id > bindparam("from_id"),
        m.id <= bindparam("to_id"),
        place >= _BINS[0],
        place < _BINS[1],
    )


_TOUCH: Final = Statement(
    insert(segment_bin).from_select(
        ["segment", "place"], union(_touched(m.from_place), _touched(m.to_place))
    )
)
_CLOSE: Final = Statement(insert(segment))


def close_segment(conn: Connection) -> bool:
    """Write down the bins of the next segment where it is full; return whether it was."""
    done, last = _LAST.tuples(conn)[0]
    if last - done < SEGMENT_MOVES:
        return False
    span = {"from_id": done, "to_id": done + SEGMENT_MOVES}
    first_ns, last_ns = _SPAN.tuples(conn, span)[0]
    _TOUCH.run(conn, span)
    # Numbers that nobody got leave a segment without movements.
    _CLOSE.run(conn, span | {"first_ns": first_ns or 0, "last_ns": last_ns or 0})
    return True


def rebuild_segments(conn: Connection) -> None:
    """Make all segments again."""
    for table in (segment_bin, segment):
        conn.execute(delete(table))
    while close_segment(conn):
        pass


def newest_moves(
    conn: Connection, place: str, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[Row]:
    """Return the latest movements from or to a bin, by when they were observed, the newest first.

    Segments that do not speak of it are not read, nor those that are older than what was found.
    """
    here = (or_(m.from_place == place, m.to_place == place), *conditions)
    newest = (SEEN.desc(), m.id.desc())
    done = conn.execute(select(func.coalesce(func.max(s.to_id), 0))).scalar_one()
    tail = select(movement).where(m.id > done, *here).order_by(*newest).limit(limit)
    found: list[Row] = list(conn.execute(tail))
    speaks = select(segment_bin.c.place).where(
        segment_bin.c.segment == s.to_id, segment_bin.c.place == place
    )
    for part in conn.execute(select(segment).where(speaks.exists()).order_by(s.last_ns.desc())):
        if len(found) >= limit and found[-1].observed_at_ns > part.last_ns:
            break
        inside = select(movement).where(m.id > part.from_id, m.id <= part.to_id, *here)
        found += conn.execute(inside.order_by(*newest).limit(limit))
        found.sort(key=lambda row: (row.observed_at_ns, row.id), reverse=True)
        del found[limit:]
    return found
